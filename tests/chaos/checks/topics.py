"""Check 8: the topics as a committed reader sees them."""

from collections import Counter
from collections.abc import Iterator

from chaos.observed import Observed
from chaos.violations import Check, Violation, each


def repeated(world: Observed) -> Iterator[Violation]:
    """Billing's transactions leave nothing twice: neither a message's outcome nor anything under two outcomes."""
    counts = Counter(billed.id for billed in world.billed if not billed.replayed)
    return each(Check.REPEATED, (f"{key}: {count} times" for key, count in counts.items() if count > 1))


def letters(world: Observed) -> Iterator[Violation]:
    """They are written in the same transactions."""
    counts = Counter(letter.source for letter in world.letters if letter.processor.startswith("billing"))
    return each(Check.LETTERS, (f"{source}: {count} times" for source, count in counts.items() if count > 1))


def offsets(world: Observed) -> Iterator[Violation]:
    """The group stands behind the last record; a transaction's marker may follow."""
    return each(Check.OFFSETS, (at for at in world.progress if at.committed < at.end))


def transactions(world: Observed) -> Iterator[Violation]:
    """Nothing keeps committed readers waiting."""
    return each(Check.TRANSACTIONS, world.open_topics)
