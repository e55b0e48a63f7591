"""What can be wrong with a world."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Check(StrEnum):
    """The promises, each of which the checker can see broken."""

    LOST = "what was accepted is in the ledger"
    BOTH = "what billing put aside is not in the ledger"
    CAUSES = "what is put aside was refused by the third party"
    WRONG_ID = "the answered id is the key's"
    GHOST = "what was refused or never sent is nowhere"
    ENTRIES = "a message has one decision at most"
    ROWS = "a decision has exactly one row, in a state that is its own"
    EXPIRIES = "only a message that has an end expires, not before, and then costs nothing"
    REMEMBERED = "Redis has no other state than the row"
    EFFECTS = "the third party did what the rows say, and nothing else"
    RECEIPTS = "a row says what the receipts of its message say"
    ASKED = "the third party is asked for what was sent"
    KEYS = "one key asks for one thing"
    LEDGER_ORDER = "the ledger has an account's messages in their order"
    EFFECT_ORDER = "the third party has an account's messages in their order"
    PAYMENTS = "a top-up counts once, for its account"
    BALANCES = "balances are the sums of their entries"
    PRICES = "a charge is the price"
    TOLD = "what a message is said to cost is what was charged"
    LIMITS = "no balance falls below what it may, and nobody is refused who could pay"
    REVERSALS = "what was charged in vain is paid back once, where the tariff says so"
    REPEATED = "no topic has a message twice"
    LETTERS = "billing puts a record aside once"
    LOSSLESS = "a dead letter has all that the record had"
    BURIED = "a message is dead-lettered where its letter waits"
    REPLAYS = "a letter is put back once, and marked once"
    OFFSETS = "everything was read to its end"
    TRANSACTIONS = "no transaction is open"
    ENDS = "no processor ends unless it is told to"
    ERRORS = "no processor met what nobody expected"
    PRIVACY = "no log has a text, a number or a key"


@dataclass(frozen=True)
class Violation:
    """A broken promise and the thing that shows it."""

    check: Check
    what: str

    def __str__(self) -> str:
        return f"{self.check.name} ({self.check}): {self.what}"


def each(check: Check, things: Iterable[object]) -> Iterator[Violation]:
    """A violation for every thing."""
    return (Violation(check, str(thing)) for thing in things)
