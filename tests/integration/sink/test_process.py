"""A sink as its own process: what it says of its dependencies when nothing flows, and how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from messaging_api.processor import SinkConfig
from messaging_cli.local.process import Service
from testkit.accounts import Accounts, a_database, migrate
from testkit.processes import Processor, running
from testkit.waiting import eventually

NOTICED_WITHIN = 15


@pytest.fixture
def sink(config: SinkConfig, postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Processor]:
    with running(config, tmp_path, DATABASE_URL=postgres_url, CACHE_URL=redis_url) as processor:
        yield processor.await_ready()


def says(sink: Processor, ready: bool, *away: str) -> bool:
    readiness = sink.readiness()
    return (readiness.ready, set(readiness.away)) == (ready, set(away))


def test_it_says_what_is_away_although_nothing_flows(
    sink: Processor, kafka: Service, postgres: Service, redis_service: Service
) -> None:
    redis_service.kill()
    try:
        eventually(lambda: says(sink, True, "redis"), within=NOTICED_WITHIN)
        postgres.stop()
        try:
            eventually(lambda: says(sink, False, "redis", "database"), within=NOTICED_WITHIN)
        finally:
            postgres.start()
    finally:
        redis_service.start()
    eventually(lambda: says(sink, True), within=NOTICED_WITHIN)
    kafka.pause()
    try:
        eventually(lambda: says(sink, False, "kafka"), within=NOTICED_WITHIN)
    finally:
        kafka.resume()
    eventually(lambda: says(sink, True), within=NOTICED_WITHIN)


def test_it_ends_in_order_when_it_is_told_to(sink: Processor) -> None:
    metrics = urlopen(f"{sink.health_url}/metrics", timeout=5).read().decode()
    assert "messaging_records_consumed_total" in metrics
    eventually(lambda: "partitions gained" in sink.log.read_text())
    sink.process.terminate()
    assert sink.process.wait(10) == 0
    logged = [json.loads(line) for line in sink.log.read_text().splitlines()]
    assert "partitions lost" in [line["event"] for line in logged]
    assert {(line["topology"], line["processor"]) for line in logged} == {("user-api", "marketing")}


def test_a_configuration_that_cannot_work_is_refused_by_name(config: SinkConfig, tmp_path: Path) -> None:
    with running(config, tmp_path, DATABASE_URL="", CACHE_URL="") as processor:
        assert processor.process.wait(20) == 1
        assert "DATABASE_URL and CACHE_URL: not set" in processor.log.read_text()


def test_a_database_of_a_newer_version_ends_it_with_what_to_do(
    config: SinkConfig, postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    with a_database(postgres_url) as url:
        migrate(url)
        Accounts(url).execute("UPDATE alembic_version SET version_num = '99.0'")
        with running(config, tmp_path, DATABASE_URL=url, CACHE_URL=redis_url) as processor:
            assert processor.process.wait(20) == 1
            assert (
                "run processors of the version that migrated the database, or restore a backup"
                in processor.log.read_text()
            )
