"""Rates from a ConfigMap: a good table is in force within a round, a bad one changes nothing and says what is wrong."""

import json
from typing import Any

import pytest

from messaging_api.processor import CONFIG_FILE
from messaging_api.rates import RatesError
from messaging_api.status import ConditionType, Reason
from messaging_api.tariff import ConfigMapKey
from messaging_operator.errors import ClusterError
from messaging_operator.rates import read_table
from messaging_operator.reconcile import reconcile
from messaging_operator.settings import Settings
from messaging_operator.state import ObjectKey, configuration_of
from testkit.topologies import IMAGES, KEY, NOW, example
from testkit.worlds import World, a_world

SETTINGS = Settings(IMAGES, resync_seconds=10, metrics_port=9090)
TABLE = ObjectKey("ConfigMap", "marketing-rates")
READER = ObjectKey("Deployment", "billing-marketing")
GOOD = "prefix,perSegment\n+44,0.0400\n"
BAD = "prefix,perSegment\n+44,cheap\n"
SAID = "billing-marketing: tariff.ratesFrom: ConfigMap marketing-rates, rates.csv: row 2, perSegment: 'cheap' is not"


def referring() -> dict[str, Any]:
    spec = example()
    spec["billing"][0]["tariff"]["ratesFrom"] = {"configMapKeyRef": {"name": TABLE.name, "key": "rates.csv"}}
    return spec


def put_table(world: World, text: str) -> None:
    world.cluster.objects[TABLE] = {"kind": "ConfigMap", "metadata": {"name": TABLE.name}, "data": {"rates.csv": text}}


def run(world: World) -> None:
    world.forget_writes()
    reconcile(KEY, world.clients, SETTINGS, NOW)


@pytest.fixture
def world() -> World:
    """At rest, with a good table."""
    world = a_world(referring())
    put_table(world, GOOD)
    run(world)
    return world


def configuration(world: World, deployment: ObjectKey = READER) -> dict[str, Any]:
    """As a pod of the Deployment would read it."""
    config = world.cluster.objects[configuration_of(world.cluster.objects[deployment])]
    found: dict[str, Any] = json.loads(config["data"][CONFIG_FILE])
    return found


def rates_in_force(world: World) -> dict[str, str]:
    return {rate["prefix"]: rate["perSegment"] for rate in configuration(world)["rates"]}


def test_the_table_is_part_of_its_processor_s_configuration(world: World) -> None:
    assert rates_in_force(world) == {"+44": "0.0400"}
    assert world.cluster.condition(ConditionType.READY)[0] == "True"
    run(world)
    assert world.cluster.writes == []


def test_another_table_replaces_its_pods_and_no_others(world: World) -> None:
    put_table(world, GOOD + "+49,0.0600\n")
    run(world)
    applied = [write for write in world.cluster.writes if write.startswith("apply")]
    config = configuration_of(world.cluster.objects[READER])
    assert applied == [f"apply {config}", f"apply {READER}"]
    assert rates_in_force(world) == {"+44": "0.0400", "+49": "0.0600"}


def test_a_bad_table_changes_nothing_and_is_told_until_it_is_good(world: World) -> None:
    put_table(world, BAD)
    run(world)
    assert rates_in_force(world) == {"+44": "0.0400"}
    assert [write for write in world.cluster.writes if write.startswith(("apply", "delete"))] == []
    status, reason, message = world.cluster.condition(ConditionType.PROCESSORS_READY)
    assert (status, reason) == ("False", Reason.INVALID_RATES)
    assert message.startswith(SAID)
    assert message.endswith("; until then it goes on with the prices that it has")
    assert world.cluster.condition(ConditionType.STALLED)[:2] == ("True", Reason.INVALID_RATES)
    assert world.cluster.events == [("Warning", "InvalidRates", message)]
    run(world)
    assert world.cluster.writes == []
    put_table(world, GOOD)
    run(world)
    assert world.cluster.condition(ConditionType.READY)[0] == "True"


def test_a_bad_table_keeps_no_other_price_half_changed_and_holds_up_nothing_else(world: World) -> None:
    """The tariff beside the table belongs to the same prices; replicas and other processors do not."""
    spec = referring()
    spec["billing"][0] |= {"replicas": 3}
    spec["billing"][0]["tariff"] |= {"freeSegments": 7, "currency": "EUR"}
    spec["sinks"][0]["replicas"] = 2
    world.cluster.resource["spec"] = spec
    put_table(world, BAD)
    before = configuration_of(world.cluster.objects[READER])
    run(world)
    assert world.cluster.objects[READER]["spec"]["replicas"] == 3
    assert world.cluster.objects[ObjectKey("Deployment", "marketing")]["spec"]["replicas"] == 2
    assert configuration_of(world.cluster.objects[READER]) == before
    accepting = configuration(world, ObjectKey("Deployment", "be-messaging"))
    assert accepting["domains"]["marketing"]["currency"] == "USD", "what is accepted is what can be charged"


def test_beside_a_bad_table_a_new_domain_is_known_at_the_old_prices(world: World) -> None:
    """Or its messages would be dead letters of the one processor that knows nothing of it."""
    before = configuration(world)
    spec = referring()
    spec["billing"][0]["tariff"]["perSegment"] = "0.5"
    spec["billing"].insert(0, {**spec["billing"][1], "name": "billing-news", "domain": "news", "from": ["prepaid"]})
    world.cluster.resource["spec"] = spec
    put_table(world, BAD)
    run(world)
    assert "news" in configuration(world)["domains"]
    assert configuration(world) == before | {"domains": configuration(world)["domains"], "unrouted": ["postpaid"]}


def test_without_its_table_a_new_processor_is_not_started_and_all_others_are() -> None:
    world = a_world(referring())
    run(world)
    assert READER not in world.cluster.objects
    assert (world.cluster.status.topics_ready, world.cluster.status.processors_ready) == ("11/11", "7/8")
    message = world.cluster.condition(ConditionType.PROCESSORS_READY)[2]
    expected = "ConfigMap marketing-rates is not there: create it with the table under rates.csv"
    assert message == f"billing-marketing: tariff.ratesFrom: {expected}; until then it is not started"
    put_table(world, GOOD)
    run(world)
    assert rates_in_force(world) == {"+44": "0.0400"}
    assert world.cluster.status.processors_ready == "8/8"


def test_a_processor_whose_configuration_cannot_be_told_is_left_alone(world: World) -> None:
    """Somebody has broken both: its pods are all that still knows the prices."""
    config = configuration_of(world.cluster.objects[READER])
    world.cluster.objects[config] = {**world.cluster.objects[config], "data": {CONFIG_FILE: "oops"}}
    put_table(world, BAD)
    run(world)
    assert [write for write in world.cluster.writes if write.startswith(("apply", "delete"))] == []
    assert READER in world.cluster.objects


def test_a_table_that_may_not_be_read_is_told_and_one_that_is_away_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, refusal = world.cluster.child, ClusterError(403, "not allowed")

    def refusing(namespace: str, key: ObjectKey) -> Any:  # noqa: ANN401  an object
        if key == TABLE:
            raise refusal
        return child(namespace, key)

    monkeypatch.setattr(world.cluster, "child", refusing)
    run(world)
    said = world.cluster.condition(ConditionType.PROCESSORS_READY)[2]
    assert said.startswith(
        "billing-marketing: tariff.ratesFrom: ConfigMap marketing-rates cannot be read: not allowed;"
    )
    refusal = ClusterError(503, "away")
    with pytest.raises(ClusterError, match="away"):
        run(world)


def test_a_key_that_is_missing_is_told_with_those_that_are_there() -> None:
    with pytest.raises(
        RatesError, match=r"^ConfigMap a has no rates\.csv, only old\.csv: add the table under that key"
    ):
        read_table(ConfigMapKey(name="a", key="rates.csv"), {"data": {"old.csv": GOOD}})


def test_a_table_that_no_configuration_could_hold_is_refused_with_the_way_out() -> None:
    rows = "".join(f"+{number},0.0400\n" for number in range(100_000, 110_000))
    with pytest.raises(
        RatesError, match=r"10000 prefixes are \d+ kB of configuration, and 900 kB fit into a ConfigMap"
    ):
        read_table(ConfigMapKey(name="a", key="b"), {"data": {"b": f"prefix,perSegment\n{rows}"}})
