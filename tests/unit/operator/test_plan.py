"""What is done, what is refused, and that nothing is done to a world that is as declared."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from messaging_api.status import Reason
from messaging_operator.errors import Problem
from messaging_operator.plan import AlterTopicConfig, Apply, CreateTopic, Delete, GrowPartitions, plan
from messaging_operator.state import ObjectKey, Observed, TopicState
from testkit.topologies import KEY, as_declared, config_name, example, in_kubernetes, manifest_of, wanted
from testkit.worlds import UNREACHABLE, UNREADABLE

Change = Callable[[dict[str, Any]], None]
DEPLOYMENT = ObjectKey("Deployment", "marketing")
EARLIER = {"kind": "MessagingTopology", "name": KEY.name, "uid": "another", "controller": True}
MARKETING_CONFIG = ObjectKey("ConfigMap", config_name(wanted(), "marketing"))


def with_topic(
    observed: Observed,
    name: str,
    partitions: int = 6,
    replication_factor: int = 1,
    config: Mapping[str, str] | None = None,
) -> Observed:
    assert not isinstance(observed.topics, Problem)
    there = observed.topics[name]
    assert isinstance(there, TopicState)
    topic = TopicState(name, partitions, replication_factor, config or there.config)
    return replace(observed, topics={**observed.topics, name: topic})


def with_deployment(observed: Observed, change: Change) -> Observed:
    found = deepcopy(dict(observed.objects[DEPLOYMENT]))
    change(found)
    return replace(observed, objects=dict(observed.objects) | {DEPLOYMENT: found})


def test_a_world_as_declared_needs_nothing() -> None:
    todo = plan(wanted(), as_declared(wanted()))
    assert todo.is_empty
    assert todo.problems == ()


def test_everything_is_made_where_nothing_is() -> None:
    todo = plan(wanted(), Observed({}, {}, {}, ()))
    assert [action.topic.name for action in todo.topics if isinstance(action, CreateTopic)] == [
        topic.name for topic in wanted().topics
    ]
    assert len([action for action in todo.objects if isinstance(action, Apply)]) == 18


def test_partitions_grow_to_what_is_declared() -> None:
    todo = plan(wanted(), with_topic(as_declared(wanted()), "postpaid", partitions=4))
    assert todo.topics == (GrowPartitions("postpaid", 4, 6),)


def test_partitions_above_the_spec_are_accepted_and_told() -> None:
    todo = plan(wanted(), with_topic(as_declared(wanted()), "postpaid", partitions=12))
    assert todo.is_empty
    [problem] = todo.problems
    assert (problem.reason, problem.accepted) == (Reason.PARTITIONS_AHEAD_OF_SPEC, True)
    assert "topic postpaid: the spec asks for 6 partitions, Kafka has 12" in problem.message


def test_another_replication_factor_is_refused_and_holds_nothing_back() -> None:
    observed = with_topic(as_declared(wanted()), "postpaid", replication_factor=3, partitions=4)
    todo = plan(wanted(), observed)
    assert todo.topics == (GrowPartitions("postpaid", 4, 6),)
    assert [(problem.reason, problem.heals) for problem in todo.problems] == [(Reason.TOPIC_REFUSED, False)]


def test_only_declared_settings_that_differ_are_altered() -> None:
    config = {"retention.ms": "5", "min.insync.replicas": "1", "cleanup.policy": "compact", "segment.bytes": "7"}
    todo = plan(wanted(), with_topic(as_declared(wanted()), "postpaid", config=config))
    assert todo.topics == (AlterTopicConfig("postpaid", {"retention.ms": "604800000"}),)


@pytest.mark.parametrize(
    ("declared", "answered"),
    [("0.50", "0.5"), ("compact, delete", "compact,delete"), ("TRUE", "true"), ("0100", "100"), ("abc", "abc")],
)
def test_another_spelling_of_the_same_setting_is_not_written_again(declared: str, answered: str) -> None:
    document = example()
    document["topics"][0]["config"] = {"some.setting": declared}
    config = {"some.setting": answered, "min.insync.replicas": "1"}
    assert plan(wanted(document), with_topic(as_declared(wanted(document)), "postpaid", config=config)).is_empty


def test_large_numbers_that_differ_in_the_last_digit_differ() -> None:
    document = example()
    document["topics"][0]["config"] = {"retention.ms": "9223372036854775807"}
    config = {"retention.ms": "9223372036854775806", "min.insync.replicas": "1"}
    todo = plan(wanted(document), with_topic(as_declared(wanted(document)), "postpaid", config=config))
    assert todo.topics == (AlterTopicConfig("postpaid", {"retention.ms": "9223372036854775807"}),)


def test_without_kafka_the_workloads_are_still_made() -> None:
    todo = plan(wanted(), Observed(UNREACHABLE, {}, {}, ()))
    assert (len(todo.topics), len(todo.objects)) == (0, 18)


def test_a_topic_that_cannot_be_read_is_told_left_alone_and_holds_no_other_up() -> None:
    observed = with_topic(as_declared(wanted()), "prepaid", partitions=4)
    assert not isinstance(observed.topics, Problem)
    todo = plan(wanted(), replace(observed, topics={**observed.topics, "postpaid": UNREADABLE}))
    assert todo.topics == (GrowPartitions("prepaid", 4, 6),)
    assert todo.problems == (UNREADABLE,)


def test_a_kafka_that_is_away_is_a_problem_of_the_plan() -> None:
    todo = plan(wanted(), replace(as_declared(wanted()), topics=UNREACHABLE))
    assert (todo.topics, todo.problems) == ((), (UNREACHABLE,))


def test_a_changed_declaration_is_applied_to_what_changed() -> None:
    document = example()
    document["sinks"][0]["replicas"] = 3
    todo = plan(wanted(document), as_declared(wanted()))
    assert [(str(action)) for action in todo.objects] == ["Deployment marketing: declared otherwise now"]


def lose_replicas(found: dict[str, Any]) -> None:
    found["spec"]["replicas"] = 0


def lose_image(found: dict[str, Any]) -> None:
    found["spec"]["template"]["spec"]["containers"][0]["image"] = "other:1"


def lose_label(found: dict[str, Any]) -> None:
    del found["metadata"]["labels"]["app.kubernetes.io/managed-by"]


def lose_variable(found: dict[str, Any]) -> None:
    found["spec"]["template"]["spec"]["containers"][0]["env"].pop()


def lose_volume(found: dict[str, Any]) -> None:
    found["spec"]["template"]["spec"].pop("volumes")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lose_replicas, "spec.replicas"),
        (lose_image, "spec.template.spec.containers[0]"),
        (lose_label, "metadata.labels.app.kubernetes.io/managed-by"),
        (lose_variable, "spec.template.spec.containers[0]"),
        (lose_volume, "spec.template.spec.volumes"),
    ],
)
def test_what_was_changed_by_hand_is_repaired_and_named(change: Change, path: str) -> None:
    todo = plan(wanted(), with_deployment(as_declared(wanted()), change))
    assert [str(action) for action in todo.objects] == [f"Deployment marketing: changed by hand: {path}"]


def test_what_others_add_stays() -> None:
    def add(found: dict[str, Any]) -> None:
        found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "3"
        found["spec"]["template"]["spec"]["containers"].insert(0, {"name": "sidecar", "image": "mesh:1"})

    assert plan(wanted(), with_deployment(as_declared(wanted()), add)).is_empty


def test_an_object_of_somebody_else_stays_and_holds_nothing_else_back() -> None:
    observed = as_declared(wanted())
    objects = {key: found for key, found in observed.objects.items() if key not in (DEPLOYMENT, MARKETING_CONFIG)}
    foreign = {
        "kind": "Deployment",
        "metadata": {"ownerReferences": [{"kind": "Helm", "name": "x", "controller": True}]},
    }
    todo = plan(wanted(), replace(observed, objects=objects, foreign={DEPLOYMENT: foreign}))
    assert [str(action) for action in todo.objects] == [f"ConfigMap {MARKETING_CONFIG.name}: absent"]
    [problem] = todo.problems
    assert (problem.reason, problem.heals) == (Reason.WORKLOAD_CONFLICT, False)
    assert "Deployment marketing belongs to Helm x" in problem.message


def test_a_removed_processor_goes_and_its_topics_stay() -> None:
    document = example()
    removed = document["sinks"].pop()["name"]
    config = config_name(wanted(), removed)
    todo = plan(wanted(document), as_declared(wanted()))
    assert todo.objects == (
        Delete(ObjectKey("ConfigMap", config), f"uid-of-ConfigMap-{config}"),
        Delete(ObjectKey("Deployment", removed), f"uid-of-Deployment-{removed}"),
    )
    assert todo.topics == ()


def test_an_object_that_is_already_going_is_not_deleted_again() -> None:
    document = example()
    document["sinks"].pop()
    observed = as_declared(wanted())
    going = {
        key: {**found, "metadata": {**found["metadata"], "deletionTimestamp": "2026-11-24T12:00:00Z"}}
        for key, found in observed.objects.items()
        if key.name.startswith("agent-flow")
    }
    assert plan(wanted(document), replace(observed, objects=dict(observed.objects) | going)).is_empty


@pytest.mark.parametrize(
    "metadata",
    [
        {"ownerReferences": [EARLIER]},
        {"ownerReferences": [EARLIER | {"name": "x"}], "deletionTimestamp": "2026-11-24T12:00:00Z"},
        {"deletionTimestamp": "2026-11-24T12:00:00Z"},
    ],
)
def test_what_an_earlier_topology_has_left_is_waited_for(metadata: dict[str, Any]) -> None:
    foreign = {"kind": "Deployment", "metadata": metadata}
    todo = plan(wanted(), replace(as_declared(wanted()), foreign={DEPLOYMENT: foreign}))
    assert todo.objects == ()
    [problem] = todo.problems
    assert (problem.reason, problem.heals) == (Reason.IN_PROGRESS, True)
    assert f"waiting until {DEPLOYMENT}" in problem.message


def test_pods_never_run_a_configuration_that_somebody_else_has_written() -> None:
    observed = as_declared(wanted())
    objects = {key: found for key, found in observed.objects.items() if key not in (DEPLOYMENT, MARKETING_CONFIG)}
    foreign: dict[str, Any] = {"kind": "ConfigMap", "metadata": {}}
    todo = plan(wanted(), replace(observed, objects=objects, foreign={MARKETING_CONFIG: foreign}))
    assert todo.objects == ()
    [problem] = todo.problems
    assert (problem.reason, problem.heals) == (Reason.WORKLOAD_CONFLICT, False)
    assert f"{MARKETING_CONFIG} belongs to somebody else" in problem.message


def settle(found: dict[str, Any]) -> None:
    """As it is."""


def lag_behind(found: dict[str, Any]) -> None:
    found["status"]["observedGeneration"] = 0


def keep_an_old_pod(found: dict[str, Any]) -> None:
    found["status"]["replicas"] += 1


def lack_a_new_pod(found: dict[str, Any]) -> None:
    found["status"]["readyReplicas"] = 0


def mount_the_old(found: dict[str, Any]) -> None:
    found["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"] = "marketing-old"


@pytest.mark.parametrize(
    ("change", "goes"),
    [
        (settle, True),
        (lag_behind, False),
        (keep_an_old_pod, False),
        (lack_a_new_pod, False),
        (mount_the_old, False),
    ],
)
def test_an_old_configuration_stays_until_no_pod_can_start_on_it(change: Change, goes: bool) -> None:
    observed = with_deployment(as_declared(wanted()), change)
    old = deepcopy(dict(manifest_of(wanted(), "ConfigMap", MARKETING_CONFIG.name)))
    old["metadata"]["name"] = "marketing-old"
    key = ObjectKey("ConfigMap", "marketing-old")
    todo = plan(wanted(), replace(observed, objects={**observed.objects, key: in_kubernetes(old)}))
    assert ([action.key for action in todo.objects if isinstance(action, Delete)] == [key]) is goes
