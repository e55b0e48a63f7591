"""A recording third party: it answers what sinks send and tells what it saw; fails when told to.

Two callers: tests take `third_party()` on the host; the cluster's container runs
`python -m messaging_cli.local.third_party`. Spoken to over HTTP in both:

POST   /messages or any other path   recorded; the id is the Idempotency-Key header
GET    /calls                        {"count", "distinct", "ids"}: every id, in order of arrival
GET    /records                      every call with id, path, body, time and the status it got
DELETE /calls                        forgets them
POST   /behaviour                    {"status": 500, "retryAfter": 2, "delay": 0.5, "ids": [...]}:
                                     from now on, for these ids or for all; {} heals it
GET    /healthz                      200
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Behaviour:
    status: int = 200
    retryAfter: int | None = None  # as it is spelled on the wire
    delay: float = 0
    ids: tuple[str, ...] = ()

    def concerns(self, key: str) -> bool:
        return not self.ids or key in self.ids


@dataclass(frozen=True)
class Record:
    id: str
    path: str
    body: str
    time: float
    status: int


@dataclass
class ThirdParty:
    """What was seen, and how to answer. Appending to a list needs no lock between threads."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    records: list[Record] = field(default_factory=list)
    address: str = ""

    def receive(self, key: str, path: str, body: str) -> Behaviour:
        behaviour = self.behaviour if self.behaviour.concerns(key) else Behaviour()
        self.records.append(Record(key, path, body, time.time(), behaviour.status))
        return behaviour

    def calls(self) -> dict[str, object]:
        ids = [record.id for record in self.records]
        return {"count": len(ids), "distinct": len(set(ids)), "ids": ids}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    third_party: ThirdParty

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.path == "/behaviour":
            self.change(json.loads(body or "{}"))
            return
        key = self.headers.get("Idempotency-Key", "")
        behaviour = self.third_party.receive(key, self.path, body)
        time.sleep(behaviour.delay)
        headers = {"Retry-After": str(behaviour.retryAfter)} if behaviour.retryAfter else {}
        self.answer(behaviour.status, {"id": key}, headers)

    def change(self, wanted: dict[str, Any]) -> None:
        try:
            self.third_party.behaviour = Behaviour(**wanted | {"ids": tuple(wanted.get("ids", ()))})
        except TypeError as error:
            self.answer(400, {"error": str(error)})
        else:
            self.answer(200, asdict(self.third_party.behaviour))

    def do_GET(self) -> None:
        match self.path:
            case "/healthz":
                self.answer(200, {})
            case "/calls":
                self.answer(200, self.third_party.calls())
            case "/records":
                records = list(self.third_party.records)
                self.answer(200, [asdict(record) for record in records])
            case _:
                self.answer(404, {"path": self.path})

    def do_DELETE(self) -> None:
        self.third_party.records.clear()
        self.answer(200, {})

    def answer(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        payload = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the base class's name
        """Silent: at hundreds of calls a second a log line each would be most of the work."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def make_server(host: str, port: int, third_party: ThirdParty) -> Server:
    handler = type("BoundHandler", (Handler,), {"third_party": third_party})
    return Server((host, port), handler)


@contextmanager
def third_party() -> Iterator[ThirdParty]:
    """On a free port of 127.0.0.1; `address` is its URL, `records` and `behaviour` are at hand."""
    seen = ThirdParty()
    with make_server("127.0.0.1", 0, seen) as server:
        seen.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="third-party")
        thread.start()
        try:
            yield seen
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    make_server("0.0.0.0", 8080, ThirdParty()).serve_forever()
