"""Serves an ASGI application until the process is told to stop; gateway and be-messaging call `serve`.

Promise: a rollout breaks no request. On SIGTERM
1. readiness goes off at once, so that Kubernetes sends no new connections;
2. for `DRAIN` seconds everything is still served, every answer with `Connection: close`: clients' pools empty
   themselves, and those that lie idle longer than that have expired (`CLIENT_KEEPALIVE` is shorter);
3. only then the listener closes, and what is still in flight is finished.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import structlog
import uvicorn
from prometheus_client import Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from messaging_api import metrics as names
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.problems import ProblemError, unavailable
from messaging_processors.runtime.process import Runtime

DRAIN = 5.0
CLIENT_KEEPALIVE = 2.0
"""How long our own clients keep an idle connection: shorter than the drain, and than the server's patience."""
MAX_BODY_BYTES = 64 * 1024
MAX_IN_FLIGHT = 512
BODY_SECONDS = 5.0
"""How long a body may take to arrive: while it does, its request is in flight."""
_BACKLOG = 1024
_SERVER_KEEPALIVE = 75
_FINISH_IN_FLIGHT = 10

_REQUESTS = Counter(names.REQUESTS, "Answered requests.", ["route", names.STATUS_LABEL])
_SECONDS = Histogram("messaging_http_request_seconds", "Time from request to answer.", ["route"])
_STATUS = "messaging.status"
_log = structlog.get_logger()


class Guard:
    """Outermost layer of every application: bounds what comes in, measures it, and drains before a stop."""

    def __init__(self, app: ASGIApp, stopping: threading.Event, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self._app = app
        self._stopping = stopping
        self._max_in_flight = max_in_flight
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope[_STATUS] = message["status"]
                if self._stopping.is_set():
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        with self._measured(scope):
            await self._admitted(scope)(scope, _in_time(receive), answer)

    def _admitted(self, scope: Scope) -> ASGIApp:
        """The application, or the refusal of a request that is one too many or too large."""
        if self._in_flight > self._max_in_flight:
            return unavailable(f"{self._max_in_flight} requests are in flight already; try again.").response()
        if _content_length(scope) > MAX_BODY_BYTES:
            return ProblemError(413, f"The body is larger than {MAX_BODY_BYTES} bytes.", field="body").response()
        return self._app

    @contextlib.contextmanager
    def _measured(self, scope: Scope) -> Iterator[None]:
        started = time.monotonic()
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            route = getattr(scope.get("route"), "path", "unmatched")
            _REQUESTS.labels(route, scope.get(_STATUS, "unanswered")).inc()
            _SECONDS.labels(route).observe(time.monotonic() - started)


def serve(app: ASGIApp, runtime: Runtime, drain: float = DRAIN) -> None:
    """Serves `app` on the HTTP port; returns once the process was told to stop and everything is answered."""
    # Shared where several replicas run on one machine; in a pod there is nobody to share it with.
    listener = socket.create_server(("", runtime.ports.http), backlog=_BACKLOG, reuse_port=True)
    # Connections inherit it; asyncio sets it only on sockets that it made, and an answer would wait 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(_settings(Guard(app, runtime.shutdown), runtime.health))
    # Not the main thread: there uvicorn would take SIGTERM for itself and stop without a drain.
    thread = threading.Thread(target=server.run, args=([listener],), name="http", daemon=True)
    thread.start()
    runtime.health.started()
    while thread.is_alive() and not runtime.shutdown.wait(0.5):
        pass
    if not thread.is_alive():
        raise RuntimeError("the HTTP server ended by itself; its reason is in the log above")
    runtime.health.drain()
    _log.info("draining", seconds=drain)
    time.sleep(drain)
    server.should_exit = True
    thread.join(_FINISH_IN_FLIGHT + 1)


def _settings(app: ASGIApp, health: Health) -> uvicorn.Config:
    async def beat() -> None:
        health.beat()

    return uvicorn.Config(
        app,
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_SERVER_KEEPALIVE,
        timeout_graceful_shutdown=_FINISH_IN_FLIGHT,
        callback_notify=beat,
        timeout_notify=5,
    )


def _in_time(receive: Receive) -> Receive:
    """Raises 408 when the body is not there in `BODY_SECONDS`; what comes behind it may take as long as it likes."""
    end: float | None = asyncio.get_running_loop().time() + BODY_SECONDS

    async def next_message() -> Message:
        nonlocal end
        try:
            async with asyncio.timeout_at(end):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(408) from error
        end = end if message.get("more_body") else None
        return message

    return next_message


def _content_length(scope: Scope) -> int:
    """What the caller announces; 0 if nothing: then the application's own limit counts while the body comes in."""
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    return int(announced) if announced.isdigit() else 0
