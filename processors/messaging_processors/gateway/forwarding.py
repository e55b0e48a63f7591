"""The gateway's only door to be-messaging: sends a request on, and says what is known when no answer came.

Promise: a refused request (503) certainly did not reach be-messaging; one whose connection broke after it was sent is
answered as unknown (504), never as refused, and never sent again.
"""

import asyncio
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from messaging_api.access import SCOPES_HEADER, TENANT_HEADER
from messaging_api.message import IDEMPOTENCY_HEADER
from messaging_api.topology import MESSAGING_NAME
from messaging_processors.gateway.keys import Client
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.problems import ProblemError, unavailable
from messaging_processors.runtime.web import CLIENT_KEEPALIVE

CONNECT_SECONDS = 1.0
TOTAL_SECONDS = 10.0
MAX_CONNECTIONS = 64
# What passes is listed, not what is stopped: API keys, hop-by-hop headers and made-up internal ones stay outside.
_REQUEST_HEADERS = ("content-type", "accept", "traceparent", "tracestate", IDEMPOTENCY_HEADER)
_ANSWER_HEADERS = ("content-type", "location", "retry-after", "allow")
_UNKNOWN = "be-messaging gave no answer; whether the request took effect is unknown."
_REPEAT = f" Repeat it with the same {IDEMPOTENCY_HEADER}: it takes effect once."
_NO_KEY_OF_A_REQUEST = f"{IDEMPOTENCY_HEADER}: send 1 to 255 visible ASCII characters."
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


def upstream_headers(headers: Headers, client: Client | None) -> dict[str, str]:
    """What be-messaging gets to see of a request's headers, and whose request it is and what it may do.

    An `Idempotency-Key` that cannot be passed on is refused: without it a repeat would be another message.
    """
    if not headers.get(IDEMPOTENCY_HEADER, "").isascii():
        raise ProblemError(422, _NO_KEY_OF_A_REQUEST, field=IDEMPOTENCY_HEADER)
    # None of the others means anything beyond ASCII, and httpx sends nothing else.
    passed = {name: headers[name] for name in _REQUEST_HEADERS if name in headers and headers[name].isascii()}
    return passed | (identity(client) if client else {})


def identity(client: Client) -> dict[str, str]:
    """What the gateway vouches for."""
    return {TENANT_HEADER: client.tenant, SCOPES_HEADER: " ".join(client.scopes)}


def answer_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """What a caller gets to see of be-messaging's headers."""
    return {name: headers[name] for name in _ANSWER_HEADERS if name in headers}


class Upstream:
    """be-messaging behind its Service. Made inside the event loop that uses it, closed by `close`."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/").encode()
        timeout = httpx.Timeout(None, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS)  # `forward` bounds the whole
        # httpx's own transport searches its whole pool at every request, and collapses when a queue has formed.
        transport = AiohttpTransport(client=_session, trust_env=False)
        self._client = httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def forward(self, request: Request, client: Client | None) -> Response:
        """be-messaging's answer to the request; raises the problem that stands for a missing one."""
        body = await request.body() if client else b""  # nobody unknown keeps us waiting
        onward = self._onward(request, body, client)
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                answer = await self._client.send(onward)
        except (httpx.TransportError, aiohttp.ClientError, TimeoutError) as error:
            if _never_sent(error):
                raise unavailable("be-messaging cannot be reached; nothing was sent, try again.") from error
            repeat = _REPEAT if IDEMPOTENCY_HEADER in onward.headers else ""
            raise ProblemError(504, _UNKNOWN + repeat) from error
        return Response(answer.content, answer.status_code, answer_headers(answer.headers))

    def _onward(self, request: Request, body: bytes, client: Client | None) -> httpx.Request:
        path, query = request.scope["raw_path"], request.scope["query_string"]
        if not path.startswith(b"/"):  # decoded it does; as it came, it would go on with the host's name
            raise HTTPException(404)
        target = self._url + path + (b"?" + query if query else b"")
        return self._client.build_request(
            request.method, target.decode("ascii"), content=body, headers=upstream_headers(request.headers, client)
        )


def _session() -> aiohttp.ClientSession:
    """What sends a request: once, whatever becomes of it."""
    connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=CLIENT_KEEPALIVE)
    session = aiohttp.ClientSession(connector=connector)
    # aiohttp has no other switch: it repeats a PUT whose connection broke, over another client's change, and tells only
    # how the repeat ended. A connection that be-messaging closed while it lay idle is not taken from the pool anyway.
    session._retry_connection = False
    return session


def _never_sent(error: Exception) -> bool:
    """The transport reports a connection that broke under an answer as a ConnectTimeout, too; only the cause tells."""
    return isinstance(error.__cause__, _NEVER_SENT)


def probe(url: str) -> None:
    """Raises `Away` unless something listens at `url`."""
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname or "", address.port or 80), CONNECT_SECONDS).close()
    except OSError as error:
        raise Away(MESSAGING_NAME, f"{url}: {error}") from error
