"""Billing and sinks killed, frozen, replaced, told to end, multiplied; everybody reads the same partitions on."""

import random
from collections.abc import Hashable
from contextlib import ExitStack
from functools import partial

import sqlalchemy as sa

from chaos.episode import Fault
from chaos.scene import Scene
from chaos.supervisor import Pod
from chaos.topology import WORKERS, group_of, inputs_of
from messaging_api.message import MessageState
from messaging_cli.observing.snapshot import count
from messaging_processors.billing.predecessors import ENDED
from messaging_processors.runtime.schema import messages
from testkit.plain_http import PLAIN
from testkit.waiting import eventually, for_seconds

_ALONE = "billing-authentication"
"""Has one replica."""
_IN_HAND = "processors killed with a batch in hand"
_ZOMBIES = "zombies with a batch in hand"
_GAINED, _LOST = "partitions gained", "partitions lost"
_END_SECONDS = 5.0
_SOME = 20
_STEP_SECONDS = 0.03
"""What a pod runs between two looks at it, in which it is frozen."""
_TURN_SECONDS = 0.3
"""A pod that has thawed has more than one turn of its loop in that time."""


def _killed(scene: Scene) -> None:
    """First all pods of a processor with a batch in hand, back under their names; then one of each, replaced."""
    scene.load.await_accepted(_SOME)
    for processor in WORKERS:
        eventually(partial(_are_caught, scene, processor), within=120, every=_STEP_SECONDS)
    scene.until(lambda: all(_reads(pod) for pod in _workers(scene)))
    for pod in (scene.pods(processor)[0] for processor in WORKERS):
        scene.world.replace(pod)
    scene.until(lambda: all(_reads(pod) for pod in _workers(scene)))


def _are_caught(scene: Scene, processor: str) -> bool:
    """Killed, if one of them is in the middle of a batch."""
    with ExitStack() as frozen:
        for pod in scene.pods(processor):
            frozen.enter_context(pod.frozen())
        if not _has_a_batch(scene, processor):
            return False
        for pod in scene.pods(processor):
            pod.kill()
    scene.tally[_IN_HAND] += 1
    return True


def _has_a_batch(scene: Scene, processor: str) -> bool:
    return bool(_in_hand(scene, processor))


def _in_hand(scene: Scene, processor: str) -> set[Hashable]:
    """Where billing's transactions in Kafka are open; of a sink, what it has stored, and not yet what became of it."""
    domain = processor.removeprefix("billing-")
    return _open_transactions(scene, domain) if processor != domain else _unsent(scene, domain)


def _open_transactions(scene: Scene, domain: str) -> set[Hashable]:
    """The places in the domain's topic from which on nobody reads."""
    written, readable = (scene.world.broker.ends(domain, kind) for kind in ("read_uncommitted", "read_committed"))
    return {(at, begun) for at, (end, begun) in enumerate(zip(written, readable, strict=True)) if end > begun}


def _unsent(scene: Scene, domain: str) -> set[Hashable]:
    waiting = (
        messages.c.tenant == scene.world.tenant,
        messages.c.domain == domain,
        messages.c.state == MessageState.CHARGED,
    )
    with scene.world.connected() as connection:
        return {*connection.scalars(sa.select(messages.c.id).where(*waiting))}


def _workers(scene: Scene) -> list[Pod]:
    return [pod for processor in WORKERS for pod in scene.pods(processor)]


def _reads(pod: Pod) -> bool:
    """Since it was last started."""
    return "rewound" in pod.log.rpartition('"starting"')[2]


def _frozen(processor: str) -> Fault:
    """Longer than its session: others take over, and when it thaws it has a batch in hand that is no longer its own."""

    def strike(scene: Scene) -> None:
        eventually(partial(_is_a_zombie, scene, *scene.pods(processor)), within=180, every=_STEP_SECONDS)
        scene.tally[_ZOMBIES] += 1

    return Fault(f"{processor} freezes", "K2", strike, lambda scene: scene.tally[_ZOMBIES])


def _is_a_zombie(scene: Scene, pod: Pod, other: Pod) -> bool:
    """If it was frozen in the middle of a batch, and what it did with that afterwards was in vain."""
    given_up = _given_up(pod)
    for_seconds(random.uniform(0, _TURN_SECONDS))  # or every look meets the same step of its loop
    with pod.frozen():
        if not _holds_a_batch(scene, pod.processor):
            return False
        act = Scene(scene.world, scene.load)
        act.until(lambda: act.said_by(other, _GAINED) and act.said_by(other, "rewound"))
        act.load.await_accepted(_SOME)
    act.until(lambda: act.said_by(pod, _LOST))
    act.until(lambda: _given_up(pod) > given_up or act.said_by(pod, "offsets not committed"))
    return True


def _holds_a_batch(scene: Scene, processor: str) -> bool:
    """What is in hand stays there while everybody else goes on: it is in the hands of the pod that is frozen."""
    if not (held := _in_hand(scene, processor)):
        return False
    scene.load.await_accepted(_SOME)
    return bool(held & _in_hand(scene, processor))


def _given_up(pod: Pod) -> float:
    """How many batches, by billing or a sink."""
    return count(PLAIN.get(f"{pod.running.health_url}/metrics").text).errors


def _rolled(scene: Scene) -> None:
    for processor in WORKERS:
        for pod in scene.pods(processor):
            scene.load.await_accepted(_SOME)
            assert pod.end(_END_SECONDS) == 0
    scene.world.supervisor.await_ready()


def _scaled(scene: Scene) -> None:
    """Up and down, so that rebalances fall into batches."""
    for _ in range(2):
        for processor in ("billing-marketing", "marketing"):
            added = scene.world.supervisor.run(scene.world.configurations[processor], 2)
            for pod in added:
                scene.until(lambda pod=pod: scene.said_by(pod, _GAINED))  # type: ignore[misc]
            for pod in added:
                scene.load.await_accepted(_SOME)
                pod.wanted = False
                assert pod.end(_END_SECONDS) == 0
                scene.world.supervisor.delete(pod, None)


def _dangling(scene: Scene) -> None:
    """A pod is killed inside a transaction and never comes back: its successor, of another name, ends that."""
    (pod,) = scene.pods(_ALONE)
    eventually(lambda: _is_caught_inside(scene, pod), within=120, every=_STEP_SECONDS)
    scene.world.replace(pod)
    (successor,) = scene.pods(_ALONE)
    scene.until(lambda: scene.said_by(successor, ENDED))
    scene.until(lambda: scene.said_by(successor, "rewound") >= len(inputs_of(_ALONE)))


def _is_caught_inside(scene: Scene, pod: Pod) -> bool:
    """Its transaction has its offsets, too: until it ends nobody knows where to read on."""
    broker = scene.world.broker
    with pod.frozen():
        if not broker.transaction_is_open("authentication"):
            return False
        if not broker.offsets_are_hidden(group_of(broker, _ALONE), inputs_of(_ALONE)):
            return False
        pod.wanted = False
        pod.kill()
        return True


FAULTS = (
    Fault("billing and sinks are killed", "K1 S4", _killed, lambda scene: scene.tally[_IN_HAND]),
    _frozen("billing-marketing"),
    _frozen("marketing"),
    Fault(
        "more and fewer pods",
        "K3",
        _scaled,
        lambda scene: scene.said(_LOST),
        elsewhere="integration/billing/test_exactly_once.py",
    ),
    Fault("killed inside a transaction", "K9", _dangling, lambda scene: scene.said(ENDED, _ALONE)),
    Fault(
        "billing and sinks roll",
        "K22",
        _rolled,
        lambda scene: scene.said("stopped"),
        elsewhere="e2e/test_flow.py",
    ),
)
