"""The gateway between a client and a be-messaging that answers, refuses, breaks off or stays silent.

be-messaging is a plain TCP server here, because connections are what is tried; integration tests have the real one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
from starlette.types import Message, Scope

from messaging_api.topology import RateLimit
from messaging_processors.gateway import forwarding
from messaging_processors.gateway.app import create_app
from messaging_processors.gateway.keys import ApiKeys
from messaging_processors.gateway.limiting import RateLimiter

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
KEY = "key-of-shop"
ANSWER = (
    b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nLocation: /v1/messages/1\r\nRetry-After: 7\r\n"
    b"X-Internal: secret\r\nContent-Length: 2\r\n\r\n{}"
)


@pytest.fixture
def keys(tmp_path: Path) -> ApiKeys:
    (tmp_path / "shop").write_text(KEY)
    keys = ApiKeys(tmp_path)
    keys.reload()
    return keys


class Recorder:
    """Answers every request with `ANSWER` and remembers it."""

    def __init__(self) -> None:
        self.head = ""
        self.body = b""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await until_blank_line(reader):
            self.head = head
            self.body = await reader.readexactly(int(self.headers().get("content-length", 0)))
            writer.write(ANSWER)

    def headers(self) -> dict[str, str]:
        lines = self.head.split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}


async def until_blank_line(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return ""


async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await until_blank_line(reader)


async def answers_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await until_blank_line(reader)
    writer.write(b"nonsense\r\n\r\n")


async def stays_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@asynccontextmanager
async def listening(upstream: Conversation | None) -> AsyncIterator[int]:
    """The port of `upstream`, all of whose conversations come to their end; None: nothing listens there."""
    talks: list[asyncio.Task[None] | None] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        if upstream:
            await upstream(reader, writer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if upstream is None:
        server.close()
    yield port
    server.close()
    await asyncio.gather(*filter(None, talks))


def ask(
    keys: ApiKeys,
    upstream: Conversation | None,
    method: str,
    path: str,
    limiter: RateLimiter | None = None,
    **request: object,
) -> httpx.Response:
    """The gateway's answer in front of `upstream`."""

    async def conversation() -> httpx.Response:
        async with listening(upstream) as port:
            app = create_app(keys, f"http://127.0.0.1:{port}", limiter)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            client = httpx.AsyncClient(transport=transport, base_url="http://gateway")
            async with app.router.lifespan_context(app), client:
                return await client.request(method, path, **request)  # type: ignore[arg-type]

    return asyncio.run(conversation())


def ask_for(keys: ApiKeys, upstream: Conversation, target: bytes) -> Message:
    """How the gateway's answer begins when a request's target stands on the wire like that; no client sends that."""
    began: list[Message] = []
    scope: Scope = {"type": "http", "method": "GET", "headers": [(b"x-api-key", KEY.encode())], "query_string": b""}
    scope.update(raw_path=target, path=unquote(target.decode()))

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        began.append(message)

    async def conversation() -> None:
        async with listening(upstream) as port:
            app = create_app(keys, f"http://127.0.0.1:{port}")
            async with app.router.lifespan_context(app):
                await app(scope, receive, send)

    asyncio.run(conversation())
    return began[0]


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["detail"]


def test_a_request_passes_with_what_be_messaging_needs_and_nothing_else(keys: ApiKeys) -> None:
    upstream = Recorder()
    sent = {
        "X-API-Key": KEY,
        "Authorization": "Bearer other",
        "Content-Type": "application/json",
        "traceparent": "00-a-b-01",
        "Idempotency-Key": "k 1",
        "X-Tenant": "somebody-else",
        "X-Scopes": "top-ups",
        "X-Forwarded-For": "192.0.2.1",
        "Connection": "x-hop",
        "X-Hop": "1",
        "Cookie": "c",
    }
    ask(keys, upstream, "POST", "/v1/messages?a=b%20c", headers=sent, content=b'{"x": 1}')
    assert upstream.head.startswith("POST /v1/messages?a=b%20c HTTP/1.1")
    assert upstream.body == b'{"x": 1}'
    passed = upstream.headers()
    assert (passed["content-type"], passed["traceparent"]) == ("application/json", "00-a-b-01")
    assert passed["idempotency-key"] == "k 1"
    assert (passed["x-tenant"], passed["x-scopes"]) == ("shop", "send read accounts")
    assert upstream.head.lower().count("x-tenant:") == upstream.head.lower().count("x-scopes:") == 1
    assert not passed.keys() & {"x-api-key", "authorization", "x-forwarded-for", "x-hop", "cookie"}


@pytest.mark.parametrize("name", ["Accept", "Content-Type", "traceparent", "tracestate"])
def test_a_header_that_is_not_ascii_does_not_pass_and_its_request_does(keys: ApiKeys, name: str) -> None:
    upstream = Recorder()
    headers = {b"X-API-Key": KEY.encode(), name.encode(): b"caf\xe9"}
    answer = ask(keys, upstream, "POST", "/v1/messages", headers=headers, content=b"{}")
    assert (answer.status_code, upstream.body) == (202, b"{}")
    assert "caf" not in upstream.headers().get(name.lower(), "")


@pytest.mark.parametrize(("sent", "status"), [(b"caf\xe9", 422), (b"", 202)])
def test_a_key_of_a_request_is_never_dropped(keys: ApiKeys, sent: bytes, status: int) -> None:
    upstream = Recorder()
    headers = {b"X-API-Key": KEY.encode(), b"Idempotency-Key": sent}
    answer = ask(keys, upstream, "POST", "/v1/messages", headers=headers, content=b"{}")
    assert (answer.status_code, answer.json().get("field")) == (status, "Idempotency-Key" if status == 422 else None)
    assert ("idempotency-key" in upstream.headers()) == (status == 202)


def test_an_answer_passes_with_what_a_client_needs_and_nothing_else(keys: ApiKeys) -> None:
    answer = ask(keys, Recorder(), "POST", "/v1/messages", headers={"X-API-Key": KEY})
    assert (answer.status_code, answer.content) == (202, b"{}")
    assert (answer.headers["location"], answer.headers["retry-after"]) == ("/v1/messages/1", "7")
    assert "x-internal" not in answer.headers


NO_KEY = "Send your API key as X-API-Key, or as Authorization: Bearer."
UNKNOWN_KEY = "This API key is not known; send one that is in the gateway's Secret."


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, NO_KEY),
        ({"Authorization": "Basic wrong"}, NO_KEY),
        ({"X-API-Key": "wrong"}, UNKNOWN_KEY),
        ({"Authorization": "Bearer wrong"}, UNKNOWN_KEY),
    ],
)
def test_nobody_gets_in_without_a_key(keys: ApiKeys, headers: dict[str, str], why: str) -> None:
    upstream = Recorder()
    answer = ask(keys, upstream, "POST", "/v1/messages", headers=headers)
    assert problem(answer) == (401, why)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert upstream.head == ""


def test_a_tenant_that_asks_too_much_is_told_when_to_ask_again(keys: ApiKeys) -> None:
    upstream, limiter = Recorder(), RateLimiter(RateLimit(requests_per_second=1))
    limiter.admit("shop")
    answer = ask(keys, upstream, "POST", "/v1/messages", limiter, headers={"X-API-Key": KEY}, content=b"{}")
    why = "Tenant shop is above its rate of 1/s; nothing was done, send the request again in 1 s."
    assert (problem(answer), answer.headers["retry-after"]) == ((429, why), "1")
    assert upstream.head == ""
    assert ask(keys, upstream, "GET", "/openapi.json", limiter).status_code == 202


def test_the_api_is_described_to_everybody(keys: ApiKeys) -> None:
    upstream = Recorder()
    assert ask(keys, upstream, "GET", "/openapi.json").status_code == 202
    assert upstream.head.startswith("GET /openapi.json ")
    assert not upstream.headers().keys() & {"x-tenant", "x-scopes"}


def test_nobody_without_a_key_keeps_the_gateway_waiting_for_a_body(keys: ApiKeys) -> None:
    async def silence() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    assert ask(keys, Recorder(), "GET", "/openapi.json", content=silence()).status_code == 202


@pytest.mark.parametrize("target", [b"%2Fv1%2F@localhost/x", b"%2Fv1%2Fmessages", b"%2Fopenapi.json"])
def test_a_target_that_is_no_path_changes_no_host_s_name(keys: ApiKeys, target: bytes) -> None:
    upstream = Recorder()
    answer = ask_for(keys, upstream, target)
    assert (answer["status"], upstream.head) == (404, "")


def test_nothing_but_the_api_is_reached(keys: ApiKeys) -> None:
    upstream = Recorder()
    answer = ask(keys, upstream, "GET", "/metrics", headers={"X-API-Key": KEY})
    assert problem(answer) == (404, "There is nothing at /metrics; /openapi.json lists what there is.")
    assert upstream.head == ""


def test_a_body_without_end_is_cut_off(keys: ApiKeys) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    upstream = Recorder()
    answer = ask(keys, upstream, "POST", "/v1/messages", headers={"X-API-Key": KEY}, content=endless())
    assert problem(answer)[0] == 413
    assert upstream.head == ""


def test_what_was_never_sent_may_be_sent_again(keys: ApiKeys) -> None:
    answer = ask(keys, None, "POST", "/v1/messages", headers={"X-API-Key": KEY}, content=b"{}")
    assert problem(answer) == (503, "be-messaging cannot be reached; nothing was sent, try again.")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("upstream", [breaks_off, answers_nonsense])
def test_an_answer_that_does_not_come_is_unknown_and_not_refused(keys: ApiKeys, upstream: Conversation) -> None:
    answer = ask(keys, upstream, "POST", "/v1/messages", headers={"X-API-Key": KEY}, content=b"{}")
    assert problem(answer) == (504, "be-messaging gave no answer; whether the request took effect is unknown.")
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_what_may_have_arrived_is_not_sent_a_second_time(keys: ApiKeys, method: str) -> None:
    received: list[str] = []

    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await until_blank_line(reader))

    answer = ask(keys, dies, method, "/v1/accounts/a", headers={"X-API-Key": KEY})
    assert (problem(answer)[0], len(received)) == (504, 1)


def test_what_is_unknown_may_be_repeated_under_its_key(keys: ApiKeys) -> None:
    headers = {"X-API-Key": KEY, "Idempotency-Key": "k"}
    answer = ask(keys, breaks_off, "POST", "/v1/messages", headers=headers, content=b"{}")
    assert problem(answer)[0] == 504
    assert problem(answer)[1].endswith("Repeat it with the same Idempotency-Key: it takes effect once.")


def test_silence_ends_at_the_deadline_and_is_unknown(keys: ApiKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "TOTAL_SECONDS", 0.2)
    answer = ask(keys, stays_silent, "POST", "/v1/messages", headers={"X-API-Key": KEY}, content=b"{}")
    assert problem(answer)[0] == 504
