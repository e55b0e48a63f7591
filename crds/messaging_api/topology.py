"""The resource: what a platform team declares. The CRD's schema and CEL rules are generated from these models.

Rules stand beside the field that they guard and are written once. Values that the operator fills in are Python
defaults here and stay out of the CRD (the API server would persist them, and no upgrade could change them).
"""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from messaging_api.base import Domain, Duration, Model, ProcessorName, TopicName, cel, keyed_by, rules
from messaging_api.tariff import Tariff

GATEWAY_NAME = "api-gateway"
MESSAGING_NAME = "be-messaging"


class BillingType(StrEnum):
    """How an account pays: afterwards by invoice, or from its balance."""

    POSTPAID = "Postpaid"
    PREPAID = "Prepaid"


class SecretKey(Model):
    """One key of a Secret in the topology's namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    key: Annotated[str, Field(min_length=1, max_length=253)]


class SecretReference(Model):
    """A Secret in the topology's namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253)]


class SecretValue(Model):
    """Where a secret value comes from."""

    secret_key_ref: SecretKey


class SecretSource(Model):
    """Where a set of secret values comes from."""

    secret_ref: SecretReference


_SETTING_NAME = "key.matches('^[a-z0-9._-]+$')"
TopicConfig = Annotated[
    dict[str, Annotated[str, Field(max_length=256)]],
    Field(
        max_length=40,
        description=(
            "Kafka's own topic settings. What is not named is left alone: a new topic has the broker's default, and a"
            " setting that is taken out of here keeps the value that it has in Kafka."
        ),
        json_schema_extra=rules(
            cel(
                f"self.all(key, {_SETTING_NAME})",
                expression=f"'not the name of a Kafka setting: %s'.format([self.filter(key, !{_SETTING_NAME})])",
            )
        ),
    ),
]
ReplicationFactor = Annotated[int, Field(ge=1, le=9)]
Replicas = Annotated[int, Field(ge=0, le=1000)]


class KafkaDefaults(Model):
    """What every topic of this topology gets unless its own entry says otherwise."""

    replication_factor: ReplicationFactor = 1
    config: TopicConfig = {}


class Kafka(Model):
    """The cluster that carries the messages."""

    bootstrap_servers: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1024,
            description="host:port, comma-separated. The operator uses it too: a Service needs its namespace.",
        ),
    ]
    defaults: KafkaDefaults = KafkaDefaults()


class Retention(Model):
    """How long PostgreSQL keeps what is personal; the ledger, which has neither numbers nor texts, stays for ever."""

    bodies: Annotated[
        Duration | None, Field(description="Then texts and numbers are erased; without, when `messages` is over.")
    ] = None
    messages: Annotated[
        Duration | None, Field(description="Then the rows of what has ended as long ago go; never without.")
    ] = None


class Store(Model):
    """PostgreSQL, where messages, accounts and the ledger live."""

    url_from: SecretValue
    retention: Retention = Retention()


class Cache(Model):
    """Redis, which makes reads fast and whose loss costs nothing but speed."""

    url_from: SecretValue
    ttl: Duration = "1h"


class Topic(Model):
    """A Kafka topic. Partitions can only grow: Kafka cannot take one away without losing its records."""

    name: TopicName
    partitions: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            json_schema_extra=rules(
                cel(
                    "self >= oldSelf",
                    expression="'partitions can only grow: %d -> %d'.format([oldSelf, self])",
                )
            ),
        ),
    ]
    config: TopicConfig = {}


class GatewayAuth(Model):
    """Who may call: each entry of the Secret is a client's name and its API key."""

    api_keys_from: SecretSource


class RateLimit(Model):
    """A token bucket for each tenant, in each gateway pod."""

    requests_per_second: Annotated[int, Field(ge=1, le=100_000, description="How fast the bucket fills.")]
    burst: Annotated[
        int | None, Field(ge=1, le=1_000_000, description="What the bucket holds; without, a second's requests.")
    ] = None


class GatewayServiceType(StrEnum):
    """How the gateway is reached: Kubernetes' own Service types."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"


class GatewayService(Model):
    """The Service in front of the gateway."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.nodePort) || (has(self.type) && self.type != 'ClusterIP')",
                message="nodePort: a Service of type ClusterIP has none; set type to NodePort or LoadBalancer",
            )
        )
    )

    type: GatewayServiceType = GatewayServiceType.CLUSTER_IP
    node_port: Annotated[int, Field(ge=30000, le=32767)] | None = None


class Gateway(Model):
    """The API gateway: authenticates callers and forwards to be-messaging. Deployment `api-gateway`."""

    replicas: Replicas = 1
    auth: GatewayAuth
    rate_limit: Annotated[
        RateLimit | None,
        Field(description="A token bucket for each tenant, in each pod: a request that finds it empty is a 429."),
    ] = None
    service: GatewayService = GatewayService()


class Route(Model):
    """Which topic takes the messages of accounts of one billing type."""

    billing_type: BillingType
    topic: TopicName


class Messaging(Model):
    """be-messaging: validates, looks the billing type up, publishes. Deployment `be-messaging`."""

    replicas: Replicas = 1
    routes: Annotated[list[Route], Field(min_length=1, max_length=2, json_schema_extra=keyed_by("billingType"))]


Inputs = Annotated[
    list[TopicName],
    Field(alias="from", min_length=1, max_length=8, json_schema_extra={"x-kubernetes-list-type": "set"}),
]


class DeadLetter(Model):
    """Where records go that can never be processed; the topic is declared by being named here."""

    topic: TopicName


# A processor that names no dead-letter topic has one of its own: its name and `.dlq`, together a topic's 63 characters.
_ROOM_FOR_DEAD_LETTERS = rules(
    cel(
        "has(self.deadLetter) || size(self.name) <= 59",
        message="name: longer than 59 characters leaves no room for a topic name.dlq; name a topic in deadLetter.topic",
    )
)


class Billing(Model):
    """A billing processor: charges the messages of one domain and republishes them. One Deployment."""

    model_config = ConfigDict(json_schema_extra=_ROOM_FOR_DEAD_LETTERS)

    name: ProcessorName
    domain: Annotated[
        Domain,
        Field(
            json_schema_extra=rules(
                cel(
                    "self == oldSelf",
                    expression="'a processor keeps its domain, or messages that it has passed are lost: %s -> %s;"
                    " declare another processor'.format([oldSelf, self])",
                )
            )
        ),
    ]
    inputs: Inputs
    to: TopicName
    replicas: Replicas = 1
    tariff: Tariff
    valid_for: Annotated[
        Duration | None, Field(description="A message that is later than that is not charged or paid back, nor sent.")
    ] = None
    dead_letter: DeadLetter | None = None


class CircuitBreaker(Model):
    """When a provider that fails is left alone, and for how long."""

    failure_ratio: Annotated[
        str,
        Field(
            max_length=4, pattern=r"^(0\.(0[1-9]|[1-9][0-9]?)|1)$", description="Of the calls in the window; above 0."
        ),
    ] = "0.5"
    window: Duration = "30s"
    open_for: Duration = "10s"


class ThirdParty(Model):
    """The provider that a sink hands messages to."""

    url: Annotated[str, Field(max_length=2048, pattern=r"^https?://.+")]
    timeout: Duration = "2s"
    max_in_flight: Annotated[int, Field(ge=1, le=512)] = 16
    circuit_breaker: CircuitBreaker = CircuitBreaker()


class Sink(Model):
    """A domain processor: stores the message, calls the third party, caches the state. One Deployment."""

    model_config = ConfigDict(json_schema_extra=_ROOM_FOR_DEAD_LETTERS)

    name: ProcessorName
    inputs: Inputs
    replicas: Replicas = 1
    third_party: ThirdParty
    dead_letter: DeadLetter | None = None


class TopologySpec(Model):
    """The whole flow: gateway → be-messaging → topics → billing → topics → sinks, with dead letters throughout."""

    kafka: Kafka
    database: Store
    cache: Cache
    topics: Annotated[list[Topic], Field(min_length=1, max_length=100, json_schema_extra=keyed_by("name"))]
    gateway: Gateway
    messaging: Messaging
    billing: Annotated[list[Billing], Field(max_length=50, json_schema_extra=keyed_by("name"))] = []
    sinks: Annotated[list[Sink], Field(max_length=50, json_schema_extra=keyed_by("name"))] = []
