"""How a process says that it is well: /healthz, /readyz and /metrics, served from a daemon thread.

Every kind reports its dependencies here (`away`, `back`), that it has started, that its loop turns (`beat`) and that it
is about to end (`drain`). Promise: liveness looks at the loop alone, since a restart brings no dead dependency back.
"""

import faulthandler
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from messaging_api.processor import Readiness

STUCK_AFTER = 60.0

_log = structlog.get_logger()


class Health:
    """What is known about this process right now. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._away: dict[str, tuple[str, bool]] = {}
        self._started = False
        self._draining = False
        self._last_beat: float | None = None

    def away(self, dependency: str, why: str, required: bool = True) -> None:
        """`dependency` cannot be used; while a required one is away the process is not ready."""
        with self._lock:
            known = dependency in self._away
            self._away[dependency] = (why, required)
        if not known:
            _log.warning("dependency away", dependency=dependency, why=why)

    def back(self, dependency: str) -> None:
        """`dependency` works (again)."""
        with self._lock:
            known = self._away.pop(dependency, None)
        if known:
            _log.info("dependency back", dependency=dependency)

    def started(self) -> None:
        """The process does its work from now on."""
        with self._lock:
            self._started = True

    def drain(self) -> None:
        """The process is about to end: it is not ready from now on."""
        with self._lock:
            self._draining = True

    def beat(self) -> None:
        """The loop has turned."""
        self._last_beat = self._clock()

    def alive(self) -> bool:
        """False once the loop has stopped turning. Before its first turn it may wait for what it needs."""
        return self._last_beat is None or self._clock() - self._last_beat < STUCK_AFTER

    def readiness(self) -> Readiness:
        """What /readyz answers."""
        with self._lock:
            missing = any(required for _, required in self._away.values())
            ready = self._started and not self._draining and not missing
            return Readiness(ready=ready, away={name: why for name, (why, _) in self._away.items()})


class _Handler(BaseHTTPRequestHandler):
    """Answers the three paths."""

    health: Health
    timeout = 5.0

    def handle(self) -> None:
        """Whoever hangs up early misses the answer; that is no failure of ours."""
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/healthz":
                alive = self.health.alive()
                if not alive:  # the kubelet ends us for it, and nobody could tell any more where we stood
                    faulthandler.dump_traceback()
                self._answer(200 if alive else 503, "text/plain", b"ok\n" if alive else b"the loop is stuck\n")
            case "/readyz":
                readiness = self.health.readiness()
                self._answer(200 if readiness.ready else 503, "application/json", readiness.model_dump_json().encode())
            case "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest())
            case _:
                self._answer(404, "text/plain", b"/healthz /readyz /metrics\n")

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the base class names it so
        """Probes come every two seconds; their answers are no news."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def serve(health: Health, port: int) -> ThreadingHTTPServer:
    """Serves `health` on `port` (0: any free one) until the process ends."""
    server = _Server(("", port), type("Handler", (_Handler,), {"health": health}))
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
