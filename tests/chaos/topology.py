"""The topology under test: two billing types of three partitions, two domains, and their processors' configurations."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chaos.checks.logs import KEY_MARK
from chaos.tariffs import CURRENCY, TARIFFS
from messaging_api.access import ApiKey, Scope
from messaging_api.processor import (
    BillingConfig,
    DomainConfig,
    GatewayConfig,
    KafkaProcessorConfig,
    MessagingConfig,
    SinkConfig,
)
from messaging_api.topology import BillingType, CircuitBreaker, ThirdParty
from testkit.broker import Broker

INPUTS = {BillingType.POSTPAID: "postpaid", BillingType.PREPAID: "prepaid"}
DOMAINS = tuple(TARIFFS)
PARTITIONS = 3
GATEWAY = "api-gateway"
MESSAGING = "be-messaging"
REPLICAS = {
    MESSAGING: 2,
    "billing-marketing": 2,
    "billing-authentication": 1,
    "marketing": 2,
    "authentication": 1,
}
"""Of the processors that Kafka connects; each be-messaging pod has a gateway of its own."""
WORKERS = tuple(name for name in REPLICAS if name != MESSAGING)
API_KEY = f"{KEY_MARK}that-opens-everything"
READER_KEY = f"{KEY_MARK}of-a-reader"
_SCOPES = {API_KEY: tuple(Scope), READER_KEY: (Scope.READ,)}
_BREAKER = CircuitBreaker(failure_ratio="0.5", window="5s", open_for="1s")


@dataclass(frozen=True)
class Places:
    """Where the processors find what is not theirs; `kafka_of` sends single ones through a proxy."""

    third_party: str
    kafka_of: Mapping[str, str]


def topics() -> dict[str, int]:
    """All of them, and how many partitions each has."""
    letters = [f"{name}.dlq" for name in WORKERS]
    return dict.fromkeys((*INPUTS.values(), *DOMAINS), PARTITIONS) | dict.fromkeys(letters, 1)


def configurations(broker: Broker, places: Places) -> dict[str, KafkaProcessorConfig]:
    """By processor."""
    made: list[KafkaProcessorConfig] = [_messaging(broker)]
    made += [config for domain in DOMAINS for config in (_billing(broker, domain), _sink(broker, domain, places))]
    by_name = {config.processor: config for config in made}
    changed = {name: by_name[name].model_copy(update={"bootstrap_servers": at}) for name, at in places.kafka_of.items()}
    return by_name | changed


def api_keys(folder: Path, tenant: str) -> Path:
    """The gateways' Secret as it is mounted: the tenant's clients."""
    folder.mkdir()
    for number, (key, scopes) in enumerate(_SCOPES.items()):
        client = ApiKey(key=key, tenant=tenant, scopes=scopes)
        (folder / f"client-{number}").write_text(client.model_dump_json())
    return folder


def gateway(upstream: str, keys: Path) -> GatewayConfig:
    """In front of one pod of be-messaging."""
    return GatewayConfig(
        topology="chaos", namespace="test", processor=GATEWAY, upstream=upstream, api_keys_folder=str(keys)
    )


def group_of(broker: Broker, processor: str) -> str:
    """The consumer group of a processor."""
    return broker.name(f"chaos.{processor}")


def inputs_of(processor: str) -> tuple[str, ...]:
    """What a processor reads."""
    return tuple(INPUTS.values()) if processor.startswith("billing") else (processor,)


def _messaging(broker: Broker) -> MessagingConfig:
    return MessagingConfig(
        topology="chaos",
        namespace="test",
        processor=MESSAGING,
        bootstrap_servers=broker.bootstrap,
        routes={billing_type: broker.name(topic) for billing_type, topic in INPUTS.items()},
        domains={domain: DomainConfig(topic=broker.name(domain), currency=CURRENCY) for domain in DOMAINS},
        cache_ttl="1h",
    )


def _billing(broker: Broker, domain: str) -> BillingConfig:
    name = f"billing-{domain}"
    inputs = [broker.name(topic) for topic in INPUTS.values()]
    return BillingConfig(
        topology="chaos",
        namespace="test",
        processor=name,
        bootstrap_servers=broker.bootstrap,
        group_id=group_of(broker, name),
        inputs=inputs,
        domain=domain,
        domains=list(DOMAINS),
        unrouted=inputs if domain == DOMAINS[0] else [],
        output=broker.name(domain),
        tariff=TARIFFS[domain].declared(),
        dead_letter_topic=broker.name(f"{name}.dlq"),
    )


def _sink(broker: Broker, domain: str, places: Places) -> SinkConfig:
    return SinkConfig(
        topology="chaos",
        namespace="test",
        processor=domain,
        bootstrap_servers=broker.bootstrap,
        group_id=group_of(broker, domain),
        inputs=[broker.name(domain)],
        third_party=ThirdParty(url=places.third_party, timeout="1s", max_in_flight=16, circuit_breaker=_BREAKER),
        cache_ttl="1h",
        dead_letter_topic=broker.name(f"{domain}.dlq"),
    )
