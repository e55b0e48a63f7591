"""Billing on real Kafka and PostgreSQL: who is charged, who is not, and what is told of it."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from messaging_api.message import AcceptedMessage, BilledMessage
from messaging_api.processor import BillingConfig
from messaging_api.tariff import Tariff
from messaging_api.topology import BillingType
from messaging_processors.billing.handling import handle
from messaging_processors.billing.rating import Rates
from messaging_processors.runtime.dead_letter_rate import DeadLetterRate
from testkit.accounts import Accounts
from testkit.broker import Broker
from testkit.charging import INPUTS, charged, errors, put, told
from testkit.clocks import Clock
from testkit.loops import BillingPod, billing_pods, turn_until
from testkit.samples import DOMAINS, a_billing_config, an_accepted_message

Start = Callable[..., BillingPod]


@pytest.fixture
def broker(broker: Broker) -> Broker:
    broker.make_topics(dict.fromkeys([*INPUTS, *DOMAINS], 2))
    broker.make_topics({f"billing-{domain}.dlq": 1 for domain in DOMAINS})
    return broker


def a_config(broker: Broker, domain: str = "marketing", **tariff: object) -> BillingConfig:
    declared = Tariff.model_validate({"currency": "USD", "per_message": "1"} | tariff)
    return a_billing_config(domain, broker.bootstrap, broker.prefix, tariff=declared)


@pytest.fixture
def start(broker: Broker, database_url: str) -> Iterator[Start]:
    """A pod of the processor of that domain and tariff."""
    with ExitStack() as stack:

        def start(domain: str = "marketing", name: str = "pod-0", **tariff: object) -> BillingPod:
            config = a_config(broker, domain, **tariff)
            return stack.enter_context(billing_pods(config, database_url=database_url, name=name))[0]

        yield start


def finish(broker: Broker, *pods: BillingPod) -> None:
    """Turns them until their groups have all records behind them."""
    total = broker.total(INPUTS)
    groups = {pod.billing.config.group_id for pod in pods}
    turn_until(lambda: all(broker.done(group, INPUTS) == total for group in groups), *[pod.step for pod in pods] * 3)


def verdicts(messages: list[BilledMessage]) -> Counter[str]:
    return Counter(one.reason or one.outcome.value for one in messages)


def prepaid(account: str = "account-1", body: str = "Hello") -> AcceptedMessage:
    return an_accepted_message(account, billing_type=BillingType.PREPAID, body=body)


def test_a_crash_between_the_commits_tells_once_what_the_ledger_says(
    broker: Broker, start: Start, accounts: Accounts
) -> None:
    """Also when the tariff has changed meanwhile, and the account could not pay any more."""
    accounts.register("account-1", balance="3")
    put(broker, [prepaid(body="x" * 161) for _ in range(3)], partition=0)
    config = a_config(broker, per_message="0.5", per_segment="0.25")
    with billing_pods(config, database_url=accounts.database_url) as (crashed,):
        handled = [handle(record, config, Rates(config.tariff)) for record in crashed.a_batch().records]
        crashed.ledger.settle([item for item in handled if item], datetime.now(UTC), 100)
    assert told(broker) == []

    accounts.register("account-1", balance="0")
    finish(broker, start(name="pod-1", per_message="100", currency="EUR"))
    assert [(one.charge.amount, one.charge.currency, one.segments) for one in told(broker)] == [("1", "USD", 2)] * 3
    assert len(accounts.ledger()) == 3
    assert accounts.balance() == "0"


def test_a_client_s_retry_is_neither_charged_nor_told(broker: Broker, start: Start, accounts: Accounts) -> None:
    """In the same batch, in a later one, on the other topic, and after the tariff's change."""
    messages = [an_accepted_message() for _ in range(3)]
    put(broker, [*messages, messages[0]], partition=0)
    with billing_pods(a_config(broker), database_url=accounts.database_url) as (pod,):
        finish(broker, pod)
    changed = [one.model_copy(update={"billing_type": BillingType.PREPAID}) for one in messages]
    put(broker, [*messages, *changed], partition=1)
    finish(broker, start(name="pod-1", per_message="100"))
    assert charged(broker) == Counter(str(one.id) for one in messages)
    assert (accounts.balance(), errors(broker)) == ("-3", [])


def test_another_message_under_the_same_key_is_a_dead_letter(broker: Broker, start: Start, accounts: Accounts) -> None:
    message = an_accepted_message()
    put(broker, [message, message.model_copy(update={"body": "Goodbye"})], partition=0)
    finish(broker, start())
    assert (charged(broker), errors(broker)) == (Counter({str(message.id): 1}), ["IdempotencyConflict"])
    assert accounts.balance() == "-1"


def test_two_domains_under_the_same_key_charge_one(broker: Broker, start: Start, accounts: Accounts) -> None:
    """Each has its own processor; whoever comes second finds the first one's entry."""
    messages = [an_accepted_message() for _ in range(20)]
    put(broker, messages)
    put(broker, [one.model_copy(update={"domain": "authentication"}) for one in messages])
    finish(broker, *[start(domain) for domain in DOMAINS])
    assert sorted(str(one.id) for domain in DOMAINS for one in told(broker, domain)) == sorted(
        str(one.id) for one in messages
    )
    assert errors(broker) + errors(broker, "authentication") == ["IdempotencyConflict"] * 20
    assert accounts.balance() == "-20"


def test_pods_that_race_for_one_prepaid_account_never_overdraw_it(
    broker: Broker, start: Start, accounts: Accounts
) -> None:
    accounts.register("account-1", billing_type=BillingType.PREPAID, balance="250")
    for partition in (0, 1):
        put(broker, [prepaid() for _ in range(200)], partition)
    pods = [start(name=f"pod-{number}") for number in range(2)]
    turn_until(lambda: all(pod.reader.assigned for pod in pods), *[partial(pod.reader.idle, 0.1) for pod in pods])
    finish(broker, *pods)
    assert verdicts(told(broker)) == {"charged": 250, "InsufficientBalance": 150}
    assert accounts.balance() == "0"
    assert min(entry.balance_micros for entry in accounts.ledger()) == 0


def test_postpaid_falls_to_its_limit_and_a_type_is_kept_from_acceptance(
    broker: Broker, start: Start, accounts: Accounts
) -> None:
    """The account became postpaid while prepaid messages were under way: they still have no credit."""
    accounts.register("account-1", billing_type=BillingType.POSTPAID, balance="1", credit_limit="2")
    pod = start()
    put(broker, [prepaid(), prepaid()], partition=0)
    finish(broker, pod)
    assert verdicts(told(broker)) == {"charged": 1, "InsufficientBalance": 1}
    put(broker, [an_accepted_message() for _ in range(4)], partition=0)
    finish(broker, pod)
    assert verdicts(told(broker)) == {"charged": 3, "InsufficientBalance": 1, "CreditLimitReached": 2}
    assert accounts.balance() == "-2"


def test_what_is_late_or_in_another_currency_is_told_and_not_charged(
    broker: Broker, start: Start, accounts: Accounts
) -> None:
    accounts.register("account-1", currency="EUR")
    late = an_accepted_message("account-2").model_copy(update={"valid_until": datetime.now(UTC)})
    put(broker, [an_accepted_message(), late])
    finish(broker, start())
    said = sorted((str(one.outcome), one.reason, one.charge.amount) for one in told(broker))
    assert said == [("expired", "Expired", "0"), ("refused", "CurrencyMismatch", "0")]
    assert (accounts.balance("account-1"), accounts.balance("account-2")) == ("0", "0")


def test_free_segments_last_a_month_in_each_domain(broker: Broker, start: Start, accounts: Accounts) -> None:
    tariff = {"per_message": "0", "per_segment": "1", "free_segments": 3}
    pods = [start(domain, **tariff) for domain in DOMAINS]
    last_month = datetime.now(UTC).replace(day=1) - timedelta(days=1)
    for _ in range(2):  # two batches
        now = [an_accepted_message(domain=domain, body="x" * 161) for domain in DOMAINS]
        before = [one.model_copy(update={"id": an_accepted_message().id, "accepted_at": last_month}) for one in now]
        put(broker, now + before, partition=0)
        finish(broker, *pods)
    assert [sorted(one.charge.amount for one in told(broker, domain)) for domain in DOMAINS] == [
        ["0", "0", "1", "1"],
        ["0", "0", "1", "1"],
    ]
    assert accounts.balance() == "-4"


def test_a_bad_deploy_does_not_empty_a_topic_into_the_dead_letters(
    broker: Broker, start: Start, accounts: Accounts
) -> None:
    """It stops at the bound and says so; what is good behind it is charged once somebody has put it right.

    What other domains have in the topic is nothing that went well.
    """
    good = an_accepted_message()
    for number in range(1650):
        domain = "authentication" if number % 11 else "marketing"
        broker.put("postpaid", b"{", [("domain", domain)], partition=0)
    put(broker, [good], partition=0)
    config = a_config(broker)
    with billing_pods(config, database_url=accounts.database_url) as (pod,):
        pod.billing.rate = DeadLetterRate(Clock())
        turn_until(lambda: "dead-letter-rate" in pod.health.readiness().away, pod.step)
        for _ in range(5):
            pod.step()
        assert pod.health.readiness().away.keys() == {"dead-letter-rate"}
    assert (errors(broker), charged(broker)) == (["InvalidMessage"] * 100, {})
    assert broker.done(config.group_id, INPUTS) == 1100
    finish(broker, start(name="pod-1"))
    assert (errors(broker), charged(broker)) == (["InvalidMessage"] * 150, Counter([str(good.id)]))


def test_callers_that_reuse_keys_take_no_room_from_others_dead_letters(
    broker: Broker, start: Start, accounts: Accounts
) -> None:
    message = an_accepted_message()
    put(broker, [message, *(message.model_copy(update={"body": str(number)}) for number in range(120))], partition=0)
    for _ in range(100):
        broker.put("postpaid", b"{", [("domain", "marketing")], partition=0)
    broker.flush()
    finish(broker, start())
    assert Counter(errors(broker)) == {"IdempotencyConflict": 120, "InvalidMessage": 100}
    assert charged(broker) == Counter([str(message.id)])
