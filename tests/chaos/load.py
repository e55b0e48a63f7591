"""Load at a bounded rate: several senders, each with accounts of its own, one message of an account at a time.

The accounts are of every kind: rich and poor prepaid ones, the poor topped up meanwhile, and postpaid ones without a
limit and with one that is soon reached. Some messages have an end. Everything is written to the journal.
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise

from chaos.client import Client, Request, Result, Verdict
from chaos.journal import Journal
from chaos.observed import Outcome, Payment, Sending
from chaos.tariffs import CURRENCY, TARIFFS, a_request
from chaos.topology import API_KEY
from messaging_api.message import MessageRequest, idempotent_id
from messaging_api.money import amount
from messaging_api.topology import BillingType
from testkit.waiting import eventually

PATIENCE = 45.0
_SENDERS = 8
_EVERY_REPEATED = 20
_TOP_UP_SECONDS = 0.3
_EVERY_EXPIRING = 13
"""Has no divisor in common with the numbers of lanes, texts and recipients: all of them expire."""
_VALID_FOR = "3s"


@dataclass(frozen=True)
class Kind:
    """How some accounts pay, and what they begin with."""

    name: str
    billing_type: BillingType
    start: int = 0
    top_up: int = 0
    """Again and again."""
    limit: int | None = None


KINDS = (
    Kind("rich", BillingType.PREPAID, start=1_000_000_000),
    Kind("poor", BillingType.PREPAID, start=60_000, top_up=40_000),
    Kind("owing", BillingType.POSTPAID),
    Kind("limited", BillingType.POSTPAID, limit=60_000),
)


def sending(tenant: str, key: str, message: MessageRequest, seq: int, result: Result, ordered: bool = False) -> Sending:
    """What its sender knows of a message."""
    return Sending(
        id=idempotent_id(tenant, key),
        key=key,
        account=message.account_id,
        domain=message.domain,
        seq=seq,
        to=message.to,
        body=message.body,
        outcome=result.outcome,
        t_send=result.t_send,
        t_done=result.t_done,
        attempts=len(result.verdicts),
        answered=str(result.answer.get("id", "")),
        ordered=ordered,
        valid_for=message.valid_for or "",
    )


class Pace:
    """Lets `rate` through a second; nothing is caught up. Thread-safe."""

    def __init__(self, rate: float) -> None:
        self._gap = 1 / rate
        self._next = 0.0
        self._lock = threading.Lock()

    def delay(self) -> float:
        """How long to wait for one's turn."""
        with self._lock:
            now = time.monotonic()
            self._next = max(now, self._next) + self._gap
            return self._next - self._gap - now


class Load:
    """Sends from `start` (or the beginning of the block) to `stop`; `name` makes its accounts and keys its own."""

    def __init__(
        self,
        urls: Sequence[str],
        tenant: str,
        journal: Journal,
        name: str,
        rate: float = 60,
        ordered: bool = True,
        api_key: str = API_KEY,
    ) -> None:
        self._urls, self._tenant, self._journal, self._name = urls, tenant, journal, name
        self._api_key = api_key
        self._pace = Pace(rate)
        self._ordered = ordered
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.verdicts: Counter[Verdict] = Counter()
        """Of every attempt, as they come."""
        self.done: list[tuple[float, Outcome]] = []
        """When each message's fate was known, and which it was."""
        self.accounts = {f"{name}-{kind.name}-{number}": kind for number in range(_SENDERS) for kind in KINDS}

    def __enter__(self) -> "Load":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> "Load":
        self._open_accounts()
        for number in range(_SENDERS):
            self._spawn(self._send, number)
        self._spawn(self._top_up)
        return self

    def stop(self) -> None:
        """Everything that was begun is finished first."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def await_accepted(self, more: int, within: float = 60) -> None:
        """Until that many more messages were accepted than now."""
        wanted = self.accepted + more
        eventually(lambda: self.accepted >= wanted, within)

    @property
    def accepted(self) -> int:
        with self._lock:
            return sum(outcome is Outcome.OK for _, outcome in self.done)

    @property
    def longest_gap(self) -> float:
        """The most seconds between two accepted messages."""
        with self._lock:
            times = sorted(at for at, outcome in self.done if outcome is Outcome.OK)
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)

    def _open_accounts(self) -> None:
        client = self._client()
        for account, kind in self.accounts.items():
            limit = {} if kind.limit is None else {"creditLimit": amount(kind.limit)}
            body = {"billingType": kind.billing_type, "currency": CURRENCY, **limit}
            result = client.call(Request("PUT", f"/v1/accounts/{account}", body), PATIENCE)
            assert result.outcome is Outcome.OK, f"account {account}: {result.verdicts}"
            if kind.start:
                self._pay(client, account, kind.start, 0)
        client.close()

    def _spawn(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name=f"load-{self._name}", daemon=True)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)

    def _send(self, sender: int) -> None:
        client = self._client()
        mine = [name for name in self.accounts if name.endswith(f"-{sender}")]
        lanes = cycle([(account, domain) for account in mine for domain in TARIFFS])
        for number, (account, domain) in enumerate(lanes):
            if self._stop.wait(max(0.0, self._pace.delay())):
                break
            self._send_one(client, account, domain, number * _SENDERS + sender)
        client.close()

    def _send_one(self, client: Client, account: str, domain: str, number: int) -> None:
        key = f"load-key-{self._name}-{number}"
        message = a_request(account, domain, number, "" if number % _EVERY_EXPIRING else _VALID_FOR)
        body = message.model_dump(mode="json", by_alias=True, exclude_none=True)
        result = client.call(Request("POST", "/v1/messages", body, key), PATIENCE, number % _EVERY_REPEATED == 0)
        self._journal.write(sending(self._tenant, key, message, number, result, self._ordered))
        with self._lock:
            self.done.append((result.t_done, result.outcome))

    def _client(self) -> Client:
        return Client(self._urls, self._api_key, threading.Event().wait, self._count)

    def _count(self, verdict: Verdict) -> None:
        with self._lock:
            self.verdicts[verdict] += 1

    def _top_up(self) -> None:
        client = self._client()
        poor = cycle([(account, kind) for account, kind in self.accounts.items() if kind.top_up])
        for number, (account, kind) in enumerate(poor, start=1):
            if self._stop.wait(_TOP_UP_SECONDS):
                break
            self._pay(client, account, kind.top_up, number)
        client.close()

    def _pay(self, client: Client, account: str, micros: int, number: int) -> None:
        key = f"load-key-{self._name}-{number}"
        body = {"amount": amount(micros), "currency": CURRENCY}
        result = client.call(Request("POST", f"/v1/accounts/{account}/top-ups", body, key), PATIENCE)
        entry_id = idempotent_id(self._tenant, f"top-up\n{account}\n{key}")
        self._journal.write(Payment(entry_id, account, micros, result.outcome))
