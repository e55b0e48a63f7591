"""Money on a real cluster: what cannot be paid is refused in sight, and a table of rates rolls its own processor."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from messaging_api.account import AccountRequest, EntryKind, TopUpRequest
from messaging_api.topology import BillingType
from testkit.arrivals import Arrivals
from testkit.cluster import DEPLOYMENTS, NAMESPACE, TOPOLOGY, Cluster
from testkit.traffic import Gateway
from testkit.waiting import eventually

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("ready")]

CHARGED, TABLE, KEY = "billing-marketing", "marketing-rates", "rates.csv"
PRICE = "0.04"
"""Of authentication, which has no free segments."""


@pytest.fixture(scope="module")
def ready(installed: Cluster) -> None:
    """The example; an earlier module may have grown a topic, and so it cannot be applied anew."""
    eventually(installed.is_ready, within=180)


@pytest.fixture
def account(gateway: Gateway) -> str:
    """A prepaid account without any money, that no earlier run has used."""
    (made,) = gateway.put_accounts({f"poor-{uuid4().hex[:12]}": AccountRequest(billing_type=BillingType.PREPAID)})
    assert made.balance == "0"
    return made.id


def ended(gateway: Gateway, message_id: str, state: str) -> dict[str, str]:
    """What GET says of a message that ends so; fails while it has not."""
    with gateway.client() as client:
        said: dict[str, str] = client.get(f"/v1/messages/{message_id}").json()
    assert said.get("state") == state, said
    return said


def test_what_cannot_be_paid_is_refused_in_sight_and_not_sent(
    gateway: Gateway, arrivals: Arrivals, account: str
) -> None:
    refused = gateway.send(account, "authentication").id
    assert eventually(lambda: ended(gateway, refused, "refused"), within=60)["reason"] == "InsufficientBalance"
    (entry,) = gateway.ledger(account)
    assert (entry.kind, str(entry.message_id), entry.reason) == (EntryKind.REFUSAL, refused, "InsufficientBalance")
    assert refused not in arrivals.calls()


def test_a_top_up_is_added_once_and_pays_for_a_message(gateway: Gateway, arrivals: Arrivals, account: str) -> None:
    top_ups = [gateway.top_up(account, TopUpRequest(amount="1", currency="USD"), f"key-{account}") for _ in range(2)]
    assert top_ups[0] == top_ups[1]
    sent = gateway.send(account, "authentication").id
    eventually(lambda: not arrivals.missing([sent]), within=60)
    assert gateway.account(account).balance == "0.96"
    assert [(entry.kind, entry.amount) for entry in gateway.ledger(account)] == [
        (EntryKind.TOP_UP, "1"),
        (EntryKind.CHARGE, f"-{PRICE}"),
    ]
    assert arrivals.unbalanced() == []


def put_table(cluster: Cluster, rows: str) -> None:
    """As `kubectl apply` does."""
    metadata = {"name": TABLE, "namespace": NAMESPACE}
    data = {KEY: f"prefix,perSegment\n{rows}"}
    cluster.apply(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}))


@pytest.fixture
def table(cluster: Cluster) -> Iterator[None]:
    """A table of rates that the tariff of one processor refers to, for a while."""
    put_table(cluster, "+49,0.0600\n")
    billing = cluster.get("mtop", TOPOLOGY)["spec"]["billing"]
    path = f"/spec/billing/{[entry['name'] for entry in billing].index(CHARGED)}/tariff/ratesFrom"
    source = {"configMapKeyRef": {"name": TABLE, "key": KEY}}
    cluster.patch_topology([{"op": "add", "path": path, "value": source}])
    eventually(cluster.is_ready, within=120)
    yield
    cluster.patch_topology([{"op": "remove", "path": path}])
    eventually(cluster.is_ready, within=120)
    cluster.kubectl("delete", "configmap", TABLE, "-n", NAMESPACE)


def rates(cluster: Cluster) -> dict[str, str]:
    """As the pods of the Deployment read them."""
    volumes = cluster.get("deployment", CHARGED)["spec"]["template"]["spec"]["volumes"]
    (name,) = (volume["configMap"]["name"] for volume in volumes if volume["name"] == "config")
    config = json.loads(cluster.get("configmap", name)["data"]["config.json"])
    return {rate["prefix"]: rate["perSegment"] for rate in config["rates"]}


@pytest.mark.usefixtures("table")
def test_a_changed_table_rolls_its_own_processor_and_no_other(cluster: Cluster) -> None:
    assert rates(cluster) == {"+49": "0.0600"}
    before = cluster.pods()
    put_table(cluster, "+49,0.0650\n+41,0.0700\n")
    eventually(lambda: rates(cluster) == {"+49": "0.0650", "+41": "0.0700"}, within=60)
    eventually(lambda: cluster.pods()[CHARGED].isdisjoint(before[CHARGED]), within=120)
    eventually(cluster.is_ready, within=120)
    after = cluster.pods()
    assert {name for name in DEPLOYMENTS if after[name] != before[name]} == {CHARGED}


@pytest.mark.usefixtures("table")
def test_a_bad_table_changes_nothing_and_is_told(cluster: Cluster) -> None:
    before = cluster.pods()
    put_table(cluster, "+49,cheap\n")
    eventually(lambda: cluster.condition("Stalled").get("reason") == "InvalidRates", within=60)
    said = cluster.condition("ProcessorsReady")["message"]
    assert f"{CHARGED}: tariff.ratesFrom: ConfigMap {TABLE}, {KEY}: row 2, perSegment: 'cheap'" in said
    assert rates(cluster) == {"+49": "0.0600"}
    assert cluster.pods() == before
    put_table(cluster, "+49,0.0600\n")
    eventually(cluster.is_ready, within=60)
