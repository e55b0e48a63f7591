"""What a plan's actions are to people: values before and after, as deep down as both sides go."""

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

from messaging_api.plan import Change, Risk
from messaging_api.tariff import Rate
from messaging_operator.changes import changes
from messaging_operator.plan import plan
from messaging_operator.state import APPLIED_HASH, Desired, ObjectKey, Observed, TopicState
from testkit.topologies import as_declared, config_name, example, wanted

Line = tuple[str | None, ...]


def told(document: dict[str, Any], observed: Observed | None = None) -> tuple[Change, ...]:
    there = observed or as_declared(wanted())
    return changes(plan(wanted(document), there), there)


def lines(found: tuple[Change, ...]) -> list[Line]:
    return [(change.target, change.field, change.before, change.after) for change in found]


def with_object(key: ObjectKey, **parts: object) -> Observed:
    observed = as_declared(wanted())
    return replace(observed, objects={**observed.objects, key: {**deepcopy(dict(observed.objects[key])), **parts}})


def test_nothing_to_do_is_nothing_to_tell() -> None:
    assert told(example()) == ()


def test_what_is_not_there_comes_as_a_whole() -> None:
    found = lines(told(example(), Observed({}, {}, {}, ())))
    assert len(found) == 11 + 18
    summary = "6 partitions, 1 replica, min.insync.replicas=1, retention.ms=604800000"
    assert found[0] == ("Topic postpaid", "", None, summary)
    assert ("Deployment marketing", "", None, "1 pod") in found
    assert ("Deployment api-gateway", "", None, "2 pods") in found
    assert ("Service api-gateway", "", None, "present") in found


def test_a_topic_s_settings_are_changes_of_their_own() -> None:
    observed = as_declared(wanted())
    narrow = TopicState("postpaid", 3, 1, {"retention.ms": "5", "min.insync.replicas": "2"})
    there = replace(observed, topics={**observed.topics, "postpaid": narrow})  # type: ignore[dict-item]
    assert lines(told(example(), there)) == [
        ("Topic postpaid", "partitions", "3", "6"),
        ("Topic postpaid", "min.insync.replicas", "2", "1"),
        ("Topic postpaid", "retention.ms", "5", "604800000"),
    ]


def test_a_changed_tariff_is_told_by_its_field_and_by_the_pods_that_it_replaces() -> None:
    document = example()
    document["billing"][0]["tariff"]["perSegment"] = "0.0090"
    price, pods = told(document)
    old, new = (config_name(world, "billing-marketing") for world in (wanted(), wanted(document)))
    assert lines((price, pods)) == [
        (f"ConfigMap {new}", "tariff.perSegment", "0.0075", "0.0090"),
        ("Deployment billing-marketing", "spec.template.spec.volumes[0].configMap.name", old, new),
    ]
    assert pods.risk is Risk.SAFE


def test_a_route_that_is_gone_is_told() -> None:
    document = example()
    document["messaging"]["routes"].pop()
    name = config_name(wanted(document), "be-messaging")
    assert lines(told(document))[0] == (f"ConfigMap {name}", "routes.Prepaid", "prepaid", None)


def test_an_image_is_named_within_its_container() -> None:
    key = ObjectKey("Deployment", "marketing")
    spec = deepcopy(as_declared(wanted()).objects[key]["spec"])
    (container,) = spec["template"]["spec"]["containers"]
    spec["template"]["spec"]["containers"] = [{"name": "sidecar"}, container | {"image": "sink:0"}]
    found = lines(told(example(), with_object(key, spec=spec)))
    assert found == [("Deployment marketing", "spec.template.spec.containers[0].image", "sink:0", "sink:1")]


def test_a_configuration_that_is_no_longer_json_is_told_as_it_is() -> None:
    key = ObjectKey("ConfigMap", config_name(wanted(), "marketing"))
    [(target, field, before, after)] = lines(told(example(), with_object(key, data={"config.json": "oops"})))
    assert (target, field, before) == (str(key), "", "oops")
    assert json.loads(str(after))["processor"] == "marketing"


def test_what_is_no_longer_declared_shows_in_the_hash_of_what_was_applied() -> None:
    document = example()
    document["gateway"]["service"] = {"type": "NodePort"}
    [change] = told(document)
    assert (change.target, change.field) == ("Service api-gateway", f"metadata.annotations.{APPLIED_HASH}")


def test_a_processor_that_goes_is_told_with_what_ran() -> None:
    document = example()
    document["sinks"].pop()
    assert lines(told(document)) == [
        (f"ConfigMap {config_name(wanted(), 'agent-flow')}", "", "present", None),
        ("Deployment agent-flow", "", "1 pod", None),
    ]


def with_rates(*rates: Rate) -> Desired:
    return wanted(tables={"billing-marketing": rates})


def rates_told(before: Desired, after: Desired) -> list[Line]:
    there = as_declared(before)
    price, _pods = changes(plan(after, there), there)
    assert price.risk is Risk.SAFE
    return [line[1:] for line in lines((price,))]


def a_rate(number: int, price: str = "0.0400") -> Rate:
    return Rate(prefix=f"+{number}", per_segment=price)


def test_a_few_rates_are_told_by_their_prefix() -> None:
    before, after = with_rates(a_rate(44), a_rate(49)), with_rates(a_rate(49), a_rate(44, "0.0450"))
    assert rates_told(before, after) == [("rates.+44.perSegment", "0.0400", "0.0450")]
    assert rates_told(after, with_rates(a_rate(44, "0.0450"))) == [
        ("rates.+49", '{"perMessage": "0", "perSegment": "0.0400", "prefix": "+49", "changes": {}}', None)
    ]


def test_of_many_rates_the_number_is_told() -> None:
    before = with_rates(*map(a_rate, range(100, 220)))
    after = with_rates(*(a_rate(number, "0.0500") for number in range(100, 221)))
    assert rates_told(before, after) == [("rates", "120 prefixes", "121 prefixes, 121 prefixes changed")]
    assert rates_told(wanted(), before) == [("rates", "0 prefixes", "120 prefixes, 120 prefixes changed")]


def test_a_tariff_s_own_rates_and_changes_are_told_by_prefix_and_time() -> None:
    document = example()
    tariff = document["billing"][1]["tariff"]
    tariff["rates"] = [{"prefix": "+49", "perMessage": "0.0500", "changes": [later("0.0600")]}]
    before = as_declared(wanted(document))
    tariff["rates"] = [{"prefix": "+49", "perMessage": "0.0500", "changes": [later("0.0700")]}]
    price, _pods = changes(plan(wanted(document), before), before)
    field = "tariff.rates.+49.changes.2027-01-01T00:00:00Z.perMessage"
    assert (price.field, price.before, price.after) == (field, "0.0600", "0.0700")


def later(price: str) -> dict[str, str]:
    return {"effectiveFrom": "2027-01-01T00:00:00Z", "perMessage": price}
