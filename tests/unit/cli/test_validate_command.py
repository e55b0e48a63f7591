"""`mtop validate` as it is typed: what it prints, and its exit code."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from messaging_cli.app import run
from testkit.topologies import EXAMPLE, example

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "topology.yaml"


def written(file: Path, **changes: object) -> str:
    file.write_text(yaml.safe_dump(EXAMPLE | changes))
    return str(file)


def misspelt() -> dict[str, Any]:
    spec = example()
    spec["topics"][0]["partitons"] = spec["topics"][0].pop("partitions")
    return spec


def test_a_valid_topology(file: Path, capsys: Printed) -> None:
    assert run(["validate", "-f", written(file)]) == 0
    assert capsys.readouterr() == ("user-api-messaging: valid\n", "")


def test_an_invalid_topology_has_a_line_for_each_violation(file: Path, capsys: Printed) -> None:
    assert run(["validate", "-f", written(file, spec=misspelt())]) == 1
    out, err = capsys.readouterr()
    assert (out.splitlines(), err) == (
        [
            'spec.topics[0].partitons: unknown field "spec.topics[0].partitons"',
            "spec.topics[0].partitions: Required value",
            "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid;"
            " correct the existing errors to complete validation",
        ],
        "",
    )


def test_an_answer_for_programs(file: Path, capsys: Printed) -> None:
    spec = example()
    spec["sinks"][0]["name"] = "Marketing"
    pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
    message = f"Invalid value: \"Marketing\": spec.sinks[0].name in body should match '{pattern}'"
    expected = {
        "name": "user-api-messaging",
        "valid": False,
        "violations": [{"field": "spec.sinks[0].name", "message": message}],
        "warnings": [],
    }
    for form, read in (("json", json.loads), ("yaml", yaml.safe_load)):
        assert run(["validate", "-f", written(file, spec=spec), "-o", form]) == 1
        assert read(capsys.readouterr().out) == expected


def test_a_resource_without_a_name_is_no_topology(file: Path, capsys: Printed) -> None:
    assert run(["validate", "-f", written(file, metadata={})]) == 1
    assert "metadata.name: Required value\n" in capsys.readouterr().out


def test_what_a_template_left_empty_is_as_good_as_absent(file: Path, capsys: Printed) -> None:
    metadata = {"name": "user-api-messaging", "namespace": None, "labels": None, "annotations": None}
    assert run(["validate", "-f", written(file, metadata=metadata)]) == 0
    assert run(["validate", "-f", written(file, metadata=metadata | {"labels": {"version": 1}})]) == 1
    assert "metadata.labels.version in body must be of type string" in capsys.readouterr().out


def test_a_name_that_is_too_long_for_a_label(file: Path, capsys: Printed) -> None:
    assert run(["validate", "-f", written(file, metadata={"name": "x" * 64})]) == 1
    assert capsys.readouterr().out.startswith("<nil>: Invalid value: metadata.name: longer than 63 characters")


def with_table(file: Path, text: str | None, namespace: str = "messaging") -> str:
    """A topology whose first tariff refers to a table, which may stand beside it."""
    spec = example()
    spec["billing"][0]["tariff"]["ratesFrom"] = {"configMapKeyRef": {"name": "rates", "key": "rates.csv"}}
    metadata = {"name": "rates", "namespace": namespace}
    beside = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"rates.csv": text}}
    file.write_text(yaml.safe_dump_all([EXAMPLE | {"spec": spec}, *([beside] if text is not None else [])]))
    return str(file)


FIELD = "spec.billing[0].tariff.ratesFrom"


def test_a_table_beside_the_topology_is_checked(file: Path, capsys: Printed) -> None:
    assert run(["validate", "-f", with_table(file, "prefix,perSegment\n+44,0.04\n")]) == 0
    assert capsys.readouterr().out == "user-api-messaging: valid\n"
    assert run(["validate", "-f", with_table(file, "prefix,perSegment\n+44,cheap\n")]) == 1
    expected = f"{FIELD}: Invalid value: ConfigMap rates, rates.csv: row 2, perSegment: 'cheap' is not a decimal"
    assert capsys.readouterr().out.startswith(expected)


@pytest.mark.parametrize(("text", "namespace"), [(None, ""), ("prefix,perSegment\n", "another")])
def test_a_table_that_is_not_beside_its_topology_is_a_warning(
    file: Path, capsys: Printed, text: str | None, namespace: str
) -> None:
    """The API server takes it: the ConfigMap may be there, or come."""
    assert run(["validate", "-f", with_table(file, text, namespace)]) == 0
    valid, warning = capsys.readouterr().out.splitlines()
    assert valid == "user-api-messaging: valid"
    assert warning.startswith(f"warning: {FIELD}: Invalid value: ConfigMap rates is not there: create it")
    assert run(["validate", "-f", str(file), "-o", "json"]) == 0
    assert [found["field"] for found in json.loads(capsys.readouterr().out)["warnings"]] == [FIELD]


def failure(capsys: Printed) -> str:
    """The one line that a failed command says; nothing else is printed."""
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line


def test_an_unreadable_file(file: Path, capsys: Printed) -> None:
    assert run(["validate", "-f", str(file)]) == 1
    assert failure(capsys) == f"mtop: {file}: No such file or directory"


@pytest.mark.parametrize("content", [b"spec: [unclosed", b"\xff\xfe\x00"])
def test_a_file_that_is_not_yaml(file: Path, capsys: Printed, content: bytes) -> None:
    file.write_bytes(content)
    assert run(["validate", "-f", str(file)]) == 1
    assert failure(capsys).startswith(f"mtop: {file}: not YAML: ")


def test_a_file_with_two_documents(file: Path, capsys: Printed) -> None:
    file.write_text(yaml.safe_dump_all([EXAMPLE, EXAMPLE]))
    assert run(["validate", "-f", str(file)]) == 1
    assert failure(capsys) == f"mtop: {file}: expected one MessagingTopology, found 2 documents"


def test_a_resource_of_another_kind(file: Path, capsys: Printed) -> None:
    assert run(["validate", "-f", written(file, apiVersion="v1", kind="ConfigMap")]) == 1
    expected = "expected messagingtopology.dev/v1alpha1 MessagingTopology, found v1 ConfigMap"
    assert failure(capsys) == f"mtop: {file}: {expected}"


def test_nothing_to_validate(capsys: Printed) -> None:
    assert run(["validate"]) == 1
    assert failure(capsys) == "mtop: name a topology: -f FILE, or NAME -n NAMESPACE"
