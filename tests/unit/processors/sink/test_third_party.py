"""What a third party's answers mean, and when calls stop."""

import asyncio
import json
import socketserver
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Event, Thread
from uuid import UUID, uuid4

import httpx
import pytest

from messaging_api.message import BilledMessage
from messaging_api.topology import CircuitBreaker, ThirdParty
from messaging_processors.runtime.errors import Away
from messaging_processors.sink.answers import Answer, Late, Refused, Sent
from messaging_processors.sink.breaker import FEWEST_CALLS, RETRY_RESERVE
from messaging_processors.sink.third_party import ATTEMPTS, Attempt, Clocks, Provider
from testkit.clocks import Clock
from testkit.samples import a_billed_message

Answering = Callable[[httpx.Request], httpx.Response]
NEVER = "Fri, 31 Dec 99999999999 23:59:59 GMT"
LATER = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


@contextmanager
def a_provider(answering: Answering, in_flight: int = 1) -> Iterator[Provider]:
    config = ThirdParty(url="https://user:secret@provider.example/messages", max_in_flight=in_flight)
    provider = Provider(config, httpx.MockTransport(answering))
    yield provider
    provider.close()


def attempt(
    answering: Answering, messages: list[BilledMessage], give_up: Callable[[], bool] = lambda: False
) -> Attempt:
    with a_provider(answering) as provider:
        return provider.attempt(messages, (), give_up)


def answer(status: int, headers: Mapping[bytes, bytes] | None = None) -> httpx.Response:
    """As it comes from a network: its content is still to be read."""
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(b"thanks"))


def always(status: int) -> Answering:
    return lambda _: answer(status)


def several(count: int) -> list[BilledMessage]:
    """Messages of as many accounts."""
    return [a_billed_message(f"account-{number}") for number in range(count)]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_success_is_sent(status: int) -> None:
    (message,) = several(1)
    assert attempt(always(status), [message]) == Attempt({message.id: Sent()})


@pytest.mark.parametrize("status", [400, 410, 413, 422])
def test_a_refusal_is_for_good(status: int) -> None:
    (message,) = several(1)
    assert attempt(always(status), [message]) == Attempt({message.id: Refused(status)})


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405, 407, 408, 409, 425, 429, 500, 502, 503, 504])
def test_what_is_not_the_message_s_fault_is_waited_for(status: int) -> None:
    made = attempt(always(status), several(1))
    assert (made.answers, made.away and made.away.why) == ({}, f"provider.example: HTTP {status}")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), (LATER, 3600.0), ("soon", None), ("", None), ("-1", None), ("²", None), (NEVER, None)],
)
def test_it_says_when_to_come_back(said: str, seconds: float | None) -> None:
    made = attempt(lambda _: answer(503, {b"Retry-After": said.encode("latin-1")}), several(1))
    assert made.away
    assert made.away.retry_after == (pytest.approx(seconds, rel=0.05) if seconds is not None else None)


def test_a_failure_that_says_nothing_does_not_hide_when_to_come_back() -> None:
    first, second = several(2)

    def ask_for_patience(request: httpx.Request) -> httpx.Response:
        if request.headers["Idempotency-Key"] == str(first.id):
            return answer(429, {b"Retry-After": b"7"})
        return answer(500)

    made = attempt(ask_for_patience, [first, second])
    assert made.away
    assert made.away.retry_after == 7


def test_no_answer_is_the_third_party_s_fault_and_keeps_its_password_out_of_the_reason() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    made = attempt(refuse, several(1))
    assert isinstance(made.away, Away)
    assert made.away.why == "provider.example: ConnectError: refused"


@contextmanager
def dribbling(begin: bytes) -> Iterator[str]:
    """A third party whose answer begins so and goes on byte by byte for ever; its URL."""
    stop = Event()

    class Dribble(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            with suppress(OSError):
                self.request.sendall(begin)
                while not stop.wait(0.02):
                    self.request.sendall(b"x")

    with socketserver.TCPServer(("127.0.0.1", 0), Dribble) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            stop.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("begin", "answers", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Endless: ", [], "127.0.0.1: no answer in 0.5 s"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", [Sent()], None),
    ],
)
def test_an_answer_that_never_ends_is_waited_for_no_longer_than_one_that_never_comes(
    begin: bytes, answers: list[Answer], why: str | None
) -> None:
    with dribbling(begin) as url, closing(Provider(ThirdParty(url=url, timeout="500ms"))) as provider:
        made = provider.attempt(several(1), (), lambda: False)
    assert (list(made.answers.values()), made.away and made.away.why) == (answers, why)


def test_an_account_s_later_messages_wait_for_the_earlier_one() -> None:
    first, second, third = (a_billed_message("account-1") for _ in range(3))

    def stumble_over_second(request: httpx.Request) -> httpx.Response:
        return answer(503 if request.headers["Idempotency-Key"] == str(second.id) else 200)

    assert attempt(stumble_over_second, [first, second, third]).answers == {first.id: Sent()}


def test_accounts_are_served_at_once_but_no_more_than_allowed() -> None:
    calls: list[str] = []

    async def take(_: httpx.Request) -> httpx.Response:
        calls.append("begun")
        for _turn in range(10):
            await asyncio.sleep(0)
        calls.append("done")
        return answer(200)

    config = ThirdParty(url="http://provider.example", max_in_flight=3)
    with closing(Provider(config, httpx.MockTransport(take))) as provider:
        provider.attempt(several(12), (), lambda: False)
    in_flight = [calls[:end].count("begun") - calls[:end].count("done") for end in range(len(calls))]
    assert max(in_flight) == 3


def test_a_message_that_fails_is_tried_again_soon_with_the_same_key() -> None:
    (message,) = several(1)
    keys: list[str] = []

    def recover(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        return answer(500 if len(keys) < ATTEMPTS else 200)

    made = attempt(recover, [message])
    assert made.answers == {message.id: Sent()}
    assert keys == [str(message.id)] * ATTEMPTS
    assert made.failed == [message.id] * (ATTEMPTS - 1)


def test_a_message_is_not_tried_again_before_the_third_party_wants_to_be_asked() -> None:
    calls: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return answer(429, {b"Retry-After": b"1"})

    attempt(refuse, several(1))
    assert len(calls) == 1


def test_nobody_s_message_is_tried_again_before_that() -> None:
    busy, broken = several(2)
    calls: list[str] = []

    def answer_both(request: httpx.Request) -> httpx.Response:
        calls.append(request.headers["Idempotency-Key"])
        return answer(429, {b"Retry-After": b"1"}) if calls[-1] == str(busy.id) else answer(500)

    attempt(answer_both, [busy, broken])
    assert calls == [str(busy.id), str(broken.id)]


def test_a_connection_that_breaks_after_the_request_is_tried_again_with_its_key() -> None:
    (message,) = several(1)
    keys: list[str] = []

    def take_and_hang_up(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ReadError("reset", request=request)
        return answer(200)

    assert attempt(take_and_hang_up, [message]).answers == {message.id: Sent()}
    assert keys == [str(message.id)] * 2


def test_a_third_party_that_fails_is_left_alone_and_then_asked_once() -> None:
    clock = Clock()
    calls: list[httpx.Request] = []
    status = 500

    def fail(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return answer(status)

    config = ThirdParty(url="http://provider.example", max_in_flight=4)
    messages, tried = several(20), set[UUID]()
    clocks = Clocks(monotonic=clock)
    with closing(Provider(config, httpx.MockTransport(fail), clocks)) as provider:
        made = provider.attempt(messages, tried, lambda: False)
        assert made.away
        assert (made.away.why, made.away.retry_after) == ("provider.example: circuit open: HTTP 500", 10)
        assert FEWEST_CALLS <= len(calls) < FEWEST_CALLS + config.max_in_flight
        tried |= {*made.failed}
        calls.clear()
        assert provider.attempt(messages, tried, lambda: False).away
        assert calls == []
        clock.now += 10
        assert provider.attempt(messages, tried, lambda: False).away
        assert len(calls) == 1
        status = 200
        clock.now += 10
        made = provider.attempt(messages, tried, lambda: False)
        assert (len(made.answers), made.away) == (20, None)


def test_repetitions_have_a_budget_and_go_on_slowly_beyond_it() -> None:
    """Alone, so that the circuit breaker never sees more failures than successes."""
    clock = Clock()
    messages = several(400)
    bad = {str(message.id) for message in messages[::4]}
    calls: list[str] = []

    def stumble(request: httpx.Request) -> httpx.Response:
        calls.append(request.headers["Idempotency-Key"])
        return answer(500 if calls[-1] in bad else 200)

    config = ThirdParty(url="http://provider.example", circuit_breaker=CircuitBreaker(failure_ratio="1"))
    with closing(Provider(config, httpx.MockTransport(stumble), Clocks(monotonic=clock))) as provider:
        made = provider.attempt(messages, (), lambda: False)
        assert len(made.answers) == 300
        assert len(calls) - 400 <= 400 * 0.1 + RETRY_RESERVE
        left = [message for message in messages if message.id not in made.answers]
        while provider.attempt(left, made.failed, lambda: False).failed:
            pass
        calls.clear()
        waiting = provider.attempt(left, made.failed, lambda: False)
        assert waiting.away
        assert waiting.away.why == "provider.example: repeated enough: HTTP 500"
        assert calls == []
        clock.now += 3
        provider.attempt(left, made.failed, lambda: False)
        assert 3 <= len(calls) <= 4


def test_what_is_too_late_is_not_sent_and_holds_nobody_up() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    late, at_the_last_moment = (
        a_billed_message().model_copy(update={"valid_until": now + timedelta(seconds=left)}) for left in (0, 1)
    )
    calls: list[str] = []

    def take(request: httpx.Request) -> httpx.Response:
        calls.append(request.headers["Idempotency-Key"])
        return answer(200)

    clocks = Clocks(now=lambda: now)
    config = ThirdParty(url="http://provider.example")
    with closing(Provider(config, httpx.MockTransport(take), clocks)) as provider:
        made = provider.attempt([late, at_the_last_moment], (), lambda: False)
    assert made.answers == {late.id: Late(), at_the_last_moment.id: Sent()}
    assert calls == [str(at_the_last_moment.id)]


def test_what_becomes_too_late_while_it_is_tried_is_not_sent_again() -> None:
    times = iter([datetime(2030, 1, 1, second=second, tzinfo=UTC) for second in range(60)])
    message = a_billed_message().model_copy(update={"valid_until": datetime(2030, 1, 1, second=3, tzinfo=UTC)})
    config = ThirdParty(url="http://provider.example")
    clocks = Clocks(now=lambda: next(times))
    with closing(Provider(config, httpx.MockTransport(always(500)), clocks)) as provider:
        made = provider.attempt([message], (), lambda: False)
    assert (made.answers, made.failed) == ({message.id: Late()}, [message.id])


def test_tenants_with_an_account_of_the_same_name_do_not_wait_for_each_other() -> None:
    ours = a_billed_message()
    theirs = ours.model_copy(update={"tenant": "other", "id": uuid4()})
    made = attempt(lambda one: answer(503 if one.headers["Idempotency-Key"] == str(ours.id) else 200), [ours, theirs])
    assert made.answers == {theirs.id: Sent()}


def test_nothing_is_sent_once_time_is_up() -> None:
    assert attempt(always(200), several(3), give_up=lambda: True) == Attempt()


def test_the_body_says_what_to_send_to_whom_and_not_what_it_costs() -> None:
    (message,) = several(1)
    seen: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(200)

    attempt(take, [message])
    assert json.loads(seen[0].content) == {
        "id": str(message.id),
        "accountId": "account-0",
        "to": "+12025550123",
        "body": "Hello",
        "domain": "marketing",
    }
