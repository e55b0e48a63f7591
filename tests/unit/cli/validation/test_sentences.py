"""The API server's sentences for single faults, and what each of them does to the rules."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from messaging_cli.validation.node import as_json
from messaging_cli.validation.topology import violations
from messaging_cli.validation.violation import UNCHECKED
from testkit.topologies import EXAMPLE, example

Change = Callable[[dict[str, Any]], object]


def told(change: Change) -> list[str]:
    """What is said of the example's spec after a change."""
    spec = example()
    change(spec)
    return [str(violation) for violation in violations(EXAMPLE | {"spec": spec})]


BLOCKING: dict[str, tuple[Change, str]] = {
    "a float for a text": (
        lambda s: s["billing"][0]["tariff"].update(perMessage=0.5),
        'spec.billing[0].tariff.perMessage: Invalid value: "number":'
        ' spec.billing[0].tariff.perMessage in body must be of type string: "number"',
    ),
    "a boolean for a number": (
        lambda s: s["gateway"].update(replicas=True),
        'spec.gateway.replicas: Invalid value: "boolean":'
        ' spec.gateway.replicas in body must be of type integer: "boolean"',
    ),
    "nothing for an object": (
        lambda s: s.update(cache=None),
        'spec.cache: Invalid value: "null": spec.cache in body must be of type object: "null"',
    ),
    "a value that is not in the list": (
        lambda s: s["gateway"]["service"].update(type="Ingress"),
        'spec.gateway.service.type: Unsupported value: "Ingress":'
        ' supported values: "ClusterIP", "NodePort", "LoadBalancer"',
    ),
    "a text that is too long": (
        lambda s: s["billing"][0].update(domain="x" * 64),
        "spec.billing[0].domain: Too long: may not be more than 63 bytes",
    ),
    "too many items": (
        lambda s: s.update(topics=s["topics"] + [{"name": f"t{n}", "partitions": 1} for n in range(96)]),
        "spec.topics: Too many: 101: must have at most 100 items",
    ),
    "too many properties": (
        lambda s: s["topics"][2].update(config={f"k{n}": "v" for n in range(41)}),
        "spec.topics[2].config: Too many: 41: must have at most 40 items",
    ),
}

HARMLESS: dict[str, tuple[Change, str]] = {
    "a list that is too short": (
        lambda s: s["sinks"][0].update({"from": []}),
        "spec.sinks[0].from: Invalid value: 0: spec.sinks[0].from in body should have at least 1 items",
    ),
    "a text that is too short": (
        lambda s: s["kafka"].update(bootstrapServers=""),
        'spec.kafka.bootstrapServers: Invalid value: "":'
        " spec.kafka.bootstrapServers in body should be at least 1 chars long",
    ),
    "a line break after a name": (
        lambda s: s["billing"][0].update(domain="marketing\n"),
        'spec.billing[0].domain: Invalid value: "marketing\\n":'
        " spec.billing[0].domain in body should match '^[a-z]([-a-z0-9]*[a-z0-9])?$'",
    ),
    "a number that is too small": (
        lambda s: s["gateway"].update(replicas=-1),
        "spec.gateway.replicas: Invalid value: -1: spec.gateway.replicas in body should be greater than or equal to 0",
    ),
    "a number that is too large": (
        lambda s: s["topics"][0].update(partitions=1001),
        "spec.topics[0].partitions: Invalid value: 1001:"
        " spec.topics[0].partitions in body should be less than or equal to 1000",
    ),
    "a member twice in a set": (
        lambda s: s["billing"][0].update({"from": ["postpaid", "prepaid", "prepaid", "prepaid"]}),
        'spec.billing[0].from[2]: Duplicate value: "prepaid"',
    ),
}


@pytest.mark.parametrize("case", BLOCKING)
def test_rules_are_not_run_on_what_they_cannot_understand(case: str) -> None:
    change, sentence = BLOCKING[case]
    assert told(change) == [sentence, str(UNCHECKED)]


@pytest.mark.parametrize("case", HARMLESS)
def test_rules_are_run_beside_other_faults(case: str) -> None:
    """A topic that nobody declared is what only a rule finds."""

    def change_both(spec: dict[str, Any]) -> None:
        change(spec)
        spec["messaging"]["routes"][0]["topic"] = "nowhere"

    change, sentence = HARMLESS[case]
    assert told(change)[0] == told(change_both)[0] == sentence
    assert 'spec: Invalid value: messaging.routes.topic: not in spec.topics: ["nowhere"]' in told(change_both)


def test_a_list_of_objects_wants_objects() -> None:
    first, second, _ = told(lambda s: s["topics"].append("loose"))
    assert second.startswith('spec.topics[5]: Invalid value: "string": spec.topics[5] in body must be of type object')
    assert first == 'spec.topics[5]: Invalid value: "loose": must be an object for an array of list-type map'


def test_yaml_is_judged_as_the_json_that_it_becomes() -> None:
    assert told(lambda s: s["gateway"].update(replicas=2.0)) == []
    assert told(lambda s: s["gateway"].update(replicas=10**19))[0].startswith(
        'spec.gateway.replicas: Invalid value: "number": '
    )
    assert as_json({1: 2.0, None: [10**19, 10**400, 1e30]}) == {"1": 2, "null": [1e19, math.inf, 1e30]}
    assert as_json({True: "\ud800"}) == {"true": "?"}
