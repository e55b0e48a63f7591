"""The example topology under traffic and faults: every 202 lands once, everywhere.

The tests run in the order of the file, on one installation.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest
from confluent_kafka import Producer

from messaging_cli.traffic import Answer
from testkit.arrivals import Arrivals, Lag
from testkit.audit import Audit
from testkit.cluster import DEPLOYMENTS, NAMESPACE, TOPOLOGY, Cluster
from testkit.faults import kill_inside_a_transaction
from testkit.topics import Topics
from testkit.traffic import DOMAINS, Gateway, Traffic
from testkit.waiting import eventually, must_answer

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("installed")]

PARTITIONS = {"postpaid": 6, "prepaid": 6, "marketing": 3, "authentication": 3, "agent-flow": 3}
RATE, ENOUGH, TRICKLE = 210, 5_000, 30
ROUNDS = 5


def test_the_resource_says_what_it_became(cluster: Cluster) -> None:
    header, row = cluster.kubectl("get", "mtop", TOPOLOGY, "-n", NAMESPACE).splitlines()
    assert header.split() == ["NAME", "READY", "TOPICS", "PROCESSORS", "AGE"]
    assert row.split()[:4] == [TOPOLOGY, "True", "11/11", "8/8"]
    assert cluster.deployments() == DEPLOYMENTS
    resource = cluster.get("mtop", TOPOLOGY)
    assert resource["status"]["observedGeneration"] == resource["metadata"]["generation"]
    assert cluster.partitions().items() >= PARTITIONS.items()


def test_at_rest_the_operator_writes_nothing(audit: Audit) -> None:
    assert audit.writes_at_rest() == []


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
    eventually(lambda: cluster.partitions()["postpaid"] == 12, within=30)


@pytest.fixture(scope="module")
def load(cluster: Cluster, gateway: Gateway, topics: Topics, lag: Lag) -> Traffic:
    """All domains and both billing types at full rate; a billing pod dies inside a transaction, partitions grow."""
    with Traffic(gateway, rate=RATE, count=50_000) as sent:
        eventually(lambda: len(sent.accepted) > RATE, within=60)
        kill_inside_a_transaction(cluster, topics, lag, "billing-authentication", "authentication")
        grow_postpaid(cluster)
        eventually(lambda: len(sent.accepted) > ENOUGH, within=300)
    return sent


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


def test_the_load_was_enough_to_mean_something(load: Traffic, capsys: pytest.CaptureFixture[str]) -> None:
    """The rate is told and not asserted: a machine that is busy with something else must not fail the run."""
    offered = len(load.answers)
    with capsys.disabled():
        rate = offered / load.seconds
        print(f"\n{offered} messages offered at {RATE}/s, answered at {rate:.0f}/s with the faults included")
    assert len(load.accepted) >= ENOUGH


def test_nothing_but_a_202_or_a_503_that_says_when_to_retry(traffic: list[Answer]) -> None:
    refusals = [answer for answer in traffic if not answer.accepted]
    assert [answer for answer in refusals if answer.status != 503 or not answer.retry_after] == []


def test_every_202_is_a_sent_row_once(accepted: list[Answer], arrivals: Arrivals) -> None:
    ids = [answer.id for answer in accepted]
    assert len(set(ids)) == len(ids)
    eventually(lambda: not arrivals.missing(ids), within=240, every=2)


def test_the_third_party_saw_every_id(accepted: list[Answer], arrivals: Arrivals) -> None:
    assert {answer.id for answer in accepted} - set(arrivals.calls()) == set()


def test_every_202_has_one_entry_in_the_ledger(accepted: list[Answer], arrivals: Arrivals) -> None:
    decisions = arrivals.decisions()
    assert {answer.id: decisions[answer.id] for answer in accepted if decisions[answer.id] != 1} == {}


def test_the_entries_of_every_account_add_up_to_its_balance(accepted: list[Answer], arrivals: Arrivals) -> None:
    assert accepted
    assert arrivals.unbalanced() == []


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_topic_carries_each_id_once(accepted: list[Answer], topics: Topics, domain: str) -> None:
    carried = topics.ids(domain)
    expected = {answer.id for answer in accepted if answer.domain == domain}
    assert [message_id for message_id, count in carried.items() if count > 1] == []
    assert expected - set(carried) == set()


@must_answer(httpx.TransportError)
def states_by_get(gateway: Gateway, ids: list[str]) -> dict[str, str]:
    with gateway.client() as client:
        return {message_id: client.get(f"/v1/messages/{message_id}").json().get("state") for message_id in ids}


def all_sent(states: dict[str, str], least: int) -> bool:
    """Whether these are at least so many, all of them sent; fails where not."""
    assert {message_id: state for message_id, state in states.items() if state != "sent"} == {}
    assert len(states) >= least
    return True


def test_redis_holds_what_get_says_also_after_flushall(
    accepted: list[Answer], gateway: Gateway, arrivals: Arrivals
) -> None:
    """Redis is told as best can be: a sink that ends while Redis is slow leaves an entry out, and GET the database."""
    ids = [answer.id for answer in accepted]
    sample = ids[:: max(1, len(ids) // 300)]
    eventually(lambda: all_sent(arrivals.cached_states(ids), least=len(ids) * 99 // 100))
    eventually(lambda: all_sent(states_by_get(gateway, sample), least=len(sample)))
    arrivals.flush_cache()
    assert arrivals.cached_states(ids) == {}

    def told_again() -> bool:
        got = all_sent(states_by_get(gateway, sample), least=len(sample))
        return got and all_sent(arrivals.cached_states(ids), least=len(sample))

    eventually(told_again)


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
    with ThreadPoolExecutor(max_workers=2) as pool:  # each is a JVM
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
