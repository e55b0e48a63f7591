"""Topics that grow behind everybody's back. Which partition an account is in changes, and with it the order."""

from chaos.episode import Fault
from chaos.scene import Scene
from chaos.topology import DOMAINS, INPUTS, PARTITIONS

_NOTICED_SECONDS = 20.0


def _grown(scene: Scene) -> None:
    broker = scene.world.broker
    for topic in (*INPUTS.values(), *DOMAINS):
        broker.grow(topic, PARTITIONS + 1)
    scene.until(lambda: _reached(scene), _NOTICED_SECONDS)


def _reached(scene: Scene) -> bool:
    ends = {topic: scene.world.broker.ends(topic) for topic in (*INPUTS.values(), *DOMAINS)}
    empty = [topic for topic, numbers in ends.items() if len(numbers) == PARTITIONS or not numbers[-1]]
    assert not empty, f"nobody writes to the new partitions of {empty}: {ends}"
    return True


def _in_new_partitions(scene: Scene) -> int:
    return sum(scene.world.broker.ends(topic)[-1] for topic in INPUTS.values())


FAULTS = (Fault("topics grow", "K15", _grown, _in_new_partitions, ordered=False),)
