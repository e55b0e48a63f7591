"""`mtop status` on a real Kafka and real processors' loops: lag, rates, what is away, and gaps instead of failures."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from messaging_api.status import (
    Condition,
    ConditionType,
    ProcessorStatus,
    Reason,
    TopologyStatus,
)
from messaging_cli.observing.gathering import Gatherer, LocalWorld
from messaging_cli.observing.snapshot import rates
from messaging_processors.runtime.health import Health, serve
from testkit.broker import Broker, Seen
from testkit.charging import charged
from testkit.local_runs import FakeRun, Mtop
from testkit.loops import billing_pods, turn_until
from testkit.samples import an_accepted_message
from testkit.waiting import eventually

BILLING = "billing-marketing"
READERS = ("billing-agent-flow", "billing-authentication", BILLING)


@pytest.fixture
def health(local_run: FakeRun) -> Iterator[Health]:
    """What the one process of the run says; its counters are those of the test's own process."""
    ready = Condition(
        type=ConditionType.READY,
        status="False",
        reason=Reason.ROLLOUT_IN_PROGRESS,
        message="wait",
        observed_generation=1,
        last_transition_time="2030-01-01T00:00:00Z",
    )
    processors = [ProcessorStatus(name=BILLING, desired=2, ready=1)]
    local_run.write_status(TopologyStatus(conditions=[ready], processors=processors))
    health = Health()
    server = serve(health, 0)
    local_run.write_processes([process(server.server_address[1])])
    yield health
    server.shutdown()
    server.server_close()


def process(port: object) -> dict[str, object]:
    return {"processor": BILLING, "replica": 0, "pid": os.getpid(), "health": f"127.0.0.1:{port}"}


def put(broker: Broker, count: int) -> None:
    for number in range(count):
        message = an_accepted_message(f"account-{number}")
        value = message.model_dump_json().encode()
        broker.put("postpaid", value, [("domain", "marketing")], message.account_id.encode())
    broker.flush()


def topics(status: dict[str, Any], broker: Broker) -> dict[str, dict[str, Any]]:
    return {topic["name"].removeprefix(broker.prefix): topic for topic in status["topics"]}


def test_status_tells_topics_and_processors(mtop: Mtop, local_run: FakeRun, broker: Broker, health: Health) -> None:
    health.away("database", "connection refused")
    put(broker, 7)
    status = mtop.json("status", local_run.name)
    assert status["ready"] == "not ready: RolloutInProgress: wait"
    found = topics(status, broker)
    assert len(found) == 11
    assert found["postpaid"] == {
        "name": broker.name("postpaid"),
        "partitions": 2,
        "writtenPerSecond": 0.0,
        "lag": dict.fromkeys(READERS, 7),
    }
    (processor,) = status["processors"]
    assert (processor["name"], processor["ready"], processor["desired"]) == (BILLING, 1, 2)
    assert processor["away"] == ["database: connection refused"]
    assert status["gaps"] == []


def test_a_group_that_is_done_has_no_lag(mtop: Mtop, local_run: FakeRun, broker: Broker, database_url: str) -> None:
    put(broker, 20)
    with billing_pods(local_run.config_of(BILLING), database_url=database_url) as (pod,):
        turn_until(lambda: charged(broker).total() == 20, pod.step)
    found = topics(mtop.json("status", local_run.name), broker)
    assert found["postpaid"]["lag"] == {"billing-marketing": 0, "billing-authentication": 20, "billing-agent-flow": 20}
    assert found["marketing"]["lag"]["marketing"] >= 20
    commit(local_run.config_of("marketing").group_id, broker.everything("marketing"), broker)
    assert topics(mtop.json("status", local_run.name), broker)["marketing"]["lag"] == {"marketing": 0}


def test_what_transactions_leave_for_nobody_is_no_lag(mtop: Mtop, local_run: FakeRun, broker: Broker) -> None:
    """Two at a time, whose markers come one after the other, and one that is aborted; then one that is open."""

    def lag() -> int:
        return int(topics(mtop.json("status", local_run.name), broker)["marketing"]["lag"]["marketing"])

    sink = local_run.config_of("marketing").group_id
    one, other = (writing(broker, name, 1) for name in ("one", "other"))
    aborted = writing(broker, "third", 40)
    one.commit_transaction()
    other.commit_transaction()
    aborted.abort_transaction()
    eventually(lambda: not broker.transaction_is_open("marketing"))
    commit(sink, broker.everything("marketing")[:1], broker)
    assert lag() == 1
    commit(sink, broker.everything("marketing"), broker)
    assert lag() == 0
    hiding = writing(broker, "fourth", 40)
    assert lag() == 40
    hiding.commit_transaction()
    assert lag() == 40


def writing(broker: Broker, name: str, records: int) -> Producer:
    """Has records of an open transaction in the log."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": broker.name(name)})
    producer.init_transactions()
    producer.begin_transaction()
    for _ in range(records):
        producer.produce(broker.name("marketing"), b"{}", partition=0)
    assert producer.flush(10) == 0
    return producer


def commit(group: str, records: Iterable[Seen], broker: Broker) -> None:
    """As a sink that has read all of them."""
    ends = {(record.topic, record.partition): record.offset + 1 for record in records}
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    consumer.commit(offsets=[TopicPartition(*at, offset) for at, offset in ends.items()], asynchronous=False)
    consumer.close()


def test_rates_are_what_happened_between_two_snapshots(
    local_run: FakeRun, broker: Broker, health: Health, database_url: str
) -> None:
    gatherer = Gatherer(LocalWorld(local_run.name))
    with billing_pods(local_run.config_of(BILLING), database_url=database_url) as (pod,):
        before = gatherer.snapshot()
        put(broker, 12)
        turn_until(lambda: charged(broker).total() == 12, pod.step)
    after = gatherer.snapshot()
    seconds = after.at - before.at
    found = rates(before, after)
    assert found.written[broker.name("postpaid")] * seconds == pytest.approx(12)
    assert found.records[BILLING] * seconds == pytest.approx(12)
    assert after.processors[0].dead_letters == before.processors[0].dead_letters


def test_who_does_not_answer_leaves_a_gap(mtop: Mtop, local_run: FakeRun, health: Health) -> None:
    local_run.write_processes([process(9)])
    status = mtop.json("status", local_run.name, "--kafka", "127.0.0.1:9")
    assert [gap.split(":")[0] for gap in status["gaps"]] == ["Kafka at 127.0.0.1", f"no metrics from {BILLING}-0"]
    assert status["topics"][0]["writtenPerSecond"] is None
    assert status["processors"][0]["recordsPerSecond"] is None
    assert "no metrics from" in mtop.text("status", local_run.name, "--kafka", "127.0.0.1:9")


def test_a_live_table_is_no_json(mtop: Mtop, local_run: FakeRun) -> None:
    assert "leave out --watch" in mtop.error("status", local_run.name, "--watch", "-o", "json")
    assert "does not run here" in mtop.error("status", "nobody")


def test_watch_shows_news_until_it_is_interrupted(
    local_run: FakeRun, broker: Broker, health: Health, tmp_path: Path
) -> None:
    shown = tmp_path / "shown"
    command = [sys.executable, "-m", "messaging_cli", "status", local_run.name, "--watch"]
    terminal = os.environ | {"FORCE_COLOR": "1", "COLUMNS": "120", "LINES": "60"}
    with shown.open("wb") as output, subprocess.Popen(command, stdout=output, env=terminal) as watching:
        eventually(lambda: BILLING in shown.read_text())
        health.away("cache", "a word that comes later")
        eventually(lambda: "a word that comes later" in shown.read_text())
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 0
