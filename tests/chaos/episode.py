"""One fault from beginning to end: load, the fault, recovery, rest, and what came of it."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from chaos.observed import Observed
from chaos.observing import observe
from chaos.scene import Scene
from chaos.world import CATCH_UP_SECONDS, World

CALM = 60
"""Messages that are accepted before a fault and after it."""


@dataclass(frozen=True)
class Fault:
    """What is done to a world while `rate` messages a second come in, and how it is told that it did something."""

    name: str
    rows: str
    """Of the fault matrix."""
    strike: Callable[[Scene], None]
    """Does it and undoes it; fails where a promise about the time in between is broken."""
    bites: Callable[[Scene], int]
    """How often it had an effect; a fault without one proves nothing."""
    afterwards: Callable[[Scene], None] = lambda _: None
    """Looks at the world at rest; fails where a promise about all the time until then is broken."""
    recovers_in: float = CATCH_UP_SECONDS
    """Seconds."""
    rate: float = 60
    ordered: bool = True
    """Whether the order of an account's messages is promised throughout."""
    elsewhere: str = ""
    """Which tests of other tiers try it, too."""


@dataclass(frozen=True)
class Result:
    """A line of the report."""

    fault: str
    rows: str
    bites: int
    suppressed: int
    gap: float
    """Seconds: the longest time without an accepted message."""
    recovery: float
    """Seconds from the fault's end until everything was done, the load's own end included."""
    seconds: float
    messages: int
    violations: int = 0


def play(world: World, fault: Fault, number: int) -> tuple[Result, Observed]:
    """Runs it; the world is at rest afterwards."""
    began = time.monotonic()
    with world.load(f"e{number}", fault.rate, fault.ordered) as load:
        load.await_accepted(CALM)
        scene = Scene(world, load)
        fault.strike(scene)
        ended = time.monotonic()
        load.await_accepted(CALM)
    world.quiesce()
    quiet = time.monotonic()
    fault.afterwards(scene)
    seen = observe(world)
    ids = {sending.id for sending in seen.sendings if sending.account.startswith(f"e{number}-")}
    result = Result(
        fault.name,
        fault.rows,
        fault.bites(scene),
        suppressed(seen, ids),
        scene.load.longest_gap,
        quiet - ended,
        quiet - began,
        len(ids),
    )
    return result, seen


def suppressed(seen: Observed, ids: set[UUID]) -> int:
    """Repeats that had no effect: of the callers at the ledger, of the sinks at the third party."""
    came = Counter(key for key in seen.inputs if key in ids)
    done = Counter(call.key for call in seen.calls if call.effective and call.key in ids)
    return sum(count - 1 for counts in (came, done) for count in counts.values())
