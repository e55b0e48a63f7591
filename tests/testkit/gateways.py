"""A gateway in miniature, for tests of those who call one: it keeps accounts and answers messages as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

KEY = "key-of-shop"
Reply = tuple[int, dict[str, Any]] | None
"""Status and body; None breaks the connection."""


def accept(_: dict[str, Any]) -> Reply:
    return 202, {"id": str(uuid4()), "state": "accepted"}


def problem(status: int, detail: str, **more: str) -> Reply:
    return status, {"type": "about:blank", "title": "A problem", "status": status, "detail": detail, **more}


@dataclass
class FakeGateway:
    """What it was sent, and how it answers a message."""

    reply: Callable[[dict[str, Any]], Reply] = accept
    accounts: dict[str, Any] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def put_account(self, account: str, request: dict[str, Any]) -> Reply:
        if " " in account:
            return problem(422, "String should match a pattern", field="id")
        self.accounts[account] = {"id": account} | request
        return 200, self.accounts[account]

    def get_account(self, account: str) -> Reply:
        found = self.accounts.get(account)
        return (200, found) if found else problem(404, f"There is no account {account}")

    def take(self, message: dict[str, Any]) -> Reply:
        self.messages.append(message)
        return self.reply(message)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    gateway: FakeGateway

    def do_PUT(self) -> None:
        self._answer(lambda: self.gateway.put_account(self._account, self._body()))

    def do_GET(self) -> None:
        self._answer(lambda: self.gateway.get_account(self._account))

    def do_POST(self) -> None:
        self._answer(lambda: self.gateway.take(self._body()))

    @property
    def _account(self) -> str:
        return self.path.rpartition("/")[2].replace("%20", " ")

    def _body(self) -> Any:  # noqa: ANN401  whatever was sent
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, call: Callable[[], Reply]) -> None:
        reply = call() if self.headers.get("X-API-Key") == KEY else problem(401, "Unknown API key")
        if reply is None:
            self.close_connection = True
            return
        status, content = reply
        payload = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Silent."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def fake_gateway() -> Iterator[FakeGateway]:
    """On a free port until the end of the block."""
    gateway = FakeGateway()
    with _Server(("127.0.0.1", 0), type("Bound", (_Handler,), {"gateway": gateway})) as server:
        gateway.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()
