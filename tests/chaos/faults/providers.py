"""The third party fails, asks for patience, hangs, answers nothing after it has done its work, or talks nonsense."""

import time
from collections.abc import Callable

from chaos.episode import Fault
from chaos.scene import Scene
from chaos.topology import DOMAINS
from messaging_cli.local.third_party import GARBAGE, RESET, Behaviour
from messaging_processors.sink.breaker import RETRIES_PER_SECOND, RETRY_RATIO, RETRY_RESERVE

_ENOUGH = 12
_MANY = 140
"""So many failures that repeating each of them would be more than a budget allows."""
_SOME_FAIL = 0.35
"""So few that the circuit stays closed, and each could be repeated at once."""
_RETRY_AFTER = 2
_LONGER_THAN_THE_TIMEOUT = 3.0


def _behaving(behaviour: Behaviour, met: Callable[[Scene], int], enough: int = _ENOUGH) -> Callable[[Scene], None]:
    """Until enough calls have met it."""

    def strike(scene: Scene) -> None:
        provider = scene.world.third_party
        provider.behave(behaviour)
        try:
            scene.until(lambda: met(scene) >= enough)
        finally:
            provider.behave(Behaviour())

    return strike


def _within_the_budget(strike: Callable[[Scene], None]) -> Callable[[Scene], None]:
    """A provider that stumbles gets hardly more calls than messages."""

    def struck(scene: Scene) -> None:
        strike(scene)
        ids = [record.id for record in scene.calls]
        repeated, most = len(ids) - len(set(ids)), _most_repeated(scene)
        assert repeated <= most, f"{repeated} of {len(ids)} calls were repetitions, {most:.0f} may be"

    return struck


def _most_repeated(scene: Scene) -> float:
    """What the budgets of all sinks had at first, what first calls have earned ever since, and time meanwhile."""
    sinks = sum(len(scene.pods(domain)) for domain in DOMAINS)
    first = len({record.id for record in scene.world.third_party.records})
    seconds = time.time() - scene.began
    return sinks * (RETRY_RESERVE + RETRIES_PER_SECOND * seconds) + RETRY_RATIO * first


def _status(status: int) -> Callable[[Scene], int]:
    return lambda scene: sum(record.status == status for record in scene.calls)


def _repeated(scene: Scene) -> int:
    """Calls for what was done already."""
    done = [record.id for record in scene.calls if record.status < 300]
    return len(done) - len(set(done))


def _garbled(scene: Scene) -> int:
    return sum(record.fault == GARBAGE for record in scene.calls)


_DOWN = Behaviour(status=500)
_STUMBLING = Behaviour(status=500, share=_SOME_FAIL)
_BUSY = Behaviour(status=429, retryAfter=_RETRY_AFTER)
FAULTS = (
    Fault("third party answers 500", "S6", _within_the_budget(_behaving(_DOWN, _status(500))), _status(500)),
    Fault("third party stumbles", "S6", _within_the_budget(_behaving(_STUMBLING, _status(500), _MANY)), _status(500)),
    Fault("third party answers 429", "S6", _within_the_budget(_behaving(_BUSY, _status(429))), _status(429)),
    Fault("third party hangs", "S6 K13", _behaving(Behaviour(delay=_LONGER_THAN_THE_TIMEOUT), _repeated), _repeated),
    Fault(
        "third party resets after the effect", "S6", _behaving(Behaviour(fault=RESET, share=0.3), _repeated), _repeated
    ),
    Fault("third party answers garbage", "S6", _behaving(Behaviour(fault=GARBAGE), _garbled), _garbled),
    Fault("third party refuses some", "-", _behaving(Behaviour(status=422, share=0.1), _status(422)), _status(422)),
)
