"""Faults on the cluster: processes of a pod stopped or killed from outside, as a node's kernel would."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
        found = f"grep -lE '{pattern}' /proc/[0-9]*/cgroup | cut -d/ -f3"
        script = f"{found} | xargs -r kill -{name} || [ $? -eq 123 ]"  # one of them has ended meanwhile
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
    try:
        pod.signal("STOP")
        yield
    finally:
        pod.signal("CONT")


def kill_inside_a_transaction(cluster: Cluster, topics: Topics, lag: Lag, processor: str, output: str) -> str:
    """Kills and force-deletes a billing pod that lags while its transaction is open and has records in `output`.

    Gives the transactional id, which nobody uses again: pods' names are never given twice.
    """
    group = f"{NAMESPACE}.{TOPOLOGY}.{processor}"

    def caught() -> str:
        running = pods(cluster, f"app.kubernetes.io/name={processor}")
        assert running, f"no pod of {processor} is running"
        pod, transactional_id = running[-1], f"{group}.{running[-1].name}"
        with ExitStack() as thawing:
            thawing.callback(pod.signal, "CONT")
            pod.signal("STOP")
            lags = lag.of(group, ["postpaid", "prepaid"]) > 0
            if not (lags and topics.holds_open_records(output, topics.transaction(transactional_id))):
                return ""
            pod.signal("KILL")
            thawing.pop_all()
        cluster.kubectl("delete", "pod", pod.name, "-n", NAMESPACE, "--grace-period=0", "--force")
        return transactional_id

    return eventually(caught, within=180)
