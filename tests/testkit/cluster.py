"""The kind cluster as the tests see it: kubectl, helm, and what they say."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bed.state import project_images

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/messaging-operator"
EXAMPLE = ROOT / "examples/user-api-messaging.yaml"
NAMESPACE = "messaging"
OPERATOR = "messaging-operator"
"""The name of its release, its namespace and its account."""
TOPOLOGY = "user-api-messaging"
DEPLOYMENTS = {
    "api-gateway",
    "be-messaging",
    "billing-marketing",
    "billing-authentication",
    "billing-agent-flow",
    "marketing",
    "authentication",
    "agent-flow",
}
PROCESSOR_KINDS = "gateway", "billing", "sink"


@dataclass(frozen=True)
class Cluster:
    """Runs kubectl and helm against one kubeconfig; a failed command raises with what it printed."""

    kubeconfig: Path
    kubectl_path: Path
    helm_path: Path

    def _run(self, *command: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"KUBECONFIG": str(self.kubeconfig)}
        return subprocess.run(
            command, input=stdin, text=True, capture_output=True, env=environment, timeout=300, check=False
        )

    def _checked(self, *command: str | Path, stdin: str | None = None) -> str:
        done = self._run(*command, stdin=stdin)
        assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr}{done.stdout}"
        return done.stdout

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self._checked(self.kubectl_path, *arguments, stdin=stdin)

    def helm(self, *arguments: str) -> str:
        return self._checked(self.helm_path, *arguments)

    def mtop(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The project's own command."""
        return self._run(sys.executable, "-m", "messaging_cli", *words)

    def apply(self, manifest: str) -> str:
        return self.kubectl("apply", "-f", "-", stdin=manifest)

    def refused(self, manifest: str) -> str:
        """What the API server said when it refused; fails when it did not refuse."""
        done = self._run(self.kubectl_path, "apply", "--dry-run=server", "-f", "-", stdin=manifest)
        assert done.returncode != 0, f"not refused: {done.stdout}"
        return done.stderr

    def install_operator(self) -> None:
        """`helm upgrade --install` with the images that the bed built."""
        release = f"upgrade --install {OPERATOR} {CHART} --namespace {OPERATOR} --create-namespace"
        # The CRD outlives its release by design, and a release of another name may have brought it.
        options = "--take-ownership --wait --timeout 120s"
        images = project_images()
        repository, tag = images["operator"].rsplit(":", 1)
        image = f"--set=image.repository={repository} --set=image.tag={tag}"
        processors = [f"--set=processorImages.{kind}={images[kind]}" for kind in PROCESSOR_KINDS]
        self.helm(*f"{release} {options} {image}".split(), *processors)

    def get(self, kind: str, name: str, namespace: str = NAMESPACE) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json"))
        return found

    def items(self, kind: str, selector: str = "", namespace: str = NAMESPACE) -> list[dict[str, Any]]:
        output = self.kubectl("get", kind, "-n", namespace, "-l", selector, "-o", "json")
        items: list[dict[str, Any]] = json.loads(output)["items"]
        return items

    def said(self) -> str:
        """The last lines of the example's pods, each after the name of its pod."""
        selector = f"app.kubernetes.io/instance={TOPOLOGY}"
        how = ("--prefix", "--tail=20", "--max-log-requests=50", "--request-timeout=20s")
        done = self._run(self.kubectl_path, "logs", "-n", NAMESPACE, "-l", selector, *how)
        return done.stdout + done.stderr

    def operator_containers(self) -> dict[str, dict[str, Any]]:
        """What is told of the container of each of the operator's pods."""
        pods = self.items("pod", f"app.kubernetes.io/name={OPERATOR}", OPERATOR)
        return {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0] for pod in pods}

    def operator_said(self) -> list[str]:
        """Every line that is left of its pods, those from before a restart first."""
        lines: list[str] = []
        for pod, container in self.operator_containers().items():
            for which in ("true", "false") if container["restartCount"] else ("false",):
                lines += self.kubectl("logs", pod, "-n", OPERATOR, f"--previous={which}").splitlines()
        return lines

    def deployments(self) -> set[str]:
        """The names of those that belong to the example topology."""
        return {item["metadata"]["name"] for item in self.items("deployment")} & DEPLOYMENTS

    def partitions(self) -> dict[str, int]:
        """Of every topic of the example topology, as its status tells them."""
        return {topic["name"]: topic["partitions"] for topic in self.get("mtop", TOPOLOGY)["status"]["topics"]}

    def pods(self) -> dict[str, set[str]]:
        """The pods of every processor of the example topology but those that are going."""
        found: dict[str, set[str]] = {name: set() for name in DEPLOYMENTS}
        for pod in self.items("pod", f"app.kubernetes.io/instance={TOPOLOGY}"):
            if "deletionTimestamp" not in pod["metadata"]:
                found[pod["metadata"]["labels"]["app.kubernetes.io/name"]].add(pod["metadata"]["name"])
        return found

    def is_ready(self) -> bool:
        """The example topology was looked at since its last change, and all is as declared."""
        generation = self.get("mtop", TOPOLOGY)["metadata"]["generation"]
        ready = self.condition("Ready")
        return (ready.get("observedGeneration"), ready.get("status")) == (generation, "True")

    def patch_topology(self, patch: list[dict[str, Any]]) -> str:
        return self.kubectl("patch", "mtop", TOPOLOGY, "-n", NAMESPACE, "--type=json", "-p", json.dumps(patch))

    def condition(self, kind: str) -> dict[str, str]:
        """A condition of the example topology, empty when it has none of that type."""
        conditions = self.get("mtop", TOPOLOGY).get("status", {}).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == kind), {})
