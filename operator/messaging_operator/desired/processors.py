"""Spec → its processors: each one's configuration, and what differs between the kinds. Called by `topology`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from messaging_api.processor import (
    AnyProcessorConfig,
    BillingConfig,
    DomainConfig,
    GatewayConfig,
    MessagingConfig,
    SinkConfig,
)
from messaging_api.tariff import Rate, Tariff
from messaging_api.topology import GATEWAY_NAME, MESSAGING_NAME, Billing, GatewayService, SecretKey, Sink, TopologySpec
from messaging_operator.desired.topics import dead_letter_topic
from messaging_operator.state import ProcessorImages, RateTables, TopologyKey, Unreadable


@dataclass(frozen=True)
class Processor:
    """What the manifests of a processor are made from, whatever its kind. A processor with a service speaks HTTP."""

    config: AnyProcessorConfig
    image: str
    replicas: int
    secrets: Mapping[str, SecretKey] = field(default_factory=dict)
    api_keys_secret: str | None = None
    service: GatewayService | None = None


class Identity(TypedDict):
    """What every configuration says of its processor."""

    topology: str
    namespace: str
    processor: str


def desired_processors(
    key: TopologyKey, spec: TopologySpec, images: ProcessorImages, tables: RateTables
) -> tuple[Processor, ...]:
    """Upstream last: a sink is there before somebody writes to its topic. Without the withheld ones."""
    return (
        *(_sink(key, spec, sink, images.sink) for sink in spec.sinks),
        *_billings(key, spec, images.billing, tables),
        _messaging(key, spec, images.gateway, tables),
        _gateway(key, spec, images.gateway),
    )


def unrouted_inputs(spec: TopologySpec, billing: Billing) -> list[str]:
    """The inputs whose records without a usable domain this processor dead-letters, so that nobody does it twice."""
    first = {topic: reader.name for reader in reversed(spec.billing) for topic in reader.inputs}
    return [topic for topic in billing.inputs if first[topic] == billing.name]


def _gateway(key: TopologyKey, spec: TopologySpec, image: str) -> Processor:
    config = GatewayConfig(
        **_identity(key, GATEWAY_NAME), upstream=f"http://{MESSAGING_NAME}", rate_limit=spec.gateway.rate_limit
    )
    keys = spec.gateway.auth.api_keys_from.secret_ref.name
    return Processor(config, image, spec.gateway.replicas, api_keys_secret=keys, service=spec.gateway.service)


def _messaging(key: TopologyKey, spec: TopologySpec, image: str, tables: RateTables) -> Processor:
    config = MessagingConfig(
        **_identity(key, MESSAGING_NAME),
        bootstrap_servers=spec.kafka.bootstrap_servers,
        routes={route.billing_type: route.topic for route in spec.messaging.routes},
        domains={billing.domain: _domain(billing, tables) for billing in spec.billing},
        cache_ttl=spec.cache.ttl,
        retention=spec.database.retention,
    )
    return Processor(config, image, spec.messaging.replicas, secrets=_stores(spec), service=GatewayService())


def _domain(billing: Billing, tables: RateTables) -> DomainConfig:
    """What may be accepted is what can be charged: in the currency of the tariff that is in force."""
    prices = _prices(billing, tables)
    currency = (prices[0] if prices else billing.tariff).currency
    return DomainConfig(topic=billing.to, currency=currency, valid_for=billing.valid_for)


def _billings(key: TopologyKey, spec: TopologySpec, image: str, tables: RateTables) -> Iterator[Processor]:
    for billing in spec.billing:
        if prices := _prices(billing, tables):
            config = _billing_config(key, spec, billing, *prices)
            yield Processor(config, image, billing.replicas, secrets=_database(spec))


def _prices(billing: Billing, tables: RateTables) -> tuple[Tariff, Sequence[Rate]] | None:
    """What it charges by: never a new tariff without its table; None for one that has charged by nothing so far."""
    table = tables.get(billing.name, ())
    if not isinstance(table, Unreadable):
        return billing.tariff, table
    return (table.in_force.tariff, table.in_force.rates) if table.in_force else None


def _billing_config(
    key: TopologyKey, spec: TopologySpec, billing: Billing, tariff: Tariff, rates: Sequence[Rate]
) -> BillingConfig:
    return BillingConfig(
        **_identity(key, billing.name),
        bootstrap_servers=spec.kafka.bootstrap_servers,
        group_id=_group_id(key, billing.name),
        inputs=billing.inputs,
        domain=billing.domain,
        domains=[billing.domain for billing in spec.billing],
        unrouted=unrouted_inputs(spec, billing),
        output=billing.to,
        tariff=tariff,
        rates=list(rates),
        dead_letter_topic=dead_letter_topic(billing),
    )


def _sink(key: TopologyKey, spec: TopologySpec, sink: Sink, image: str) -> Processor:
    config = SinkConfig(
        **_identity(key, sink.name),
        bootstrap_servers=spec.kafka.bootstrap_servers,
        group_id=_group_id(key, sink.name),
        inputs=sink.inputs,
        third_party=sink.third_party,
        cache_ttl=spec.cache.ttl,
        dead_letter_topic=dead_letter_topic(sink),
    )
    return Processor(config, image, sink.replicas, secrets=_stores(spec))


def _identity(key: TopologyKey, processor: str) -> Identity:
    return {"topology": key.name, "namespace": key.namespace, "processor": processor}


def _group_id(key: TopologyKey, processor: str) -> str:
    return f"{key.namespace}.{key.name}.{processor}"


def _database(spec: TopologySpec) -> dict[str, SecretKey]:
    return {"DATABASE_URL": spec.database.url_from.secret_key_ref}


def _stores(spec: TopologySpec) -> dict[str, SecretKey]:
    return _database(spec) | {"CACHE_URL": spec.cache.url_from.secret_key_ref}
