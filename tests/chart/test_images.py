"""What can be said of the images without building them: shared beginnings, and locks that fit pyproject.toml."""

import shutil
import subprocess
import sys
from itertools import combinations, takewhile
from pathlib import Path

import pytest

from .rendering import ROOT

KINDS = ("operator", "gateway", "billing", "sink")


def stages(kind: str) -> list[list[str]]:
    """The instructions of a Dockerfile's two stages."""
    text = (ROOT / "images" / kind / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    starts = [number for number, line in enumerate(lines) if line.startswith("FROM ")]
    build, final = starts
    return [lines[build:final], lines[final:]]


def shared(one: str, other: str) -> list[list[str]]:
    """What both begin their stages with: the layers that an engine makes once for both."""
    both = [zip(*pair, strict=False) for pair in zip(stages(one), stages(other), strict=True)]
    return [[first for first, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)] for pairs in both]


@pytest.mark.parametrize(("one", "other"), [*combinations(KINDS, 2)])
def test_all_images_share_the_packages_of_all_processors(one: str, other: str) -> None:
    build, final = shared(one, other)
    assert "RUN sh install shared" in build
    assert "COPY --from=build /build/layers/shared packages" in final


@pytest.mark.parametrize(("one", "other"), [*combinations(("gateway", "billing", "sink"), 2)])
def test_all_that_use_the_database_share_its_packages(one: str, other: str) -> None:
    build, final = shared(one, other)
    assert "RUN sh install store" in build
    assert "COPY --from=build /build/layers/store packages" in final


def test_gateway_and_sink_share_the_packages_of_their_stores_too() -> None:
    build, final = shared("gateway", "sink")
    assert "RUN sh install sink" in build
    assert "COPY --from=build /build/layers/sink packages" in final


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_runs_as_root(kind: str) -> None:
    _, final = stages(kind)
    assert [line for line in final if line.startswith("USER ")] == ["USER 65532:65532"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what images/locks.py reads."""
    shutil.copytree(ROOT / "images", tmp_path / "images")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def complaint(checkout: Path) -> str:
    """What `locks.py --check` says about it, empty when it is content."""
    done = subprocess.run(
        [sys.executable, "images/locks.py", "--check"], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (done.stderr == "")
    return done.stderr


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_the_locks_are_up_to_date(checkout: Path) -> None:
    assert complaint(checkout) == ""


def test_a_dependency_that_is_not_locked_is_noticed(checkout: Path) -> None:
    replace(checkout / "pyproject.toml", "\nsink = [", '\nsink = ["stamina>=26", ')
    assert complaint(checkout) == "images/locks are older than pyproject.toml: run make lock\n"


def test_an_image_cannot_ship_another_version_than_was_tested(checkout: Path) -> None:
    replace(checkout / "images/locks/sink.txt", "redis==", "redis==0.")
    assert "sink.txt: redis==0." in complaint(checkout)


def test_a_missing_lock_is_noticed(checkout: Path) -> None:
    (checkout / "images/locks/gateway.txt").unlink()
    assert complaint(checkout) == "images/locks/gateway.txt is missing: run make lock\n"
