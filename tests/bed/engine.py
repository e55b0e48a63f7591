"""The Docker engine: the machine's own where it can pull images, else one that we start and stop.

Every command of the bed works inside `ready()` or `again()`; from then on every `docker`, `kind` and
test process finds the engine through DOCKER_HOST. Where images come from follows from it: pulled
with the machine's engine, built with ours. Promises: ours lives in the cache folder, writes no
firewall rules, is not stopped under a command that works with it, and `stop_if_unused()` leaves the
machine as it was.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bed.shell import require, run, succeeds
from messaging_cli.errors import CliError
from messaging_cli.local import cache
from messaging_cli.local.saying import say

HERE = Path(__file__).parent
PID_FILES = ("dockerd.pid", "exec/containerd/containerd.pid")
PULLED_NODE = "kindest/node:v1.37.0"  # the one that the kind of programs/go.mod was released with
PULLED_BASE = "python:3.12-slim"
# Without iptables, masquerading and forwarding dockerd leaves the machine's network alone; published
# ports are served by its proxy, and nothing in here needs to reach the outside.
CONFIGURATION = {
    "default-runtime": "bed",
    "storage-driver": "overlay2",
    "exec-opts": ["native.cgroupdriver=cgroupfs"],
    "default-cgroupns-mode": "private",
    "bridge": "none",
    "iptables": False,
    "ip6tables": False,
    "ip-forward": False,
    "ip-masq": False,
}


@dataclass(frozen=True)
class Engine:
    """`pulls`: images come from a registry; else they are built from package registries."""

    host: str
    pulls: bool


@contextmanager
def ready() -> Iterator[Engine]:
    """Whichever engine it is here."""
    with users(fcntl.LOCK_SH):
        yield machine_engine() or own_engine()


@contextmanager
def again(host: str | None) -> Iterator[None]:
    """The engine that a cluster was made with, to remove it: nothing is pulled for that, and only ours is started.

    `host` is None where the cluster was not made to its end.
    """
    with users(fcntl.LOCK_SH):
        if host is None:
            host = own_host() if configuration_file().exists() else os.environ.get("DOCKER_HOST", "")
        if host == own_host():
            own_engine()
        else:
            os.environ["DOCKER_HOST"] = host
        yield


@contextmanager
def users(operation: int) -> Iterator[None]:
    """Who works with an engine holds this lock with others, who stops ours holds it alone."""
    with (cache.root() / "engine-users.lock").open("w") as handle:
        fcntl.flock(handle, operation)
        yield


def machine_engine() -> Engine | None:
    if own_process() or not shutil.which("docker") or not succeeds("docker", "version", timeout=20):
        return None
    pulls = all(present(image) or pull(image) for image in (PULLED_NODE, PULLED_BASE))
    return Engine(os.environ.get("DOCKER_HOST", ""), pulls=True) if pulls else None


def present(image: str) -> bool:
    return succeeds("docker", "image", "inspect", image)


def pull(image: str) -> bool:
    say(f"docker pull {image}")
    return succeeds("docker", "pull", "--quiet", image)


def folder() -> Path:
    return cache.root() / "engine"


def own_engine() -> Engine:
    os.environ["DOCKER_HOST"] = own_host()
    os.environ["DOCKER_BUILDKIT"] = "0"  # Debian's docker.io comes without buildx
    with cache.locked("engine"):
        if not own_process():
            start()
    return Engine(own_host(), pulls=False)


def own_host() -> str:
    return f"unix://{folder()}/docker.sock"


def start() -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CliError(
            "no Docker engine that can pull images answers (`docker version`): start one;"
            " only root on Debian can have one made here"
        )
    require("dockerd", "docker.io iptables")
    folder().mkdir(exist_ok=True)
    remember_machine()
    write_configuration()
    clear_leftovers()
    with (folder() / "dockerd.log").open("ab") as log:
        # Its own mount namespace: whatever way it ends, no mount stays behind on the machine.
        # Its own session: Ctrl-C in a terminal ends the caller, not the engine.
        process = subprocess.Popen(
            [
                *("unshare", "--mount", "--propagation", "slave"),
                *("dockerd", "--config-file", configuration_file()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    await_engine(process)


def await_engine(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not succeeds("docker", "version", timeout=20):
        if process.poll() is not None or time.monotonic() > deadline:
            log = (folder() / "dockerd.log").read_text(errors="replace").splitlines()
            raise CliError("dockerd does not start:\n" + "\n".join(log[-10:]))
        time.sleep(0.1)
    say(f"started an own Docker engine: DOCKER_HOST={os.environ['DOCKER_HOST']}")


def write_configuration() -> None:
    runtime = folder() / "runc"
    # A fixed interpreter: the one on PATH may be a slow shim, and this runs for every container.
    interpreter = Path(sys.executable).resolve()
    runtime.write_text(f"#!{interpreter} -IS\n" + (HERE / "runc.py").read_text())
    runtime.chmod(0o755)
    places = {
        "hosts": [own_host()],
        "data-root": str(folder() / "data"),
        "exec-root": str(folder() / "exec"),
        "pidfile": str(folder() / PID_FILES[0]),
        "runtimes": {"bed": {"path": str(runtime)}},
        "cgroup-parent": f"/{cgroup_parent()}",
    }
    configuration_file().write_text(json.dumps(CONFIGURATION | places, indent=1))


def configuration_file() -> Path:
    """There as soon as an engine of our own was made here."""
    return folder() / "daemon.json"


def own_process() -> int | None:
    return running(PID_FILES[0])


def running(pid_file: str) -> int | None:
    """The process id in that file, if it is ours; a pid file can be stale, its number reused."""
    try:
        pid = int((folder() / pid_file).read_text())
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return pid if str(folder()) in command else None


def clear_leftovers() -> None:
    """What a killed engine left: dockerd refuses to start beside a pid file whose number lives,
    and waits in vain for a containerd that is just about to follow its parent."""
    for pid_file in PID_FILES:
        end(pid_file, signal.SIGKILL)
        (folder() / pid_file).unlink(missing_ok=True)


FOOTPRINT = ["/etc/docker/key.json", "/etc/docker", "/run/docker", "/run/containerd"]


def remember_machine() -> None:
    """Notes what dockerd is going to add to the machine; once, not again after a crash of ours."""
    note = folder() / "added.json"
    if not note.exists():
        note.write_text(json.dumps([path for path in FOOTPRINT if not Path(path).exists()]))


def stop_if_unused() -> None:
    """Stops our engine when nobody works with it and no container is left in it, and takes away what it left behind."""
    try:
        with users(fcntl.LOCK_EX | fcntl.LOCK_NB), cache.locked("engine"):
            stop_if_empty()
    except BlockingIOError:
        say("the Docker engine stays: another checkout works with it")


def stop_if_empty() -> None:
    if own_process():
        os.environ["DOCKER_HOST"] = own_host()
        if left := run("docker", "ps", "--all", "--format", "{{.Names}}").split():
            say(f"the Docker engine stays: it still has {', '.join(left)}")
            return
        run("docker", "network", "prune", "--force")
        end(PID_FILES[0], signal.SIGTERM, signal.SIGKILL)
        say("stopped our Docker engine")
    restore_machine()


def end(pid_file: str, *signals: signal.Signals) -> None:
    """Each signal once (dockerd takes a third one for impatience), with half a minute to obey."""
    for number in signals:
        if pid := running(pid_file):
            os.kill(pid, number)
        deadline = time.monotonic() + 30
        while running(pid_file) and time.monotonic() < deadline:
            time.sleep(0.1)


def restore_machine() -> None:
    note = folder() / "added.json"
    if not note.exists():
        return
    for path in map(Path, json.loads(note.read_text())):
        path.unlink(missing_ok=True) if path.is_file() else remove_empty(path)
    for cgroup in Path("/sys/fs/cgroup").glob(f"*/{cgroup_parent()}"):
        remove_empty(cgroup)
    remove_empty(Path("/sys/fs/cgroup") / cgroup_parent())
    note.unlink()


def remove_empty(top: Path) -> None:
    """Folders only, the innermost first; one that another engine uses is not empty and stays."""
    for path in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
        with suppress(OSError):
            path.rmdir()
    with suppress(OSError):
        top.rmdir()


def cgroup_parent() -> str:
    return f"bed-{cache.digest(str(folder()))}"
