"""helm, what the chart renders with it, and promtool, which tries its alerts."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from .rendering import CHART, Helm, Render, Rendered


@pytest.fixture(scope="session")
def helm() -> Path:
    return tool("helm")


@pytest.fixture(scope="session")
def promtool() -> Path:
    return tool("promtool")


def tool(name: str) -> Path:
    """From PATH, else the newest that the test bed built; a missing one is a failure and not a skip."""
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "messaging-topology"
    built = sorted(cache.glob(f"built/*/{name}"), key=lambda path: path.stat().st_mtime)
    if not built:
        pytest.fail(f"{name} is neither on PATH nor in the test bed's cache: run `make chart`, which builds it")
    return built[-1]


@pytest.fixture(scope="session")
def run_helm(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Runs helm with its folders in a scratch place and without a cluster."""
    home = tmp_path_factory.mktemp("helm")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(home / "absent")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([helm, *arguments], env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def template(run_helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """`helm template` with these values, whatever comes of it."""
    file = tmp_path_factory.mktemp("values") / "values.yaml"

    def run(**values: object) -> subprocess.CompletedProcess[str]:
        file.write_text(yaml.safe_dump(values))
        where = ("--namespace=platform", "--kube-version=1.37", f"--values={file}")
        return run_helm("template", "messaging-operator", str(CHART), *where)

    return run


@pytest.fixture(scope="session")
def render(template: Helm) -> Render:
    """The objects that these values render to."""

    def run(**values: object) -> Rendered:
        done = template(**values)
        assert done.returncode == 0, done.stderr
        return Rendered([item for item in yaml.safe_load_all(done.stdout) if item])

    return run
