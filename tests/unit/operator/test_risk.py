"""Which change is how risky: one row for every rule, and for the value just beside it."""

import pytest

from messaging_api.plan import ChangeAction, Risk
from messaging_operator.risk import RULES, rule_for
from testkit.topologies import wanted

SAFE, ORDERING_RISK, DISRUPTIVE, DATA_LOSS = Risk
Row = tuple[str, str, object, object, Risk]

TOPIC_UPDATES: list[Row] = [
    ("Topic", "partitions", 6, 12, ORDERING_RISK),
    ("Topic", "retention.ms", "604800000", "604799999", DATA_LOSS),
    ("Topic", "retention.ms", "604800000", "604800001", SAFE),
    ("Topic", "retention.ms", "-1", "604800000", DATA_LOSS),
    ("Topic", "retention.ms", "604800000", "-1", SAFE),
    ("Topic", "retention.ms", "604800000", "soon", SAFE),
    ("Topic", "retention.bytes", "-1", "1000000", DATA_LOSS),
    ("Topic", "retention.bytes", "1000000", "2000000", SAFE),
    ("Topic", "cleanup.policy", "delete", "compact", DATA_LOSS),
    ("Topic", "cleanup.policy", "compact", "delete", DATA_LOSS),
    ("Topic", "cleanup.policy", "delete", "compact, delete", DATA_LOSS),
    ("Topic", "cleanup.policy", "compact,delete", "delete", SAFE),
    ("Topic", "unclean.leader.election.enable", "false", "true", DATA_LOSS),
    ("Topic", "unclean.leader.election.enable", "true", "false", SAFE),
    ("Topic", "remote.storage.enable", "true", "false", DATA_LOSS),
    ("Topic", "min.insync.replicas", "1", "2", DISRUPTIVE),
    ("Topic", "min.insync.replicas", "2", "1", SAFE),
    ("Topic", "max.message.bytes", "1048588", "1048587", DISRUPTIVE),
    ("Topic", "max.message.bytes", "1048588", "1048589", SAFE),
    ("Topic", "message.timestamp.before.max.ms", "9223372036854775807", "3600000", DISRUPTIVE),
    ("Topic", "compression.type", "producer", "zstd", SAFE),
]

OBJECT_UPDATES: list[Row] = [
    ("Deployment api-gateway", "spec.replicas", 2, 0, DISRUPTIVE),
    ("Deployment billing", "spec.replicas", 2, 0, DISRUPTIVE),
    ("Deployment sink", "spec.replicas", 2, 0, DISRUPTIVE),
    ("Deployment sink", "spec.replicas", 2, 1, SAFE),
    ("Deployment sink", "spec.replicas", 0, 1, SAFE),
    ("Deployment sink", "spec.template.spec.containers[0].image", "sink:1", "sink:2", SAFE),
    ("Deployment sink", "metadata.labels.team", None, "messaging", SAFE),
    ("ConfigMap messaging", "routes.Prepaid", "prepaid", "others", ORDERING_RISK),
    ("ConfigMap messaging", "routes.Prepaid", None, "prepaid", SAFE),
    ("ConfigMap messaging", "routes.Prepaid", "prepaid", None, DISRUPTIVE),
    ("ConfigMap billing", "output", "marketing", "others", ORDERING_RISK),
    ("ConfigMap sink", "inputs", ["a", "b"], ["a"], DISRUPTIVE),
    ("ConfigMap sink", "inputs", ["a"], ["b", "a"], SAFE),
    ("ConfigMap billing", "domains", ["marketing"], ["authentication"], DISRUPTIVE),
    ("ConfigMap billing", "domains", ["marketing"], ["marketing", "authentication"], SAFE),
    ("ConfigMap messaging", "domains.marketing", {"topic": "marketing"}, None, DISRUPTIVE),
    ("ConfigMap messaging", "domains.marketing", None, {"topic": "marketing"}, SAFE),
    ("ConfigMap messaging", "domains.marketing.validFor", "1h", None, SAFE),
    ("ConfigMap messaging", "domains.marketing.currency", "USD", "EUR", DISRUPTIVE),
    ("ConfigMap messaging", "retention.bodies", None, "30d", DATA_LOSS),
    ("ConfigMap messaging", "retention.bodies", "30d", "700h", DATA_LOSS),
    ("ConfigMap messaging", "retention.bodies", "30d", "31d", SAFE),
    ("ConfigMap messaging", "retention.bodies", "30d", None, SAFE),
    ("ConfigMap billing", "tariff.currency", "USD", "EUR", DISRUPTIVE),
    ("ConfigMap billing", "tariff.rates.+44.perSegment", "0.04", "0.05", SAFE),
    ("ConfigMap billing", "rates", "100 prefixes", "101 prefixes, 20 prefixes changed", SAFE),
    ("ConfigMap billing", "bootstrapServers", "kafka:9092", "others:9092", DISRUPTIVE),
    ("ConfigMap billing", "tariff.perMessage", "0.01", "0.02", SAFE),
    ("Service gateway", "spec.type", "NodePort", "ClusterIP", DISRUPTIVE),
    ("Service gateway", "spec.type", "ClusterIP", "NodePort", SAFE),
    ("Service gateway", "spec.ports[0].nodePort", 30080, 30081, DISRUPTIVE),
    ("Service gateway", "spec.ports[0].nodePort", None, 30080, SAFE),
    ("Service gateway", "spec.selector.app", None, "gateway", SAFE),
]


@pytest.mark.parametrize(("subject", "field", "before", "after", "risk"), [*TOPIC_UPDATES, *OBJECT_UPDATES])
def test_an_update(subject: str, field: str, before: object, after: object, risk: Risk) -> None:
    assert rule_for(subject, ChangeAction.UPDATE, field, before, after).risk is risk


@pytest.mark.parametrize(
    "subject", ["Topic", "Deployment sink", "Deployment gateway", "ConfigMap sink", "Service gateway"]
)
def test_what_is_new_harms_nobody(subject: str) -> None:
    assert rule_for(subject, ChangeAction.CREATE, "", None, "present").risk is SAFE


@pytest.mark.parametrize(
    ("subject", "risk", "reason"),
    [
        ("Deployment billing", DISRUPTIVE, "those that wait become dead letters"),
        ("Deployment sink", DISRUPTIVE, "its messages wait in their topics"),
        ("Deployment gateway", DISRUPTIVE, "callers get no answer"),
        ("Service gateway", DISRUPTIVE, "callers no longer reach its pods"),
        ("ConfigMap sink", SAFE, "nobody is left who reads it"),
    ],
)
def test_what_goes(subject: str, risk: Risk, reason: str) -> None:
    rule = rule_for(subject, ChangeAction.DELETE, "", "present", None)
    assert rule.risk is risk
    assert reason in rule.reason


def test_what_waits_for_a_billing_processor_is_told_differently_than_what_a_caller_sees() -> None:
    reasons = [
        rule_for(f"Deployment {kind}", ChangeAction.UPDATE, "spec.replicas", 1, 0).reason
        for kind in ("billing", "gateway")
    ]
    assert reasons == [
        "its messages wait in their topics, no longer than their retention",
        "callers get no answer until it runs again",
    ]


def test_a_rollout_is_safe_because_at_least_one_pod_stays() -> None:
    strategies = [manifest["spec"]["strategy"] for manifest in wanted().manifests if manifest["kind"] == "Deployment"]
    assert {strategy["rollingUpdate"]["maxUnavailable"] for strategy in strategies} == {0}


def test_every_object_of_a_topology_has_a_rule_for_whatever_happens_to_it() -> None:
    kinds = {manifest["kind"] for manifest in wanted().manifests}
    covered = {(subject.split()[0], action) for subject, action, rules in RULES if subject.endswith("*")}
    assert covered == {(kind, action) for kind in kinds for action in ChangeAction}
    assert all(rules[-1].field == "*" for subject, _, rules in RULES if subject.endswith("*"))
