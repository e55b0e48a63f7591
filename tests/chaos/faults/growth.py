"""Topics that grow: which partition an account is in changes, and with it the order, unless all is done before."""

from contextlib import ExitStack

from chaos.episode import Fault
from chaos.scene import Scene
from chaos.topology import DOMAINS, INPUTS, MESSAGING, PARTITIONS, WORKERS, group_of, inputs_of
from testkit.waiting import for_seconds

_TOPICS = (*INPUTS.values(), *DOMAINS)
_BEFORE = "partitions before"
_NOTICED_SECONDS = 15.0
_BACKLOG_SECONDS = 5.0
_HEARD_SECONDS = 10.0
"""Until every producer has asked for the number of partitions again."""
_GATE_SECONDS = 60.0


def _grown_drained(scene: Scene) -> None:
    """As README says: nothing is taken, all is done, the topics grow, all hear of it, and messages are taken again.

    Without these steps a sink that has been away reads an account's new records before its old ones.
    """
    supervisor = scene.world.supervisor
    with ExitStack() as gate:
        with supervisor.stopped(DOMAINS[0]):
            for_seconds(_BACKLOG_SECONDS)
            gate.enter_context(supervisor.stopped(MESSAGING))
        scene.world.drain(_GATE_SECONDS)
        before = _grow(scene, PARTITIONS)
        for_seconds(_HEARD_SECONDS)
    supervisor.await_ready()
    scene.until(lambda: _written(scene, before) and _read(scene, before), _NOTICED_SECONDS)


def _was_open_soon(scene: Scene) -> None:
    assert scene.load.longest_gap <= _GATE_SECONDS, f"no message was taken for {scene.load.longest_gap:.0f} s"


def _grown(scene: Scene) -> None:
    """Behind everybody's back."""
    before = _grow(scene, 1)
    scene.until(lambda: _written(scene, before) and _read(scene, before), _NOTICED_SECONDS)


def _grow(scene: Scene, more: int) -> int:
    """How many partitions each of them had before."""
    broker = scene.world.broker
    (before,) = {len(broker.ends(topic)) for topic in _TOPICS}
    scene.tally[_BEFORE] = before
    for topic in _TOPICS:
        broker.grow(topic, before + more)
    return before


def _written(scene: Scene, before: int) -> bool:
    ends = {topic: scene.world.broker.ends(topic) for topic in _TOPICS}
    empty = [topic for topic, numbers in ends.items() if not any(numbers[before:])]
    assert not empty, f"nobody writes to the new partitions of {empty}: {ends}"
    return True


def _read(scene: Scene, before: int) -> bool:
    broker = scene.world.broker
    done = {name: broker.committed(group_of(broker, name), inputs_of(name)) for name in WORKERS}
    wanted = {(name, broker.name(topic)) for name in WORKERS for topic in inputs_of(name)}
    read = {(name, topic) for name in done for (topic, at), end in done[name].items() if at >= before and end > 0}
    assert wanted == read, f"new partitions are not read: {wanted - read}, {done}"
    return True


def _in_new_partitions(scene: Scene) -> int:
    return sum(sum(scene.world.broker.ends(topic)[scene.tally[_BEFORE] :]) for topic in INPUTS.values())


FAULTS = (
    Fault("topics grow", "K15", _grown, _in_new_partitions, ordered=False),
    Fault(
        "topics grow, all being done",
        "K14",
        _grown_drained,
        _in_new_partitions,
        _was_open_soon,
        elsewhere="e2e/test_growth.py",
    ),
)
