"""kind, kubectl, helm and everything in a node, compiled from the Go module in programs/.

Called by `cluster` (command-line tools) and `images` (contents of the node image). One module and
one `go build`, so that what the programs share is compiled once.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from bed.engine import Engine
from bed.shell import run
from messaging_cli.local import cache
from messaging_cli.local.saying import step

MODULE = Path(__file__).parent / "programs"
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
        folder = compiled("tools", "kind, kubectl, helm (4 minutes)", *TOOLS.values())
    else:
        folder = node_programs()
    return Tools(**{name: str(folder / name) for name in TOOLS})


def node_programs() -> Path:
    """Every `tool` of go.mod and the two programs of our own."""
    label = f"Kubernetes {KUBERNETES}, etcd, containerd, CoreDNS, kind, helm (15 minutes)"
    return compiled("programs", label, "tool", "./coredns", "./pause")


def compiled(name: str, label: str, *packages: str) -> Path:
    def build(folder: Path) -> None:
        with step(f"compile {label}"):
            run(
                *("go", "build", "-ldflags", linker_flags(), "-o", f"{folder}/"),
                *packages,
                cwd=MODULE,
                env={"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"},
            )
        if (server := folder / "server").exists():
            server.rename(folder / "etcd")  # named after its package's folder

    return cache.built(name, cache.digest(MODULE, linker_flags(), *packages), build)


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
