"""CEL rules over the whole spec, for what no single field can tell; `crd` writes them into the CRD.

They stay within the API server's cost budget at the sizes that the models allow.
"""

from messaging_api.base import cel
from messaging_api.topology import GATEWAY_NAME, MESSAGING_NAME


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


def _writable(config: str) -> str:
    """`int` alone would refuse what is no number, too, and say something that helps nobody."""
    number = f"{config}[{_MIN_ISR}]"
    return f"!({_MIN_ISR} in {config}) || ({number}.matches('^[1-9][0-9]{{0,8}}$') && int({number}) <= {_FACTOR})"


_NOT_WRITABLE = "min.insync.replicas is above the replication factor or no number, nothing could be written"
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
        f"!has(self.kafka.defaults) || !has(self.kafka.defaults.config) || {_writable('self.kafka.defaults.config')}",
        message=f"kafka.defaults.config: {_NOT_WRITABLE}",
    ),
    cel(
        f"self.topics.all(t, !has(t.config) || {_writable('t.config')})",
        message=f"topics.config: {_NOT_WRITABLE}",
    ),
)
