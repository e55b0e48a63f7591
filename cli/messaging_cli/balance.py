"""Whether everything that was accepted in a run came to an end, and which; pure. Shown by the demo.

Every accepted message is charged, refused, expired or dead, and everything that was charged is sent or dead; what
expired counts as that alone, before its charge or after. A row in `messages` only exists once billing has decided.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from rich.table import Table

from messaging_api.message import MessageState


class Fate(Enum):
    """What became of an accepted message."""

    NOT_CHARGED_YET = auto()
    DEAD_BEFORE_CHARGE = auto()
    REFUSED = auto()
    EXPIRED = auto()
    CHARGED = auto()
    SENT = auto()
    DEAD_AFTER_CHARGE = auto()

    @property
    def is_open(self) -> bool:
        """The message is still on its way."""
        return self in (Fate.NOT_CHARGED_YET, Fate.CHARGED)


_FATES: dict[str, Fate] = {
    MessageState.REFUSED: Fate.REFUSED,
    MessageState.EXPIRED: Fate.EXPIRED,
    MessageState.SENT: Fate.SENT,
    MessageState.DELIVERED: Fate.SENT,
    MessageState.FAILED: Fate.SENT,
    MessageState.DEAD_LETTERED: Fate.DEAD_AFTER_CHARGE,
}
COLUMNS = ("accepted", "charged", "refused", "expired", "sent", "dead")


def fate(state: str | None, dead_lettered: bool) -> Fate:
    """The fate of a message whose row has `state`; a dead letter that was replayed has a row, and that counts."""
    if state is None:
        return Fate.DEAD_BEFORE_CHARGE if dead_lettered else Fate.NOT_CHARGED_YET
    return _FATES.get(state, Fate.CHARGED)


@dataclass(frozen=True)
class Balance:
    """Accepted messages on one side, the fates of distinct ids on the other."""

    accepted: int
    fates: Counter[Fate]

    @property
    def charged(self) -> int:
        return self.fates[Fate.CHARGED] + self.fates[Fate.SENT] + self.fates[Fate.DEAD_AFTER_CHARGE]

    @property
    def refused(self) -> int:
        return self.fates[Fate.REFUSED]

    @property
    def expired(self) -> int:
        return self.fates[Fate.EXPIRED]

    @property
    def sent(self) -> int:
        """Taken by the third party, whatever a receipt said later."""
        return self.fates[Fate.SENT]

    @property
    def dead(self) -> int:
        return self.fates[Fate.DEAD_BEFORE_CHARGE] + self.fates[Fate.DEAD_AFTER_CHARGE]

    @property
    def balances(self) -> bool:
        """Nothing is on its way, nothing is missing and nothing is there twice."""
        ended_uncharged = self.refused + self.expired + self.fates[Fate.DEAD_BEFORE_CHARGE]
        to_be_sent = self.charged - self.fates[Fate.DEAD_AFTER_CHARGE]
        return self.accepted == self.charged + ended_uncharged and self.sent == to_be_sent

    def figures(self) -> dict[str, int]:
        """By the names of `COLUMNS`."""
        return {name: getattr(self, name) for name in COLUMNS}

    def line(self) -> str:
        """For programs: `accepted=N charged=N refused=N expired=N sent=N dead=N`."""
        return " ".join(f"{name}={number}" for name, number in self.figures().items())


def balance(accepted: Iterable[str], states: Mapping[str, str], dead_letters: Collection[str]) -> Balance:
    """The balance of these accepted ids; `states` are those of their rows, `dead_letters` the ids in those topics."""
    ids = list(accepted)
    return Balance(len(ids), Counter(fate(states.get(id_), id_ in dead_letters) for id_ in set(ids)))


def table(by_domain: Mapping[str, Balance], total: Balance) -> Table:
    """One row a domain and their sum."""
    result = Table("domain", title="from POST to the third party", show_footer=True, collapse_padding=True)
    result.columns[0].footer = "all"
    for name, number in total.figures().items():
        result.add_column(name, footer=str(number), justify="right")
    result.add_column("balances", footer=_verdict(total))
    for domain, part in by_domain.items():
        result.add_row(domain, *map(str, part.figures().values()), _verdict(part))
    return result


def _verdict(part: Balance) -> str:
    return "[green]yes[/]" if part.balances else "[red]no[/]"
