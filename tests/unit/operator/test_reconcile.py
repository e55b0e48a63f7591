"""Whole rounds against a world in memory: what fails holds nothing else back, and at rest nothing is written."""

import json
from datetime import timedelta
from typing import Any

import pytest

from messaging_api.processor import CONFIG_FILE, Readiness
from messaging_api.status import ConditionType, Reason
from messaging_operator.errors import ClusterError, Problem
from messaging_operator.reconcile import reconcile
from messaging_operator.settings import Settings
from messaging_operator.state import ObjectKey, TopologyKey, configuration_of
from testkit.topologies import IMAGES, KEY, NOW, config_name, example, wanted
from testkit.worlds import UNREADABLE, FakeCluster, World, a_pod, a_world

OURS = {"kind": "MessagingTopology", "name": KEY.name, "uid": "uid-of-the-topology"}
SETTINGS = Settings(IMAGES, resync_seconds=10, metrics_port=9090)
MARKETING_CONFIG = ObjectKey("ConfigMap", config_name(wanted(), "marketing"))
INVALID = Problem(
    ConditionType.TOPICS_READY, Reason.INVALID_TOPIC_CONFIG, "topic prepaid: Unknown topic config name: foo"
)


def run(world: World, minutes: int = 0) -> FakeCluster:
    reconcile(KEY, world.clients, SETTINGS, NOW + timedelta(minutes=minutes))
    return world.cluster


def settled(spec: dict[str, object] | None = None) -> World:
    world = a_world(spec)
    run(world)
    world.forget_writes()
    return world


def test_a_new_topology_is_made_and_said_to_be_ready_in_one_round() -> None:
    world = a_world()
    cluster = run(world)
    assert (cluster.status.topics_ready, cluster.status.processors_ready) == ("11/11", "8/8")
    assert cluster.condition(ConditionType.READY)[0] == "True"
    assert sorted({reason for _, reason, _ in cluster.events}) == ["ObjectApplied", "TopicCreated"]
    assert len(cluster.events) == 11 + 18


def test_at_rest_nothing_is_written() -> None:
    world = settled()
    for minutes in range(1, 4):
        run(world, minutes)
    assert (world.cluster.writes, world.kafka.writes) == ([], [])


def test_at_rest_nothing_is_written_even_if_something_stays_refused_by_plan() -> None:
    world = settled()
    world.kafka.existing["prepaid"] = world.kafka.existing["prepaid"].__class__(
        "prepaid", 6, 3, world.kafka.existing["prepaid"].config
    )
    cluster = run(world, 1)
    assert cluster.events == [("Warning", "TopicRefused", cluster.condition(ConditionType.STALLED)[2])]
    world.forget_writes()
    run(world, 2)
    assert (world.cluster.writes, world.kafka.writes) == ([], [])


def test_with_kafka_away_the_workloads_are_made_and_it_heals() -> None:
    world = a_world()
    world.kafka.down = True
    cluster = run(world)
    assert len(cluster.objects) == 18
    assert cluster.condition(ConditionType.TOPICS_READY)[:2] == ("Unknown", Reason.KAFKA_UNREACHABLE)
    assert cluster.condition(ConditionType.PROCESSORS_READY)[0] == "True"
    world.kafka.down = False
    run(world, 1)
    assert cluster.condition(ConditionType.READY)[0] == "True"


def test_a_refused_topic_holds_back_neither_the_other_topics_nor_the_workloads() -> None:
    world = a_world()
    world.kafka.refused["prepaid"] = INVALID
    cluster = run(world)
    assert (cluster.status.topics_ready, cluster.status.processors_ready) == ("10/11", "8/8")
    assert cluster.condition(ConditionType.TOPICS_READY) == ("False", Reason.INVALID_TOPIC_CONFIG, INVALID.message)
    assert ("Warning", "InvalidTopicConfig", INVALID.message) in cluster.events
    world.forget_writes()
    run(world, 1)
    assert (world.kafka.writes, cluster.events) == (["prepaid"], [])


def test_a_topic_that_cannot_be_read_holds_back_neither_the_other_topics_nor_the_workloads() -> None:
    world = a_world()
    world.kafka.unreadable["postpaid"] = UNREADABLE
    cluster = run(world)
    assert (cluster.status.topics_ready, cluster.status.processors_ready) == ("10/11", "8/8")
    assert cluster.condition(ConditionType.STALLED) == ("True", Reason.TOPIC_REFUSED, UNREADABLE.message)
    assert ("Warning", "TopicRefused", UNREADABLE.message) in cluster.events
    world.forget_writes()
    run(world, 1)
    assert (world.kafka.writes, cluster.writes) == ([], [])


@pytest.mark.parametrize(
    ("code", "reason", "stalled"),
    [
        (422, Reason.WORKLOAD_REFUSED, "True"),
        (403, Reason.WORKLOAD_REFUSED, "True"),
        (503, Reason.IN_PROGRESS, "False"),
    ],
)
def test_a_refused_object_holds_nothing_else_back(code: int, reason: Reason, stalled: str) -> None:
    world = a_world()
    world.cluster.refused[ObjectKey("Deployment", "marketing")] = ClusterError(code, "not like this")
    cluster = run(world)
    assert (len(cluster.objects), cluster.status.topics_ready) == (17, "11/11")
    status, said, message = cluster.condition(ConditionType.PROCESSORS_READY)
    assert (status, said, message) == ("False", reason, "Deployment marketing: absent: not like this")
    assert cluster.condition(ConditionType.STALLED)[0] == stalled


@pytest.mark.parametrize(
    "owners",
    [[], [{"kind": "Chart", "name": "x", "uid": "another", "controller": True}], [OURS | {"controller": False}]],
)
def test_an_object_of_somebody_else_stays_as_it_is(owners: list[dict[str, object]]) -> None:
    world = a_world()
    key = ObjectKey("Deployment", "marketing")
    metadata = {"name": "marketing", "uid": "theirs", "generation": 1, "ownerReferences": owners}
    theirs = {"kind": "Deployment", "metadata": metadata}
    world.cluster.objects[key] = theirs
    cluster = run(world)
    assert cluster.objects[key] is theirs
    assert cluster.condition(ConditionType.PROCESSORS_READY)[1] == Reason.WORKLOAD_CONFLICT
    assert cluster.status.processors_ready == "7/8"


def dearer() -> dict[str, Any]:
    document = example()
    document["billing"][0]["tariff"]["perSegment"] = "0.5"
    return document


def price_in_force(world: World) -> str:
    """Read as a pod of the Deployment would."""
    reader = world.cluster.objects[ObjectKey("Deployment", "billing-marketing")]
    text = world.cluster.objects[configuration_of(reader)]["data"][CONFIG_FILE]
    price: str = json.loads(text)["tariff"]["perSegment"]
    return price


def test_a_refused_configuration_leaves_its_pods_as_they_are_and_the_next_round_changes_both() -> None:
    """Rolled without it they would run the old price, with nothing left that would ever roll them again."""
    world = settled()
    world.cluster.resource["spec"] = dearer()
    config = ObjectKey("ConfigMap", config_name(wanted(dearer()), "billing-marketing"))
    world.cluster.refused[config] = ClusterError(503, "away")
    cluster = run(world, 1)
    assert [write for write in cluster.writes if write.startswith("apply")] == [f"apply {config}"]
    assert cluster.condition(ConditionType.READY)[:2] == ("False", Reason.IN_PROGRESS)
    assert price_in_force(world) == "0.0075"
    cluster.refused.clear()
    run(world, 2)
    assert price_in_force(world) == "0.5"
    assert cluster.condition(ConditionType.READY)[0] == "True"


def test_the_old_configuration_goes_once_the_rollout_is_complete() -> None:
    world = settled()
    world.cluster.resource["spec"] = dearer()
    old = f"delete ConfigMap {config_name(wanted(), 'billing-marketing')}"
    assert old not in run(world, 1).writes
    assert old in run(world, 2).writes
    world.forget_writes()
    assert run(world, 3).writes == []


def test_a_copy_that_bears_our_labels_is_not_deleted() -> None:
    """Labels are copied along with everything else; only the owner reference says whose an object is."""
    world = settled()
    original = world.cluster.objects[MARKETING_CONFIG]
    copied = {"name": "copied", "uid": "copied", "labels": original["metadata"]["labels"]}
    world.cluster.objects[ObjectKey("ConfigMap", "copied")] = {"kind": "ConfigMap", "metadata": copied}
    assert run(world, 1).writes == []


def test_our_object_without_its_labels_is_recognised_and_repaired() -> None:
    world = settled()
    del world.cluster.objects[MARKETING_CONFIG]["metadata"]["labels"]
    assert run(world, 1).writes == [f"apply {MARKETING_CONFIG}", "event"]


def test_a_deleted_object_comes_back() -> None:
    world = settled()
    del world.cluster.objects[ObjectKey("Deployment", "marketing")]
    assert run(world, 1).writes == ["apply Deployment marketing", "event"]


def test_a_removed_processor_goes_and_its_topics_stay() -> None:
    world = settled()
    world.cluster.resource["spec"]["sinks"].pop()
    cluster = run(world, 1)
    config = config_name(wanted(), "agent-flow")
    assert cluster.writes[:2] == [f"delete ConfigMap {config}", "delete Deployment agent-flow"]
    assert (cluster.status.topics_ready, cluster.status.processors_ready) == ("10/10", "7/7")
    assert {"agent-flow", "agent-flow.dlq"} <= world.kafka.existing.keys()


def test_a_dependency_that_is_away_is_said_with_a_warning_and_heals() -> None:
    world = settled()
    world.cluster.running = [a_pod("marketing", "10.0.0.1"), a_pod("prepared", "", phase="Pending")]
    world.answers["10.0.0.1:9090"] = Readiness(ready=False, away={"database": "connection refused"})
    cluster = run(world, 1)
    degraded = ("True", Reason.DEPENDENCY_UNAVAILABLE, "marketing: database is away")
    assert cluster.condition(ConditionType.DEGRADED) == degraded
    assert cluster.events == [("Warning", "DependencyUnavailable", "marketing: database: connection refused")]
    world.answers["10.0.0.1:9090"] = Readiness(ready=True)
    run(world, 2)
    assert cluster.condition(ConditionType.DEGRADED)[0] == "False"


def test_an_outage_is_written_once_however_its_pods_word_it() -> None:
    world = settled()
    world.cluster.running = [a_pod("marketing", address) for address in ("10.0.0.1", "10.0.0.2")]
    world.cluster.objects[ObjectKey("Deployment", "marketing")]["status"]["readyReplicas"] = 0
    for round_number in range(5):
        why = f"kafka:9092: Connect failed (after {round_number}ms in state CONNECT, {round_number} suppressed)"
        turn = ["10.0.0.1:9090", "10.0.0.2:9090"][round_number % 2]
        world.answers = {turn: Readiness(ready=False, away={"kafka": why, "database": why})}
        run(world, round_number)
    assert world.cluster.writes == ["status", "event"]
    message = "marketing: 1 of 1 updated, 0 ready (database is away; kafka is away)"
    assert world.cluster.condition(ConditionType.PROCESSORS_READY)[2] == message


def test_a_pod_that_is_going_has_no_say() -> None:
    world = settled()
    going = a_pod("marketing", "10.0.0.1")
    world.cluster.running = [{**going, "metadata": {**going["metadata"], "deletionTimestamp": "now"}}]
    world.answers["10.0.0.1:9090"] = Readiness(ready=False, away={"kafka": "draining"})
    assert run(world, 1).writes == []


def test_an_unreadable_spec_says_which_field_and_touches_nothing() -> None:
    spec = example()
    spec["topics"][0]["partitions"] = 0
    world = a_world(spec)
    cluster = run(world)
    assert cluster.condition(ConditionType.STALLED)[:2] == ("True", Reason.INVALID_SPEC)
    assert (
        "spec.topics.0.partitions: Input should be greater than or equal to 1"
        in cluster.condition(ConditionType.READY)[2]
    )
    assert (cluster.objects, world.kafka.writes) == ({}, [])
    assert [kind for kind, _, _ in cluster.events] == ["Warning"]


def test_a_resource_that_is_gone_or_going_is_left_alone() -> None:
    world = a_world()
    assert reconcile(TopologyKey("messaging", "another"), world.clients, SETTINGS, NOW) is False
    world.cluster.resource["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    assert reconcile(KEY, world.clients, SETTINGS, NOW) is True
    assert world.cluster.writes == []


def test_a_status_of_another_version_is_replaced() -> None:
    world = a_world()
    world.cluster.resource["status"] = {"phase": "Running"}
    assert run(world).condition(ConditionType.READY)[0] == "True"
