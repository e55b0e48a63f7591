"""The oracle is proven: it sees billing that is wrong on purpose, in scenes that right billing comes through."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from chaos.checker import explain
from chaos.mutants.mistakes import MISTAKES
from chaos.mutants.scenes import death_in_a_commit, late_commit, members_that_come_and_go, repeats_of_a_client
from chaos.mutants.stage import Stage
from chaos.violations import Check
from messaging_cli.local.process import Service
from testkit.accounts import Accounts
from testkit.broker import Broker
from testkit.kafka_proxy import KafkaProxy

Scene = Callable[[Stage], None]
SCENES: list[Scene] = [death_in_a_commit, members_that_come_and_go, late_commit, repeats_of_a_client]
CAUGHT: Mapping[str, tuple[Scene, Check]] = {
    "group metadata taken after another poll": (members_that_come_and_go, Check.REPEATED),
    "offsets committed automatically": (death_in_a_commit, Check.ROWS),
    "dead letters outside of the transaction": (death_in_a_commit, Check.LETTERS),
    "producer reused after a commit that timed out": (late_commit, Check.REPEATED),
    "deduplication by coordinates": (repeats_of_a_client, Check.REPEATED),
}


@pytest.fixture
def stage(proxied_kafka: tuple[Service, KafkaProxy], postgres_url: str, tmp_path: Path) -> Stage:
    kafka, proxy = proxied_kafka
    return Stage(Broker(kafka.address), proxy, Accounts(postgres_url), tmp_path)


@pytest.mark.parametrize("scene", SCENES)
def test_right_billing_comes_through(stage: Stage, scene: Scene) -> None:
    scene(stage)
    found = stage.violations()
    assert not found, explain(found)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_seen(stage: Stage, mistake: str) -> None:
    scene, promise = CAUGHT[mistake]
    stage.mistake = mistake
    scene(stage)
    broken = {violation.check for violation in stage.violations()}
    assert promise in broken, f"only {broken}"
