"""What the conditions say, when they are written, and when somebody is warned."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from messaging_api.status import Condition, ConditionType, Reason, TopologyStatus
from messaging_operator.errors import Problem
from messaging_operator.plan import plan
from messaging_operator.state import ObjectKey, Observed, PodState
from messaging_operator.status import invalid_status, status, warnings
from testkit.topologies import NOW, an_owner, as_declared, example, wanted
from testkit.worlds import UNREACHABLE, UNREADABLE

READY, STALLED, RECONCILING = ConditionType.READY, ConditionType.STALLED, ConditionType.RECONCILING
TOPICS, PROCESSORS, DEGRADED = ConditionType.TOPICS_READY, ConditionType.PROCESSORS_READY, ConditionType.DEGRADED
CONFLICT = Problem(PROCESSORS, Reason.WORKLOAD_CONFLICT, "Deployment marketing belongs to Helm x")


def status_of(observed: Observed, *problems: Problem, previous: TopologyStatus | None = None) -> TopologyStatus:
    return status(an_owner(status=previous), wanted(), observed, problems, NOW)


def conditions(said: TopologyStatus) -> dict[ConditionType, Condition]:
    return {condition.type: condition for condition in said.conditions}


def statuses(said: TopologyStatus) -> dict[ConditionType, str]:
    return {condition.type: condition.status for condition in said.conditions}


def with_counts(observed: Observed, name: str, **counts: int) -> Observed:
    key = ObjectKey("Deployment", name)
    found = observed.objects[key]
    return replace(observed, objects=dict(observed.objects) | {key: {**found, "status": found["status"] | counts}})


def test_a_world_as_declared_is_ready() -> None:
    said = status_of(as_declared(wanted()))
    assert statuses(said) == {
        READY: "True", RECONCILING: "False", STALLED: "False", TOPICS: "True", PROCESSORS: "True", DEGRADED: "False",
    }  # fmt: skip
    assert (said.topics_ready, said.processors_ready, said.observed_generation) == ("11/11", "8/8", 1)


def test_topics_that_are_not_there_yet_count_as_missing() -> None:
    observed = as_declared(wanted())
    assert isinstance(observed.topics, dict)
    topics = {name: topic for name, topic in observed.topics.items() if name != "prepaid"}
    said = status_of(replace(observed, topics=topics))
    assert (said.topics_ready, statuses(said)[READY], statuses(said)[RECONCILING]) == ("10/11", "False", "True")
    assert [(topic.partitions, topic.replication_factor) for topic in said.topics if topic.name == "prepaid"] == [
        (0, 0)
    ]


def test_kafka_away_is_unknown_names_the_servers_and_heals() -> None:
    known = status_of(as_declared(wanted()))
    said = status_of(replace(as_declared(wanted()), topics=UNREACHABLE), previous=known)
    assert [statuses(said)[kind] for kind in (READY, TOPICS, PROCESSORS)] == ["Unknown", "Unknown", "True"]
    assert [statuses(said)[kind] for kind in (RECONCILING, STALLED)] == ["True", "False"]
    assert conditions(said)[TOPICS].reason == Reason.KAFKA_UNREACHABLE
    assert "kafka:9092" in conditions(said)[READY].message
    assert (said.topics_ready, said.topics) == ("?/11", known.topics)


def test_while_kafka_is_away_the_topics_are_those_that_are_declared_now() -> None:
    known = status_of(as_declared(wanted()))
    document = example()
    document["sinks"][0]["deadLetter"] = {"topic": "others.dlq"}
    away = replace(as_declared(wanted(document)), topics=UNREACHABLE)
    said = status(an_owner(status=known), wanted(document), away, [UNREACHABLE], NOW)
    partitions = {topic.name: topic.partitions for topic in said.topics}
    assert "marketing.dlq" not in partitions
    assert (partitions["postpaid"], partitions["others.dlq"]) == (6, 0)


def test_a_topic_that_cannot_be_read_stalls_and_keeps_what_was_seen() -> None:
    known = status_of(as_declared(wanted()))
    observed = as_declared(wanted())
    assert isinstance(observed.topics, dict)
    unreadable = replace(observed, topics=observed.topics | {"postpaid": UNREADABLE})
    said = status_of(unreadable, *plan(wanted(), unreadable).problems, previous=known)
    assert [statuses(said)[kind] for kind in (READY, STALLED, TOPICS)] == ["False", "True", "False"]
    assert conditions(said)[STALLED].message == UNREADABLE.message
    assert (said.topics_ready, said.topics) == ("10/11", known.topics)


def test_partitions_ahead_of_the_spec_are_told_and_stay_ready() -> None:
    observed = as_declared(wanted())
    assert isinstance(observed.topics, dict)
    ahead = replace(observed, topics=observed.topics | {"prepaid": replace(observed.topics["prepaid"], partitions=9)})
    said = status_of(ahead, *plan(wanted(), ahead).problems)
    assert (statuses(said)[READY], statuses(said)[STALLED]) == ("True", "False")
    assert conditions(said)[TOPICS].reason == Reason.PARTITIONS_AHEAD_OF_SPEC
    assert [topic.partitions for topic in said.topics if topic.name == "prepaid"] == [9]


def test_a_refusal_is_stalled_and_leaves_the_other_aspect_alone() -> None:
    said = status_of(as_declared(wanted()), CONFLICT)
    assert statuses(said) == {
        READY: "False", RECONCILING: "False", STALLED: "True", TOPICS: "True", PROCESSORS: "False", DEGRADED: "False",
    }  # fmt: skip
    assert conditions(said)[STALLED].reason == conditions(said)[READY].reason == Reason.WORKLOAD_CONFLICT


@pytest.mark.parametrize(
    "counts",
    [
        {"readyReplicas": 1},
        {"updatedReplicas": 1},
        {"replicas": 3},
        {"observedGeneration": 0},
    ],
)
def test_a_rollout_is_in_progress_until_every_pod_is_new_and_ready_and_no_other_is_left(counts: dict[str, int]) -> None:
    said = status_of(with_counts(as_declared(wanted()), "be-messaging", **counts))
    assert (statuses(said)[PROCESSORS], said.processors_ready) == ("False", "7/8")
    assert conditions(said)[PROCESSORS].reason == Reason.ROLLOUT_IN_PROGRESS
    assert "be-messaging" in conditions(said)[PROCESSORS].message


def test_a_pod_that_cannot_start_says_why() -> None:
    observed = with_counts(as_declared(wanted()), "marketing", readyReplicas=0)
    why = 'CreateContainerConfigError: secret "messaging-db" not found'
    said = status_of(replace(observed, pods=(PodState("marketing", why, {}),)))
    assert conditions(said)[PROCESSORS].message == f"marketing: 1 of 1 updated, 0 ready ({why})"
    assert [processor.message for processor in said.processors if processor.name == "marketing"] == [why]


def test_a_dependency_that_is_away_degrades_and_is_named_once() -> None:
    pods = (PodState("marketing", "", {"database": "refused"}), PodState("marketing", "", {"database": "timed out"}))
    said = status_of(replace(as_declared(wanted()), pods=pods))
    degraded = conditions(said)[DEGRADED]
    assert (degraded.status, degraded.reason, degraded.message) == (
        "True", Reason.DEPENDENCY_UNAVAILABLE, "marketing: database is away",
    )  # fmt: skip


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    first = status_of(as_declared(wanted()))
    later = NOW + timedelta(minutes=5)
    second = status(an_owner(status=first), wanted(), as_declared(wanted()), [CONFLICT], later)
    times = {kind: condition.last_transition_time for kind, condition in conditions(second).items()}
    assert times[TOPICS] == "2026-11-24T12:00:00Z"
    assert times[PROCESSORS] == times[READY] == "2026-11-24T12:05:00Z"


def test_at_rest_the_status_stays_equal_and_a_new_generation_changes_it() -> None:
    first = status_of(as_declared(wanted()))
    later = NOW + timedelta(minutes=5)
    assert status(an_owner(status=first), wanted(), as_declared(wanted()), [], later) == first
    second = status(an_owner(generation=2, status=first), wanted(), as_declared(wanted()), [], later)
    assert {condition.observed_generation for condition in second.conditions} == {2}


def test_an_unreadable_resource_says_so_and_keeps_what_was_seen() -> None:
    first = status_of(as_declared(wanted()))
    said = invalid_status(an_owner(generation=2, status=first), "spec.topics.0.name: too long", NOW)
    assert (conditions(said)[READY].reason, conditions(said)[STALLED].status) == (Reason.INVALID_SPEC, "True")
    assert (said.topics, said.topics_ready, said.observed_generation) == (first.topics, "11/11", 2)


def test_a_warning_is_given_once_and_again_after_it_was_gone() -> None:
    fine, refused = status_of(as_declared(wanted())), status_of(as_declared(wanted()), CONFLICT)
    assert warnings(fine, refused) == [(Reason.WORKLOAD_CONFLICT, CONFLICT.message)]
    assert warnings(refused, refused) == []
    assert warnings(refused, fine) == []


def test_a_warning_of_an_absence_says_why() -> None:
    fine = status_of(as_declared(wanted()))
    pods = (PodState("marketing", "", {"database": "refused"}), PodState("agent-flow", "", {"kafka": "timed out"}))
    degraded = status_of(replace(as_declared(wanted()), pods=pods))
    why = "agent-flow: kafka: timed out; marketing: database: refused"
    assert warnings(fine, degraded, pods) == [(Reason.DEPENDENCY_UNAVAILABLE, why)]


def test_progress_is_no_warning() -> None:
    rolling = status_of(with_counts(as_declared(wanted()), "marketing", readyReplicas=0))
    assert warnings(TopologyStatus(), rolling) == []


def test_a_very_long_message_fits_a_condition() -> None:
    problems: list[Any] = [replace(CONFLICT, message=f"Deployment number-{number} is taken") for number in range(500)]
    assert len(conditions(status_of(as_declared(wanted()), *problems))[PROCESSORS].message) == 1024
