"""The third party fails, asks for patience, hangs, answers nothing after it has done its work, or talks nonsense."""

from collections.abc import Callable

from chaos.episode import Fault
from chaos.scene import Scene
from messaging_cli.local.third_party import GARBAGE, RESET, Behaviour

_ENOUGH = 12
_RETRY_AFTER = 2
_LONGER_THAN_THE_TIMEOUT = 3.0


def _behaving(behaviour: Behaviour, met: Callable[[Scene], int]) -> Callable[[Scene], None]:
    """Until enough calls have met it."""

    def strike(scene: Scene) -> None:
        provider = scene.world.third_party
        provider.behave(behaviour)
        try:
            scene.until(lambda: met(scene) >= _ENOUGH)
        finally:
            provider.behave(Behaviour())

    return strike


def _status(status: int) -> Callable[[Scene], int]:
    return lambda scene: sum(record.status == status for record in scene.calls)


def _repeated(scene: Scene) -> int:
    """Calls for what was done already."""
    done = [record.id for record in scene.calls if record.status < 300]
    return len(done) - len(set(done))


def _called(scene: Scene) -> int:
    return len(scene.calls)


FAULTS = (
    Fault("third party answers 500", "S6", _behaving(Behaviour(status=500), _status(500)), _status(500)),
    Fault(
        "third party answers 429",
        "S6",
        _behaving(Behaviour(status=429, retryAfter=_RETRY_AFTER), _status(429)),
        _status(429),
    ),
    Fault("third party hangs", "S6 K13", _behaving(Behaviour(delay=_LONGER_THAN_THE_TIMEOUT), _repeated), _repeated),
    Fault(
        "third party resets after the effect", "S6", _behaving(Behaviour(fault=RESET, share=0.3), _repeated), _repeated
    ),
    Fault("third party answers garbage", "S6", _behaving(Behaviour(fault=GARBAGE), _called), _called),
    Fault("third party refuses some", "-", _behaving(Behaviour(status=422, share=0.1), _status(422)), _status(422)),
)
