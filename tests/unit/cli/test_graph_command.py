"""`mtop graph` as a person calls it: a picture on stdout, or one line that names what is wrong."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from messaging_cli.app import run
from testkit.topologies import EXAMPLE, example

ROOT = Path(__file__).parents[3]
FILE = ROOT / "examples/user-api-messaging.yaml"
Saved = Callable[[dict[str, Any]], Path]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    def save(spec: dict[str, Any]) -> Path:
        path = tmp_path / "topology.yaml"
        path.write_text(yaml.safe_dump(EXAMPLE | {"spec": spec}))
        return path

    return save


def test_mermaid_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["graph", "-f", str(FILE)]) == 0

    out, err = capsys.readouterr()
    assert out.startswith("flowchart LR\n")
    assert out.endswith("\n")
    assert not out.endswith("\n\n")
    assert err == ""


def test_the_picture_of_the_readme_is_the_one_that_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["graph", "-f", str(FILE), "-o", "svg"]) == 0

    drawn = capsys.readouterr().out
    ElementTree.fromstring(drawn)
    assert drawn == (ROOT / "docs/user-api-messaging.svg").read_text()


def test_another_process_draws_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["graph", "-f", str(FILE)]
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    command = [sys.executable, "-m", "messaging_cli", *arguments]
    there = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    run(arguments)
    assert capsys.readouterr().out == there


def _without_partitions(spec: dict[str, Any]) -> None:
    del spec["topics"][0]["partitions"]


def _reading_an_undeclared_topic(spec: dict[str, Any]) -> None:
    spec["sinks"][0]["from"] = ["nowhere"]


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (_without_partitions, "spec.topics.0.partitions: Field required"),
        (_reading_an_undeclared_topic, "spec: marketing.from: not in spec.topics: nowhere"),
    ],
)
def test_an_invalid_topology_is_one_line_that_names_the_field(
    spoil: Callable[[dict[str, Any]], None], field: str, saved: Saved, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = example()
    spoil(spec)
    path = saved(spec)

    assert run(["graph", "-f", str(path)]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"mtop: {path}: {field}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["graph"], "mtop: name a topology: -f FILE, or NAME -n NAMESPACE\n"),
        (["graph", "-f", "absent.yaml"], "mtop: absent.yaml: No such file or directory\n"),
    ],
)
def test_a_topology_has_to_be_there(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 1

    assert capsys.readouterr().err == message


def test_an_unknown_kind_of_picture_is_told_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["graph", "-f", str(FILE), "-o", "png"]) == 1

    err = capsys.readouterr().err
    assert "mermaid" in err
    assert "svg" in err
    assert err.count("\n") == 1
