"""The API gateway as an ASGI application: lets known clients in and forwards what they ask to be-messaging."""

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from messaging_api.access import API_KEY_HEADER
from messaging_processors.gateway.forwarding import Upstream
from messaging_processors.gateway.keys import ApiKeys, presented_key
from messaging_processors.gateway.limiting import RateLimiter
from messaging_processors.runtime.problems import HANDLERS, ProblemError
from messaging_processors.runtime.web import MAX_BODY_BYTES

# be-messaging says which methods a path has; TRACE and CONNECT are not for it.
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

_NO_KEY = f"Send your API key as {API_KEY_HEADER}, or as Authorization: Bearer."
_UNKNOWN_KEY = "This API key is not known; send one that is in the gateway's Secret."


class Gateway:
    """The endpoints."""

    def __init__(self, keys: ApiKeys, upstream_url: str, limiter: RateLimiter | None) -> None:
        self._keys = keys
        self._upstream_url = upstream_url
        self._limiter = limiter

    @contextlib.asynccontextmanager
    async def connected(self, _: Starlette) -> AsyncIterator[None]:
        """The application's lifetime: the connections belong to the event loop that serves."""
        self._upstream = Upstream(self._upstream_url)
        yield
        await self._upstream.close()

    async def forward(self, request: Request) -> Response:
        """Everything below /v1, for clients with a key, as much as their tenant may ask."""
        key = presented_key(request.headers)
        client = self._keys.client_of(key)
        if client is None:
            why = _UNKNOWN_KEY if key else _NO_KEY
            raise ProblemError(401, why, API_KEY_HEADER, {"WWW-Authenticate": "Bearer"})
        if self._limiter:
            self._limiter.admit(client.tenant)
        return await self._upstream.forward(request, client)

    async def describe(self, request: Request) -> Response:
        """be-messaging's OpenAPI document, for everybody."""
        return await self._upstream.forward(request, None)


def create_app(keys: ApiKeys, upstream_url: str, limiter: RateLimiter | None = None) -> Starlette:
    """The gateway in front of `upstream_url`; without a limiter everybody may ask as much as they like."""
    gateway = Gateway(keys, upstream_url, limiter)
    return Starlette(
        routes=[
            Route("/v1/{path:path}", gateway.forward, methods=_METHODS),
            Route("/openapi.json", gateway.describe, methods=["GET"]),
        ],
        exception_handlers=HANDLERS,
        lifespan=gateway.connected,
        max_body_size=MAX_BODY_BYTES,
    )
