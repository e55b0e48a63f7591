"""The resource: what a platform team declares. The CRD's schema and CEL rules are generated from these models.

Rules stand beside the field that they guard and are written once. Values that the operator fills in are Python
defaults here and stay out of the CRD (the API server would persist them, and no upgrade could change them).
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from messaging_api.base import (
    Currency,
    Domain,
    Duration,
    Model,
    Money,
    ProcessorName,
    TopicName,
    cel,
    keyed_by,
    rules,
)

GATEWAY_NAME = "api-gateway"
MESSAGING_NAME = "be-messaging"
GATEWAY_PORT = 8080


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


TopicConfig = Annotated[
    dict[str, Annotated[str, Field(max_length=256)]],
    Field(max_length=40, description="Kafka's own topic settings; what is absent stays the broker's default."),
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


class Store(Model):
    """PostgreSQL, where messages and accounts live."""

    url_from: SecretValue


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


class GatewayServiceType(StrEnum):
    """How the gateway is reached: Kubernetes' own Service types."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"


class GatewayService(Model):
    """The Service in front of the gateway."""

    type: GatewayServiceType = GatewayServiceType.CLUSTER_IP
    node_port: Annotated[int, Field(ge=30000, le=32767)] | None = None


class Gateway(Model):
    """The API gateway: authenticates callers and forwards to be-messaging. Deployment `api-gateway`."""

    replicas: Replicas = 1
    auth: GatewayAuth
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


class Tariff(Model):
    """What one message costs."""

    currency: Currency
    per_message: Money


class DeadLetter(Model):
    """Where records go that can never be processed; the topic is declared by being named here."""

    topic: TopicName


class Billing(Model):
    """A billing processor: charges the messages of one domain and republishes them. One Deployment."""

    name: ProcessorName
    domain: Domain
    inputs: Inputs
    to: TopicName
    replicas: Replicas = 1
    tariff: Tariff
    dead_letter: DeadLetter | None = None


class ThirdParty(Model):
    """The provider that a sink hands messages to."""

    url: Annotated[str, Field(max_length=2048, pattern=r"^https?://.+")]
    timeout: Duration = "2s"
    max_in_flight: Annotated[int, Field(ge=1, le=512)] = 16


class Sink(Model):
    """A domain processor: stores the message, calls the third party, caches the state. One Deployment."""

    name: ProcessorName
    inputs: Inputs
    replicas: Replicas = 1
    third_party: ThirdParty
    dead_letter: DeadLetter | None = None


def _reads_declared_topics(kind: str) -> dict[str, str]:
    missing = "p.from.filter(f, !self.topics.exists(t, t.name == f))"
    return cel(
        f"!has(self.{kind}) || self.{kind}.all(p, p.from.all(f, self.topics.exists(t, t.name == f)))",
        expression=f"'{kind}.from: not in spec.topics: %s'.format([self.{kind}.map(p, {missing})])",
    )


def _replicas_within_partitions(kind: str) -> dict[str, str]:
    read = "self.topics.filter(t, t.name in p.from).map(t, t.partitions).sum()"
    wanted = "(has(p.replicas) ? p.replicas : 1)"
    return cel(
        f"!has(self.{kind}) || self.{kind}.all(p, {wanted} <= {read})",
        expression=f"'{kind}.replicas: more than the partitions that it reads: %s'"
        f".format([self.{kind}.filter(p, {wanted} > {read}).map(p, p.name)])",
    )


_MIN_ISR = "'min.insync.replicas'"
_FACTOR = (
    "(has(self.kafka.defaults) && has(self.kafka.defaults.replicationFactor)"
    " ? self.kafka.defaults.replicationFactor : 1)"
)
_RESERVED = f"['{GATEWAY_NAME}', '{MESSAGING_NAME}']"

SPEC_RULES = (
    _reads_declared_topics("billing"),
    _reads_declared_topics("sinks"),
    _replicas_within_partitions("billing"),
    _replicas_within_partitions("sinks"),
    cel(
        "!has(self.billing) || self.billing.all(b, self.topics.exists(t, t.name == b.to))",
        expression="'billing.to: not in spec.topics: %s'"
        ".format([self.billing.filter(b, !self.topics.exists(t, t.name == b.to)).map(b, b.to)])",
    ),
    cel(
        "self.messaging.routes.all(r, self.topics.exists(t, t.name == r.topic))",
        expression="'messaging.routes.topic: not in spec.topics: %s'"
        ".format([self.messaging.routes.filter(r, !self.topics.exists(t, t.name == r.topic)).map(r, r.topic)])",
    ),
    cel(
        "!has(self.billing) || self.billing.all(b, self.messaging.routes.all(r, r.topic in b.from))",
        expression="'billing.from: must read every routed topic, or accepted messages would reach nobody: %s'"
        ".format([self.billing.filter(b, self.messaging.routes.exists(r, !(r.topic in b.from))).map(b, b.name)])",
    ),
    cel(
        "!has(self.billing) || self.billing.all(b, self.billing.all(c, !(b.to in c.from)))",
        message="billing.to: a topic that a billing processor writes cannot be read by one, it would charge twice",
    ),
    cel(
        "!has(self.billing) || self.billing.all(b, self.billing.exists_one(c, c.domain == b.domain))",
        expression="'billing.domain: declared twice, it would be charged twice: %s'"
        ".format([self.billing.filter(b, !self.billing.exists_one(c, c.domain == b.domain)).map(b, b.name)])",
    ),
    cel(
        "!has(self.billing) || !has(self.sinks) || self.billing.all(b, self.sinks.all(s, s.name != b.name))",
        expression="'sinks.name: already the name of a billing processor: %s'"
        ".format([self.sinks.filter(s, self.billing.exists(b, b.name == s.name)).map(s, s.name)])",
    ),
    cel(
        f"(!has(self.billing) || self.billing.all(b, !(b.name in {_RESERVED})))"
        f" && (!has(self.sinks) || self.sinks.all(s, !(s.name in {_RESERVED})))",
        message=f"{GATEWAY_NAME} and {MESSAGING_NAME} are the names of spec.gateway and spec.messaging",
    ),
    cel(
        "(!has(self.billing) || self.billing.all(b, !has(b.deadLetter) || !(b.deadLetter.topic in b.from)))"
        " && (!has(self.sinks) || self.sinks.all(s, !has(s.deadLetter) || !(s.deadLetter.topic in s.from)))",
        message="deadLetter.topic: a processor cannot read its own dead letters",
    ),
    cel(
        f"!has(self.kafka.defaults) || !has(self.kafka.defaults.config) || !({_MIN_ISR} in self.kafka.defaults.config)"
        f" || int(self.kafka.defaults.config[{_MIN_ISR}]) <= {_FACTOR}",
        message="kafka.defaults.config: min.insync.replicas is above the replication factor, nothing could be written",
    ),
    cel(
        f"self.topics.all(t, !has(t.config) || !({_MIN_ISR} in t.config) || int(t.config[{_MIN_ISR}]) <= {_FACTOR})",
        message="topics.config: min.insync.replicas is above the replication factor, nothing could be written",
    ),
)


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
