"""Billing alone, as processes, right or with a mistake; and what the oracle is told of it.

Whoever reads the domain's topic is taken for a perfect sink: one row for each message that is there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import UUID

from chaos import observing
from chaos.checker import CHECKS
from chaos.observed import Account, Observed, Outcome, Progress, Row, Sending
from chaos.violations import Check, Violation
from messaging_api.message import AcceptedMessage, BilledMessage, MessageState
from messaging_api.money import micros
from messaging_api.processor import BillingConfig
from messaging_api.topology import BillingType
from testkit.accounts import Accounts
from testkit.broker import Broker
from testkit.charging import told
from testkit.forking import launch
from testkit.kafka_proxy import KafkaProxy
from testkit.processes import a_slot
from testkit.samples import a_billing_config, an_accepted_message
from testkit.waiting import eventually

PARTITIONS = 2
BILLING = (
    Check.LOST,
    Check.BOTH,
    Check.GHOST,
    Check.ENTRIES,
    Check.ROWS,
    Check.BALANCES,
    Check.REPEATED,
    Check.LETTERS,
    Check.LOSSLESS,
    Check.OFFSETS,
    Check.TRANSACTIONS,
)
"""What can be told of billing without the others."""


@dataclass
class Stage:
    """Topics, accounts and pods of one scene."""

    broker: Broker
    proxy: KafkaProxy
    accounts: Accounts
    folder: Path
    mistake: str = ""
    messages: dict[UUID, AcceptedMessage] = field(default_factory=dict)
    records: int = 0

    def __post_init__(self) -> None:
        self.broker.make_topics({"postpaid": PARTITIONS, "prepaid": 1, "marketing": 1, "billing-marketing.dlq": 1})
        self.account = self.broker.name("account")
        self.accounts.register(self.account)

    @property
    def config(self) -> BillingConfig:
        """It reaches Kafka through the proxy."""
        return a_billing_config("marketing", self.proxy.address, self.broker.prefix)

    @contextmanager
    def pod(self, name: str) -> Iterator[BaseProcess]:
        """Killed at the end of the block."""
        environment = {"DATABASE_URL": self.accounts.database_url, "MUTANT": self.mistake}
        process = launch(a_slot(self.config, self.folder, name), "chaos.mutants.__main__", **environment)
        try:
            yield process
        finally:
            process.kill()
            process.join()

    def is_member(self, name: str) -> bool:
        """Whether that pod has been given partitions."""
        log = self.folder / f"{name}.log"
        return log.exists() and "partitions gained" in log.read_text()

    def feed(self, count: int) -> list[AcceptedMessage]:
        """New messages, on both partitions in turn."""
        fed = [an_accepted_message(self.account) for _ in range(count)]
        self.put(fed)
        return fed

    def put(self, messages: list[AcceptedMessage]) -> None:
        for message in messages:
            self.messages[message.id] = message
            self._put(message.model_dump_json().encode())
        self.broker.flush()

    def poison(self) -> None:
        self._put(b"{")
        self.broker.flush()

    def _put(self, value: bytes) -> None:
        self.broker.put("postpaid", value, [("domain", b"marketing")], partition=self.records % PARTITIONS)
        self.records += 1

    def until_done(self) -> None:
        eventually(lambda: self.broker.done(self.config.group_id, ["postpaid"]) == self.records, within=60)
        eventually(lambda: not self.broker.transaction_is_open("marketing"))

    def violations(self) -> list[Violation]:
        """What the oracle sees of it."""
        seen = self._observed()
        return [violation for check in BILLING for violation in CHECKS[check](seen)]

    def _observed(self) -> Observed:
        group, letters = self.config.group_id, self.broker.everything("billing-marketing.dlq")
        sources = observing.by_place(self.broker.everything("postpaid"))
        ledger = self.accounts.ledger(self.account)
        done = self.broker.committed(group, ["postpaid"])
        ends = self.broker.ends("postpaid")
        return Observed(
            sendings=tuple(map(_sending, self.messages.values())),
            accounts=(Account(self.account, BillingType.POSTPAID, micros(self.accounts.balance(self.account))),),
            entries=tuple(map(observing._entry, ledger)),
            rows=tuple({one.id: _row(one) for one in told(self.broker)}.values()),
            billed=tuple(map(observing._billed, self.broker.everything("marketing"))),
            letters=tuple(observing._letter(record, sources) for record in letters),
            progress=tuple(Progress(group, *at, offset, ends[at[1]]) for at, offset in done.items()),
            open_topics=("marketing",) if self.broker.transaction_is_open("marketing") else (),
        )


def _sending(message: AcceptedMessage) -> Sending:
    key = str(message.id)
    return Sending(
        message.id, key, message.account_id, message.domain, 0, message.to, message.body, Outcome.OK, ordered=False
    )


def _row(billed: BilledMessage) -> Row:
    amount = micros(billed.charge.amount)
    return Row(billed.id, billed.account_id, billed.domain, MessageState.SENT, amount, billed.accepted_at)
