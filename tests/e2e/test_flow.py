"""The example topology under traffic and faults: every 202 lands once, everywhere.

The tests run in the order of the file, on one installation; the last one deletes the topology.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Producer

from bed.state import BedState
from messaging_api.topology import GATEWAY_NAME, MESSAGING_NAME
from testkit.arrivals import Arrivals, Lag
from testkit.audit import Audit
from testkit.cluster import NAMESPACE, TOPOLOGY, Cluster
from testkit.faults import kill_inside_a_transaction, stopped
from testkit.topics import Topics
from testkit.traffic import DOMAINS, Answer, Gateway, Traffic
from testkit.waiting import eventually

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("installed")]

DEPLOYMENTS = {
    "api-gateway",
    "be-messaging",
    "billing-marketing",
    "billing-authentication",
    "billing-agent-flow",
    "marketing",
    "authentication",
    "agent-flow",
}
PARTITIONS = {"postpaid": 6, "prepaid": 6, "marketing": 3, "authentication": 3, "agent-flow": 3}
RATE, ENOUGH, TRICKLE = 210, 5_000, 30
ROUNDS = 5


def deployments(cluster: Cluster) -> set[str]:
    return {item["metadata"]["name"] for item in cluster.items("deployment")}


def test_the_resource_says_what_it_became(cluster: Cluster) -> None:
    header, row = cluster.kubectl("get", "mtop", TOPOLOGY, "-n", NAMESPACE).splitlines()
    assert header.split() == ["NAME", "READY", "TOPICS", "PROCESSORS", "AGE"]
    assert row.split()[:4] == [TOPOLOGY, "True", "11/11", "8/8"]
    assert deployments(cluster) >= DEPLOYMENTS
    resource = cluster.get("mtop", TOPOLOGY)
    assert resource["status"]["observedGeneration"] == resource["metadata"]["generation"]
    actual = {topic["name"]: topic["partitions"] for topic in resource["status"]["topics"]}
    assert actual.items() >= PARTITIONS.items()


def test_at_rest_the_operator_writes_nothing(bed: BedState) -> None:
    """No create, update, patch or delete by its service account over three resyncs of ten seconds."""
    audit = Audit(Path(bed.audit_log), "system:serviceaccount:messaging-operator:")
    eventually(lambda: audit.quiet_seconds() >= 12, within=60)
    settled = len([request for request in audit.requests() if request.writes])
    eventually(lambda: audit.quiet_seconds() >= 42, within=60)
    assert [request for request in audit.requests() if request.writes][settled:] == []


def test_an_invalid_request_is_told_the_field(gateway: Gateway) -> None:
    with gateway.client() as client:
        message = {"accountId": "account-00", "domain": "marketing", "to": "none", "body": "x"}
        answer = client.post("/v1/messages", json=message)
        unauthorized = client.get("/v1/accounts/account-00", headers={"X-API-Key": "wrong"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"] == "to"
    assert unauthorized.status_code == 401


def roll(cluster: Cluster, deployment: str) -> None:
    cluster.kubectl("rollout", "restart", f"deployment/{deployment}", "-n", NAMESPACE)
    cluster.kubectl("rollout", "status", f"deployment/{deployment}", "-n", NAMESPACE, "--timeout=240s")


def grow_postpaid(cluster: Cluster) -> None:
    position = list(PARTITIONS).index("postpaid")
    cluster.patch_topology([{"op": "replace", "path": f"/spec/topics/{position}/partitions", "value": 12}])
    eventually(lambda: partitions(cluster, "postpaid") == 12, within=30)


def partitions(cluster: Cluster, topic: str) -> int:
    status = cluster.get("mtop", TOPOLOGY)["status"]["topics"]
    return next(int(entry["partitions"]) for entry in status if entry["name"] == topic)


@pytest.fixture(scope="module")
def load(cluster: Cluster, gateway: Gateway, topics: Topics, lag: Lag) -> Traffic:
    """All domains and both billing types at full rate; a billing pod dies inside a transaction, partitions grow."""
    with Traffic(gateway, rate=RATE, count=50_000) as load:
        eventually(lambda: len(load.accepted) > RATE, within=30)
        kill_inside_a_transaction(cluster, topics, lag, "billing-authentication")
        grow_postpaid(cluster)
        eventually(lambda: len(load.accepted) > ENOUGH, within=60)
    return load


@pytest.fixture(scope="module")
def traffic(load: Traffic, cluster: Cluster, gateway: Gateway) -> list[Answer]:
    """The load, and then a trickle while every Deployment is rolled out again and again.

    A trickle, because two cores that start ten Python processes at a time have little left to answer with.
    """
    with Traffic(gateway, rate=TRICKLE, count=50_000) as trickle, ThreadPoolExecutor(max_workers=4) as pool:
        for _ in range(ROUNDS):
            list(pool.map(lambda name: roll(cluster, name), sorted(DEPLOYMENTS)))
    return load.answers + trickle.answers


@pytest.fixture(scope="module")
def accepted(traffic: list[Answer]) -> list[Answer]:
    return [answer for answer in traffic if answer.accepted]


def test_the_load_was_enough_to_mean_something(load: Traffic) -> None:
    assert len(load.accepted) >= ENOUGH
    assert len(load.answers) / load.seconds >= 200


def test_nothing_but_a_202_or_a_503_that_says_when_to_retry(traffic: list[Answer]) -> None:
    refusals = [answer for answer in traffic if not answer.accepted]
    assert [answer for answer in refusals if answer.status != 503 or not answer.retry_after] == []


def test_every_202_is_a_sent_row_once(accepted: list[Answer], arrivals: Arrivals) -> None:
    ids = [answer.id for answer in accepted]
    assert len(set(ids)) == len(ids)
    eventually(lambda: not arrivals.missing(ids), within=240, every=2)


def test_the_third_party_saw_every_id(accepted: list[Answer], arrivals: Arrivals) -> None:
    assert {answer.id for answer in accepted} - set(arrivals.calls()) == set()


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_topic_carries_each_id_once(accepted: list[Answer], topics: Topics, domain: str) -> None:
    carried = topics.ids(domain)
    expected = {answer.id for answer in accepted if answer.domain == domain}
    assert [message_id for message_id, count in carried.items() if count > 1] == []
    assert expected - set(carried) == set()


@pytest.mark.usefixtures("accepted")
def test_the_killed_transaction_was_aborted_and_its_batch_delivered_again(topics: Topics) -> None:
    """Otherwise the kill did not bite, and 'once' above would prove nothing."""
    uncommitted = topics.ids("authentication", isolation="read_uncommitted").total()
    assert uncommitted > topics.ids("authentication").total()


def states_by_get(gateway: Gateway, ids: list[str]) -> dict[str, str]:
    with gateway.client() as client:
        return {message_id: client.get(f"/v1/messages/{message_id}").json()["state"] for message_id in ids}


def test_redis_holds_what_get_says_also_after_flushall(
    accepted: list[Answer], gateway: Gateway, arrivals: Arrivals
) -> None:
    sample = [answer.id for answer in accepted][:: max(1, len(accepted) // 300)]
    expected = dict.fromkeys(sample, "sent")
    assert arrivals.cached_states(sample) == expected
    assert states_by_get(gateway, sample) == expected
    arrivals.flush_cache()
    assert arrivals.cached_states(sample) == {}
    assert states_by_get(gateway, sample) == expected
    assert arrivals.cached_states(sample) == expected


@pytest.mark.usefixtures("load")
def test_partitions_grew_in_kafka_and_cannot_shrink(cluster: Cluster, lag: Lag) -> None:
    assert lag.partitions_of("postpaid") == 12
    with pytest.raises(AssertionError, match="partitions can only grow: 12 -> 6"):
        cluster.patch_topology([{"op": "replace", "path": "/spec/topics/0/partitions", "value": 6}])


POISON: dict[str, tuple[bytes, dict[str, str | bytes | None], str]] = {
    "no JSON": (b"{", {"domain": b"marketing"}, "billing-marketing.dlq"),
    "no message": (b'{"id": 7}', {"domain": b"authentication"}, "billing-authentication.dlq"),
    "a domain that nobody declared": (b"{}", {"domain": b"nowhere"}, "billing-marketing.dlq"),
    "no domain": (b"{}", {}, "billing-marketing.dlq"),
    "nothing at all": (b"", {"domain": b"agent-flow"}, "billing-agent-flow.dlq"),
}


SINK_POISON = "not for a sink"


def poison_key(case: str) -> str:
    return f"poison-{case.replace(' ', '-')}"


@pytest.fixture(scope="module")
def dead_letters(bootstrap: str, topics: Topics, lag: Lag) -> dict[str, list[str]]:
    """Poison produced straight to Kafka; every dead-letter topic, line by line, once all of it was read."""
    producer = Producer({"bootstrap.servers": bootstrap})
    for case, (value, headers, _) in POISON.items():
        producer.produce("postpaid", value, key=poison_key(case), headers=headers)
    producer.produce("marketing", b"not a message", key=poison_key(SINK_POISON))
    assert producer.flush(10) == 0
    for group in [group_of(f"billing-{domain}") for domain in DOMAINS]:
        eventually(partial(lag.is_zero, group, ["postpaid", "prepaid"]), within=60)
    eventually(lambda: lag.end_of("marketing.dlq") > 0, within=60)
    names = [f"{prefix}{domain}.dlq" for prefix in ("billing-", "") for domain in DOMAINS]
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(lambda name: topics.lines(name, headers=True), names), strict=True))


def group_of(processor: str) -> str:
    return f"{NAMESPACE}.{TOPOLOGY}.{processor}"


@pytest.mark.parametrize("case", POISON)
def test_poison_is_in_the_dead_letter_topic_once(dead_letters: dict[str, list[str]], case: str) -> None:
    destination = POISON[case][2]
    found = {name: [line for line in lines if poison_key(case) in line] for name, lines in dead_letters.items()}
    assert {name: len(lines) for name, lines in found.items() if lines} == {destination: 1}
    for header in ("dlq_topic:postpaid", "dlq_partition:", "dlq_offset:", "dlq_error_message:", "dlq_attempts:1"):
        assert header in found[destination][0]


def test_poison_on_a_domain_topic_is_dead_lettered_by_its_sink_once(dead_letters: dict[str, list[str]]) -> None:
    found = {name: sum(poison_key(SINK_POISON) in line for line in lines) for name, lines in dead_letters.items()}
    assert {name: count for name, count in found.items() if count} == {"marketing.dlq": 1}


def test_nothing_but_poison_was_dead_lettered(dead_letters: dict[str, list[str]]) -> None:
    assert sum(map(len, dead_letters.values())) == len(POISON) + 1


# The domains that a stopped processor holds up; the front holds up all of them, before anything is accepted.
HOPS = {
    "billing-marketing": "marketing",
    "billing-authentication": "authentication",
    "billing-agent-flow": "agent-flow",
    "marketing": "marketing",
    "authentication": "authentication",
    "agent-flow": "agent-flow",
}


def entry_path(cluster: Cluster, name: str) -> str:
    """Where the resource declares a processor."""
    if name in (GATEWAY_NAME, MESSAGING_NAME):
        return "/spec/gateway" if name == GATEWAY_NAME else "/spec/messaging"
    kind = "billing" if name.startswith("billing-") else "sinks"
    entries = cluster.get("mtop", TOPOLOGY)["spec"][kind]
    return f"/spec/{kind}/{[entry['name'] for entry in entries].index(name)}"


@contextmanager
def without(cluster: Cluster, name: str) -> Iterator[None]:
    """The processor is declared with no replicas for a while."""
    path = f"{entry_path(cluster, name)}/replicas"
    cluster.patch_topology([{"op": "add", "path": path, "value": 0}])
    eventually(lambda: name not in pods_by_processor(cluster), within=60)
    yield
    cluster.patch_topology([{"op": "add", "path": path, "value": 1}])


def pods_by_processor(cluster: Cluster) -> set[str]:
    return {item["metadata"]["labels"].get("app.kubernetes.io/name", "") for item in cluster.items("pod")}


@pytest.mark.parametrize("name", HOPS)
def test_without_a_processor_exactly_its_hop_stops(
    cluster: Cluster, gateway: Gateway, arrivals: Arrivals, name: str
) -> None:
    """Its messages wait, all others arrive; put back, it goes on where it stopped."""
    with without(cluster, name):
        answers = {domain: gateway.send("account-00", domain) for domain in DOMAINS}
        held = answers.pop(HOPS[name]).id
        eventually(lambda: not arrivals.missing(answer.id for answer in answers.values()), within=30)
        assert arrivals.missing([held]) == [held]
    eventually(lambda: not arrivals.missing([held]), within=60)


@pytest.mark.parametrize(("name", "status"), [(MESSAGING_NAME, 503), (GATEWAY_NAME, 0)])
def test_without_the_front_nothing_is_accepted(
    cluster: Cluster, gateway: Gateway, arrivals: Arrivals, name: str, status: int
) -> None:
    with without(cluster, name):
        assert gateway.send("account-00", "marketing").status == status
    accepted = eventually(lambda: gateway.send("account-00", "marketing").id, within=60)
    eventually(lambda: not arrivals.missing([accepted]), within=30)


@pytest.mark.parametrize("name", ["marketing", "billing-marketing"])
def test_a_processor_that_is_no_longer_declared_has_no_deployment(cluster: Cluster, name: str) -> None:
    path = entry_path(cluster, name)
    position = int(path.rsplit("/", 1)[1])
    entry = cluster.get("mtop", TOPOLOGY)["spec"]["billing" if "billing" in path else "sinks"][position]
    cluster.patch_topology([{"op": "remove", "path": path}])
    eventually(lambda: name not in deployments(cluster), within=30)
    assert len(deployments(cluster) & DEPLOYMENTS) == len(DEPLOYMENTS) - 1
    cluster.patch_topology([{"op": "add", "path": path, "value": entry}])
    eventually(lambda: cluster.condition("Ready").get("status") == "True", within=120)


def degraded(cluster: Cluster, word: str) -> Callable[[], bool]:
    def says_so() -> bool:
        return any(
            word in condition.get("message", "").lower()
            for condition in (cluster.condition("Degraded"), cluster.condition("TopicsReady"))
        )

    return says_so


@pytest.mark.parametrize(("service", "word"), [("redis", "redis"), ("postgres", "database"), ("kafka", "kafka")])
def test_a_dependency_that_is_away_is_named_within_15_s_and_heals(
    cluster: Cluster, gateway: Gateway, arrivals: Arrivals, service: str, word: str
) -> None:
    with stopped(cluster, service):
        eventually(degraded(cluster, word), within=15)
    eventually(lambda: cluster.condition("Ready").get("status") == "True", within=90)
    eventually(lambda: not degraded(cluster, word)(), within=60)
    accepted = eventually(lambda: gateway.send("account-00", "marketing").id, within=30)
    eventually(lambda: not arrivals.missing([accepted]), within=60)


def test_deleting_the_resource_removes_the_workloads_and_keeps_the_topics(cluster: Cluster, lag: Lag) -> None:
    cluster.kubectl("delete", "mtop", TOPOLOGY, "-n", NAMESPACE, "--timeout=30s")
    eventually(lambda: not DEPLOYMENTS & deployments(cluster), within=60)
    assert {name: lag.partitions_of(name) for name in PARTITIONS} == PARTITIONS | {"postpaid": 12}
