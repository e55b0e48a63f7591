"""The CEL engine and its functions, where the CRD's rules lean on what Kubernetes defines."""

from typing import Any

import pytest

from messaging_api.crd import custom_resource_definition
from messaging_cli.validation.cel import broken_rules, matches
from messaging_cli.validation.node import Node

SELF = {"numbers": [1, 2, 3], "none": [], "config": {"min.insync.replicas": "2"}, "name": "a"}


def told(*rules: dict[str, str], value: object = SELF, old: object = None) -> list[str]:
    schema = {"type": "object", "x-kubernetes-validations": rules}
    return [str(violation) for violation in broken_rules(Node(schema, value, "spec", old))]


@pytest.mark.parametrize(
    "rule",
    [
        "self.numbers.sum() == 6 && self.none.sum() == 0",
        "self.numbers.map(n, n * 2).filter(n, n > 2) == [4, 6]",
        "self.numbers.exists_one(n, n == 1) && !self.numbers.exists_one(n, n > 1)",
        "self.none.all(n, n > 1) && !self.none.exists(n, n > 1)",
        "'min.insync.replicas' in self.config && !('retention.ms' in self.config)",
        "int(self.config['min.insync.replicas']) <= (has(self.factor) ? self.factor : 2)",
        "!has(self.absent) || self.absent.name == 'a'",
        "self.absent == 1 || self.name == 'a'",
    ],
)
def test_the_engine_evaluates_as_kubernetes_does(rule: str) -> None:
    assert told({"rule": rule}) == []
    assert told({"rule": f"!({rule})"}) == [f"spec: Invalid value: failed rule: !({rule})"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'%s'.format(['a'])", "a"),
        ("'%d -> %d'.format([12, 6])", "12 -> 6"),
        ("'%s'.format([[['a'], [], [1, true]]])", '[["a"], [], [1, true]]'),
        ("'%s'.format([self.config])", '{"min.insync.replicas":"2"}'),
        ("'100%% %s'.format([false])", "100% false"),
    ],
)
def test_messages_are_formatted_as_kubernetes_does(expression: str, expected: str) -> None:
    assert told({"rule": "false", "messageExpression": expression}) == [f"spec: Invalid value: {expected}"]


def test_a_message_stands_in_for_an_expression_that_fails() -> None:
    rule = {"rule": "false", "messageExpression": "self.absent", "message": "plainly wrong"}
    assert told(rule) == ["spec: Invalid value: plainly wrong"]


def test_a_rule_that_cannot_be_evaluated_says_so() -> None:
    (sentence,) = told({"rule": "int(self.name) > 0", "message": "no number"})
    assert sentence.startswith('spec: Invalid value: "object": ')
    assert sentence.endswith("evaluating rule: no number")


def test_a_transition_needs_an_old_value() -> None:
    rule = {"rule": "self >= oldSelf"}
    assert told(rule, value=1) == []
    assert told(rule, value=1, old=1) == []
    assert told(rule, value=1, old=2) == ["spec: Invalid value: 1: failed rule: self >= oldSelf"]


def test_a_pattern_ends_where_the_text_ends() -> None:
    assert matches("a", "^a$")
    assert not matches("a\n", "^a$")


CHECKED = {"type", "format", "enum", "required", "properties", "additionalProperties", "items", "pattern", "minLength"}
CHECKED |= {"maxLength", "minimum", "maximum", "minItems", "maxItems", "maxProperties", "description"}
CHECKED |= {f"x-kubernetes-{word}" for word in ("list-type", "list-map-keys", "validations")}


def schemas(schema: dict[str, Any]) -> list[dict[str, Any]]:
    below = [*schema.get("properties", {}).values()]
    below += [schema[word] for word in ("items", "additionalProperties") if word in schema]
    return [schema, *(found for child in below for found in schemas(child))]


def test_the_crd_says_nothing_that_is_not_checked() -> None:
    """A new word in the schema or in a rule has to be taught to the offline validation first."""
    (version,) = custom_resource_definition()["spec"]["versions"]
    found = schemas(version["schema"]["openAPIV3Schema"])
    assert {word for schema in found for word in schema} <= CHECKED
    assert {schema["format"] for schema in found if "format" in schema} == {"date-time"}
    rules = [rule for schema in found for rule in schema.get("x-kubernetes-validations", ())]
    assert {word for rule in rules for word in rule} <= {"rule", "message", "messageExpression"}
