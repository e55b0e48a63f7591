"""When Kafka counts as away: judged by the state of connections, once a second, and by what fails."""

import json
import logging
import math

import pytest

from messaging_processors.runtime.backoff import LONGEST_WAIT
from messaging_processors.runtime.connection import KAFKA, STRANDED_SECONDS, Connection, Quieted, Statistics
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.writing import ABORT_SECONDS, DEADLINE
from testkit.clocks import Clock

UP, DOWN = ({"brokers": {"one": {"state": "DOWN"}, "two": {"state": state}}} for state in ("UP", "INIT"))


class World:
    """A connection, its health and its clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.health = Health()
        self.connection = Connection("kafka:9092", self.health, self.clock)

    def tick(self, statistics: Statistics, times: int = 1) -> None:
        for _ in range(times):
            self.clock.now += 1
            self.connection.judge(statistics)

    @property
    def why(self) -> str:
        return self.health.readiness().away.get(KAFKA, "")


@pytest.fixture
def world() -> World:
    return World()


def test_it_is_away_until_a_broker_is_connected(world: World) -> None:
    assert world.why == "kafka:9092: not connected yet"
    world.tick(UP)
    assert world.why == ""


def test_one_missed_second_is_no_news_two_are(world: World) -> None:
    world.tick(UP)
    world.tick(DOWN)
    assert world.why == ""
    world.tick(DOWN)
    assert world.why == "kafka:9092: no connection"
    world.tick(UP)
    assert world.why == ""


def test_a_client_that_was_given_up_says_nothing_any_more(world: World) -> None:
    seen: list[Statistics] = []
    old, new = (world.connection.watched(seen.append)["stats_cb"] for _ in range(2))
    old(json.dumps(UP))
    assert world.why
    new(json.dumps(UP))
    assert (seen, world.why) == ([UP], "")


def test_the_client_s_last_error_is_told(world: World) -> None:
    world.tick(UP)
    world.connection.settings()["error_cb"]("1/1 brokers are down")
    world.tick(DOWN, 2)
    assert world.why == "kafka:9092: 1/1 brokers are down"


def test_what_fails_every_time_stays_away_until_the_next_attempt_can_have_failed(world: World) -> None:
    world.tick(UP)
    world.connection.failed("dead letters not written")
    world.tick(UP, math.ceil(LONGEST_WAIT + 2 * DEADLINE + ABORT_SECONDS))
    assert world.why == "kafka:9092: dead letters not written"


def test_what_failed_once_is_forgotten_although_nothing_was_tried_again(world: World) -> None:
    world.tick(UP)
    world.connection.failed("dead letters not written")
    world.tick(UP, 30)
    assert world.why == ""


def test_an_answer_leaves_only_the_attempt_that_it_makes_possible(world: World) -> None:
    world.connection.failed("transaction not committed")
    world.connection.answered()
    world.tick(UP, math.ceil(DEADLINE + ABORT_SECONDS))
    assert world.why == "kafka:9092: transaction not committed"
    world.tick(UP, 2)
    assert world.why == ""


def test_an_answer_makes_no_trouble_of_its_own(world: World) -> None:
    world.connection.answered()
    world.tick(UP)
    assert world.why == ""


def test_success_ends_trouble_at_once(world: World) -> None:
    world.connection.failed("transaction not committed")
    world.connection.worked()
    assert world.why == ""


def test_a_client_without_any_broker_is_given_up_once_in_twenty_seconds(world: World) -> None:
    given_up = []
    for second in range(1, 3 * STRANDED_SECONDS):
        world.tick(DOWN)
        given_up += [second] if world.connection.needs_another_client() else []
    assert given_up == [STRANDED_SECONDS, 2 * STRANDED_SECONDS]
    assert world.why == "kafka:9092: no connection"


def test_a_client_that_connects_in_time_is_kept(world: World) -> None:
    world.tick(DOWN, STRANDED_SECONDS - 1)
    world.tick(UP)
    world.tick(DOWN, STRANDED_SECONDS - 1)
    assert not world.connection.needs_another_client()


def test_what_the_clients_call_an_error_is_a_warning_once_a_second() -> None:
    clock = Clock()
    quieted = Quieted(clock)
    lines = [
        logging.LogRecord("librdkafka", level, "", 0, "%s [%s] %s", (kind, "client-1", "text"), None)
        for kind, level in (("FAIL", logging.ERROR), ("FAIL", logging.ERROR), ("TXNERR", logging.CRITICAL))
    ]
    assert [quieted.filter(line) for line in lines] == [True, False, True]
    assert [lines[0].levelname, lines[2].levelname] == ["WARNING", "WARNING"]
    clock.now += 1
    assert quieted.filter(lines[1])
    assert lines[1].getMessage() == "FAIL [client-1] text"
