"""Sample traffic of the tests: the example's mix through a gateway, from a thread that a test can stop.

Used by the end-to-end tests, by the test of rollouts and by the demo.
"""

import asyncio
import itertools
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from messaging_api.message import MessageRequest
from messaging_cli import gateway
from messaging_cli.errors import CliError
from messaging_cli.mix import messages_of, read_mix
from messaging_cli.sending import TOP_UP, register
from messaging_cli.traffic import Answer, answered, new_run, send, unanswered

API_KEY = "demo-key-of-the-test-bed"
TENANT = "demo"
"""Whose key that is."""
MIX = read_mix(Path(__file__).parents[2] / "examples/traffic.yaml")
DOMAINS = tuple(MIX.domains)


class Gateway(gateway.Gateway):
    """Where the API gateway listens, for tests that send one message at a time."""

    def accounts_registered(self) -> bool:
        """True once every account exists and prepaid ones can pay; fails while one cannot be written."""
        try:
            return len(register(self, MIX, TOP_UP, new_run())) == MIX.accounts
        except CliError as error:
            raise AssertionError(str(error)) from error

    def send(self, account: str, domain: str) -> Answer:
        """One message, answered or not."""
        message = MessageRequest(account_id=account, domain=domain, to=MIX.recipients.first, body="One message.")
        with self.client() as client:
            try:
                return answered(message, client.post("/v1/messages", content=message.model_dump_json()))
            except httpx.TransportError as error:
                return unanswered(message, error)


@dataclass
class Traffic:
    """Sends from an own thread at `rate` messages a second until `count` were sent or `stop()` is called."""

    gateway: Gateway
    rate: float
    count: int
    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> "Traffic":
        self._thread = threading.Thread(target=self._send, name="traffic", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> list[Answer]:
        self._stop.set()
        return self.join()

    def join(self) -> list[Answer]:
        assert self._thread, "start() first"
        self._thread.join()
        return self.answers

    def __enter__(self) -> "Traffic":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def accepted(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.accepted]

    def _send(self) -> None:
        started = time.monotonic()
        messages = itertools.islice(messages_of(MIX), self.count)
        running = send(self.gateway, messages, self.rate, self.answers.append, lambda: not self._stop.is_set())
        asyncio.run(running)
        self.seconds = time.monotonic() - started
