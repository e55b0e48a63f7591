"""What providers say became of messages: applied once, to the very message, after it was sent."""

from uuid import uuid4

import pytest

from messaging_api.message import RECEIPT_TYPE, TYPE_HEADER, BilledMessage, ReceiptStatus
from messaging_cli.local.third_party import Behaviour
from testkit.accounts import Accounts
from testkit.arriving import Ends, a_receipt, finish, once
from testkit.charges import adds_up, charge, reversed_messages
from testkit.loops import Sinks, turn_until
from testkit.samples import a_billed_message

DELIVERED, FAILED = ReceiptStatus.DELIVERED, ReceiptStatus.FAILED


@pytest.fixture
def message() -> BilledMessage:
    return a_billed_message(f"account-{uuid4().hex[:8]}")


def test_receipts_in_one_batch_with_their_messages_are_applied_after_these_were_sent(
    ends: Ends, sinks: Sinks, accounts: Accounts, message: BilledMessage
) -> None:
    other = a_billed_message(message.account_id)
    charge(accounts, message, other)
    ends.put_receipts(a_receipt(message), a_receipt(other, FAILED, "AbsentSubscriber"), partition=0)
    ends.put([message, other], partition=0)
    finish(ends, 4, sinks.new())
    assert ends.calls() == once([message, other])
    assert ends.states([message, other]) == ends.cached([message, other]) == {"delivered": 1, "failed": 1}
    assert ends.rows([other])[other.id].reason == "AbsentSubscriber"
    assert reversed_messages(accounts, message.account_id) == [(other.id, "failed")]
    assert adds_up(accounts, message.account_id)


@pytest.mark.parametrize(("first", "second"), [(FAILED, FAILED), (FAILED, DELIVERED), (DELIVERED, FAILED)])
def test_the_first_receipt_counts(
    ends: Ends,
    sinks: Sinks,
    accounts: Accounts,
    message: BilledMessage,
    first: ReceiptStatus,
    second: ReceiptStatus,
    capsys: pytest.CaptureFixture[str],
) -> None:
    charge(accounts, message)
    ends.put([message], partition=0)
    ends.put_receipts(a_receipt(message, first), a_receipt(message, second), partition=0)
    sink = sinks.new()
    finish(ends, 3, sink)
    ends.put_receipts(a_receipt(message, second))
    finish(ends, 4, sink)
    assert ends.states([message]) == ends.cached([message]) == {first.value: 1}
    assert len(reversed_messages(accounts, message.account_id)) == (1 if first is FAILED else 0)
    assert adds_up(accounts, message.account_id)
    assert ends.dead_letters() == []
    said = capsys.readouterr().out
    assert ("receipt contradicts an earlier one" in said) == (first is not second)
    assert message.to not in said


def test_a_receipt_of_a_message_that_is_not_stored_or_of_another_account_is_a_dead_letter(
    ends: Ends, sinks: Sinks, message: BilledMessage
) -> None:
    ends.put([message], partition=0)
    receipt = a_receipt(message)
    strangers = [receipt.model_copy(update=field) for field in ({"account_id": "other"}, {"domain": "authentication"})]
    ends.put_receipts(*strangers, a_receipt(a_billed_message()), partition=0)
    finish(ends, 4, sinks.new())
    assert ends.dead_letters() == ["UnknownMessage"] * 3
    assert ends.states([message]) == {"sent": 1}


def test_a_receipt_that_cannot_be_read_is_a_dead_letter(ends: Ends, sinks: Sinks, message: BilledMessage) -> None:
    for value in (b"{", message.model_dump_json().encode(), None):
        ends.broker.put("marketing", value, [(TYPE_HEADER, RECEIPT_TYPE)])
    ends.broker.flush()
    finish(ends, 3, sinks.new())
    assert ends.dead_letters() == ["InvalidReceipt"] * 3


def test_a_receipt_of_a_message_that_was_refused_changes_nothing(
    ends: Ends, sinks: Sinks, accounts: Accounts, message: BilledMessage
) -> None:
    charge(accounts, message)
    ends.third_party.behaviour = Behaviour(status=422)
    ends.put([message])
    sink = sinks.new()
    finish(ends, 1, sink)
    ends.put_receipts(a_receipt(message, FAILED))
    finish(ends, 2, sink)
    assert ends.states([message]) == ends.cached([message]) == {"dead-lettered": 1}
    assert reversed_messages(accounts, message.account_id) == [(message.id, "dead-lettered")]
    assert ends.dead_letters() == ["Refused"]


def test_a_receipt_waits_for_a_message_that_cannot_be_sent_yet(
    ends: Ends, sinks: Sinks, message: BilledMessage
) -> None:
    """The third party took it and broke the connection: its receipt is here before it is known to be sent."""
    ends.third_party.behaviour = Behaviour(fault="reset")
    ends.put([message], partition=0)
    ends.put_receipts(a_receipt(message), partition=0)
    sink = sinks.new()
    turn_until(lambda: ends.third_party.records, sink.step)
    assert ends.states([message]) == {"charged": 1}
    assert ends.committed() == 0
    ends.third_party.behaviour = Behaviour()
    finish(ends, 2, sink)
    assert ends.states([message]) == ends.cached([message]) == {"delivered": 1}
