"""Check 7: the ledger, entry by entry, against prices that are computed here."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from uuid import uuid5

from chaos.observed import Account, Billed, Entry, Observed, Outcome, Row, Sending
from chaos.tariffs import SEGMENTS, TARIFFS
from chaos.violations import Check, Violation, each
from messaging_api.account import EntryKind
from messaging_api.message import MessageState
from messaging_api.topology import BillingType

_IN_VAIN = (MessageState.DEAD_LETTERED, MessageState.EXPIRED, MessageState.FAILED)
_COUNTS = {Outcome.OK: (1,), Outcome.FAIL: (0,), Outcome.UNKNOWN: (0, 1)}
NO_MONEY = ("InsufficientBalance", "CreditLimitReached")


def payments(world: Observed) -> Iterator[Violation]:
    """Every top-up that was acknowledged is there once, where it belongs; one that was refused never."""
    found = defaultdict(list)
    for entry in world.entries:
        if entry.kind is EntryKind.TOP_UP:
            found[entry.id].append((entry.account, entry.amount))
    for payment in world.payments:
        entered, wanted = found.pop(payment.id, []), (payment.account, payment.micros)
        if len(entered) not in _COUNTS[payment.outcome] or any(one != wanted for one in entered):
            yield Violation(Check.PAYMENTS, f"{payment}: {entered}")
    yield from each(Check.PAYMENTS, (f"{key}: nobody asked for it" for key in found))


def balances(world: Observed) -> Iterator[Violation]:
    """Each entry's own, and the account's."""
    entries: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(world.entries, key=lambda entry: entry.sequence):
        entries[entry.account].append(entry)
    for account in world.accounts:
        balance = 0
        for entry in entries[account.id]:
            balance += entry.amount
            if balance != entry.balance:
                yield Violation(Check.BALANCES, f"{entry}: the sum is {balance}")
                balance = entry.balance
        if balance != account.balance:
            yield Violation(Check.BALANCES, f"{account}: the sum is {balance}")


def prices(world: Observed) -> Iterator[Violation]:
    """Amount, segments and free segments of every charge; refusals and expiries cost nothing."""
    return each(Check.PRICES, (problem for _, problem, _ in _rated(world) if problem))


def told(world: Observed) -> Iterator[Violation]:
    """By the outcome and by its row: neither is priced anew."""
    charged = {entry.message_id: -entry.amount for entry in world.decisions}
    told_of: list[Billed | Row] = [*world.billed, *world.rows]
    return each(Check.TOLD, (one for one in told_of if one.id in charged and one.amount != charged[one.id]))


def limits(world: Observed) -> Iterator[Violation]:
    """Neither too generous nor too strict."""
    accounts = {account.id: account for account in world.accounts}
    for entry, _, price in _rated(world):
        account = accounts[entry.account]
        before = entry.balance - entry.amount
        may_pay = price == 0 or before - price >= _floor(account)
        if entry.kind is EntryKind.CHARGE and not may_pay:
            yield Violation(Check.LIMITS, f"{entry}: charged, of {before}")
        if entry.kind is EntryKind.REFUSAL and (may_pay or entry.reason not in NO_MONEY):
            yield Violation(Check.LIMITS, f"{entry}: refused, at a price of {price} and a balance of {before}")


def reversals(world: Observed) -> Iterator[Violation]:
    """Exactly for the refundable charges of messages that never arrived, and for what they cost."""
    charges = {entry.message_id: entry for entry in world.entries if entry.kind is EntryKind.CHARGE}
    found = Counter(entry.message_id for entry in world.entries if entry.kind is EntryKind.REVERSAL)
    for entry in world.entries:
        if entry.kind is EntryKind.REVERSAL and not _reverses(entry, charges.get(entry.message_id)):
            yield Violation(Check.REVERSALS, f"{entry}: not of {charges.get(entry.message_id)}")
    in_vain = {row.id for row in world.rows if row.state in _IN_VAIN}
    for key, charge in charges.items():
        owed = int(charge.refundable and key in in_vain)
        if found[key] != owed:
            yield Violation(Check.REVERSALS, f"{charge}: {found[key]} reversals, owed {owed}")


def _reverses(reversal: Entry, charge: Entry | None) -> bool:
    if charge is None or charge.message_id is None:
        return False
    right_id = uuid5(charge.message_id, "reversal")
    return reversal.id == right_id and reversal.amount == -charge.amount and reversal.account == charge.account


def _floor(account: Account) -> float:
    if account.billing_type is BillingType.PREPAID:
        return 0
    return float("-inf") if account.credit_limit is None else -account.credit_limit


def _rated(world: Observed) -> Iterator[tuple[Entry, str, int]]:
    """Every decision in the ledger's order, what is wrong with it, and what the message costs at that moment."""
    sent = {sending.id: sending for sending in world.sendings}
    months = {row.id: row.accepted_at.date().replace(day=1) for row in world.rows}
    free: dict[tuple[str, str, date | None], int] = defaultdict(int)
    for entry in sorted(world.decisions, key=lambda entry: entry.sequence):
        if not entry.message_id or not (sending := sent.get(entry.message_id)):
            continue  # a ghost, which is another check's
        month = entry.account, sending.domain, months.get(entry.message_id)
        segments, waived, price = _bill(sending, free[month])
        wanted = (segments, waived, -price, True) if entry.kind is EntryKind.CHARGE else (segments, 0, 0, False)
        if entry.kind is EntryKind.CHARGE:
            free[month] += waived
        yield entry, _difference(entry, sending, wanted), price


def _bill(sending: Sending, used: int) -> tuple[int, int, int]:
    tariff = TARIFFS[sending.domain]
    segments = SEGMENTS[sending.body]
    waived = min(segments, max(0, tariff.free_segments - used))
    return segments, waived, tariff.price(sending.to, segments, waived)


def _difference(entry: Entry, sending: Sending, wanted: tuple[int, int, int, bool]) -> str:
    segments, waived, amount, charged = wanted
    refundable = charged and TARIFFS[sending.domain].refund == "OnFailure"
    right = entry.account == sending.account and entry.domain == sending.domain and entry.amount == amount
    counted = not charged or (entry.segments, entry.free_segments, entry.refundable) == (segments, waived, refundable)
    return "" if right and counted else f"{entry}: wanted {wanted} of {sending.account}, {sending.domain}"
