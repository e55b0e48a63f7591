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
from testkit.faults import declared_at, entry_path, without
from testkit.traffic import API_KEY, TENANT
from testkit.waiting import eventually, for_seconds

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("grown")]

SINK, SLOW_SECONDS, IN_FLIGHT = "authentication", 1.0, 4
"""Of each of two pods: less than half of what the load sends there."""
WRITTEN = "postpaid", "prepaid", "marketing", "authentication"
"""By the load."""
READINGS = 9
"""Three billings of two topics each, and three sinks."""
FACTOR = 2
BACKLOG, AFTERWARDS = 350, 300
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
    return installed.partitions()


@pytest.fixture(scope="module")
def slow_sink(installed: Cluster, bed: BedState) -> Iterator[None]:
    sink = entry_path(installed, SINK)
    in_flight, replicas = f"{sink}/thirdParty/maxInFlight", f"{sink}/replicas"
    declared = declared_at(installed, in_flight)
    behaviour = f"{bed.third_party_url}/behaviour"
    try:
        httpx.post(behaviour, json={"path": f"/{SINK}", "delay": SLOW_SECONDS}).raise_for_status()
        change(installed, {replicas: 2, in_flight: IN_FLIGHT})
        eventually(installed.is_ready, within=120)
        yield
    finally:
        change(installed, {replicas: 1, in_flight: declared})
        httpx.post(behaviour, json={}).raise_for_status()


@pytest.fixture(scope="module")
def grown(installed: Cluster, bootstrap: str, load: Load, before: dict[str, int], slow_sink: None) -> None:
    """Everything has grown and come to rest again."""
    with load:
        load.await_accepted(BACKLOG)
        with without(installed, MESSAGING_NAME):
            assert eventually(partial(lags, installed, bootstrap))[SINK, SINK]
            eventually(partial(nothing_waits, installed, bootstrap), within=60)
            grow(installed, before)
            for_seconds(HEARD_SECONDS)
        load.await_accepted(AFTERWARDS, within=120)
    eventually(partial(nothing_waits, installed, bootstrap), within=120)


def grow(cluster: Cluster, before: Mapping[str, int]) -> None:
    """All topics that are declared."""
    declared = cluster.get("mtop", TOPOLOGY)["spec"]["topics"]
    wanted = {topic["name"]: FACTOR * before[topic["name"]] for topic in declared}
    change(cluster, {f"/spec/topics/{number}/partitions": more for number, more in enumerate(wanted.values())})
    eventually(lambda: cluster.partitions().items() >= wanted.items())


def change(cluster: Cluster, values: Mapping[str, int]) -> None:
    """All at once."""
    cluster.patch_topology([{"op": "add", "path": path, "value": value} for path, value in values.items()])


def nothing_waits(cluster: Cluster, bootstrap: str) -> bool:
    waiting = {place: lag for place, lag in lags(cluster, bootstrap).items() if lag}
    assert waiting == {}
    return True


def lags(cluster: Cluster, bootstrap: str) -> dict[tuple[str, str], int]:
    """By topic and reader, as `mtop status` shows them."""
    told = cluster.mtop("status", TOPOLOGY, "-n", NAMESPACE, "--kafka", bootstrap, "-o", "json")
    assert told.returncode == 0, told.stderr
    status = json.loads(told.stdout)
    found = {(topic["name"], reader): lag for topic in status["topics"] for reader, lag in topic["lag"].items()}
    assert len(found) == READINGS, status["gaps"]
    return found


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
    ids = {str(sending.id) for sending in journal.sendings()}
    records = [Record(**record) for record in httpx.get(f"{bed.third_party_url}/records", timeout=30).json()]
    calls = tuple(called(record) for record in records if record.id in ids)
    seen = Observed(sendings=journal.sendings(), payments=journal.payments(), calls=calls, **kept)
    assert seen.calls
    found = [violation for check in PROMISES for violation in CHECKS[check](seen)]
    assert not found, explain(found)
