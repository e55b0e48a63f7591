"""`mtop up` as people use it: a topology on real parts, edited while it runs, ended in three ways."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from confluent_kafka.admin import AdminClient

from messaging_cli.local import leftovers, state
from messaging_cli.local.state import LocalRun
from messaging_cli.settings import cache_home
from testkit.topologies import EXAMPLE_FILE
from testkit.waiting import eventually

pytestmark = pytest.mark.timeout(180)

TOPOLOGY = "user-api-messaging"


class Up:
    """One `mtop up` in a cache of its own, and what it printed."""

    def __init__(self, home: Path) -> None:
        self.file = home / "topology.yaml"
        shutil.copy(EXAMPLE_FILE, self.file)
        self.output = home / "output"
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "messaging_cli", "up", str(self.file)]
        with self.output.open("wb") as output:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def said(self, text: str) -> bool:
        """Whether it has printed that; fails where it has ended without."""
        printed = self.output.read_text()
        assert text in printed or self.process.poll() is None, printed
        return text in printed

    @property
    def run(self) -> LocalRun:
        run = state.load(TOPOLOGY)
        assert run, self.output.read_text()
        return run

    def edit(self, old: str, new: str) -> None:
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache that shares what is slow to make, and nothing else, with the user's."""
    own = tmp_path_factory.mktemp("home")
    (own / "messaging-topology").mkdir()
    (own / "messaging-topology/built").symlink_to(cache_home() / "messaging-topology/built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(own))
        yield own


@pytest.fixture(scope="module")
def up(home: Path, kafka_bootstrap: str) -> Iterator[Up]:
    """Up and ready. Kafka's fixture comes first for its jars."""
    assert kafka_bootstrap
    up = Up(home)
    eventually(lambda: up.said("is up: topics 11/11, processors 8/8"), within=90)
    yield up
    up.process.kill()
    up.process.wait()
    leftovers.end(state.folder_of(TOPOLOGY))


def mtop(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "messaging_cli", *words], capture_output=True, text=True, timeout=60, check=False
    )


def gateway(run: LocalRun) -> httpx.Client:
    return httpx.Client(base_url=run.gateway_url, headers={"X-API-Key": run.api_key}, timeout=15)


def accepted(run: LocalRun, domain: str) -> str:
    message = {"accountId": "account-1", "domain": domain, "to": "+12025550123", "body": "Hello"}
    with gateway(run) as client:
        client.put("/v1/accounts/account-1", json={"billingType": "Prepaid"}).raise_for_status()
        top_up = {"amount": "10", "currency": "USD"}
        client.post(
            "/v1/accounts/account-1/top-ups", json=top_up, headers={"Idempotency-Key": "once"}
        ).raise_for_status()
        return str(client.post("/v1/messages", json=message).raise_for_status().json()["id"])


def is_sent(run: LocalRun, message_id: str) -> bool:
    with gateway(run) as client:
        assert client.get(f"/v1/messages/{message_id}").json().get("state") == "sent"
    assert message_id in httpx.get(f"{run.third_party_url}/calls", timeout=10).json()["ids"]
    return True


def partitions(run: LocalRun, topic: str) -> int:
    admin = AdminClient({"bootstrap.servers": run.kafka})
    return len(admin.list_topics(topic, timeout=10).topics[topic].partitions)


def test_a_message_goes_from_the_gateway_to_the_third_party(up: Up) -> None:
    ids = [accepted(up.run, domain) for domain in ("marketing", "authentication", "agent-flow")]
    for message_id in ids:
        eventually(lambda: is_sent(up.run, message_id))  # noqa: B023  it is called in this turn


def test_every_replica_is_a_process_of_its_own(up: Up) -> None:
    pods = json.loads((up.run.folder / "processes.json").read_text())
    replicas = [pod["processor"] for pod in pods]
    assert {name: replicas.count(name) for name in ("api-gateway", "billing-authentication", "marketing")} == {
        "api-gateway": 2,
        "billing-authentication": 2,
        "marketing": 1,
    }
    assert len(leftovers.marked(up.run.folder)) > len(pods)


def test_a_plan_compares_with_the_run(up: Up, tmp_path: Path) -> None:
    """Before an edit it says what the edit would do."""
    nothing = mtop("plan", "-f", str(up.file))
    assert (nothing.returncode, nothing.stdout) == (0, "no changes\n"), nothing
    other = tmp_path / "other.yaml"
    other.write_text(up.file.read_text().replace("name: prepaid, partitions: 6", "name: prepaid, partitions: 8"))
    pending = mtop("plan", "-f", str(other))
    assert pending.returncode == 2
    assert "OrderingRisk: " in pending.stdout
    assert "6 -> 8" in pending.stdout


def test_an_edit_is_applied_and_only_what_it_changes_is_restarted(up: Up) -> None:
    before = processes(up.run)
    up.edit("name: postpaid, partitions: 6", "name: postpaid, partitions: 12")
    up.edit('perSegment: "0.0075"', 'perSegment: "0.0080"')
    eventually(lambda: partitions(up.run, "postpaid") == 12)
    eventually(lambda: up.said("ObjectApplied Deployment billing-marketing: declared otherwise now"))
    eventually(lambda: processes(up.run)["billing-marketing"].isdisjoint(before["billing-marketing"]))
    after = processes(up.run)
    assert {name: pids for name, pids in after.items() if pids != before[name]}.keys() == {"billing-marketing"}


def processes(run: LocalRun) -> dict[str, set[int]]:
    pods = json.loads((run.folder / "processes.json").read_text())
    return {pod["processor"]: {one["pid"] for one in pods if one["processor"] == pod["processor"]} for pod in pods}


TABLE = """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: rates, namespace: messaging}
data:
  rates.csv: |
    prefix,perSegment
    +49,0.0600
"""


def rates_of(run: LocalRun, processor: str) -> list[dict[str, str]]:
    """As the configuration of each of its processes has them."""
    pods = json.loads((run.folder / "processes.json").read_text())
    objects = {found["metadata"]["name"]: found for found in json.loads((run.folder / "objects.json").read_text())}
    texts = [objects[pod["config"]]["data"]["config.json"] for pod in pods if pod["processor"] == processor]
    return [{rate["prefix"]: rate["perSegment"] for rate in json.loads(text)["rates"]} for text in texts]


def test_a_table_of_rates_beside_the_topology_is_followed(up: Up) -> None:
    reference = "ratesFrom: {configMapKeyRef: {name: rates, key: rates.csv}}"
    up.edit("freeSegments: 100", f"{reference}\n        freeSegments: 100")
    eventually(lambda: up.said("tariff.ratesFrom: Invalid value: ConfigMap rates is not there"))
    up.file.write_text(up.file.read_text() + TABLE)
    eventually(lambda: rates_of(up.run, "billing-marketing") == [{"+49": "0.0600"}], within=60)
    before = processes(up.run)
    up.edit("+49,0.0600", "+49,cheap")
    eventually(lambda: up.said("row 2, perSegment: 'cheap' is not a decimal"))
    up.edit("+49,cheap", "+49,0.0650")
    eventually(lambda: rates_of(up.run, "billing-marketing") == [{"+49": "0.0650"}], within=60)
    after = processes(up.run)
    assert {name for name, pids in after.items() if pids != before[name]} == {"billing-marketing"}


def test_an_edit_that_cannot_be_is_told_and_not_applied(up: Up) -> None:
    up.edit("name: postpaid, partitions: 12", "name: postpaid, partitions: 4")
    eventually(lambda: up.said("partitions can only grow: 12 -> 4"))
    assert "not applied: " in up.output.read_text()
    assert partitions(up.run, "postpaid") == 12
    up.edit("name: postpaid, partitions: 4", "name: postpaid, partitions: 12")


def test_a_process_that_dies_is_started_again(up: Up) -> None:
    (killed,) = processes(up.run)["agent-flow"]
    subprocess.run(["kill", "-KILL", str(killed)], check=True)
    eventually(lambda: killed not in processes(up.run)["agent-flow"])
    message_id = accepted(up.run, "agent-flow")
    eventually(lambda: is_sent(up.run, message_id))


def test_a_second_up_says_what_is_running(up: Up) -> None:
    second = mtop("up", str(up.file))
    assert second.returncode == 1
    assert second.stderr.splitlines() == [
        f"mtop: {TOPOLOGY} is up already at {up.run.gateway_url} from {up.file}: mtop down {TOPOLOGY} ends it"
    ]


def test_ctrl_c_ends_all(up: Up) -> None:
    folder = up.run.folder
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert leftovers.marked(folder) == []
    assert state.load(TOPOLOGY) is None


def test_what_a_killed_run_leaves_is_cleaned_up(home: Path) -> None:
    """Its services end with it; its processors do not."""
    up = Up(home)
    eventually(lambda: up.said("is up: "), within=90)
    folder = up.run.folder
    up.process.kill()
    up.process.wait()
    assert leftovers.marked(folder)
    down = mtop("down", TOPOLOGY)
    assert (down.returncode, down.stdout.startswith(f"{TOPOLOGY} was not up; ended ")) == (0, True), down
    assert leftovers.marked(folder) == []
    assert not folder.exists()


def test_ctrl_c_twice_kills(home: Path) -> None:
    """A process that does not obey holds nobody up: a frozen one cannot end in order."""
    up = Up(home)
    eventually(lambda: up.said("is up: topics 11/11, processors 8/8"), within=90)
    folder = up.run.folder
    (frozen,) = processes(up.run)["marketing"]
    os.kill(frozen, signal.SIGSTOP)
    up.process.send_signal(signal.SIGINT)
    eventually(lambda: up.said("ending; Ctrl-C again kills"))
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(10) == 130
    assert leftovers.marked(folder) == []


REFUSED = {
    "a broker that refuses": (["--kafka", "127.0.0.1:1"], "mtop: --kafka 127.0.0.1:1: [Errno 111] Connection refused"),
    "a database that refuses": (["--database", "postgresql://127.0.0.1:1/x"], "mtop: --database 127.0.0.1:1: "),
    "a Redis that refuses": (["--redis", "redis://127.0.0.1:1/0"], "mtop: --redis 127.0.0.1:1: "),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.usefixtures("home")
def test_what_was_given_and_does_not_answer_is_named_and_nothing_is_left(case: str) -> None:
    options, sentence = REFUSED[case]
    up = mtop("up", str(EXAMPLE_FILE), *options)
    assert (up.returncode, up.stdout) == (1, "")
    assert up.stderr.startswith(sentence)
    assert len(up.stderr.splitlines()) == 1
    assert leftovers.marked(state.folder_of(TOPOLOGY)) == []


@pytest.mark.usefixtures("home")
def test_a_taken_port_is_named(kafka_bootstrap: str) -> None:
    port = kafka_bootstrap.rsplit(":", 1)[1]
    up = mtop("up", str(EXAMPLE_FILE), "--port", port)
    assert up.returncode == 1
    assert up.stderr == f"mtop: port {port}: Address already in use; choose another with --port, or leave it out\n"
