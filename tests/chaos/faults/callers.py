"""be-messaging killed and told to end while requests are in flight."""

from chaos.burst import burst
from chaos.client import Verdict
from chaos.episode import Fault
from chaos.scene import Scene
from chaos.topology import MESSAGING

_BROKEN = 3
_BURST = 800
_MOST_IN_FLIGHT = 512
_MOST_GROWTH = 96 * 2**20
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


def _overrun(scene: Scene) -> None:
    """More requests at once than a pod takes, while Kafka is silent and all that it took waits."""
    kafka = scene.world.services.kafka
    (pod, *_) = scene.pods(MESSAGING)
    before = pod.usage().memory
    kafka.pause()
    try:
        answers = burst(scene.world, pod.running.url, "burst", _BURST)
    finally:
        kafka.resume()
    refused = [answer for answer in answers if answer.status == 503]
    assert len(refused) >= _BURST - _MOST_IN_FLIGHT, f"{len(refused)} of {_BURST} were refused"
    assert all(answer.retry_after for answer in refused)
    assert not [answer for answer in answers if answer.status == 202]
    assert pod.usage().memory - before < _MOST_GROWTH


FAULTS = (
    Fault("be-messaging is killed", "G7", _killed, lambda scene: scene.load.verdicts[Verdict.UNKNOWN]),
    Fault("more requests than it takes", "G4", _overrun, lambda scene: scene.doubts),
    Fault("be-messaging rolls", "G6", _told_to_end, lambda scene: scene.said("stopped", MESSAGING)),
)
