"""Spec → its processors: each one's configuration, and what differs between the kinds. Called by `topology`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from messaging_api.processor import (
    AnyProcessorConfig,
    BillingConfig,
    GatewayConfig,
    MessagingConfig,
    SinkConfig,
)
from messaging_api.topology import (
    GATEWAY_NAME,
    MESSAGING_NAME,
    Billing,
    GatewayService,
    SecretKey,
    Sink,
    TopologySpec,
)
from messaging_operator.desired.topics import dead_letter_topic
from messaging_operator.state import ProcessorImages, TopologyKey


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


def desired_processors(key: TopologyKey, spec: TopologySpec, images: ProcessorImages) -> tuple[Processor, ...]:
    """Upstream last: a sink is there before somebody writes to its topic."""
    return (
        *(_sink(key, spec, sink, images.sink) for sink in spec.sinks),
        *(_billing(key, spec, billing, images.billing) for billing in spec.billing),
        _messaging(key, spec, images.gateway),
        _gateway(key, spec, images.gateway),
    )


def unrouted_inputs(spec: TopologySpec, billing: Billing) -> list[str]:
    """The inputs whose records without a usable domain this processor dead-letters, so that nobody does it twice."""
    first = {topic: reader.name for reader in reversed(spec.billing) for topic in reader.inputs}
    return [topic for topic in billing.inputs if first[topic] == billing.name]


def _gateway(key: TopologyKey, spec: TopologySpec, image: str) -> Processor:
    config = GatewayConfig(**_identity(key, GATEWAY_NAME), upstream=f"http://{MESSAGING_NAME}")
    keys = spec.gateway.auth.api_keys_from.secret_ref.name
    return Processor(config, image, spec.gateway.replicas, api_keys_secret=keys, service=spec.gateway.service)


def _messaging(key: TopologyKey, spec: TopologySpec, image: str) -> Processor:
    config = MessagingConfig(
        **_identity(key, MESSAGING_NAME),
        bootstrap_servers=spec.kafka.bootstrap_servers,
        routes={route.billing_type: route.topic for route in spec.messaging.routes},
        domains=_domains(spec),
        cache_ttl=spec.cache.ttl,
    )
    return Processor(config, image, spec.messaging.replicas, secrets=_stores(spec), service=GatewayService())


def _billing(key: TopologyKey, spec: TopologySpec, billing: Billing, image: str) -> Processor:
    config = BillingConfig(
        **_identity(key, billing.name),
        bootstrap_servers=spec.kafka.bootstrap_servers,
        group_id=_group_id(key, billing.name),
        inputs=billing.inputs,
        domain=billing.domain,
        domains=_domains(spec),
        unrouted=unrouted_inputs(spec, billing),
        output=billing.to,
        tariff=billing.tariff,
        dead_letter_topic=dead_letter_topic(billing),
    )
    return Processor(config, image, billing.replicas)


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


def _domains(spec: TopologySpec) -> list[str]:
    return [billing.domain for billing in spec.billing]


def _stores(spec: TopologySpec) -> dict[str, SecretKey]:
    return {
        "DATABASE_URL": spec.database.url_from.secret_key_ref,
        "CACHE_URL": spec.cache.url_from.secret_key_ref,
    }
