"""Faults on the cluster: processes of a pod stopped or killed from outside, as a node's kernel would."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from testkit.arrivals import Lag
from testkit.cluster import NAMESPACE, TOPOLOGY, Cluster
from testkit.topics import Topics
from testkit.waiting import eventually


@dataclass(frozen=True)
class Pod:
    """A pod and the node container that runs it; signals reach every process of the pod, its first one included."""

    name: str
    uid: str
    node: str

    def signal(self, name: str) -> None:
        """SIGSTOP, SIGCONT or SIGKILL for all processes whose control group is this pod's."""
        pattern = f"{self.uid}|{self.uid.replace('-', '_')}"
        script = f"grep -lE '{pattern}' /proc/[0-9]*/cgroup | cut -d/ -f3 | xargs -r kill -{name}"
        subprocess.run(["docker", "exec", self.node, "sh", "-c", script], check=True, capture_output=True, timeout=30)


def pods(cluster: Cluster, selector: str) -> list[Pod]:
    """The running pods that match, the youngest last."""
    items = [item for item in cluster.items("pod", selector) if item["status"]["phase"] == "Running"]
    items.sort(key=lambda item: str(item["metadata"]["creationTimestamp"]))
    return [Pod(item["metadata"]["name"], item["metadata"]["uid"], item["spec"]["nodeName"]) for item in items]


@contextmanager
def stopped(cluster: Cluster, service: str) -> Iterator[None]:
    """A service of the test bed that is alive but silent: worse than dead, because connections stay open."""
    (pod,) = pods(cluster, f"app={service}")
    pod.signal("STOP")
    try:
        yield
    finally:
        pod.signal("CONT")


def kill_inside_a_transaction(cluster: Cluster, topics: Topics, lag: Lag, processor: str) -> None:
    """Kills and force-deletes a pod of a billing processor while it lags and the broker has its transaction open."""
    group = f"{NAMESPACE}.{TOPOLOGY}.{processor}"

    def caught() -> bool:
        pod = pods(cluster, f"app.kubernetes.io/name={processor}")[-1]
        pod.signal("STOP")
        if lag.of(group, ["postpaid", "prepaid"]) > 0 and topics.transaction_is_open(f"{group}.{pod.name}"):
            pod.signal("KILL")
            cluster.kubectl("delete", "pod", pod.name, "-n", NAMESPACE, "--grace-period=0", "--force")
            return True
        pod.signal("CONT")
        return False

    eventually(caught, within=180)
