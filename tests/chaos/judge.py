"""Strikes a world and judges it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from chaos.checker import explain, violations
from chaos.episode import Fault, Result, play
from chaos.observed import Observed
from chaos.observing import observe
from chaos.violations import Violation
from chaos.world import World


@dataclass
class Judge:
    """Lets a world be struck, and says what is wrong with it that was not wrong before."""

    world: World
    results: list[Result]
    _known: set[Violation] = field(default_factory=set)
    _told: int = 0
    """How much of what Kafka left unmarked has been looked at."""
    _numbers: Iterator[int] = field(default_factory=count)

    def strikes(self, fault: Fault) -> None:
        """Fails where a promise was broken, and where the fault had no effect."""
        result, seen = play(self.world, fault, next(self._numbers))
        found = self.news(seen)
        self.results.append(replace(result, violations=len(found)))
        assert not found, explain(found)
        assert result.bites, f"{fault.name} did nothing"
        assert result.recovery < fault.recovers_in, f"recovery took {result.recovery:.1f} s"

    def looks(self) -> Observed:
        """The same without a fault: what is under way is finished first."""
        self.world.quiesce()
        seen = observe(self.world)
        assert not (found := self.news(seen)), explain(found)
        return seen

    def news(self, seen: Observed) -> list[Violation]:
        """What Kafka left unmarked since the last look excuses what is there twice by now, and nothing later."""
        unmarked, self._told = seen.unmarked[self._told :], len(seen.unmarked)
        everything = violations(replace(seen, unmarked=()))
        counts = violations(replace(seen, unmarked=unmarked)) if unmarked else everything
        found = [violation for violation in counts if violation not in self._known]
        self._known.update(everything)
        return found
