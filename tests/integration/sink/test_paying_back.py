"""What was charged for a message that never arrives is paid back where that is promised: once, and with its state."""

from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from uuid import UUID, uuid4

import pytest

from messaging_api.message import BilledMessage, BillingOutcome, DeadLetterHeader, MessageState
from messaging_cli.local.third_party import Behaviour
from messaging_processors.runtime import database
from messaging_processors.sink.rows import ending
from messaging_processors.sink.store import Store
from messaging_processors.sink.third_party import Clocks
from testkit.accounts import Accounts
from testkit.arriving import Ends, finish, once
from testkit.charges import adds_up, charge, reversed_messages
from testkit.loops import Sinks
from testkit.samples import a_billed_message

REPLAYED = [(DeadLetterHeader.ATTEMPTS, b"1")]


@pytest.fixture
def account() -> str:
    return f"account-{uuid4().hex[:8]}"


def ids(messages: Iterable[BilledMessage]) -> tuple[str, ...]:
    return tuple(str(message.id) for message in messages)


def test_what_the_third_party_refuses_is_paid_back_in_the_order_of_the_ledger(
    ends: Ends, sinks: Sinks, accounts: Accounts, account: str
) -> None:
    messages = [a_billed_message(account) for _ in range(20)]
    refused = messages[::2]
    charge(accounts, *messages)
    ends.third_party.behaviour = Behaviour(status=422, ids=ids(refused))
    ends.put(messages)
    finish(ends, 20, sinks.new())
    assert ends.states(messages) == {"sent": 10, "dead-lettered": 10}
    assert {row.reason for row in ends.rows(refused).values()} == {"Refused"}
    assert sorted(reversed_messages(accounts, account)) == sorted((one.id, "dead-lettered") for one in refused)
    assert adds_up(accounts, account)
    assert accounts.balance(account) == "-0.075"


def test_what_is_not_refundable_is_not_paid_back(ends: Ends, sinks: Sinks, accounts: Accounts, account: str) -> None:
    message = a_billed_message(account)
    charge(accounts, for_good=[message])
    ends.third_party.behaviour = Behaviour(status=422)
    ends.put([message])
    finish(ends, 1, sinks.new())
    assert ends.states([message]) == {"dead-lettered": 1}
    assert (reversed_messages(accounts, account), accounts.balance(account)) == ([], "-0.0075")


def test_a_message_whose_text_cannot_be_stored_is_paid_back(
    ends: Ends, sinks: Sinks, accounts: Accounts, account: str
) -> None:
    message = a_billed_message(account, body="a body with \0 in it")
    charge(accounts, message)
    ends.put([message])
    finish(ends, 1, sinks.new())
    (row,) = ends.rows([message]).values()
    assert (row.state, row.reason, row.body) == ("dead-lettered", "Unstorable", "")
    assert reversed_messages(accounts, account) == [(message.id, "dead-lettered")]
    (letter,) = ends.broker.everything("marketing.dlq")
    assert "a body" not in letter.header("dlq_error_message")


def test_a_message_whose_time_is_over_is_not_sent_and_paid_back(
    ends: Ends, sinks: Sinks, accounts: Accounts, account: str
) -> None:
    now = datetime.now(UTC)
    late, in_time = (
        a_billed_message(account).model_copy(update={"valid_until": now + timedelta(seconds=seconds)})
        for seconds in (0, 1)
    )
    charge(accounts, late, in_time)
    ends.put([late, in_time])
    finish(ends, 2, sinks.new(clocks=Clocks(now=lambda: now)))
    assert ends.calls() == once([in_time])
    row = ends.rows([late])[late.id]
    assert (row.state, row.reason) == ("expired", "Expired")
    assert ends.cached([late, in_time]) == {"expired": 1, "sent": 1}
    assert reversed_messages(accounts, account) == [(late.id, "expired")]
    assert adds_up(accounts, account)


def test_what_somebody_else_may_have_sent_is_sent_however_late(
    ends: Ends, sinks: Sinks, accounts: Accounts, account: str, postgres_url: str
) -> None:
    """It was stored before this sink read it: whoever did that may have died between the call and its answer."""
    late = a_billed_message(account).model_copy(update={"valid_until": datetime.now(UTC)})
    charge(accounts, late)
    with closing(Store(database.connect(postgres_url))) as another:
        another.keep([late])
    ends.put([late])
    finish(ends, 1, sinks.new())
    assert ends.states([late]) == {"sent": 1}
    assert reversed_messages(accounts, account) == []


def test_what_somebody_else_takes_in_hand_meanwhile_does_not_expire(
    ends: Ends, sinks: Sinks, accounts: Accounts, account: str, postgres_url: str
) -> None:
    """Who has lost the partition, and does not know that yet, finds the row and sends: nobody may pay that back."""
    late = a_billed_message(account).model_copy(update={"valid_until": datetime.now(UTC)})
    charge(accounts, late)
    ends.put([late])
    with closing(Store(database.connect(postgres_url))) as another:

        def look_at_the_clock() -> datetime:
            if ends.rows([late]):  # this sink has stored it, and is about to see that it is late
                another.keep([late])
            return datetime.now(UTC)

        finish(ends, 1, sinks.new(clocks=Clocks(now=look_at_the_clock)))
    assert ends.states([late]) == {"sent": 1}
    assert reversed_messages(accounts, account) == []


@pytest.mark.parametrize("outcome", [BillingOutcome.REFUSED, BillingOutcome.EXPIRED])
def test_what_billing_did_not_charge_is_stored_with_its_reason_and_neither_sent_nor_paid_back(
    ends: Ends, sinks: Sinks, accounts: Accounts, account: str, outcome: BillingOutcome
) -> None:
    message = a_billed_message(account, outcome=outcome).model_copy(update={"reason": "InsufficientBalance"})
    accounts.register(account)
    ends.put([message])
    finish(ends, 1, sinks.new())
    row = ends.rows([message])[message.id]
    assert (row.tenant, row.state, row.reason, row.amount_micros) == (
        message.tenant,
        outcome.value,
        "InsufficientBalance",
        0,
    )
    view = ends.cached_view(message)
    assert view
    assert (view.state.value, view.reason) == (outcome.value, "InsufficientBalance")
    assert ends.calls() == {}
    assert accounts.ledger(account) == []


def test_a_crash_between_the_database_s_commit_and_the_offsets_pays_nothing_back_twice(
    ends: Ends, sinks: Sinks, accounts: Accounts, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [a_billed_message(account) for _ in range(4)]
    charge(accounts, *messages)
    ends.third_party.behaviour = Behaviour(status=422)
    ends.put(messages)
    crashing = sinks.new()

    def crash(_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(crashing.reader, "commit", crash)
    with pytest.raises(SystemExit):
        finish(ends, 4, crashing)
    sinks.close(crashing)
    before = accounts.ledger(account)
    finish(ends, 4, sinks.new())
    assert accounts.ledger(account) == before
    assert len(before) == 8
    assert accounts.balance(account) == "0"
    assert ends.calls(422) == once(messages)


def test_a_dead_letter_that_was_paid_back_stays_ended_when_it_is_put_back(
    ends: Ends, sinks: Sinks, accounts: Accounts, account: str
) -> None:
    paid_back, kept = a_billed_message(account), a_billed_message(account)
    charge(accounts, paid_back, for_good=[kept])
    ends.third_party.behaviour = Behaviour(status=422)
    ends.put([paid_back, kept])
    sink = sinks.new()
    finish(ends, 2, sink)
    ends.third_party.behaviour = Behaviour()
    ends.put([paid_back, kept], headers=REPLAYED)
    finish(ends, 4, sink)
    assert ends.calls() == once([kept])
    for message, state in ((paid_back, "dead-lettered"), (kept, "sent")):
        assert ends.states([message]) == ends.cached([message]) == {state: 1}
    assert accounts.balance(account) == "-0.0075"


def test_two_pods_that_end_the_same_messages_at_once_pay_back_once(postgres_url: str, accounts: Accounts) -> None:
    owners = [f"account-{uuid4().hex[:8]}" for _ in range(3)]
    messages = [a_billed_message(owners[number % 3]) for number in range(60)]
    charge(accounts, *messages)
    stores = [Store(database.connect(postgres_url)) for _ in range(4)]
    stores[0].keep(messages)
    changes = [ending(message, MessageState.DEAD_LETTERED, "Refused") for message in messages]
    start = Barrier(len(stores))
    told: list[dict[UUID, str]] = []

    def end(store: Store) -> None:
        start.wait()
        told.append({key: row.view.state.value for key, row in store.advance(changes).items()})

    threads = [Thread(target=end, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert told == [{message.id: "dead-lettered" for message in messages}] * 4
    for owner in owners:
        assert len(reversed_messages(accounts, owner)) == 20
        assert adds_up(accounts, owner)
        assert accounts.balance(owner) == "0"
