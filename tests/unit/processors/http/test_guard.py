"""What every HTTP application is wrapped in: bounds on what comes in, numbers about it, and the drain before a stop."""

import asyncio
import threading
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from messaging_processors.runtime import web
from messaging_processors.runtime.problems import HANDLERS
from messaging_processors.runtime.web import MAX_BODY_BYTES, Guard


async def echo_size(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def fail(request: Request) -> Response:
    raise ZeroDivisionError("internals")


def guarded(stopping: threading.Event | None = None, max_in_flight: int = 512) -> Guard:
    routes = [Route("/sizes/{name}", echo_size, methods=["POST"]), Route("/fail", fail)]
    app = Starlette(routes=routes, exception_handlers=HANDLERS, max_body_size=MAX_BODY_BYTES)
    return Guard(app, stopping or threading.Event(), max_in_flight)


def ask(app: Guard, method: str, path: str, content: bytes | AsyncIterator[bytes] = b"") -> httpx.Response:
    async def conversation() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, content=content)

    return asyncio.run(conversation())


async def chunks(size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, 1000):
        yield b"x" * min(1000, size - start)


def measured(route: str, status: int) -> float:
    return REGISTRY.get_sample_value("messaging_http_requests_total", {"route": route, "status": str(status)}) or 0


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_is_bounded_whether_its_size_is_announced_or_not(announced: bool) -> None:
    def send(size: int) -> httpx.Response:
        return ask(guarded(), "POST", "/sizes/a", b"x" * size if announced else chunks(size))

    assert send(MAX_BODY_BYTES).text == str(MAX_BODY_BYTES)
    refused = send(MAX_BODY_BYTES + 1)
    assert (refused.status_code, refused.headers["content-type"]) == (413, "application/problem+json")
    assert refused.json()["field"] == "body"


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silence() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    monkeypatch.setattr(web, "BODY_SECONDS", 0.05)
    app = guarded(max_in_flight=1)
    answer = ask(app, "POST", "/sizes/a", silence())
    assert (answer.status_code, answer.headers["content-type"]) == (408, "application/problem+json")
    assert ask(app, "POST", "/sizes/a").status_code == 200, "it is in flight no longer"


def test_one_request_too_many_is_told_to_come_back() -> None:
    refused = ask(guarded(max_in_flight=0), "POST", "/sizes/a")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert ask(guarded(max_in_flight=1), "POST", "/sizes/a").status_code == 200


def test_a_request_that_failed_is_in_flight_no_longer() -> None:
    app = guarded(max_in_flight=1)
    for _ in range(3):
        assert ask(app, "GET", "/fail").status_code == 500


def test_an_internal_error_says_nothing_about_internals() -> None:
    answer = ask(guarded(), "GET", "/fail")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "internals" not in answer.text
    assert "ZeroDivision" not in answer.text


def test_before_a_stop_every_answer_asks_for_a_new_connection() -> None:
    stopping = threading.Event()
    app = guarded(stopping)
    assert "connection" not in ask(app, "POST", "/sizes/a").headers
    stopping.set()
    for answer in (ask(app, "POST", "/sizes/a"), ask(app, "GET", "/nowhere"), ask(app, "GET", "/fail")):
        assert answer.headers["connection"] == "close"


def test_requests_are_counted_by_route_and_not_by_what_callers_make_up() -> None:
    before = measured("/sizes/{name}", 200), measured("unmatched", 404), measured("/fail", 500)
    app = guarded()
    ask(app, "POST", "/sizes/a")
    ask(app, "POST", "/sizes/b")
    ask(app, "GET", "/made-up")
    ask(app, "GET", "/fail")
    after = measured("/sizes/{name}", 200), measured("unmatched", 404), measured("/fail", 500)
    assert [now - then for then, now in zip(before, after, strict=True)] == [2, 1, 1]
