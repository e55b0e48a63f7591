"""`python -m testkit.memory`: what each pod of the test bed's cluster uses now, as the kubelet counts it."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bed.state import BedState
from testkit.cluster import NAMESPACE, Cluster

OURS = (NAMESPACE, "messaging-operator")


def working_sets(cluster: Cluster) -> dict[str, int]:
    """Bytes of memory in use by pod, without what the kernel could drop at once."""
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    paths = [f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary" for node in nodes]
    pods = [pod for path in paths for pod in json.loads(cluster.kubectl("get", "--raw", path))["pods"]]
    return {
        pod["podRef"]["name"]: pod["memory"]["workingSetBytes"]
        for pod in pods
        if pod["podRef"]["namespace"] in OURS and "workingSetBytes" in pod.get("memory", {})
    }


def main() -> None:
    bed = BedState.load()
    cluster = Cluster(Path(bed.kubeconfig), Path(bed.kubectl), Path(bed.helm))
    table = Table("pod", "MiB")
    for name, used in sorted(working_sets(cluster).items()):
        table.add_row(name, f"{used / 2**20:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
