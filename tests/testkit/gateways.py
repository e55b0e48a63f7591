"""A gateway in miniature, for tests of those who call one: it keeps accounts and answers messages as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4

KEY = "key-of-shop"
PAGE = 2
"""Entries of a ledger at a time."""
_NOW = "2026-11-24T20:00:00Z"
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
    top_ups: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The entries of the ledger, by their Idempotency-Key."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    """The Idempotency-Key of each message."""
    url: str = ""

    def put_account(self, account: str, request: dict[str, Any]) -> Reply:
        if " " in account:
            return problem(422, "String should match a pattern", field="id")
        self.accounts[account] = {"id": account, "currency": "USD", "balance": "0"} | request
        return 200, self.accounts[account]

    def get(self, account: str, query: dict[str, str]) -> Reply:
        """An account, or a page of its ledger."""
        found = self.accounts.get(account)
        if not found:
            return problem(404, f"There is no account {account}")
        return (200, self._page(account, int(query["after"]))) if query else (200, found)

    def _page(self, account: str, after: int) -> dict[str, Any]:
        mine = [entry for entry in self.top_ups.values() if entry["account"] == account and entry["sequence"] > after]
        page = [{name: value for name, value in entry.items() if name != "account"} for entry in mine[:PAGE]]
        return {"entries": page, "next": page[-1]["sequence"] if len(mine) > PAGE else None}

    def top_up(self, account: str, request: dict[str, Any], key: str) -> Reply:
        number = len(self.top_ups) + 1
        entry = {"sequence": number, "id": str(uuid4()), "kind": "top-up", "balance": request["amount"]}
        made = self.top_ups.setdefault(key, entry | request | {"recordedAt": _NOW, "account": account})
        return 201, {name: value for name, value in made.items() if name != "account"}

    def take(self, message: dict[str, Any], key: str) -> Reply:
        self.messages.append(message)
        self.keys.append(key)
        return self.reply(message)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    gateway: FakeGateway

    def do_PUT(self) -> None:
        self._answer(lambda: self.gateway.put_account(self._account, self._body()))

    def do_GET(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        self._answer(lambda: self.gateway.get(self._account, query))

    def do_POST(self) -> None:
        key = self.headers.get("Idempotency-Key", "")
        if self.path.endswith("/top-ups"):
            self._answer(lambda: self.gateway.top_up(self._account, self._body(), key))
        else:
            self._answer(lambda: self.gateway.take(self._body(), key))

    @property
    def _account(self) -> str:
        return unquote(urlsplit(self.path).path.split("/")[3])

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
