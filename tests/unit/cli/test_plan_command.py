"""`mtop plan` as it is typed, against a world in memory: what it prints, its exit code, and that it writes nothing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from messaging_cli.app import run
from messaging_operator.clients import kafka
from messaging_operator.clients.kube import Cluster
from messaging_operator.errors import ClusterError
from messaging_operator.reconcile import reconcile
from messaging_operator.settings import Settings
from messaging_operator.state import ObjectKey, ProcessorImages
from testkit.topologies import EXAMPLE, KEY, NOW, example
from testkit.worlds import World, a_world

Printed = pytest.CaptureFixture[str]
THEIRS = ProcessorImages("registry/gateway:7", "registry/billing:7", "registry/sink:7", "Always")


@pytest.fixture(autouse=True)
def _no_local_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> World:
    """The example, applied by an operator whose images nobody else knows."""
    world = a_world()
    reconcile(KEY, world.clients, Settings(THEIRS, resync_seconds=10, metrics_port=9090), NOW)
    world.forget_writes()
    monkeypatch.setattr(Cluster, "connect", lambda: world.cluster)
    monkeypatch.setattr(kafka, "connect", world.clients.kafka)
    capsys.readouterr()
    return world


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "topology.yaml"


def written(file: Path, spec: dict[str, Any] | None = None, **metadata: str | None) -> str:
    named = {key: value for key, value in {**EXAMPLE["metadata"], **metadata}.items() if value}
    file.write_text(yaml.safe_dump(EXAMPLE | {"metadata": named, "spec": spec or example()}))
    return str(file)


def one_line(capsys: Printed) -> str:
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err.removeprefix("mtop: ").rstrip("\n")


def test_a_world_as_declared_needs_nothing(world: World, file: Path, capsys: Printed) -> None:
    assert run(["plan", "-f", written(file)]) == 0
    assert capsys.readouterr() == ("no changes\n", "")


def test_a_topology_of_the_cluster_is_named(world: World, capsys: Printed) -> None:
    assert run(["plan", KEY.name, "-n", KEY.namespace]) == 0
    assert capsys.readouterr() == ("no changes\n", "")


def test_changes_are_told_the_worst_first_with_before_and_after_and_why(
    world: World, file: Path, capsys: Printed
) -> None:
    spec = example()
    spec["topics"][0]["partitions"] = 12
    spec["topics"][1]["config"]["retention.ms"] = "3600000"
    spec["topics"][2]["config"] = {"min.insync.replicas": "1", "compression.type": "zstd"}
    spec["gateway"]["replicas"] = 0
    assert run(["plan", "-f", written(file, spec)]) == 2
    assert capsys.readouterr().out.splitlines() == [
        "DataLoss: records older than that are deleted, read or not",
        "  Topic prepaid  retention.ms: 604800000 -> 3600000",
        "Disruptive: callers get no answer until it runs again",
        "  Deployment api-gateway  spec.replicas: 2 -> 0",
        "OrderingRisk: keys move: an account's new records can overtake its old ones",
        "  Topic postpaid                    partitions: 6 -> 12",
        "  Topic billing-marketing.dlq       partitions: 6 -> 12",
        "  Topic billing-authentication.dlq  partitions: 6 -> 12",
        "  Topic billing-agent-flow.dlq      partitions: 6 -> 12",
        "Safe: what is written and what is kept stays the same",
        "  Topic marketing  compression.type: absent -> zstd",
        "7 changes: 1 DataLoss, 1 Disruptive, 4 OrderingRisk, 1 Safe",
    ]


def test_nothing_is_written(world: World, file: Path) -> None:
    spec = example()
    spec["topics"][0]["partitions"] = 12
    spec["sinks"].pop()
    assert run(["plan", "-f", written(file, spec)]) == 2
    assert (world.cluster.writes, world.kafka.writes) == ([], [])


def test_what_does_not_exist_yet_is_created(world: World, file: Path, capsys: Printed) -> None:
    world.cluster.objects.clear()
    world.kafka.existing.clear()
    assert run(["plan", "-f", written(file, name="another")]) == 2
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == [
        "Safe: nobody uses it yet",
        "  Topic postpaid                    absent -> 6 partitions, 1 replica, min.insync.replicas=1,"
        " retention.ms=604800000",
    ]
    assert told[-1] == "29 changes: 29 Safe"


def test_a_new_sink_runs_what_its_like_run_and_only_that_is_new(world: World, file: Path, capsys: Printed) -> None:
    spec = example()
    spec["sinks"].append(spec["sinks"][0] | {"name": "archive", "deadLetter": {"topic": "archive.dlq"}})
    assert run(["plan", "-f", written(file, spec), "-o", "json"]) == 2
    found = json.loads(capsys.readouterr().out)["changes"]
    topic, config, deployment = (change["target"] for change in found)
    assert (topic, deployment) == ("Topic archive.dlq", "Deployment archive")
    assert config.startswith("ConfigMap archive-")


def test_a_deployment_that_runs_another_image_than_its_like_is_a_change(
    world: World, file: Path, capsys: Printed
) -> None:
    deployment = world.cluster.objects[ObjectKey("Deployment", "marketing")]
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "by-hand:1"
    assert run(["plan", "-f", written(file)]) == 2
    assert capsys.readouterr().out.splitlines() == [
        "Safe: pods are replaced one by one, each once its successor is ready",
        "  Deployment marketing  spec.template.spec.containers[0].image: by-hand:1 -> registry/sink:7",
        "1 change: 1 Safe",
    ]


def test_refusals_alone_are_listed_and_are_not_nothing(world: World, file: Path, capsys: Printed) -> None:
    world.kafka.existing["prepaid"] = replace(world.kafka.existing["prepaid"], partitions=9)
    assert run(["plan", "-f", written(file)]) == 2
    refused = "topic prepaid: the spec asks for 6 partitions, Kafka has 9 and cannot take any away; correct the spec"
    assert capsys.readouterr().out == f"Refused: {refused}\n"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_programs_get_changes_and_refusals_in_the_order_of_an_apply(
    world: World, file: Path, capsys: Printed, form: str
) -> None:
    spec = example()
    spec["topics"][0]["config"]["retention.ms"] = "5"
    world.kafka.existing["prepaid"] = replace(world.kafka.existing["prepaid"], partitions=9)
    assert run(["plan", "-f", written(file, spec), "-o", form]) == 2
    answer = yaml.safe_load(capsys.readouterr().out)  # JSON is YAML, too
    assert answer["changes"] == [
        {
            "action": "Update",
            "target": "Topic postpaid",
            "field": "retention.ms",
            "before": "604800000",
            "after": "5",
            "risk": "DataLoss",
            "reason": "records older than that are deleted, read or not",
        }
    ]
    assert [refusal["reason"] for refusal in answer["refused"]] == ["PartitionsAheadOfSpec"]


def test_for_programs_nothing_is_two_empty_lists(world: World, file: Path, capsys: Printed) -> None:
    assert run(["plan", "-f", written(file), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"changes": [], "refused": []}


def test_an_object_of_somebody_else_is_refused(world: World, file: Path, capsys: Printed) -> None:
    key = ObjectKey("Service", "api-gateway")
    world.cluster.objects[key] = {"kind": "Service", "metadata": {"name": "api-gateway", "uid": "theirs"}}
    assert run(["plan", "-f", written(file)]) == 2
    assert capsys.readouterr().out == (
        "Refused: Service api-gateway belongs to somebody else and stays as it is; delete or rename one of the two\n"
    )


def test_what_the_api_server_would_refuse_is_refused_here(world: World, file: Path, capsys: Printed) -> None:
    spec = example()
    spec["topics"][0]["partitions"] = 4
    assert run(["plan", "-f", written(file, spec)]) == 1
    assert "spec.topics[0].partitions: Invalid value: 4: partitions can only grow: 6 -> 4" in one_line(capsys)


def test_an_invalid_file_is_told_by_its_field(world: World, file: Path, capsys: Printed) -> None:
    spec = example()
    del spec["topics"][0]["partitions"]
    assert run(["plan", "-f", written(file, spec)]) == 1
    said = one_line(capsys)
    assert said.startswith(f"{file}: spec.topics[0].partitions: Required value (and ")
    assert said.endswith(" more: mtop validate lists them)")


def test_a_file_without_a_name_is_told(world: World, file: Path, capsys: Printed) -> None:
    assert run(["plan", "-f", written(file, name=None)]) == 1
    assert "metadata.name: Required value" in one_line(capsys)


def test_an_absent_kafka_is_told_with_what_to_do(world: World, file: Path, capsys: Printed) -> None:
    world.kafka.down = True
    assert run(["plan", "-f", written(file), "--kafka", "localhost:1"]) == 1
    assert one_line(capsys) == ("Kafka at localhost:1 does not answer from here: --kafka HOST:PORT names one that does")


def test_an_absent_cluster_is_told_in_one_line(file: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect() -> Cluster:
        raise ClusterError(0, "no usable kubeconfig:\n  nothing there")

    monkeypatch.setattr(Cluster, "connect", connect)
    assert run(["plan", "-f", written(file)]) == 1
    assert one_line(capsys) == (
        "the cluster: no usable kubeconfig: nothing there; kubectl cluster-info says whether it answers"
    )


def test_a_topology_that_is_going_has_no_plan(world: World, file: Path, capsys: Printed) -> None:
    world.cluster.resource["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    assert run(["plan", "-f", written(file)]) == 1
    assert "is being deleted: apply again when it is gone" in one_line(capsys)


@pytest.mark.parametrize(
    ("declared", "words", "said"),
    [
        ("messaging", ["-n", "other"], "is declared for namespace messaging, not for other: leave -n out"),
        (None, [], "is declared for no namespace: -n NAMESPACE says for which"),
    ],
)
def test_the_namespace_is_said_once(
    world: World, file: Path, capsys: Printed, declared: str | None, words: list[str], said: str
) -> None:
    assert run(["plan", "-f", written(file, namespace=declared), *words]) == 1
    assert one_line(capsys) == f"user-api-messaging {said}"


def test_a_topology_has_to_be_named(capsys: Printed) -> None:
    assert run(["plan"]) == 1
    assert one_line(capsys) == "name a topology: -f FILE, or NAME -n NAMESPACE"


TABLE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rates"}}


def referring(file: Path) -> str:
    spec = example()
    spec["billing"][0]["tariff"]["ratesFrom"] = {"configMapKeyRef": {"name": "rates", "key": "rates.csv"}}
    return written(file, spec)


def test_rates_beside_the_topology_are_part_of_the_plan(world: World, file: Path, capsys: Printed) -> None:
    """They come along with an apply of the file, whatever the cluster has."""
    there = {**TABLE, "data": {"rates.csv": "prefix,perSegment\n+49,0.0500\n"}}
    world.cluster.objects[ObjectKey("ConfigMap", "rates")] = there
    path = referring(file)
    assert run(["plan", "-f", path]) == 2
    assert '"perSegment": "0.0500"' in capsys.readouterr().out
    beside = {**TABLE, "data": {"rates.csv": "prefix,perSegment\n+49,0.0600\n"}}
    file.write_text(f"{file.read_text()}\n---\n{yaml.safe_dump(beside)}")
    assert run(["plan", "-f", path]) == 2
    said = capsys.readouterr().out
    assert "rates.+49: absent -> {" in said
    assert '"perSegment": "0.0600"' in said
    assert world.cluster.writes == []


def test_rates_that_are_nowhere_are_refused_in_the_plan(world: World, file: Path, capsys: Printed) -> None:
    assert run(["plan", "-f", referring(file)]) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "Refused: billing-marketing: tariff.ratesFrom: ConfigMap rates is not there: create it" in said
    assert "until then it goes on with the prices that it has" in said
