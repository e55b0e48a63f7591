"""Sample traffic: what a messaging client sends, at a steady rate, and what it was answered.

Used by the end-to-end tests and by the demo. Accounts and numbers are invented: the numbers come from the range that
the North American Numbering Plan reserves for fiction.
"""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
from httpx_aiohttp import AiohttpTransport

DOMAINS = ("marketing", "authentication", "agent-flow")
API_KEY = "demo-key-of-the-test-bed"
BILLING_TYPES = ("Postpaid", "Prepaid")
ACCOUNTS = {f"account-{number:02}": BILLING_TYPES[number % 2] for number in range(40)}
IN_FLIGHT = 64
RECIPIENTS = [f"+120255501{number:02}" for number in range(100)]


@dataclass(frozen=True)
class Answer:
    """One message and what became of its request; status 0 when there was no answer at all."""

    account: str
    domain: str
    status: int
    id: str = ""
    retry_after: str = ""
    detail: str = ""

    @property
    def accepted(self) -> bool:
        return self.status == 202


@dataclass(frozen=True)
class Gateway:
    """Where the API gateway listens and the key that it knows us by."""

    url: str
    api_key: str

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"X-API-Key": self.api_key}, timeout=15)

    def async_client(self) -> httpx.AsyncClient:
        """Over aiohttp's connections: the load must not come from the sender's own weight."""
        limits = httpx.Limits(max_connections=IN_FLIGHT, keepalive_expiry=2)
        transport = AiohttpTransport(limits=limits)
        headers = {"X-API-Key": self.api_key}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=15, transport=transport)

    def accounts_registered(self) -> bool:
        """True once every account exists; fails while one cannot be written."""
        with self.client() as client:
            for account, billing_type in ACCOUNTS.items():
                answer = client.put(f"/v1/accounts/{account}", json={"billingType": billing_type})
                assert answer.is_success, answer.text
        return True

    def send(self, account: str, domain: str) -> Answer:
        """One message, answered or not."""
        with self.client() as client:
            try:
                return _answer(account, domain, client.post("/v1/messages", json=_body(account, domain, 0)))
            except httpx.TransportError as error:
                return _unanswered(account, domain, error)


def _body(account: str, domain: str, number: int) -> dict[str, str]:
    recipient = RECIPIENTS[number % len(RECIPIENTS)]
    return {"accountId": account, "domain": domain, "to": recipient, "body": f"Message {number} of {domain}"}


def _answer(account: str, domain: str, response: httpx.Response) -> Answer:
    message_id = response.json()["id"] if response.status_code == 202 else ""
    retry_after = response.headers.get("Retry-After", "")
    detail = "" if message_id else response.text[:300]
    return Answer(account, domain, response.status_code, message_id, retry_after, detail)


def _unanswered(account: str, domain: str, error: httpx.TransportError) -> Answer:
    return Answer(account, domain, 0, detail=f"{type(error).__name__}: {error}")


def messages() -> Iterator[tuple[int, str, str]]:
    """(number, account, domain), every combination in turn, for ever."""
    pairs = itertools.cycle([(account, domain) for domain in DOMAINS for account in ACCOUNTS])
    return ((number, account, domain) for number, (account, domain) in enumerate(pairs))


@dataclass
class Traffic:
    """Sends from an own thread at `rate` messages a second until `count` were sent or `stop()` is called.

    Never more than `IN_FLIGHT` at a time: where the other side is slower than the rate, the rate gives way.
    """

    gateway: Gateway
    rate: float
    count: int
    progress: Callable[[Answer], None] = lambda _: None
    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> "Traffic":
        self._thread = threading.Thread(target=lambda: asyncio.run(self._drive()), name="traffic", daemon=True)
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

    async def _drive(self) -> None:
        started = time.monotonic()
        room = asyncio.Semaphore(IN_FLIGHT)
        async with self.gateway.async_client() as client, asyncio.TaskGroup() as group:
            for number, account, domain in itertools.islice(messages(), self.count):
                if self._stop.is_set():
                    break
                await asyncio.sleep(max(0.0, started + number / self.rate - time.monotonic()))
                await room.acquire()
                sending = group.create_task(self._send(client, number, account, domain))
                sending.add_done_callback(lambda _: room.release())
        self.seconds = time.monotonic() - started

    async def _send(self, client: httpx.AsyncClient, number: int, account: str, domain: str) -> None:
        try:
            response = await client.post("/v1/messages", json=_body(account, domain, number))
            answer = _answer(account, domain, response)
        except httpx.TransportError as error:
            answer = _unanswered(account, domain, error)
        self.answers.append(answer)
        self.progress(answer)
