"""Topics that grow under load, in README's steps: nobody is kept waiting for long, and no account's order breaks.

A third party is slow meanwhile, so that records wait for a sink of two pods, where later ones could overtake them.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import Any

import httpx
import pytest

from bed.state import BedState
from chaos.checker import CHECKS, explain
from chaos.journal import Journal
from chaos.load import Load
from chaos.observed import Observed
from chaos.observing import called, stored
from chaos.violations import Check
from messaging_api.topology import MESSAGING_NAME
from messaging_cli.kafka import Offsets
from messaging_cli.local.third_party import Record
from messaging_cli.traffic import new_run
from testkit.cluster import NAMESPACE, TOPOLOGY, Cluster
from testkit.traffic import API_KEY, TENANT
from testkit.waiting import eventually, for_seconds

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("grown")]

GATE = "/spec/messaging/replicas"
SINK, SLOW_SECONDS, IN_FLIGHT = "authentication", 1.0, 16
"""Of all its pods: half of what the load sends there."""
WRITTEN = "postpaid", "prepaid", "marketing", "authentication"
"""By the load."""
READINGS = 9
"""Three billings of two topics each, and three sinks."""
FACTOR = 2
BACKLOG, AFTERWARDS = 600, 300
HEARD_SECONDS, GATE_SECONDS = 10.0, 60.0
PROMISES = (
    Check.LOST,
    Check.GHOST,
    Check.ENTRIES,
    Check.ROWS,
    Check.EFFECTS,
    Check.LEDGER_ORDER,
    Check.EFFECT_ORDER,
    Check.PAYMENTS,
    Check.BALANCES,
)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    with closing(Journal(tmp_path_factory.mktemp("growth"))) as made:
        yield made


@pytest.fixture(scope="module")
def load(bed: BedState, journal: Journal) -> Load:
    return Load([bed.gateway_url], TENANT, journal, new_run(), api_key=API_KEY)


@pytest.fixture(scope="module")
def before(installed: Cluster) -> dict[str, int]:
    """The partitions of every topic."""
    eventually(installed.is_ready, within=180)
    return partitions(installed)


@pytest.fixture(scope="module")
def slow_sink(installed: Cluster, bed: BedState) -> Iterator[None]:
    sinks = [sink["name"] for sink in installed.get("mtop", TOPOLOGY)["spec"]["sinks"]]
    path, behaviour = f"/spec/sinks/{sinks.index(SINK)}", f"{bed.third_party_url}/behaviour"
    httpx.post(behaviour, json={"path": f"/{SINK}", "delay": SLOW_SECONDS}).raise_for_status()
    change(installed, {f"{path}/replicas": 2, f"{path}/thirdParty/maxInFlight": IN_FLIGHT // 2})
    eventually(installed.is_ready, within=120)
    yield
    httpx.post(behaviour, json={}).raise_for_status()
    change(installed, {f"{path}/replicas": 1, f"{path}/thirdParty/maxInFlight": IN_FLIGHT})


@pytest.fixture(scope="module")
def grown(installed: Cluster, bootstrap: str, load: Load, before: dict[str, int], slow_sink: None) -> None:
    """Everything has grown and come to rest again."""
    with load:
        load.await_accepted(BACKLOG)
        grow_in_order(installed, bootstrap, before)
        load.await_accepted(AFTERWARDS, within=120)
    eventually(partial(is_done, installed, bootstrap), within=120)


def grow_in_order(cluster: Cluster, bootstrap: str, before: dict[str, int]) -> None:
    """Nothing is taken, all is done, the topics grow, all hear of it, and messages are taken again."""
    spec = cluster.get("mtop", TOPOLOGY)["spec"]
    change(cluster, {GATE: 0})
    eventually(partial(has_no_pods, cluster), within=60)
    eventually(partial(is_done, cluster, bootstrap), within=60)
    wanted = {topic["name"]: FACTOR * before[topic["name"]] for topic in spec["topics"]}
    change(cluster, {f"/spec/topics/{place}/partitions": more for place, more in enumerate(wanted.values())})
    eventually(lambda: partitions(cluster).items() >= wanted.items())
    for_seconds(HEARD_SECONDS)
    change(cluster, {GATE: spec["messaging"]["replicas"]})


def change(cluster: Cluster, values: Mapping[str, int]) -> None:
    """All at once."""
    cluster.patch_topology([{"op": "add", "path": path, "value": value} for path, value in values.items()])


def partitions(cluster: Cluster) -> dict[str, int]:
    """By topic, as the resource's status tells them."""
    return {topic["name"]: topic["partitions"] for topic in cluster.get("mtop", TOPOLOGY)["status"]["topics"]}


def has_no_pods(cluster: Cluster) -> bool:
    """Of be-messaging; not even one that is going."""
    return not cluster.items("pod", f"app.kubernetes.io/instance={TOPOLOGY},app.kubernetes.io/name={MESSAGING_NAME}")


def is_done(cluster: Cluster, bootstrap: str) -> bool:
    """No lag twice in a row: what left an accepted topic the first time is seen in its domain's the second time."""
    return all(nothing_waits(cluster, bootstrap) for _ in range(2))


def nothing_waits(cluster: Cluster, bootstrap: str) -> bool:
    told = cluster.mtop("status", TOPOLOGY, "-n", NAMESPACE, "--kafka", bootstrap, "-o", "json")
    assert told.returncode == 0, told.stderr
    status = json.loads(told.stdout)
    lags = {(topic["name"], reader): lag for topic in status["topics"] for reader, lag in topic["lag"].items()}
    assert len(lags) == READINGS, status["gaps"]
    assert {place: lag for place, lag in lags.items() if lag} == {}
    return True


def test_messages_were_taken_again_within_a_minute(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\nno message was taken for {load.longest_gap:.0f} s while topics grew")
    assert load.longest_gap <= GATE_SECONDS


@pytest.mark.parametrize("topic", WRITTEN)
def test_the_new_partitions_are_written_to(before: dict[str, int], bootstrap: str, topic: str) -> None:
    offsets = Offsets(bootstrap)
    ends = offsets.ends(offsets.partitions([topic]))
    assert len(ends) == FACTOR * before[topic]
    assert any(end for (_, number), end in ends.items() if number >= before[topic])


def test_nothing_is_lost_doubled_or_out_of_order(bed: BedState, load: Load, journal: Journal) -> None:
    kept: dict[str, Any] = {
        kind: tuple(one for one in found if (one.id if kind == "accounts" else one.account) in load.accounts)
        for kind, found in stored(bed.database_url, TENANT).items()
    }
    ids = {sending.id for sending in journal.sendings()}
    records = [Record(**record) for record in httpx.get(f"{bed.third_party_url}/records", timeout=30).json()]
    calls = tuple(call for call in map(called, records) if call.key in ids)
    seen = Observed(sendings=journal.sendings(), payments=journal.payments(), calls=calls, **kept)
    assert seen.calls
    found = [violation for check in PROMISES for violation in CHECKS[check](seen)]
    assert not found, explain(found)
