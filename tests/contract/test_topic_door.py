"""What the operator may expect of its door to Kafka: the same on the fake of the unit tests and on a real broker."""

import itertools
from collections.abc import Callable

import pytest

from messaging_api.status import Reason
from messaging_operator.clients.kafka import TopicAdmin
from messaging_operator.errors import Problem
from messaging_operator.plan import AlterTopicConfig, CreateTopic, GrowPartitions
from messaging_operator.reconcile import TopicDoor
from messaging_operator.state import TopicState
from testkit.worlds import FakeKafka

NUMBERS = itertools.count()


@pytest.fixture(params=["fake", "real"])
def kafka_door(request: pytest.FixtureRequest) -> TopicDoor:
    return FakeKafka() if request.param == "fake" else TopicAdmin(request.getfixturevalue("kafka_bootstrap"))


@pytest.fixture(params=["fake", "real"])
def absent_kafka(request: pytest.FixtureRequest) -> TopicDoor:
    return FakeKafka(down=True) if request.param == "fake" else TopicAdmin("127.0.0.1:1")


@pytest.fixture
def topic(kafka_door: TopicDoor) -> TopicState:
    """A topic that was just created with three partitions."""
    created = TopicState(f"contract-{next(NUMBERS)}", 3, 1, {"retention.ms": "3600000"})
    assert kafka_door.create([CreateTopic(created)]) == [None]
    return created


def seen(door: TopicDoor, name: str) -> TopicState:
    topics = door.topics([name])
    assert not isinstance(topics, Problem)
    found = topics[name]
    assert isinstance(found, TopicState)
    return found


def test_a_created_topic_is_there_as_it_was_declared(kafka_door: TopicDoor, topic: TopicState) -> None:
    found = seen(kafka_door, topic.name)
    assert (found.name, found.partitions, found.replication_factor) == (topic.name, 3, 1)
    assert found.config["retention.ms"] == "3600000"


def test_a_topic_that_does_not_exist_is_left_out(kafka_door: TopicDoor, topic: TopicState) -> None:
    topics = kafka_door.topics([topic.name, "contract-nowhere"])
    assert not isinstance(topics, Problem)
    assert set(topics) == {topic.name}


def test_partitions_grow(kafka_door: TopicDoor, topic: TopicState) -> None:
    assert kafka_door.grow([GrowPartitions(topic.name, 3, 5)]) == [None]
    assert seen(kafka_door, topic.name).partitions == 5


def test_a_setting_is_changed_and_the_others_stay(kafka_door: TopicDoor, topic: TopicState) -> None:
    assert kafka_door.configure([AlterTopicConfig(topic.name, {"max.message.bytes": "2000000"})]) == [None]
    config = seen(kafka_door, topic.name).config
    assert (config["max.message.bytes"], config["retention.ms"]) == ("2000000", "3600000")


CALLS: dict[str, Callable[[TopicDoor], object]] = {
    "create": lambda door: door.create([]),
    "grow": lambda door: door.grow([]),
    "configure": lambda door: door.configure([]),
}


@pytest.mark.parametrize("call", CALLS)
def test_nothing_to_do_is_nothing_done(kafka_door: TopicDoor, call: str) -> None:
    assert CALLS[call](kafka_door) == []


def test_a_kafka_that_is_away_is_a_problem_that_says_so(absent_kafka: TopicDoor) -> None:
    problem = absent_kafka.topics(["contract-any"])
    assert isinstance(problem, Problem)
    assert problem.reason is Reason.KAFKA_UNREACHABLE
