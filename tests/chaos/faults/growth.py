"""Topics that grow behind everybody's back. Which partition an account is in changes, and with it the order."""

from chaos.episode import Fault
from chaos.scene import Scene
from chaos.topology import DOMAINS, INPUTS, PARTITIONS, WORKERS, group_of, inputs_of

_NOTICED_SECONDS = 15.0


def _grown(scene: Scene) -> None:
    broker = scene.world.broker
    for topic in (*INPUTS.values(), *DOMAINS):
        broker.grow(topic, PARTITIONS + 1)
    scene.until(lambda: _written(scene) and _read(scene), _NOTICED_SECONDS)


def _written(scene: Scene) -> bool:
    ends = {topic: scene.world.broker.ends(topic) for topic in (*INPUTS.values(), *DOMAINS)}
    empty = [topic for topic, numbers in ends.items() if len(numbers) == PARTITIONS or not numbers[-1]]
    assert not empty, f"nobody writes to the new partitions of {empty}: {ends}"
    return True


def _read(scene: Scene) -> bool:
    broker = scene.world.broker
    done = {name: broker.committed(group_of(broker, name), inputs_of(name)) for name in WORKERS}
    unread = [name for name, places in done.items() for (_, at), end in places.items() if at == PARTITIONS and end <= 0]
    assert not unread, f"{unread} do not read new partitions: {done}"
    return True


def _in_new_partitions(scene: Scene) -> int:
    return sum(scene.world.broker.ends(topic)[-1] for topic in INPUTS.values())


FAULTS = (Fault("topics grow", "K15", _grown, _in_new_partitions, ordered=False),)
