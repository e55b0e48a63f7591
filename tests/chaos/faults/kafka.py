"""Kafka killed, silent, refusing."""

from chaos.episode import Fault
from chaos.scene import Scene
from chaos.topology import INPUTS, MESSAGING
from testkit.waiting import eventually, for_seconds

_DOUBTS = 20
"""Requests that met the fault."""
_SILENT_SECONDS = 15.0
"""Longer than a member's session, and than any caller waits."""
_UNREADY_SECONDS = _READY_SECONDS = 10.0
_RECOVERS_IN = 30.0
"""After be-messaging was ready again."""
_MOST_GROWTH = 96 * 2**20


def _killed(scene: Scene) -> None:
    kafka = scene.world.services.kafka
    kafka.kill()
    try:
        _is_noticed(scene)
    finally:
        kafka.start()
    _is_ready_again(scene)


def _silent(scene: Scene) -> None:
    """Memory must not grow with what waits."""
    kafka = scene.world.services.kafka
    before = _memory(scene)
    kafka.pause()
    try:
        _is_noticed(scene)
        for_seconds(_SILENT_SECONDS)
        growth = _memory(scene) - before
    finally:
        kafka.resume()
    assert growth < _MOST_GROWTH, f"be-messaging grew by {growth >> 20} MiB"
    _is_ready_again(scene)


def _refusing(scene: Scene) -> None:
    """Topics that take no record. One broker cannot lack replicas: since KIP-966 it needs no more than there are."""
    _set(scene, "1")
    try:
        scene.until(lambda: scene.doubts >= _DOUBTS)
    finally:
        _set(scene, "1048588")


def _set(scene: Scene, largest: str) -> None:
    for topic in INPUTS.values():
        scene.world.broker.configure(topic, {"max.message.bytes": largest})


def _is_noticed(scene: Scene) -> None:
    eventually(lambda: not _ready_pods(scene), _UNREADY_SECONDS)
    scene.until(lambda: scene.doubts >= _DOUBTS)


def _is_ready_again(scene: Scene) -> None:
    eventually(lambda: _ready_pods(scene) == len(scene.pods(MESSAGING)), _READY_SECONDS)


def _ready_pods(scene: Scene) -> int:
    return sum(pod.running.readiness().ready for pod in scene.pods(MESSAGING))


def _doubts(scene: Scene) -> int:
    return scene.doubts


def _memory(scene: Scene) -> int:
    """Of both pods together, in bytes."""
    return sum(pod.usage().memory for pod in scene.pods(MESSAGING))


FAULTS = (
    Fault("Kafka is killed", "G1 K6", _killed, _doubts, recovers_in=_RECOVERS_IN),
    Fault("Kafka is silent", "G2 K6", _silent, _doubts, recovers_in=_RECOVERS_IN),
    Fault("topics refuse", "G3", _refusing, _doubts),
)
