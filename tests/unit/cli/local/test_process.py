"""A service of the bed: ready when `start()` returns, on its port again after it was killed, no orphan left."""

import _thread
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from messaging_cli.local import services
from messaging_cli.local.process import Service, ServiceError
from testkit.waiting import eventually

READY_THEN_WAIT = "import signal, sys; print('up:', sys.argv[1], flush=True); signal.pause()"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    command = [sys.executable, "-c", READY_THEN_WAIT, str(tmp_path)]
    service = Service("sample", "127.0.0.1:1", command, tmp_path, "up:")
    service.start()
    yield service
    service.stop()


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_killed_service_comes_back(service: Service) -> None:
    before = service.process.pid
    service.kill()
    assert not exists(before)
    service.start()
    assert service.process.pid != before
    assert exists(service.process.pid)


def test_a_frozen_service_can_be_stopped(service: Service) -> None:
    service.pause()
    eventually(lambda: "T (stopped)" in Path(f"/proc/{service.process.pid}/status").read_text())
    service.stop()
    assert service.process.returncode == -15


def test_what_a_killed_run_left_running_is_ended_first(service: Service) -> None:
    successor = Service("sample", "", service.command, service.folder, "up:")
    successor.start()
    assert service.process.wait(timeout=10) == -9
    successor.stop()


def test_a_foreign_process_that_has_the_number_by_now_is_left_alone(tmp_path: Path) -> None:
    foreign = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    (tmp_path / "sample.pid").write_text(str(foreign.pid))
    service = Service("sample", "", [sys.executable, "-c", READY_THEN_WAIT, str(tmp_path)], tmp_path, "up:")
    service.start()
    service.stop()
    assert foreign.poll() is None
    foreign.kill()
    foreign.wait()


def test_a_service_that_ends_at_start_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no room on the device')"]
    with pytest.raises(ServiceError, match="no room on the device") as caught:
        Service("sample", "", command, tmp_path, "up:").start()
    assert str(caught.value).startswith(f"sample is not ready (log: {tmp_path}/sample.log)")
    assert os.listdir(tmp_path) == ["sample.log"]


def test_an_interrupted_start_leaves_nothing_running(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import signal; signal.pause()", str(tmp_path)]
    service = Service("sample", "", command, tmp_path, "never said")

    def interrupt() -> None:
        eventually(service.pid_file.exists)
        _thread.interrupt_main()

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        service.start()
    assert service.process.poll() is not None
    assert os.listdir(tmp_path) == ["sample.log"]


RUN = """
import signal, sys
from pathlib import Path
from messaging_cli.local import services
with getattr(services, sys.argv[1])(Path(sys.argv[2])) as service:
    print(service.process.pid, flush=True)
    signal.pause()
"""


def runs(pid: int) -> bool:
    """A process that has ended and that nobody asked for its exit code has no command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("name", ["redis", "postgres"])
def test_a_service_ends_with_a_run_that_is_killed(tmp_path: Path, name: str) -> None:
    with subprocess.Popen([sys.executable, "-c", RUN, name, str(tmp_path)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        pid = int(run.stdout.readline())
        assert runs(pid)
        run.kill()
    eventually(lambda: not runs(pid))


def test_a_service_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    """As in a local run, where all services are started at a time."""
    with ExitStack() as running:
        with ThreadPoolExecutor(max_workers=1) as pool:
            thread = pool.submit(threading.get_native_id).result()
            service = pool.submit(running.enter_context, services.redis(tmp_path)).result()
        eventually(lambda: not Path(f"/proc/self/task/{thread}").exists())
        with redis.Redis.from_url(service.address) as client:
            assert client.ping()
