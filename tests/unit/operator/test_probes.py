"""What pods answer at /readyz, asked over real sockets; who has nothing sensible to say is left out."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from messaging_api.processor import Readiness
from messaging_operator.clients import probes

AWAY = Readiness(ready=False, away={"database": "connection refused"})
ANSWERS = {
    "127.0.0.1": (503, AWAY.model_dump_json()),
    "127.0.0.2": (200, '{"ready":true}'),
    "127.0.0.3": (404, "what?"),
}
SILENT, ABSENT = "127.0.0.4", "127.0.0.5"


class Pod(BaseHTTPRequestHandler):
    """Answers by the address that it was asked at; one never does."""

    released = threading.Event()

    def do_GET(self) -> None:
        address = self.connection.getsockname()[0]
        if address == SILENT:
            self.released.wait(10)
            return
        code, body = ANSWERS[address]
        self.send_response(code)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Not into the tests' output."""


@pytest.fixture
def port() -> Iterator[int]:
    """Where all of them listen."""
    first = ThreadingHTTPServer(("127.0.0.1", 0), Pod)
    port = first.server_port
    servers = [first, *(ThreadingHTTPServer((address, port), Pod) for address in ("127.0.0.2", "127.0.0.3", SILENT))]
    for server in servers:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield port
    Pod.released.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def test_all_are_asked_at_once_and_the_silent_ones_cost_one_second(port: int) -> None:
    started = time.monotonic()
    answers = probes.readiness([f"{address}:{port}" for address in (*ANSWERS, SILENT, ABSENT)])
    assert answers == {f"127.0.0.1:{port}": AWAY, f"127.0.0.2:{port}": Readiness(ready=True)}
    assert time.monotonic() - started < 2.5


def test_without_pods_nobody_is_asked() -> None:
    assert probes.readiness([]) == {}
