"""The oracle is proven: it sees billing that is wrong on purpose, in scenes that right billing comes through."""

from collections.abc import Callable, Mapping

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


MOST_STAGES = 3
"""Some mistakes show only where a rebalance falls into a batch; right billing must come through every time."""


@pytest.fixture
def new_stage(
    proxied_kafka: tuple[Service, KafkaProxy], postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Stage]:
    kafka, proxy = proxied_kafka
    return lambda: Stage(Broker(kafka.address), proxy, Accounts(postgres_url), tmp_path_factory.mktemp("stage"))


@pytest.mark.parametrize("scene", SCENES)
def test_right_billing_comes_through(new_stage: Callable[[], Stage], scene: Scene) -> None:
    stage = new_stage()
    scene(stage)
    found = stage.violations()
    assert not found, explain(found)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_seen(new_stage: Callable[[], Stage], mistake: str) -> None:
    scene, promise = CAUGHT[mistake]
    broken: set[Check] = set()
    for _ in range(MOST_STAGES):
        stage = new_stage()
        stage.mistake = mistake
        scene(stage)
        broken |= {violation.check for violation in stage.violations()}
        if promise in broken:
            return
    pytest.fail(f"only {broken}")
