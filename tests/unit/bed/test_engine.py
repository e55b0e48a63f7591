"""Our Docker engine is shared by the checkouts of a machine: none stops it under another."""

import os
from pathlib import Path

import pytest

from bed import engine

ELSEWHERE = "unix:///elsewhere/docker.sock"


@pytest.fixture(autouse=True)
def left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What an engine that is stopped takes away."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "")
    note = tmp_path / "messaging-topology/engine/added.json"
    note.parent.mkdir(parents=True)
    note.write_text("[]")
    return note


def test_an_engine_is_not_stopped_while_a_command_works_with_it(left_behind: Path) -> None:
    with engine.again(ELSEWHERE), engine.again(ELSEWHERE):
        engine.stop_if_unused()
        assert left_behind.exists()
    engine.stop_if_unused()
    assert not left_behind.exists()


def test_a_cluster_is_removed_from_the_engine_that_it_was_made_with() -> None:
    with engine.again(ELSEWHERE):
        assert os.environ["DOCKER_HOST"] == ELSEWHERE


def test_a_cluster_that_was_not_made_to_its_end_is_sought_on_the_machine_s_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", ELSEWHERE)
    with engine.again(None):
        assert os.environ["DOCKER_HOST"] == ELSEWHERE
