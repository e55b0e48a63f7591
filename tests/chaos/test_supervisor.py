"""What ends is started again; that it ended is noted, unless it was told to."""

from contextlib import closing
from pathlib import Path
from signal import SIGKILL

from chaos.supervisor import Supervisor
from chaos.topology import api_keys, gateway
from testkit.waiting import eventually


def test_only_an_end_that_nobody_asked_for_is_noted(tmp_path: Path) -> None:
    config = gateway("http://127.0.0.1:1", api_keys(tmp_path / "keys", "tenant"))
    with closing(Supervisor(tmp_path, lambda _: {})) as supervisor:
        (pod,) = supervisor.run(config, 1)
        first = pod.running
        pod.kill()
        eventually(lambda: pod.running is not first)
        assert not pod.unasked_ends
        pod.running.process.kill()
        eventually(lambda: pod.unasked_ends == [-SIGKILL])
