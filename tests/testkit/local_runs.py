"""A local run as `mtop up` leaves it on disk, without one: for tests of the commands that look at it."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from messaging_api.base import API_VERSION, KIND
from messaging_api.status import TopologyStatus
from messaging_cli.app import run
from messaging_cli.local.state import LocalRun, folder_of
from messaging_operator.desired.processors import desired_processors
from messaging_operator.state import ProcessorImages, TopologyKey
from testkit.topologies import a_spec, example

NAMESPACE = "messaging"


def prefixed(prefix: str) -> dict[str, Any]:
    """The example's spec with topics of its own on a shared broker."""
    spec = example()
    for topic in spec["topics"]:
        topic["name"] = prefix + topic["name"]
    for route in spec["messaging"]["routes"]:
        route["topic"] = prefix + route["topic"]
    for reader in (*spec["billing"], *spec["sinks"]):
        reader["from"] = [prefix + topic for topic in reader["from"]]
        reader["deadLetter"]["topic"] = prefix + reader["deadLetter"]["topic"]
    for billing in spec["billing"]:
        billing["to"] = prefix + billing["to"]
    return spec


@dataclass(frozen=True)
class FakeRun:
    """What is on disk, to be changed by the test."""

    name: str
    spec: dict[str, Any]
    folder: Path

    def write_status(self, status: TopologyStatus) -> None:
        """As the reconciler would."""
        metadata = {"name": self.name, "namespace": NAMESPACE}
        resource = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": self.spec}
        document = resource | {"status": status.model_dump(mode="json")}
        (self.folder / "status.json").write_text(json.dumps(document))

    def write_processes(self, processes: Sequence[dict[str, object]]) -> None:
        (self.folder / "processes.json").write_text(json.dumps(processes))

    def config_of(self, processor: str) -> Any:  # noqa: ANN401  one of four kinds
        """What the processor would be started with, on the broker of this run."""
        key = TopologyKey(NAMESPACE, self.name)
        wanted = desired_processors(key, a_spec(self.spec), ProcessorImages("", "", "", ""), {})
        return next(found.config for found in wanted if found.config.processor == processor)


@dataclass(frozen=True)
class Mtop:
    """Runs commands in this process."""

    capsys: pytest.CaptureFixture[str]

    def json(self, *words: str) -> Any:  # noqa: ANN401  whatever the command answers
        return json.loads(self.text(*words, "-o", "json"))

    def text(self, *words: str) -> str:
        self.capsys.readouterr()  # what others have printed
        assert run(words) == 0, self.capsys.readouterr()
        return self.capsys.readouterr().out

    def error(self, *words: str) -> str:
        """The one line that a failure is told in."""
        assert run(words) == 1, self.capsys.readouterr()
        told = self.capsys.readouterr().err
        assert told.count("\n") == 1, told
        return told


@contextmanager
def an_up() -> Iterator[int]:
    """The process of a local run, as far as others look at it: at its command line, once it has one."""
    with subprocess.Popen(
        ["sh", "-c", "echo; read _", "up", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        process.communicate(b"\n")


@contextmanager
def a_local_run(name: str, spec: dict[str, Any], kafka: str) -> Iterator[FakeRun]:
    """On this machine as long as the test wants; the cache folder is the test's own."""
    spec["kafka"]["bootstrapServers"] = kafka
    with an_up() as pid:
        folder = folder_of(name)
        folder.mkdir(parents=True)
        nowhere = "http://127.0.0.1:9"
        LocalRun(name, NAMESPACE, "topology.yaml", pid, nowhere, "key", kafka, "", "", nowhere).save()
        fake = FakeRun(name, spec, folder)
        fake.write_status(TopologyStatus())
        yield fake
