"""What the operator mounts into a processor: the one file of its configuration, JSON, read at start.

Secrets never stand in it: they arrive as environment variables (`DATABASE_URL`, `CACHE_URL`) or as mounted files
(`api_keys_folder`: one file a client, its name the client's, its content as `access` says).
"""

from typing import Annotated, Literal

from pydantic import Field

from messaging_api.base import Currency, Domain, Duration, Model, TopicName
from messaging_api.tariff import Rate, Tariff
from messaging_api.topology import BillingType, RateLimit, Retention, ThirdParty

CONFIG_FOLDER = "/etc/messaging"
CONFIG_FILE = "config.json"
API_KEYS_FOLDER = "/etc/messaging-keys"
HTTP_PORT = 8080
"""Gateway and be-messaging serve their API here."""
HEALTH_PORT = 9090
"""Every processor serves /healthz, /readyz and /metrics here."""


class ProcessorConfig(Model):
    """What every processor knows about itself."""

    topology: str
    namespace: str
    processor: str


class GatewayConfig(ProcessorConfig):
    """The API gateway forwards everything below /v1 to `upstream`."""

    kind: Literal["gateway"] = "gateway"
    upstream: str
    api_keys_folder: str = API_KEYS_FOLDER
    rate_limit: RateLimit | None = None


class KafkaProcessorConfig(ProcessorConfig):
    """A processor that talks to Kafka."""

    bootstrap_servers: str


class DomainConfig(Model):
    """What be-messaging knows of a domain: where its receipts go, what it charges in, and how long a message lasts."""

    topic: TopicName
    currency: Currency
    valid_for: Duration | None = None


class MessagingConfig(KafkaProcessorConfig):
    """be-messaging publishes to the topic of the account's billing type, for declared domains only."""

    kind: Literal["messaging"] = "messaging"
    routes: dict[BillingType, TopicName]
    domains: dict[Domain, DomainConfig]
    cache_ttl: Duration
    retention: Retention = Retention()


class BillingConfig(KafkaProcessorConfig):
    """A billing processor consumes `inputs` as group `group_id`, charges `domain`, writes to `output`.

    Every billing processor of a topic sees all its records, and a record that belongs to none of `domains` must be
    dead-lettered once: by the one processor that has the topic in `unrouted`.
    """

    kind: Literal["billing"] = "billing"
    group_id: str
    inputs: list[TopicName]
    domain: Domain
    domains: list[Domain]
    unrouted: list[TopicName] = []
    output: TopicName
    tariff: Tariff
    rates: list[Rate] = []
    """The table of `tariff.ratesFrom`; a prefix that `tariff.rates` has too counts as it stands there."""
    dead_letter_topic: TopicName


class SinkConfig(KafkaProcessorConfig):
    """A sink consumes `inputs` as group `group_id`, stores, sends, caches."""

    kind: Literal["sink"] = "sink"
    group_id: str
    inputs: list[TopicName]
    third_party: ThirdParty
    cache_ttl: Duration
    dead_letter_topic: TopicName


AnyProcessorConfig = Annotated[
    GatewayConfig | MessagingConfig | BillingConfig | SinkConfig, Field(discriminator="kind")
]


class Readiness(Model):
    """What `/readyz` answers, 200 when ready and 503 when not: the dependencies that are away, by name, and why."""

    ready: bool
    away: dict[str, str] = {}
