"""Billing's commits on a bad network: asked for and not heard, answered and not heard, or heard too late."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from messaging_cli.local.process import Service
from testkit.accounts import Accounts
from testkit.broker import Broker
from testkit.charging import INPUTS, charged, feed
from testkit.kafka_proxy import Action, Api, Direction, KafkaProxy, Rule
from testkit.loops import BillingPod, billing_pods, turn_until
from testkit.samples import a_billing_config
from testkit.waiting import eventually


@pytest.fixture
def broker(proxied_kafka: tuple[Service, KafkaProxy]) -> Broker:
    broker = Broker(proxied_kafka[0].address)
    broker.make_topics({"postpaid": 2, "prepaid": 2, "marketing": 2, "billing-marketing.dlq": 1})
    return broker


@pytest.fixture
def proxy(proxied_kafka: tuple[Service, KafkaProxy]) -> KafkaProxy:
    return proxied_kafka[1]


@pytest.fixture
def pod(broker: Broker, proxy: KafkaProxy, database_url: str) -> Iterator[BillingPod]:
    """It reaches Kafka through the proxy."""
    config = a_billing_config("marketing", proxy.address, broker.prefix)
    with billing_pods(config, database_url=database_url) as (pod,):
        yield pod


def let_in_meanwhile(broker: Broker, late: Rule, answer: Rule, commit: Rule) -> bool:
    """The late request, while the next transaction waits for its commit; whether that is still open then."""
    eventually(lambda: commit.seen)
    late.release()
    eventually(lambda: answer.seen)
    is_open = broker.transaction_is_open("marketing")
    commit.release()
    return is_open


@pytest.mark.parametrize("action", [Action.HOLD, Action.HOLD_AND_CUT])
def test_a_commit_that_comes_late_ends_no_other_transaction(
    broker: Broker, proxy: KafkaProxy, pod: BillingPod, accounts: Accounts, action: Action
) -> None:
    """Billing has given it up, or its client has silently asked again."""
    late = proxy.rule(Api.END_TXN, Direction.REQUEST, action)
    ids = feed(broker, 200)
    turn_until(lambda: late.seen, pod.step)
    ids += feed(broker, 200)
    given_up = late.seen[0].ending_producer
    commit = proxy.rule(
        Api.END_TXN, Direction.REQUEST, Action.HOLD, when=lambda request: request.ending_producer != given_up
    )
    with ThreadPoolExecutor(1) as thread:
        was_open = thread.submit(let_in_meanwhile, broker, late, proxy.answer_to(late), commit)
        turn_until(lambda: len(charged(broker)) == len(ids), *[pod.step] * 5)
    assert was_open.result(), "the late commit has torn the next transaction"
    assert charged(broker) == Counter(ids)
    assert Counter(str(entry.id) for entry in accounts.ledger()) == Counter(ids)


@pytest.mark.parametrize("action", [Action.SWALLOW, Action.CUT, Action.RESET])
def test_a_commit_whose_answer_is_lost_is_found_out_about(
    broker: Broker, proxy: KafkaProxy, pod: BillingPod, accounts: Accounts, action: Action
) -> None:
    lost = proxy.rule(Api.END_TXN, Direction.RESPONSE, action)
    ids = feed(broker, 400)
    turn_until(lambda: lost.seen and broker.done(pod.billing.config.group_id, INPUTS) == len(ids), *[pod.step] * 5)
    assert charged(broker) == Counter(ids)
    assert Counter(str(entry.id) for entry in accounts.ledger()) == Counter(ids)
