"""What a third party's answers mean, and when calls stop."""

import asyncio
import json
import socket
import socketserver
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Event, Thread

import httpx
import pytest

from messaging_api.topology import ThirdParty
from messaging_processors.runtime.errors import Away
from messaging_processors.sink.answers import Answer, Refused, Sent
from messaging_processors.sink.third_party import Attempt, Provider
from testkit.answering import always, answer, attempt, several
from testkit.samples import a_billed_message

NEVER = "Fri, 31 Dec 99999999999 23:59:59 GMT"
LATER = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_success_is_sent(status: int) -> None:
    (message,) = several(1)
    assert attempt(always(status), [message]) == Attempt({message.id: Sent()})


@pytest.mark.parametrize("status", [400, 410, 413, 422])
def test_a_refusal_is_for_good(status: int) -> None:
    (message,) = several(1)
    assert attempt(always(status), [message]) == Attempt({message.id: Refused(status)})


@pytest.mark.parametrize(
    "status", [301, 401, 402, 403, 404, 405, 407, 408, 409, 421, 425, 426, 429, 500, 502, 503, 504]
)
def test_what_is_not_the_message_s_fault_is_waited_for(status: int) -> None:
    made = attempt(always(status), several(1))
    assert (made.answers, made.away and made.away.why) == ({}, f"provider.example: HTTP {status}")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), (LATER, 86400.0), ("soon", None), ("", None), ("-1", None), ("²", None), (NEVER, None)],
    ids=["seconds", "a date", "a word", "nothing", "a negative number", "another digit", "a date beyond all calendars"],
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


def test_a_connection_that_is_never_made_has_sent_nothing() -> None:
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        stack.enter_context(socket.create_connection(full.getsockname()))  # the one that waits to be taken
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        provider = stack.enter_context(closing(Provider(ThirdParty(url=url, timeout="300ms"))))
        made = provider.attempt(several(1), (), lambda: False)
    assert made.away
    assert (made.away.why, made.doubtful) == ("127.0.0.1: ConnectTimeout: no connection in time", set())


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
