"""A mix of messages through a gateway, under a progress bar, and the wait for their ends; for `send` and the demo."""

import asyncio
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from messaging_api.account import AccountRequest, AccountView, TopUpRequest
from messaging_api.base import Money
from messaging_api.topology import BillingType
from messaging_cli.balance import fate
from messaging_cli.gateway import Gateway
from messaging_cli.mix import Mix, accounts_of, messages_of
from messaging_cli.report import status_name
from messaging_cli.rows import Row
from messaging_cli.traffic import Answer, new_run, send

POLL_SECONDS = 0.5
SETTLE_SECONDS = 60.0
TOP_UP: Money = "10000"
"""More than a prepaid account of any run spends at common prices."""
progress_console = Console(stderr=True)  # stdout is for the answer

ReadRows = Callable[[Collection[str]], Mapping[str, Row]]
"""Reads the rows of these messages, by id."""
DeadLetters = Callable[[], Collection[str]]
"""Reads the ids of the messages that lie in dead-letter topics."""


@dataclass(frozen=True)
class Load:
    """How much to send: `rate` a second until it is `count`, or until `seconds` have passed."""

    rate: float
    count: int
    seconds: float = math.inf


@dataclass(frozen=True)
class Sent:
    """What was answered, and how long all of it took."""

    answers: list[Answer]
    seconds: float

    @property
    def ids(self) -> list[str]:
        """Of the messages that were accepted."""
        return [answer.id for answer in self.answers if answer.accepted]


@dataclass
class Settled:
    """What became of accepted messages, as far as it is known."""

    rows: dict[str, Row] = field(default_factory=dict)
    dead_letters: Collection[str] = ()

    @property
    def states(self) -> Mapping[str, str]:
        """By id."""
        return {id_: row.state for id_, row in self.rows.items()}

    def is_open(self, id_: str) -> bool:
        """The message is still on its way."""
        row = self.rows.get(id_)
        return fate(row.state if row else None, id_ in self.dead_letters).is_open


def always() -> bool:
    """Nobody wants to stop."""
    return True


def send_mix(
    gateway: Gateway, mix: Mix, load: Load, go_on: Callable[[], bool] = always, top_up: Money = TOP_UP
) -> Sent:
    """Registers the accounts of the mix and tops prepaid ones up, then sends; ends early when `go_on` says no."""
    run = new_run()
    register(gateway, mix, top_up, run)
    answers: list[Answer] = []
    started = time.monotonic()
    with _progress(load) as advance:

        def hear(answer: Answer) -> None:
            answers.append(answer)
            advance(answer)

        def more() -> bool:
            return go_on() and time.monotonic() < started + load.seconds

        asyncio.run(send(gateway, itertools.islice(messages_of(mix), load.count), load.rate, hear, more, run))
    return Sent(answers, time.monotonic() - started)


def register(gateway: Gateway, mix: Mix, top_up: Money, run: str) -> list[AccountView]:
    """The accounts of the mix; prepaid ones get `top_up` of their currency, once a run, and 0 is nothing."""
    requests = {account: AccountRequest(billing_type=kind) for account, kind in accounts_of(mix).items()}
    accounts = gateway.put_accounts(requests)
    prepaid = [account for account in accounts if account.billing_type is BillingType.PREPAID]
    for account in prepaid if Decimal(top_up) else ():
        amount = TopUpRequest(amount=top_up, currency=account.currency)
        gateway.top_up(account.id, amount, f"{run}-{account.id}")
    return accounts


def settle(
    ids: Collection[str],
    read: ReadRows,
    dead_letters: DeadLetters,
    seconds: float = SETTLE_SECONDS,
    go_on: Callable[[], bool] = always,
) -> Settled:
    """Reads until every message came to an end, but no longer than `seconds`, nor when `go_on` says no.

    Dead-letter topics take long to read: that is done only when reading the rows brought nothing new.
    """
    found = Settled()
    deadline = time.monotonic() + seconds
    with progress_console.status("waiting for the last messages"):
        while open_ids := [id_ for id_ in ids if found.is_open(id_)]:
            news = read(open_ids)
            if all(found.rows.get(id_) == row for id_, row in news.items()):
                found.dead_letters = dead_letters()
            found.rows.update(news)
            if time.monotonic() > deadline or not go_on():
                break
            time.sleep(POLL_SECONDS)
    return found


@contextmanager
def _progress(load: Load) -> Iterator[Callable[[Answer], None]]:
    """A bar, and beside it how many got which answer; call what it yields with each."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    totals: Counter[str] = Counter()
    with Progress(*columns, TextColumn("{task.fields[totals]}"), console=progress_console) as progress:
        task = progress.add_task(f"POST /v1/messages, {load.rate:g}/s", total=load.count, totals="")

        def advance(answer: Answer) -> None:
            totals[status_name(answer)] += 1
            said = " · ".join(f"{status} {number}" for status, number in totals.items())
            progress.update(task, advance=1, totals=said)

        yield advance
