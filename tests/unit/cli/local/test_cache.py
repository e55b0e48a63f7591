"""A result of the bed is complete or absent, and made once."""

from pathlib import Path

import pytest

from messaging_cli.local import cache


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "messaging-topology"


def test_a_result_is_built_once_for_a_key_and_again_for_another() -> None:
    builds: list[Path] = []

    def build(folder: Path) -> None:
        builds.append(folder)
        (folder / "result").write_text(str(len(builds)))

    assert [(cache.built("thing", key, build) / "result").read_text() for key in "aab"] == ["1", "1", "2"]


def test_an_interrupted_build_leaves_no_result_behind(cache_folder: Path) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.built("thing", "a", interrupted)

    assert list((cache_folder / "built").iterdir()) == []
    assert list(cache.built("thing", "a", lambda folder: (folder / "whole").touch()).iterdir()) == [
        cache_folder / "built/thing-a/whole"
    ]


def test_what_a_killed_run_was_working_on_goes_first(cache_folder: Path) -> None:
    leftover = cache_folder / "scratch/thing/1/big"
    leftover.parent.mkdir(parents=True)
    leftover.touch()
    with cache.scratch("thing") as folder:
        assert not leftover.exists()
        assert list(folder.iterdir()) == []


def test_the_key_depends_on_names_and_contents_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "inputs"
    folder.mkdir()
    (folder / "a").write_text("1")
    first = cache.digest("text", folder)
    assert cache.digest("text", folder) == first
    (folder / "a").rename(folder / "b")
    renamed = cache.digest("text", folder)
    (folder / "b").write_text("2")
    assert len({first, renamed, cache.digest("text", folder)}) == 3
