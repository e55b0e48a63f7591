"""kind, kubectl, helm and everything in a node, compiled from the Go module in programs/; promtool from one of its own.

Called by `cluster` (command-line tools) and `images` (contents of the node image). One module and
one `go build`, so that what the programs share is compiled once. promtool shares little, and would change a node's key.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from bed.engine import Engine
from bed.shell import run
from messaging_cli.local import cache
from messaging_cli.local.saying import step

MODULE = Path(__file__).parent / "programs"
PROMTOOL = Path(__file__).parent / "promtool"
KUBERNETES = "v1.37.2"
TOOLS = {
    "kind": "sigs.k8s.io/kind",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "helm": "helm.sh/helm/v3/cmd/helm",
}


@dataclass(frozen=True)
class Tools:
    kind: str
    kubectl: str
    helm: str


def tools(engine: Engine) -> Tools:
    """The machine's tools where it has all three and images are pulled, else compiled ones."""
    if engine.pulls:
        found = {name: shutil.which(name) for name in TOOLS}
        if all(found.values()):
            return Tools(**{name: str(path) for name, path in found.items()})
        folder = compiled(MODULE, "tools", "kind, kubectl, helm (4 minutes)", *TOOLS.values())
    else:
        folder = node_programs()
    return Tools(**{name: str(folder / name) for name in TOOLS})


def node_programs() -> Path:
    """Every `tool` of go.mod and the two programs of our own."""
    label = f"Kubernetes {KUBERNETES}, etcd, containerd, CoreDNS, kind, helm (15 minutes)"
    return compiled(MODULE, "programs", label, "tool", "./coredns", "./pause")


def promtool() -> str:
    """The machine's, else a compiled one, without the clients of all clouds: they are for finding what to scrape."""
    found = shutil.which("promtool")
    return found or str(
        compiled(PROMTOOL, "promtool", "promtool (1 minute)", "-tags=remove_all_sd", "tool") / "promtool"
    )


def compiled(module: Path, name: str, label: str, *what: str) -> Path:
    """The folder with what `go build` makes of these flags and packages."""

    def build(folder: Path) -> None:
        with step(f"compile {label}"):
            run(
                *("go", "build", "-ldflags", linker_flags(), "-o", f"{folder}/"),
                *what,
                cwd=module,
                env={"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"},
            )
        if (server := folder / "server").exists():
            server.rename(folder / "etcd")  # named after its package's folder

    return cache.built(name, cache.digest(module, linker_flags(), *what), build)


def linker_flags() -> str:
    """No debug information, and the version that Kubernetes' own build would stamp."""
    stamp = {
        "gitVersion": KUBERNETES,
        "gitMajor": KUBERNETES.removeprefix("v").split(".")[0],
        "gitMinor": KUBERNETES.split(".")[1],
        "gitTreeState": "archive",
        "buildDate": "2026-01-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    values = [f"-X {package}.{key}={value}" for package in packages for key, value in stamp.items()]
    return " ".join(["-s", "-w", *values])


def module_source(module: str) -> Path:
    """Where the Go module cache keeps the files of a module that go.mod requires."""
    return Path(run("go", "list", "-m", "-f", "{{.Dir}}", module, cwd=MODULE).strip())
