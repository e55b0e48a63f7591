"""A recording third party: it answers what sinks send and tells what it saw; fails when told to.

Two callers: tests take `third_party()` on the host; the cluster's container runs
`python -m messaging_cli.local.third_party`. Spoken to over HTTP in both:

POST   /messages or any other path   recorded; the id is the Idempotency-Key header. What is answered 2xx has an effect,
                                     once for each id, and is never answered with a failure again
GET    /calls                        {"count", "distinct", "ids"}: every id, in order of arrival
GET    /records                      every call with id, path, body, time, the status it got and the fault
GET    /effects                      {"attempts": how many, by id; "effects": the ids that had one; "order": ids as they
                                     took effect, by account}
DELETE /calls                        forgets them
POST   /behaviour                    {"status": 500, "retryAfter": 2, "delay": 0.5, "ids": [...], "share": 0.2,
                                     "fault": "reset" or "garbage", "path": "/messages"}: from now on, for these ids
                                     or for all, for that share of the calls, on that path or on all; {} heals it.
                                     A reset comes after the effect, garbage as the content of an answer
POST   /receipts                     {"url", "key", "status", "reason", "failedOneIn": 10}: every effect is told there
                                     from now on, with that API key, one id in ten as failed; {} ends it
GET    /healthz                      200
"""

import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen
from zlib import crc32

RESET = "reset"
GARBAGE = "garbage"
_RECEIPT_SECONDS = 10


@dataclass(frozen=True)
class Behaviour:
    status: int = 200
    retryAfter: int | None = None  # as it is spelled on the wire
    delay: float = 0
    ids: tuple[str, ...] = ()
    share: float = 1
    fault: str = ""
    path: str = ""

    def concerns(self, key: str) -> bool:
        return (not self.ids or key in self.ids) and (self.share >= 1 or random.random() < self.share)


@dataclass(frozen=True)
class Receipts:
    """Where effects are told, and as what."""

    url: str = ""
    key: str = ""
    status: str = "delivered"
    reason: str = ""
    failedOneIn: int = 0

    def status_of(self, key: str) -> str:
        """The same for an id whenever it is asked for."""
        return "failed" if self.failedOneIn and not crc32(key.encode()) % self.failedOneIn else self.status

    def send(self, body: str) -> None:
        """Once: a receipt that nobody takes is lost."""
        message = json.loads(body)
        receipt = {name: message[name] for name in ("id", "accountId", "domain")}
        status = self.status_of(message["id"])
        content = json.dumps(receipt | {"status": status, "reason": self.reason}).encode()
        headers = {"Content-Type": "application/json", "X-API-Key": self.key}
        with suppress(URLError, OSError):
            urlopen(Request(self.url, content, headers), timeout=_RECEIPT_SECONDS).close()


@dataclass(frozen=True)
class Record:
    id: str
    path: str
    body: str
    time: float
    status: int
    fault: str = ""


@dataclass
class ThirdParty:
    """What was seen, and how to answer. Appending to a list needs no lock between threads."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    """By path, before the one for all."""
    receipts: Receipts = field(default_factory=Receipts)
    records: list[Record] = field(default_factory=list)
    effective: dict[str, Record] = field(default_factory=dict)
    """The first call of each id that had an effect; a repetition under the same key has none."""
    address: str = ""
    untold: set[Future[None]] = field(default_factory=set)
    """Receipts that are still on their way."""
    _telling: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4))

    def behave(self, behaviour: Behaviour) -> None:
        """On its path; one without a path is for all of them."""
        if behaviour.path:
            self.behaviours[behaviour.path] = behaviour
        else:
            self.behaviours.clear()
            self.behaviour = behaviour

    def receive(self, key: str, path: str, body: str) -> Behaviour:
        wanted = self.behaviours.get(path, self.behaviour)
        behaviour = wanted if wanted.concerns(key) else Behaviour()
        if done := self.effective.get(key):
            behaviour = replace(behaviour, status=done.status, retryAfter=None)
        record = Record(key, path, body, time.time(), behaviour.status, behaviour.fault)
        self.records.append(record)
        if record.status < 300 and self.effective.setdefault(key, record) is record and self.receipts.url:
            self._tell(body)
        return behaviour

    def _tell(self, body: str) -> None:
        telling = self._telling.submit(self.receipts.send, body)
        self.untold.add(telling)
        telling.add_done_callback(self.untold.discard)

    def calls(self) -> dict[str, object]:
        ids = [record.id for record in self.records]
        return {"count": len(ids), "distinct": len(set(ids)), "ids": ids}

    def effects(self) -> dict[str, object]:
        attempts = Counter(record.id for record in list(self.records))
        order = defaultdict(list)
        for key, record in list(self.effective.items()):
            order[json.loads(record.body).get("accountId", "")].append(key)
        return {"attempts": attempts, "effects": sorted(self.effective), "order": order}

    def forget(self) -> None:
        self.records.clear()
        self.effective.clear()

    def close(self) -> None:
        self._telling.shutdown(cancel_futures=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    third_party: ThirdParty

    def do_POST(self) -> None:
        announced = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(announced)
        if len(content) < announced:  # its sender was killed meanwhile: nobody has asked for anything
            self.close_connection = True
            return
        body = content.decode()
        match self.path:
            case "/behaviour":
                self.change(json.loads(body or "{}"))
            case "/receipts":
                self.third_party.receipts = Receipts(**json.loads(body or "{}"))
                self.answer(200, {})
            case _:
                self.take(self.headers.get("Idempotency-Key", ""), body)

    def take(self, key: str, body: str) -> None:
        behaviour = self.third_party.receive(key, self.path, body)
        time.sleep(behaviour.delay)
        if behaviour.fault == RESET:
            self.close_connection = True
        elif behaviour.fault == GARBAGE:
            self.write(behaviour.status, b"\x00<not json", {"Content-Encoding": "gzip"})
        else:
            headers = {"Retry-After": str(behaviour.retryAfter)} if behaviour.retryAfter else {}
            self.answer(behaviour.status, {"id": key}, headers)

    def change(self, wanted: dict[str, Any]) -> None:
        try:
            behaviour = Behaviour(**wanted | {"ids": tuple(wanted.get("ids", ()))})
        except TypeError as error:
            self.answer(400, {"error": str(error)})
        else:
            self.third_party.behave(behaviour)
            self.answer(200, asdict(behaviour))

    def do_GET(self) -> None:
        match self.path:
            case "/healthz":
                self.answer(200, {})
            case "/calls":
                self.answer(200, self.third_party.calls())
            case "/effects":
                self.answer(200, self.third_party.effects())
            case "/records":
                records = list(self.third_party.records)
                self.answer(200, [asdict(record) for record in records])
            case _:
                self.answer(404, {"path": self.path})

    def do_DELETE(self) -> None:
        self.third_party.forget()
        self.answer(200, {})

    def answer(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        self.write(status, json.dumps(content).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def write(self, status: int, payload: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
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
            seen.close()


if __name__ == "__main__":
    make_server("0.0.0.0", 8080, ThirdParty()).serve_forever()
