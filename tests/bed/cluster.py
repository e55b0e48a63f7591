"""The kind cluster of this checkout: made, found again, repaired, removed.

Called by the command line. Promises: `up()` may be repeated and interrupted at any point; what it
returns answers. Nothing outside the cache folder is written, ~/.kube/config included.
"""

import shutil
import socket
import time
from contextlib import ExitStack
from dataclasses import asdict, fields
from pathlib import Path
from string import Template

from bed import binaries, images
from bed.binaries import Tools
from bed.engine import Engine
from bed.shell import run, succeeds
from bed.state import BedState, Ports, cluster_folder, cluster_name, state_file
from messaging_cli.errors import CliError
from messaging_cli.local import cache
from messaging_cli.local.saying import say, step
from messaging_cli.local.services import database_url

MANIFESTS = Path(__file__).parent / "manifests"


def up(engine: Engine) -> BedState:
    tools = binaries.tools(engine)
    node_image = images.node(engine)
    inputs = cache.digest(node_image, MANIFESTS / "kind.yaml", MANIFESTS / "audit-policy.yaml")
    state = existing()
    if state and state.inputs == inputs and answers(state):
        return state
    with step("kind create cluster (half a minute)"):
        remove()
        return create(engine, tools, node_image, inputs)


def start_services(engine: Engine, state: BedState) -> None:
    """Loads the image where the node does not have it, applies the manifest, waits for readiness.

    At rest all of it is one `kubectl apply` that changes nothing.
    """
    image = images.service_image(engine)
    if image not in run("docker", "exec", state.node, "ctr", "-n=k8s.io", "images", "list", "-q"):
        images.load(state.cluster, [image])
    template = Template((MANIFESTS / "services.yaml").read_text())
    manifest = template.substitute(asdict(state.ports), image=image, database_url=database_url("postgres", 5432))
    run(*kubectl(state), "apply", "-f", "-", stdin=manifest)
    with step("wait for Kafka, PostgreSQL, Redis and the third party"):
        await_services(state)


def await_services(state: BedState) -> None:
    here = (*kubectl(state), "--namespace=messaging")
    try:
        run(*here, "rollout", "status", "deployment", "--selector=bed", "--timeout=3m")
    except CliError as error:
        raise CliError(f"{error}\n{run(*here, 'get', 'pods')}") from error


def existing() -> BedState | None:
    try:
        return BedState.load()
    except CliError:
        return None


def answers(state: BedState) -> bool:
    """Whether the API server is ready; a node that was stopped is started and given a minute."""
    if not succeeds("docker", "start", state.node):  # no-op where it runs
        say(f"the node {state.node} is gone: making the cluster anew")
        return False
    deadline = time.monotonic() + 60
    while not responds(state):
        if time.monotonic() > deadline:
            say(f"the API server of {state.cluster} is dead: making the cluster anew")
            return False
        time.sleep(0.5)
    return True


def responds(state: BedState) -> bool:
    return succeeds(*kubectl(state), "--request-timeout=5s", "get", "--raw=/readyz")


def kubectl(state: BedState) -> tuple[str, ...]:
    return (state.kubectl, "--kubeconfig", state.kubeconfig)


def create(engine: Engine, tools: Tools, node_image: str, inputs: str) -> BedState:
    folder = cluster_folder()
    audit = folder / "audit"
    audit.mkdir(parents=True)
    state = BedState(
        cluster=cluster_name(),
        kubeconfig=str(folder / "kubeconfig"),
        docker_host=engine.host,
        node_image=node_image,
        ports=free_ports(),
        audit_log=str(audit / "audit.log"),
        inputs=inputs,
        **asdict(tools),
    )
    if not engine.pulls:
        ensure_network()
    run(
        *(tools.kind, "create", "cluster", "--name", state.cluster, "--image", node_image),
        *("--kubeconfig", state.kubeconfig, "--config", "-", "--wait", "3m"),
        stdin=configuration(folder, state.ports, audit),
    )
    state.save()
    return state


def configuration(folder: Path, ports: Ports, audit: Path) -> str:
    """What kind is told; the node mounts the audit policy from a copy that stays with the cluster."""
    policy = shutil.copy(MANIFESTS / "audit-policy.yaml", folder)
    template = Template((MANIFESTS / "kind.yaml").read_text())
    return template.substitute(asdict(ports), audit=audit, policy=policy)


def ensure_network() -> None:
    """kind would make this network with IPv6, for which dockerd changes the host's sysctls."""
    if not succeeds("docker", "network", "inspect", "kind"):
        run("docker", "network", "create", "kind")


def free_ports() -> Ports:
    """All held at once while choosing, so that no two are the same."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in fields(Ports)]
        for sock in held:
            sock.bind(("127.0.0.1", 0))
        return Ports(*(sock.getsockname()[1] for sock in held))


def remove() -> None:
    """The state file goes first: from then on nobody takes the cluster for whole."""
    state_file().unlink(missing_ok=True)
    label = f"label=io.x-k8s.kind.cluster={cluster_name()}"
    if nodes := run("docker", "ps", "--all", "--quiet", "--filter", label).split():
        run("docker", "rm", "--force", "--volumes", *nodes)
    shutil.rmtree(cluster_folder(), ignore_errors=True)
