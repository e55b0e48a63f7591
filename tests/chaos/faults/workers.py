"""Billing and sinks killed, frozen, replaced, told to end, multiplied; everybody reads the same partitions on."""

from chaos.episode import Fault
from chaos.scene import Scene
from chaos.supervisor import Pod
from chaos.topology import WORKERS, inputs_of
from testkit.waiting import eventually

_GAINED, _LOST = "partitions gained", "partitions lost"
_END_SECONDS = 12.0
_SOME = 20


def _killed(scene: Scene) -> None:
    """One of each, somewhere in a batch; the first time they come back under their names, the second time replaced."""
    for end in (Pod.kill, scene.world.replace):
        scene.load.await_accepted(_SOME)
        for pod in (scene.pods(processor)[0] for processor in WORKERS):
            end(pod)
        scene.until(lambda: all(_reads(pod) for pod in _workers(scene)))


def _workers(scene: Scene) -> list[Pod]:
    return [pod for processor in WORKERS for pod in scene.pods(processor)]


def _reads(pod: Pod) -> bool:
    """Since it was last started."""
    return "rewound" in pod.log.rpartition('"starting"')[2]


def _frozen(processor: str) -> Fault:
    """Longer than its session: others take over, and when it thaws it has a batch in hand that is no longer its own."""

    def strike(scene: Scene) -> None:
        frozen, other = scene.pods(processor)
        with frozen.frozen():
            scene.until(lambda: scene.said_by(other, _GAINED) and scene.said_by(other, "rewound"))
            scene.load.await_accepted(_SOME)
        scene.until(lambda: scene.said_by(frozen, _LOST))

    return Fault(f"{processor} freezes", "K2", strike, lambda scene: scene.said(_LOST, processor))


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
    """A pod is killed inside a transaction and never comes back: its successor has another name."""
    processor = "billing-authentication"
    (pod,) = scene.pods(processor)
    eventually(lambda: _is_caught(scene, pod), within=60, every=0)
    scene.world.replace(pod)
    (successor,) = scene.pods(processor)
    scene.until(lambda: scene.said_by(successor, "rewound") >= len(inputs_of(processor)))


def _is_caught(scene: Scene, pod: Pod) -> bool:
    with pod.frozen():
        if not scene.world.broker.transaction_is_open("authentication"):
            return False
        pod.wanted = False
        pod.kill()
        return True


FAULTS = (
    Fault("billing and sinks are killed", "K1 S4", _killed, lambda scene: scene.said("starting")),
    _frozen("billing-marketing"),
    _frozen("marketing"),
    Fault("more and fewer pods", "K3", _scaled, lambda scene: scene.said(_LOST)),
    Fault(
        "killed inside a transaction", "K9", _dangling, lambda scene: scene.said("rewound", "billing-authentication")
    ),
    Fault("billing and sinks roll", "K22", _rolled, lambda scene: scene.said("stopped")),
)
