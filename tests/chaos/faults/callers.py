"""be-messaging killed and told to end while requests are in flight."""

from chaos.client import Verdict
from chaos.episode import Fault
from chaos.scene import Scene
from chaos.topology import MESSAGING

_BROKEN = 3
_END_SECONDS = 20.0


def _killed(scene: Scene) -> None:
    """Until some requests were broken off after they were sent: a repeat under the same key is what remains."""
    while scene.load.verdicts[Verdict.UNKNOWN] < _BROKEN:
        for pod in scene.pods(MESSAGING):
            pod.kill()
            scene.world.supervisor.await_ready()


def _told_to_end(scene: Scene) -> None:
    """One after the other, as in a rollout."""
    for pod in scene.pods(MESSAGING):
        assert pod.end(_END_SECONDS) == 0
        scene.world.supervisor.await_ready()
    assert not scene.load.verdicts[Verdict.UNKNOWN], "a request was broken off"


FAULTS = (
    Fault("be-messaging is killed", "G7", _killed, lambda scene: scene.load.verdicts[Verdict.UNKNOWN]),
    Fault("be-messaging rolls", "G6", _told_to_end, lambda scene: scene.said("stopped", MESSAGING)),
)
