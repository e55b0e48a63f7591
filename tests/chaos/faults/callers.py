"""Gateways and be-messaging killed, frozen and told to end while requests are in flight."""

from chaos.burst import burst
from chaos.client import Verdict
from chaos.episode import Fault
from chaos.scene import Scene
from chaos.supervisor import Pod
from chaos.topology import GATEWAY, MESSAGING
from testkit.waiting import for_seconds

_BROKEN = 3
_BURST = 800
_CROWDED_SECONDS = 20.0
"""For as many at once; they share two cores with the pod that answers them."""
_MOST_IN_FLIGHT = 512
_MOST_GROWTH = 96 * 2**20
_END_SECONDS = 20.0
_SOME = 20
_GATHER_SECONDS = 0.3
_FREEZES = ((0.5, 6.5, 7.0), (4.0, 8.5, 10.0))
"""Seconds of Kafka's silence and of either pod's: longer than a message may wait for Kafka, and than a caller waits."""


def _killed(processor: str) -> Fault:
    """Until some requests were broken off after they were sent: a repeat under the same key is what remains."""

    def strike(scene: Scene) -> None:
        while _broken(scene) < _BROKEN:
            for pod in scene.pods(processor):
                pod.kill()
                scene.world.supervisor.await_ready()

    return Fault(f"{processor} is killed", "G7", strike, _broken)


def _broken(scene: Scene) -> int:
    return scene.load.verdicts[Verdict.UNKNOWN]


def _frozen(scene: Scene) -> None:
    """When they go on, what they were asked, what Kafka answered and all their deadlines come at once."""
    for silent, first, second in _FREEZES:
        _freeze(scene, silent, first, second)
        scene.load.await_accepted(_SOME)


def _freeze(scene: Scene, silent: float, shorter: float, longer: float) -> None:
    """With requests in flight that Kafka has not answered."""
    kafka, (one, other) = scene.world.services.kafka, scene.pods(MESSAGING)
    kafka.pause()
    try:
        for_seconds(_GATHER_SECONDS)
        with other.frozen():
            with one.frozen():
                for_seconds(silent)
                kafka.resume()
                for_seconds(shorter - silent)
            for_seconds(longer - shorter)
    finally:
        kafka.resume()


def _told_to_end(scene: Scene) -> None:
    """One after the other. Their gateways go on asking them, so that a request may meet the very end of a pod.

    That none does where a Service stands in between is shown by `integration/messaging/test_rollout.py`.
    """
    for pod in scene.pods(MESSAGING):
        assert pod.end(_END_SECONDS) == 0
        scene.world.supervisor.await_ready()


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
    _crowded(scene, pod)


def _crowded(scene: Scene, pod: Pod) -> None:
    """As many with Kafka there: nearly everybody who is accepted hears of it in time."""
    pod.running.await_ready()
    answers = burst(scene.world, pod.running.url, "crowd", _BURST)
    seconds = sorted(answer.seconds for answer in answers if answer.status == 202)
    assert len(seconds) > _BURST / 4, f"{len(seconds)} of {_BURST} were accepted"
    assert (slowest := seconds[len(seconds) * 99 // 100]) < _CROWDED_SECONDS, f"99 % of them took up to {slowest:.1f} s"


FAULTS = (
    _killed(GATEWAY),
    _killed(MESSAGING),
    Fault("be-messaging freezes", "G2 K2", _frozen, _broken),
    Fault("more requests than it takes", "G4", _overrun, lambda scene: scene.doubts),
    Fault(
        "be-messaging rolls",
        "G6",
        _told_to_end,
        lambda scene: scene.said("stopped", MESSAGING),
        elsewhere="integration/messaging/test_rollout.py",
    ),
)
