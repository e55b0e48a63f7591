"""No fault at all: what the others are compared with. Every twentieth message is sent twice."""

from chaos.episode import Fault
from chaos.scene import Scene


def _nothing(scene: Scene) -> None:
    scene.load.await_accepted(200)


FAULTS = (Fault("none", "-", _nothing, lambda scene: len(scene.calls)),)
