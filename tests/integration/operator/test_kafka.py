"""The operator's door to Kafka, on a real broker: what is applied is there, and is never asked for twice."""

import time
from collections.abc import Mapping
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError

from messaging_api.status import Reason
from messaging_cli.local.process import Service
from messaging_operator.apply import Outcome, apply
from messaging_operator.clients.kafka import TopicAdmin, connect
from messaging_operator.errors import Problem
from messaging_operator.plan import AlterTopicConfig, Plan, plan
from messaging_operator.state import Desired, Observed, TopicState
from testkit.topologies import wanted
from testkit.waiting import eventually
from testkit.worlds import a_world


@pytest.fixture
def admin(kafka_bootstrap: str) -> TopicAdmin:
    return connect(kafka_bootstrap)


@pytest.fixture
def prefix() -> str:
    """The broker is shared: every test has topics of its own."""
    return f"t{uuid4().hex[:8]}"


def planned(admin: TopicAdmin, *topics: TopicState) -> Plan:
    found = admin.topics([topic.name for topic in topics])
    return plan(Desired(topics, ()), Observed(found, {}, {}, ()))


def applied(admin: TopicAdmin, *topics: TopicState) -> Outcome:
    return apply(planned(admin, *topics), "messaging", admin, a_world().cluster)


def seen(admin: TopicAdmin, *names: str) -> Mapping[str, TopicState]:
    found = admin.topics(names)
    assert not isinstance(found, Problem), found
    return {name: state for name, state in found.items() if isinstance(state, TopicState)}


def test_the_example_s_topics_are_made_as_declared_and_a_second_plan_is_empty(admin: TopicAdmin, prefix: str) -> None:
    topics = [
        TopicState(f"{prefix}.{topic.name}", topic.partitions, topic.replication_factor, topic.config)
        for topic in wanted().topics
    ]
    assert len(applied(admin, *topics).done) == 11
    assert planned(admin, *topics) == Plan((), (), ())
    found = seen(admin, *(topic.name for topic in topics))
    assert [found[topic.name].partitions for topic in topics] == [topic.partitions for topic in topics]
    assert found[f"{prefix}.postpaid"].config["retention.ms"] == "604800000"


def test_settings_in_another_spelling_than_kafka_s_are_written_once(admin: TopicAdmin, prefix: str) -> None:
    config = {
        "min.cleanable.dirty.ratio": "0.50",
        "cleanup.policy": "compact, delete",
        "preallocate": "FALSE",
        "retention.ms": "0100",
    }
    topic = TopicState(prefix, 1, 1, config)
    applied(admin, topic)
    assert planned(admin, topic).is_empty


def test_partitions_grow_and_can_be_seen_at_once(admin: TopicAdmin, prefix: str) -> None:
    applied(admin, TopicState(prefix, 3, 1, {}))
    grown = TopicState(prefix, 7, 1, {})
    assert applied(admin, grown).problems == ()
    assert seen(admin, prefix)[prefix].partitions == 7
    assert planned(admin, grown).is_empty


def test_partitions_that_somebody_else_added_are_accepted(admin: TopicAdmin, prefix: str) -> None:
    applied(admin, TopicState(prefix, 5, 1, {}))
    todo = planned(admin, TopicState(prefix, 3, 1, {}))
    assert (todo.is_empty, [problem.reason for problem in todo.problems]) == (True, [Reason.PARTITIONS_AHEAD_OF_SPEC])


def test_only_declared_settings_are_altered(admin: TopicAdmin, prefix: str) -> None:
    applied(admin, TopicState(prefix, 1, 1, {"retention.ms": "1000", "segment.ms": "2000"}))
    outcome = applied(admin, TopicState(prefix, 1, 1, {"retention.ms": "3000"}))
    assert outcome.done == (AlterTopicConfig(prefix, {"retention.ms": "3000"}),)
    config = seen(admin, prefix)[prefix].config
    assert (config["retention.ms"], config["segment.ms"]) == ("3000", "2000")


def test_what_kafka_refuses_is_named_and_holds_nothing_else_back(admin: TopicAdmin, prefix: str) -> None:
    topics = (
        TopicState(f"{prefix}.unknown", 1, 1, {"no.such.setting": "1"}),
        TopicState(f"{prefix}.replicated", 1, 9, {}),
        TopicState(f"{prefix}.fine", 1, 1, {}),
    )
    outcome = applied(admin, *topics)
    assert seen(admin, *(topic.name for topic in topics)).keys() == {f"{prefix}.fine"}
    assert [problem.reason for problem in outcome.problems] == [Reason.INVALID_TOPIC_CONFIG, Reason.TOPIC_REFUSED]
    assert f"topic {prefix}.unknown: Unknown topic config name: no.such.setting" in outcome.problems[0].message
    assert f"topic {prefix}.replicated: Unable to replicate the partition 9 time" in outcome.problems[1].message


def test_a_refused_setting_of_an_existing_topic_leaves_the_others_growing(admin: TopicAdmin, prefix: str) -> None:
    applied(admin, TopicState(f"{prefix}.a", 1, 1, {}), TopicState(f"{prefix}.b", 1, 1, {}))
    changed = TopicState(f"{prefix}.a", 2, 1, {"retention.ms": "soon"}), TopicState(f"{prefix}.b", 2, 1, {})
    outcome = applied(admin, *changed)
    assert [topic.partitions for topic in seen(admin, f"{prefix}.a", f"{prefix}.b").values()] == [2, 2]
    assert [problem.reason for problem in outcome.problems] == [Reason.INVALID_TOPIC_CONFIG]


def test_what_the_client_itself_refuses_is_named_and_holds_nothing_else_back(admin: TopicAdmin, prefix: str) -> None:
    applied(admin, TopicState(f"{prefix}.a", 1, 1, {}), TopicState(f"{prefix}.b", 1, 1, {}))
    nameless, fine = TopicState(f"{prefix}.a", 1, 1, {"": "x"}), TopicState(f"{prefix}.b", 1, 1, {"retention.ms": "7"})
    outcome = applied(admin, nameless, fine)
    assert outcome.done == (AlterTopicConfig(f"{prefix}.b", {"retention.ms": "7"}),)
    [problem] = outcome.problems
    assert (problem.reason, problem.heals) == (Reason.TOPIC_REFUSED, False)
    assert problem.message.startswith(f"topic {prefix}.a: ")


def test_a_topic_that_somebody_else_has_made_in_the_meantime_is_no_problem(admin: TopicAdmin, prefix: str) -> None:
    stale = planned(admin, TopicState(prefix, 1, 1, {}))
    applied(admin, TopicState(prefix, 1, 1, {}))
    assert apply(stale, "messaging", admin, a_world().cluster).problems == ()


def test_a_topic_that_cannot_be_read_holds_no_other_up(admin: TopicAdmin, prefix: str) -> None:
    applied(admin, TopicState(prefix, 1, 1, {}))
    unreadable = f"{prefix}?"  # Kafka refuses to look a topic of such a name up, as it does without a right to it
    found = admin.topics([prefix, unreadable])
    assert not isinstance(found, Problem)
    assert isinstance(found[prefix], TopicState)
    problem = found[unreadable]
    assert isinstance(problem, Problem)
    assert (problem.reason, problem.heals) == (Reason.TOPIC_REFUSED, False)
    assert problem.message.startswith(f"topic {unreadable} cannot be read: ")


def test_a_silent_broker_is_told_within_its_deadline_and_heals_by_itself(kafka: Service, prefix: str) -> None:
    admin = TopicAdmin(kafka.address)
    assert admin.topics([prefix]) == {}
    kafka.pause()
    try:
        started = time.monotonic()
        problem = admin.topics([prefix])
        assert time.monotonic() - started < 8  # a resync is every 10 s, and a condition has 15 s
        assert isinstance(problem, Problem)
        assert (problem.reason, problem.heals) == (Reason.KAFKA_UNREACHABLE, True)
        assert kafka.address in problem.message
    finally:
        kafka.resume()
    eventually(lambda: admin.topics([prefix]) == {}, within=15)


def test_servers_that_do_not_exist_are_named() -> None:
    problem = TopicAdmin("nowhere.invalid:9092").topics(["any"])
    assert isinstance(problem, Problem)
    assert problem.reason == Reason.KAFKA_UNREACHABLE
    assert "nowhere.invalid:9092" in problem.message


def test_a_broker_that_its_client_has_forgotten_is_not_the_topic_s_fault() -> None:
    """As it may while Kafka is away."""
    problem = TopicAdmin("127.0.0.1:1")._problem("topic postpaid", KafkaError(KafkaError._DESTROY_BROKER))
    assert problem.reason == Reason.KAFKA_UNREACHABLE


def test_a_cluster_has_one_client(kafka_bootstrap: str) -> None:
    assert connect(kafka_bootstrap) is connect(kafka_bootstrap)
