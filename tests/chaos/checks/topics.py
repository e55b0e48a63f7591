"""Check 8: the topics as a committed reader sees them."""

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

from chaos.observed import Observed
from chaos.violations import Check, Violation, each
from messaging_api.account import EntryKind
from messaging_api.message import MessageState


def repeated(world: Observed) -> Iterator[Violation]:
    """Billing's transactions leave nothing twice: neither a message's outcome nor anything under two outcomes.

    Where Kafka has not kept its word the sinks alone tell repeats (check 5).
    """
    counts = Counter(one.id for one in world.billed if not one.replayed and one.place[:2] not in world.unmarked)
    return each(Check.REPEATED, (f"{key}: {count} times" for key, count in counts.items() if count > 1))


def letters(world: Observed) -> Iterator[Violation]:
    """They are written in the same transactions."""
    letters = (letter for letter in world.letters if letter.by_billing and letter.place[:2] not in world.unmarked)
    counts = Counter(letter.source for letter in letters)
    return each(Check.LETTERS, (f"{source}: {count} times" for source, count in counts.items() if count > 1))


def lossless(world: Observed) -> Iterator[Violation]:
    """I6: the value, the key and the record's own headers."""
    return each(Check.LOSSLESS, (one for one in world.letters if one.content is None or one.content != one.original))


def buried(world: Observed) -> Iterator[Violation]:
    """A letter that was put back is done with, unless its message was paid back before: that is not sent again.

    A sink that dies in between writes a letter once more; so it may be there twice.
    """
    letters = [letter for letter in world.letters if not letter.by_billing]
    waiting = {letter.id for letter in letters if letter.place not in world.replayed}
    paid_back = {entry.message_id for entry in world.entries if entry.kind is EntryKind.REVERSAL}
    due = waiting | ({letter.id for letter in letters} & paid_back)
    dead = {row.id for row in world.rows if row.state is MessageState.DEAD_LETTERED}
    yield from each(Check.BURIED, (f"{key}: dead-lettered, and no letter of it waits" for key in dead - due))
    yield from each(Check.BURIED, (f"{key}: its letter waits, and its row does not say so" for key in due - dead))


def replays(world: Observed) -> Iterator[Violation]:
    """Letter and marker are written in one transaction; whoever comes later finds the marker."""
    ids = {letter.place: letter.id for letter in world.letters}
    counts = Counter(world.markers)
    yield from each(Check.REPLAYS, (f"{place}: {count} markers" for place, count in counts.items() if count > 1))
    marked = Counter(ids.get(place) for place in counts)
    found: Counter[UUID | None] = Counter(billed.id for billed in world.billed if billed.replayed)
    wrong = (key for key in marked | found if marked[key] != found[key])
    yield from each(Check.REPLAYS, (f"{key}: put back {found[key]} times, marked {marked[key]} times" for key in wrong))


def offsets(world: Observed) -> Iterator[Violation]:
    """The group stands behind the last record; a transaction's marker may follow."""
    return each(Check.OFFSETS, (at for at in world.progress if at.committed < at.end))


def transactions(world: Observed) -> Iterator[Violation]:
    """Nothing keeps committed readers waiting."""
    return each(Check.TRANSACTIONS, world.open_topics)
