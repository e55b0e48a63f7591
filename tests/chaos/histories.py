"""A world in which every promise was kept, made by hand, for tests of the checker to break."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from chaos.observed import (
    Account,
    Billed,
    Call,
    Content,
    Entry,
    Letter,
    LogLine,
    Observed,
    Outcome,
    Payment,
    Place,
    Progress,
    Receipt,
    Remembered,
    Row,
    Sending,
)
from chaos.tariffs import MARK
from messaging_api.account import EntryKind
from messaging_api.message import MessageState
from messaging_api.topology import BillingType

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
AN_END = timedelta(seconds=3)
"""After that everything is done, or too late."""
ONE_SEGMENT = MARK
TWO_SEGMENTS = MARK + "a" * 158
THREE_SEGMENTS = MARK + "a" * 304


def an_id(number: int) -> UUID:
    return UUID(int=number)


def a_letter(number: int, processor: str, error: str = "Refused", ours: int = 0) -> Letter:
    """Of what the third party refused; `ours` is the number in its topic, the message's own unless told."""
    own, record = (f"{processor}.dlq", 0, ours or number), a_record(number)
    return Letter(own, processor, error, _at(number), an_id(number), record, record)


def a_record(number: int) -> Content:
    return Content(b"account", f"message {number}".encode(), (("domain", b"marketing"),))


def asked_for(sending: Sending, **changes: str) -> str:
    """What the third party is asked for the message's sake."""
    wanted = {"accountId": sending.account, "domain": sending.domain, "to": sending.to, "body": sending.body}
    return json.dumps({"id": str(sending.id)} | wanted | changes)


@dataclass
class History:
    """What happens to the accounts of one world, one thing after the other; `seen` is the whole."""

    seen: Observed = field(
        default_factory=lambda: Observed(
            progress=(Progress("billing", "prepaid", 0, committed=9, end=9),),
            logs=(LogLine("billing-marketing-1", '{"event": "starting", "level": "info"}'),),
        )
    )
    _balances: dict[str, int] = field(default_factory=dict)

    def account(self, name: str, billing_type: BillingType, credit_limit: int | None = None) -> None:
        self._balances[name] = 0
        self._add(accounts=Account(name, billing_type, 0, credit_limit))

    def top_up(self, number: int, account: str, micros: int) -> None:
        self._add(payments=Payment(an_id(number), account, micros, Outcome.OK))
        self._enter(Entry(an_id(number), 0, account, EntryKind.TOP_UP, micros, 0))

    def charged(self, number: int, account: str, domain: str, body: str, price: int, free: int, segments: int) -> None:
        """Sent, and its answer was 202."""
        self._message(number, account, domain, body, MessageState.SENT, price)
        charge = Entry(an_id(number), 0, account, EntryKind.CHARGE, -price, 0, an_id(number), domain, segments, free)
        self._enter(replace(charge, refundable=domain == "marketing"))
        self._add(calls=Call(an_id(number), asked_for(self.seen.sendings[-1]), effective=True))

    def told(self, number: int, state: MessageState) -> None:
        """By the third party's receipt, of what was sent."""
        self._ends_as(number, state)
        self._add(receipts=Receipt(an_id(number), state))

    def refused(self, number: int, account: str, body: str) -> None:
        """For want of money."""
        self._message(number, account, "marketing", body, MessageState.REFUSED, 0)
        entry = Entry(an_id(number), 0, account, EntryKind.REFUSAL, 0, 0, an_id(number), "marketing")
        self._enter(replace(entry, reason="InsufficientBalance"))

    def expired(self, number: int, account: str) -> None:
        """Before billing took it."""
        self._message(number, account, "marketing", ONE_SEGMENT, MessageState.EXPIRED, 0)
        self._enter(Entry(an_id(number), 0, account, EntryKind.EXPIRY, 0, 0, an_id(number), "marketing"))
        self._has_an_end()

    def expired_at_sink(self, number: int, account: str) -> None:
        """Charged, and not paid back, for its tariff does not say so."""
        self._message(number, account, "authentication", ONE_SEGMENT, MessageState.EXPIRED, 20_000)
        charge = Entry(an_id(number), 0, account, EntryKind.CHARGE, -20_000, 0, an_id(number), "authentication", 1)
        self._enter(charge)
        self._has_an_end()

    def put_aside(self, number: int) -> None:
        """What was charged is refused by the third party, and paid back."""
        charge = next(entry for entry in self.seen.entries if entry.message_id == an_id(number))
        calls = tuple(
            replace(call, effective=False, refused=True) if call.key == an_id(number) else call
            for call in self.seen.calls
        )
        self.seen = replace(self.seen, calls=calls)
        self._ends_as(number, MessageState.DEAD_LETTERED)
        self._add(letters=a_letter(number, "marketing"))
        reversal = uuid5(an_id(number), "reversal")
        self._enter(Entry(reversal, 0, charge.account, EntryKind.REVERSAL, -charge.amount, 0, an_id(number)))

    def put_back(self, number: int, domain: str) -> None:
        """What the third party refused at first was sent when its letter was put back."""
        effect = next(call for call in self.seen.calls if call.key == an_id(number))
        calls = replace(effect, effective=False, refused=True), *self.seen.calls
        self.seen = replace(self.seen, calls=calls)
        billed = next(one for one in self.seen.billed if one.id == an_id(number))
        letter = a_letter(number, domain)
        again = replace(billed, place=(domain, 1, number), replayed=True)
        self._add(letters=letter, markers=letter.place, billed=again)

    def _message(
        self,
        number: int,
        account: str,
        domain: str,
        body: str,
        state: MessageState,
        price: int,
    ) -> None:
        self._add(sendings=self._sending(number, account, domain, body), inputs=an_id(number))
        self._add(billed=Billed((domain, 0, number), an_id(number), price))
        self._add(rows=Row(an_id(number), account, domain, state, price, NOON, NOON + AN_END))
        self._add(remembered=Remembered(an_id(number), state))

    def _ends_as(self, number: int, state: MessageState) -> None:
        """In the database and in Redis."""
        for name in ("rows", "remembered"):
            things = (replace(one, state=state) if one.id == an_id(number) else one for one in getattr(self.seen, name))
            changed: dict[str, Any] = {name: tuple(things)}
            self.seen = replace(self.seen, **changed)

    def _has_an_end(self) -> None:
        """The newest message."""
        *others, newest = self.seen.sendings
        self.seen = replace(self.seen, sendings=(*others, replace(newest, valid_for=f"{AN_END.seconds}s")))

    def _sending(self, number: int, account: str, domain: str, body: str) -> Sending:
        key = f"load-key-{number}"
        return Sending(an_id(number), key, account, domain, number, "+12025550101", body, Outcome.OK, number, number)

    def _enter(self, entry: Entry) -> None:
        self._balances[entry.account] += entry.amount
        balance = self._balances[entry.account]
        entered = replace(entry, balance=balance, source=_at(entry.sequence), recorded_at=NOON + AN_END)
        self._add(entries=replace(entered, sequence=len(self.seen.entries)))
        accounts = tuple(
            replace(account, balance=balance) if account.id == entry.account else account
            for account in self.seen.accounts
        )
        self.seen = replace(self.seen, accounts=accounts)

    def _add(self, **things: object) -> None:
        added: dict[str, Any] = {name: (*getattr(self.seen, name), thing) for name, thing in things.items()}
        self.seen = replace(self.seen, **added)


def _at(offset: int) -> Place:
    return "prepaid", 0, offset


def a_good_world() -> Observed:
    """A prepaid account that runs dry, a postpaid one at its limit, dead letters, one put back, receipts, late ones."""
    history = History()
    history.account("prepaid-1", BillingType.PREPAID)
    history.account("postpaid-1", BillingType.POSTPAID, credit_limit=70_000)
    history.top_up(1, "prepaid-1", 20_000)
    history.charged(2, "prepaid-1", "marketing", TWO_SEGMENTS, price=1_000, free=2, segments=2)
    history.charged(3, "prepaid-1", "marketing", TWO_SEGMENTS, price=8_500, free=1, segments=2)
    history.refused(4, "prepaid-1", THREE_SEGMENTS)
    history.put_aside(3)
    history.charged(5, "prepaid-1", "marketing", ONE_SEGMENT, price=8_500, free=0, segments=1)
    history.charged(6, "postpaid-1", "authentication", ONE_SEGMENT, price=20_000, free=0, segments=1)
    history.charged(7, "postpaid-1", "authentication", ONE_SEGMENT, price=20_000, free=0, segments=1)
    history.put_back(7, "authentication")
    history.told(2, MessageState.DELIVERED)
    history.told(6, MessageState.FAILED)
    history.expired(8, "postpaid-1")
    history.expired_at_sink(9, "postpaid-1")
    return history.seen
