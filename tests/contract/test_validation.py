"""`mtop validate` refuses what the API server refuses, in its words: the table of tests/e2e/test_admission.py."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from messaging_cli.app import run
from messaging_cli.validation.topology import violations
from testkit.refusals import REFUSED, Change, changed, enlarge, grow, grow_and_reorder, in_spec, unchanged
from testkit.topologies import EXAMPLE


def topology(change: Change) -> dict[str, Any]:
    return changed(EXAMPLE, change)


@pytest.mark.parametrize("case", REFUSED)
def test_an_invalid_topology_is_refused_with_its_reason(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, sentence = REFUSED[case]
    file = tmp_path / "topology.yaml"
    file.write_text(yaml.safe_dump(topology(change)))
    assert run(["validate", "-f", str(file)]) == 1
    assert sentence in capsys.readouterr().out


def test_the_example_is_accepted() -> None:
    assert violations(EXAMPLE) == []


@pytest.mark.parametrize("change", [unchanged, grow, grow_and_reorder, enlarge])
def test_what_the_api_server_accepts_is_accepted(change: Change) -> None:
    assert violations(topology(change)) == []


def test_the_largest_topology_fits_into_the_annotation_that_kubectl_apply_writes() -> None:
    """Kubernetes takes 256 KiB of annotations, and kubectl keeps there what was applied."""
    assert len(json.dumps(topology(enlarge), separators=(",", ":"))) < 256 * 1024


def test_partitions_only_grow_and_the_refusal_names_from_and_to() -> None:
    assert violations(topology(grow), old=topology(unchanged)) == []
    (refusal,) = violations(topology(unchanged), old=topology(grow))
    assert refusal.field == "spec.topics[0].partitions"
    assert refusal.message == "Invalid value: 6: partitions can only grow: 12 -> 6"


def test_a_processor_keeps_its_domain() -> None:
    def move(spec: dict[str, Any]) -> None:
        spec["billing"][0]["domain"] = "news"

    (refusal,) = violations(topology(in_spec(move)), old=topology(unchanged))
    assert refusal.field == "spec.billing[0].domain"
    assert "marketing -> news; declare another processor" in refusal.message


def test_reordering_the_topics_does_not_look_like_a_decrease() -> None:
    assert violations(topology(grow_and_reorder), old=topology(grow)) == []


def test_a_decrease_is_found_wherever_the_topic_stands() -> None:
    def reorder(spec: dict[str, Any]) -> None:
        spec["topics"].reverse()

    (refusal,) = violations(topology(in_spec(reorder)), old=topology(grow))
    assert str(refusal) == "spec.topics[4].partitions: Invalid value: 6: partitions can only grow: 12 -> 6"
