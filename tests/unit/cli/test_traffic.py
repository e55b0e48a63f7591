"""The sender keeps its pace and its bounds, and outlives its gateway."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import pytest

from messaging_api.message import MessageRequest
from messaging_cli.gateway import Gateway
from messaging_cli.local.services import free_port
from messaging_cli.mix import messages_of
from messaging_cli.sending import always
from messaging_cli.traffic import IN_FLIGHT, NO_ANSWER, TRIES, Answer, pause, send
from testkit.gateways import KEY, FakeGateway, Reply, accept, fake_gateway, problem
from testkit.traffic import MIX
from testkit.waiting import eventually

FAST = 10_000.0


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with fake_gateway() as gateway:
        yield gateway


def answers_of(url: str, count: int, go_on: Callable[[], bool] = always) -> list[Answer]:
    return answers_to(url, islice(messages_of(MIX), count), go_on)


def answers_to(url: str, messages: Iterable[MessageRequest], go_on: Callable[[], bool] = always) -> list[Answer]:
    answers: list[Answer] = []
    asyncio.run(send(Gateway(url, KEY), messages, FAST, answers.append, go_on))
    return answers


@pytest.mark.parametrize(
    ("number", "elapsed", "expected"),
    [(0, 0.0, 0.0), (10, 0.0, 2.0), (10, 1.5, 0.5), (10, 2.0, 0.0), (10, 9.0, 0.0)],
)
def test_a_message_waits_for_its_turn_and_a_late_one_does_not(number: int, elapsed: float, expected: float) -> None:
    assert pause(number, 5, elapsed) == expected


def test_each_message_arrives_and_its_answer_is_told(gateway: FakeGateway) -> None:
    answers = answers_of(gateway.url, 100)
    assert [answer.accepted for answer in answers] == [True] * 100
    assert len({answer.id for answer in answers}) == 100
    sent = [message.model_dump(mode="json") for message in islice(messages_of(MIX), 100)]
    assert sorted(gateway.messages, key=str) == sorted(sent, key=str)


def test_a_refusal_tells_its_field(gateway: FakeGateway) -> None:
    gateway.reply = lambda _: problem(422, "not one of this topology's domains", field="domain")
    (answer,) = answers_of(gateway.url, 1)
    assert (answer.status, answer.id, answer.detail) == (422, "", "domain: not one of this topology's domains")


def test_a_gateway_that_nobody_runs_gives_no_answer() -> None:
    answers = answers_of(f"http://127.0.0.1:{free_port()}", 20)
    assert [(answer.status, answer.tries) for answer in answers] == [(NO_ANSWER, TRIES)] * 20


@pytest.mark.parametrize("unknown", [None, problem(504, "no acknowledgement"), problem(502, "went away")])
def test_what_may_have_been_taken_is_repeated_under_its_key(gateway: FakeGateway, unknown: Reply) -> None:
    gateway.reply = lambda message: unknown if len(gateway.messages) < TRIES else accept(message)
    (answer,) = answers_of(gateway.url, 1)
    assert (answer.accepted, answer.tries) == (True, TRIES)
    assert len(set(gateway.keys)) == 1
    assert gateway.messages == [gateway.messages[0]] * TRIES


def test_what_was_not_taken_is_not_repeated(gateway: FakeGateway) -> None:
    gateway.reply = lambda _: problem(503, "try again")
    (answer,) = answers_of(gateway.url, 1)
    assert (answer.status, answer.tries) == (503, 1)


def test_messages_have_keys_of_their_own_that_another_run_does_not_have(gateway: FakeGateway) -> None:
    answers_of(gateway.url, 5)
    answers_of(gateway.url, 5)
    assert len(set(gateway.keys)) == 10


def test_a_gateway_that_ends_while_it_is_sent_to_gives_no_answer(gateway: FakeGateway) -> None:
    gateway.reply = lambda message: accept(message) if len(gateway.messages) <= 10 else None
    answers = answers_of(gateway.url, 50)
    assert {answer.status for answer in answers} == {202, NO_ANSWER}
    assert len(answers) == 50


def test_a_slow_gateway_never_has_more_than_the_bound_at_a_time(gateway: FakeGateway) -> None:
    release = threading.Event()

    def hold(message: dict[str, Any]) -> Reply:
        release.wait()
        return accept(message)

    gateway.reply = hold
    drawn = itertools.count()
    messages = (message for message, _ in zip(islice(messages_of(MIX), 3 * IN_FLIGHT), drawn, strict=False))
    answers: list[Answer] = []
    sender = threading.Thread(target=lambda: answers.extend(answers_to(gateway.url, messages)))
    sender.start()
    try:
        eventually(lambda: len(gateway.messages) >= IN_FLIGHT)
        held = next(drawn)
    finally:
        release.set()
        sender.join()
    assert held <= IN_FLIGHT + 1, "one more is ready to be sent"
    assert len(answers) == 3 * IN_FLIGHT


def test_it_stops_when_it_is_told_to(gateway: FakeGateway) -> None:
    answers = answers_of(gateway.url, 100_000, go_on=lambda: len(gateway.messages) < 5)
    assert 5 <= len(answers) <= 5 + IN_FLIGHT
