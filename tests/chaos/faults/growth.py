"""Topics that grow behind everybody's back. Which partition an account is in changes, and with it the order."""

from chaos.episode import Fault
from chaos.scene import Scene
from chaos.topology import DOMAINS, INPUTS, PARTITIONS

_NOTICED_SECONDS = 20.0


def _grown(scene: Scene) -> None:
    broker = scene.world.broker
    for topic in (*INPUTS.values(), *DOMAINS):
        broker.grow(topic, PARTITIONS + 1)
    scene.until(lambda: all(broker.ends(topic)[-1] for topic in (*INPUTS.values(), *DOMAINS)), _NOTICED_SECONDS)


def _in_new_partitions(scene: Scene) -> int:
    return sum(scene.world.broker.ends(topic)[-1] for topic in INPUTS.values())


FAULTS = (Fault("topics grow", "K15", _grown, _in_new_partitions, ordered=False),)
