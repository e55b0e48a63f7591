"""The contract: the example is valid, what is generated is structural, and the generator refuses what is not."""

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from messaging_api.account import TopUpRequest
from messaging_api.base import seconds
from messaging_api.crd import custom_resource_definition
from messaging_api.structural import structural_schema
from messaging_api.topology import TopologySpec

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples/user-api-messaging.yaml"


def nodes(schema: object) -> list[dict[str, object]]:
    if isinstance(schema, dict):
        return [schema, *(node for child in schema.values() for node in nodes(child))]
    return [node for child in schema for node in nodes(child)] if isinstance(schema, list) else []


def test_source_roots_are_not_packages() -> None:
    """A stray `operator/__init__.py` would shadow the standard library's `operator`."""
    assert [path for root in ("operator", "processors", "crds") for path in (ROOT / root).glob("*.py")] == []


def test_the_example_is_a_valid_topology() -> None:
    spec = TopologySpec.model_validate(yaml.safe_load(EXAMPLE.read_text())["spec"])
    assert [billing.domain for billing in spec.billing] == ["marketing", "authentication", "agent-flow"]


def test_an_unknown_field_is_refused_by_name() -> None:
    document = yaml.safe_load(EXAMPLE.read_text())["spec"]
    document["topics"][0]["partitons"] = 6
    with pytest.raises(ValidationError, match=r"topics\.0\.partitons"):
        TopologySpec.model_validate(document)


def test_no_default_is_persisted_by_the_api_server() -> None:
    assert [node for node in nodes(custom_resource_definition()["spec"]) if "default" in node] == []


def test_every_list_and_string_of_the_spec_is_bounded_for_the_cost_of_cel() -> None:
    schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    lists = [node for node in nodes(schema) if node.get("type") == "array"]
    texts = [node for node in nodes(schema) if node.get("type") == "string" and "enum" not in node]
    assert [node for node in lists if "maxItems" not in node] == []
    assert [node for node in texts if "maxLength" not in node] == []


class Either(BaseModel):
    choice: int | list[str]


class Pair(BaseModel):
    both: tuple[int, str]


class Above(BaseModel):
    level: float
    model_config = {"json_schema_extra": {"properties": {"level": {"type": "number", "exclusiveMinimum": 0}}}}


@pytest.mark.parametrize("model", [Either, Pair, Above])
def test_what_has_no_structural_form_is_an_error_when_it_is_generated(model: type[BaseModel]) -> None:
    with pytest.raises(TypeError, match="no structural form"):
        structural_schema(model)


@pytest.mark.parametrize(
    ("duration", "expected"), [("200ms", 0.2), ("5s", 5.0), ("2m", 120.0), ("1h", 3600.0), ("30d", 2592000.0)]
)
def test_durations_are_read_in_seconds(duration: str, expected: float) -> None:
    assert seconds(duration) == pytest.approx(expected)


@pytest.mark.parametrize("amount", ["0.000001", "2.50", "999999999999.999999"])
def test_a_top_up_adds_whole_millionths(amount: str) -> None:
    assert TopUpRequest(amount=amount, currency="USD").amount == amount


@pytest.mark.parametrize("amount", ["0", "0.000000", "0.0000001", "0.0000000000000005", "0.0000015", "-1", "1e3", ""])
def test_a_top_up_of_nothing_or_of_less_than_a_millionth_is_refused(amount: str) -> None:
    with pytest.raises(ValidationError, match="amount"):
        TopUpRequest(amount=amount, currency="USD")
