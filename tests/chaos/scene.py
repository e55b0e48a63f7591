"""A fault's stage: the world, the load that runs meanwhile, and what has happened since the curtain rose."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos.client import Verdict
from chaos.load import Load
from chaos.supervisor import Pod
from chaos.world import World
from messaging_cli.local.third_party import Record
from testkit.waiting import eventually

_DOUBTS = (Verdict.UNKNOWN, Verdict.NOT_ACCEPTED)


@dataclass(frozen=True)
class Scene:
    """Counts begin when it is made."""

    world: World
    load: Load
    began: float = field(default_factory=time.time)
    tally: Counter[str] = field(default_factory=Counter)
    """What a strike counts itself."""
    _said: dict[str, int] = field(default_factory=dict)
    _called: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._said.update({pod.name: len(pod.log) for pod in self.world.supervisor.all_pods})
        self._called.append(len(self.world.third_party.records))

    def pods(self, processor: str) -> list[Pod]:
        """The processor's pods."""
        return self.world.supervisor.pods(processor)

    def said(self, event: str, processor: str = "", **about: str) -> int:
        """How often pods have logged the event, with these fields; of processors whose names begin so."""
        pods = self.world.supervisor.all_pods
        return sum(self.said_by(pod, event, **about) for pod in pods if pod.processor.startswith(processor))

    def said_by(self, pod: Pod, event: str, **about: str) -> int:
        """How often this one has."""
        lines = pod.log[self._said.get(pod.name, 0) :].splitlines()
        return sum(_says(line, {"event": event, **about}) for line in lines)

    @property
    def doubts(self) -> int:
        """Attempts that were not accepted, or may not have been."""
        return sum(self.load.verdicts[verdict] for verdict in _DOUBTS)

    @property
    def calls(self) -> list[Record]:
        """What the third party was asked."""
        return self.world.third_party.records[self._called[0] :]

    def until(self, reached: Callable[[], object], within: float = 45.0) -> None:
        """Goes on under load."""
        eventually(reached, within)


def _says(line: str, wanted: dict[str, str]) -> bool:
    try:
        return bool(wanted.items() <= json.loads(line).items())
    except ValueError:
        return False
