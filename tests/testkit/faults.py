"""Faults on the cluster: processes of a pod stopped or killed from outside, as a node's kernel would."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from messaging_api.topology import GATEWAY_NAME, MESSAGING_NAME
from testkit.arrivals import Lag
from testkit.cluster import NAMESPACE, TOPOLOGY, Cluster
from testkit.topics import Topics
from testkit.waiting import eventually

STEPS = (0.01, 0.02, 0.04, 0.08) * 2
"""Seconds that a stopped pod runs at a time: of several lengths, or they keep pace with its batches."""
_ABORTED = ("CompleteAbort", "Empty")
"""By Kafka in its time, or before that by a successor, who leaves the id as one that has begun nothing."""


@dataclass(frozen=True)
class Pod:
    """A pod and the node container that runs it; signals reach every process of the pod, its first one included."""

    name: str
    uid: str
    node: str

    def signal(self, name: str) -> None:
        """SIGSTOP, SIGCONT or SIGKILL for all processes whose control group is this pod's."""
        self._run(f"kill -{name} $processes")

    def step(self, seconds: float) -> None:
        """Lets a stopped pod run that long."""
        self._run(f"kill -CONT $processes; sleep {seconds}; kill -STOP $processes")

    def _run(self, script: str) -> None:
        """In the node; that a process has ended meanwhile is no failure."""
        pattern = f"{self.uid}|{self.uid.replace('-', '_')}"
        found = f"processes=$(grep -lE '{pattern}' /proc/[0-9]*/cgroup | cut -d/ -f3)"
        command = ["docker", "exec", self.node, "sh", "-c", f"{found}; {script}; true"]
        subprocess.run(command, check=True, capture_output=True, timeout=30)


def pods(cluster: Cluster, selector: str) -> list[Pod]:
    """The running pods that match, the youngest last."""
    items = [item for item in cluster.items("pod", selector) if item["status"]["phase"] == "Running"]
    items.sort(key=lambda item: str(item["metadata"]["creationTimestamp"]))
    return [Pod(item["metadata"]["name"], item["metadata"]["uid"], item["spec"]["nodeName"]) for item in items]


@contextmanager
def stopped(cluster: Cluster, service: str) -> Iterator[None]:
    """A service of the test bed that is alive but silent: worse than dead, because connections stay open."""
    (pod,) = pods(cluster, f"app={service}")
    try:
        pod.signal("STOP")
        yield
    finally:
        pod.signal("CONT")


def entry_path(cluster: Cluster, name: str) -> str:
    """Where the resource declares a processor."""
    if name in (GATEWAY_NAME, MESSAGING_NAME):
        return "/spec/gateway" if name == GATEWAY_NAME else "/spec/messaging"
    kind = "billing" if name.startswith("billing-") else "sinks"
    entries = cluster.get("mtop", TOPOLOGY)["spec"][kind]
    return f"/spec/{kind}/{[entry['name'] for entry in entries].index(name)}"


def declared_at(cluster: Cluster, path: str) -> Any:  # noqa: ANN401  JSON
    """What the resource declares there."""
    found: Any = cluster.get("mtop", TOPOLOGY)
    for step in path.strip("/").split("/"):
        found = found[int(step) if isinstance(found, list) else step]
    return found


@contextmanager
def without(cluster: Cluster, name: str) -> Iterator[None]:
    """The processor is declared with no replicas for a while, and then as it was."""
    path = entry_path(cluster, name)
    declared = declared_at(cluster, path)
    cluster.patch_topology([{"op": "add", "path": f"{path}/replicas", "value": 0}])
    try:
        eventually(lambda: name not in pods_by_processor(cluster), within=60)
        yield
    finally:
        cluster.patch_topology([{"op": "replace", "path": path, "value": declared}])


def pods_by_processor(cluster: Cluster) -> set[str]:
    return {item["metadata"]["labels"].get("app.kubernetes.io/name", "") for item in cluster.items("pod")}


def kill_inside_a_transaction(cluster: Cluster, topics: Topics, lag: Lag, processor: str, output: str) -> None:
    """Kills and force-deletes a billing pod that lags while its transaction is open and has records in `output`.

    It is aborted then, or the pod had asked for its commit and another one has to die. Who ends it first, Kafka or a
    successor, decides how it is called afterwards; nobody uses its id again, pods' names are never given twice.
    """
    eventually(_Hunt(cluster, topics, lag, processor, output).caught, within=240)


@dataclass(frozen=True)
class _Hunt:
    """For the moment inside a transaction: all pods are stopped, one runs a step, the topic is looked at, and so on."""

    cluster: Cluster
    topics: Topics
    lag: Lag
    processor: str
    output: str

    @property
    def group(self) -> str:
        return f"{NAMESPACE}.{TOPOLOGY}.{self.processor}"

    def caught(self) -> bool:
        """Whether a pod was killed and its transaction aborted; one that was not inside runs on."""
        running = pods(self.cluster, f"app.kubernetes.io/name={self.processor}")
        assert running, f"no pod of {self.processor} is running"
        pod = running[-1]
        with ExitStack() as thawing:
            for one in running:
                thawing.callback(one.signal, "CONT")
                one.signal("STOP")
            if not self._steps_inside(pod):
                return False
            pod.signal("KILL")
        self.cluster.kubectl("delete", "pod", pod.name, "-n", NAMESPACE, "--grace-period=0", "--force")
        return self._end(f"{self.group}.{pod.name}") in _ABORTED

    def _end(self, transactional_id: str) -> str:
        """The state of the transaction once it has one that lasts."""

        def ended() -> str:
            state = self.topics.transaction_state(transactional_id)
            return state if state in (*_ABORTED, "CompleteCommit") else ""

        return eventually(ended, within=60)

    def _steps_inside(self, pod: Pod) -> bool:
        """Only `pod` runs: a transaction that is open then and was not before is its own."""
        if not self.topics.is_settled(self.output):
            return False
        for seconds in STEPS:
            pod.step(seconds)
            if not self.topics.is_settled(self.output):
                return self.lag.of(self.group, ["postpaid", "prepaid"]) > 0
        return False
