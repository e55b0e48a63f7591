"""The batch in hand: what is still to be done, and what is somebody else's by now."""

from datetime import UTC, datetime, timedelta

from messaging_api.message import (
    RECEIPT_TYPE,
    TYPE_HEADER,
    BilledMessage,
    DeadLetterHeader,
    MessageState,
    Receipt,
    ReceiptStatus,
)
from messaging_processors.runtime.records import Failure, Headers, Record
from messaging_processors.sink.batch import Batch
from messaging_processors.sink.decoding import decode, poison
from messaging_processors.sink.rows import ending
from testkit.samples import a_billed_message, a_sink_config

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CONFIG = a_sink_config()
RECEIPT: Headers = ((TYPE_HEADER, RECEIPT_TYPE.encode()),)


def a_receipt(message: BilledMessage, status: ReceiptStatus = ReceiptStatus.DELIVERED) -> Receipt:
    return Receipt(id=message.id, account_id=message.account_id, domain=message.domain, status=status, received_at=NOW)


def a_batch(*values: BilledMessage | Receipt | bytes | None) -> Batch:
    """Record by record on partitions 0 and 1 in turn."""
    records = []
    for number, value in enumerate(values):
        text = value.model_dump_json().encode() if isinstance(value, BilledMessage | Receipt) else value
        headers = RECEIPT if isinstance(value, Receipt) else ()
        records.append(Record("marketing", number % 2, number // 2, None, text, headers))
    return Batch.of(records, decode(records, CONFIG, NOW))


def kept(*messages: BilledMessage, and_receipts: tuple[Receipt, ...] = ()) -> Batch:
    """A batch whose messages are stored and are to be sent."""
    batch = a_batch(*messages, *and_receipts)
    batch.kept = True
    batch.to_send = {message.id for message in messages}
    return batch


def bury(batch: Batch, message: BilledMessage) -> None:
    record = batch.items[message.id].record
    ends = ending(message, MessageState.DEAD_LETTERED, "Refused")
    batch.bury(poison(record, CONFIG, Failure("Refused", "no", NOW, NOW), ends))


def test_messages_receipts_and_poison_are_told_apart() -> None:
    message = a_billed_message()
    receipt = a_receipt(message)
    batch = a_batch(message, b"{", None, receipt)
    assert batch.messages == [message]
    assert [told.receipt for told in batch.receipts] == [receipt]
    assert [(letter.error, letter.record.offset) for letter in batch.dead_letters] == [
        ("InvalidMessage", 0),
        ("InvalidMessage", 1),
    ]


def test_a_receipt_that_cannot_be_read_is_one_all_the_same() -> None:
    record = Record("marketing", 0, 0, None, a_billed_message().model_dump_json().encode(), RECEIPT)
    (letter,) = decode([record], CONFIG, NOW).dead_letters
    assert letter.error == "InvalidReceipt"


def test_a_message_that_came_twice_is_one_item() -> None:
    message = a_billed_message()
    batch = a_batch(message, message)
    assert batch.messages == [message]
    assert len(batch.records) == 2


def test_a_message_that_was_replayed_is_so_although_it_is_in_the_batch_twice() -> None:
    message = a_billed_message()
    text = message.model_dump_json().encode()
    headers = ((DeadLetterHeader.ATTEMPTS.value, b"1"),)
    records = [Record("marketing", 0, 0, None, text), Record("marketing", 0, 1, None, text, headers)]
    assert Batch.of(records, decode(records, CONFIG, NOW)).replayed == {message.id}


def test_unsent_messages_are_in_the_order_of_the_topic() -> None:
    messages = [a_billed_message() for _ in range(5)]
    assert kept(*messages).unsent == messages


def test_what_has_its_outcome_is_not_sent() -> None:
    now, still = a_billed_message(), a_billed_message()
    batch = kept(now, still)
    batch.ends(ending(now, MessageState.SENT))
    assert batch.unsent == [still]
    assert batch.outcomes.keys() == {now.id}


def test_a_message_that_is_buried_is_dead_lettered_only_once_its_letter_is_written() -> None:
    message = a_billed_message()
    batch = kept(message)
    bury(batch, message)
    assert (batch.unsent, batch.outcomes, batch.is_done) == ([], {}, False)
    batch.buried(batch.dead_letters[0])
    assert batch.outcomes == {message.id: ending(message, MessageState.DEAD_LETTERED, "Refused")}
    assert not batch.is_done


def test_a_receipt_waits_for_its_message_of_the_same_batch() -> None:
    unsent, buried, sent = (a_billed_message() for _ in range(3))
    receipts = [a_receipt(message) for message in (unsent, buried, sent)]
    elsewhere = a_receipt(a_billed_message())
    batch = kept(unsent, buried, sent, and_receipts=(*receipts, elsewhere))
    bury(batch, buried)
    batch.ends(ending(sent, MessageState.SENT))
    assert [told.receipt for told in batch.due_receipts] == [elsewhere]
    batch.outcomes.clear()
    assert [told.receipt for told in batch.due_receipts] == [receipts[2], elsewhere]


def test_it_is_done_when_nothing_is_left() -> None:
    message = a_billed_message()
    batch = a_batch(message, a_receipt(message))
    assert not batch.is_done
    batch.kept = True
    assert not batch.is_done, "a receipt is left"
    batch.receipts.clear()
    assert batch.is_done


def test_a_refusal_tells_of_the_attempts_before() -> None:
    message = a_billed_message()
    batch = a_batch(message)
    assert batch.refused(message.id, "no", NOW) == Failure("Refused", "no", NOW, NOW, attempts=1)
    for minute in range(3):
        batch.failed([message.id], NOW + timedelta(minutes=minute))
    end = NOW + timedelta(hours=1)
    assert batch.refused(message.id, "no", end) == Failure("Refused", "no", NOW, end, attempts=4)


def test_a_lost_partition_takes_everything_of_its_own_with_it() -> None:
    theirs, ours = a_billed_message(), a_billed_message()
    batch = a_batch(theirs, ours, b"{", b"{", a_receipt(theirs), a_receipt(ours))
    batch.to_send = {theirs.id, ours.id}
    batch.outcomes = {message.id: ending(message, MessageState.SENT) for message in (theirs, ours)}
    batch.failed([theirs.id, ours.id], NOW)
    batch.forget([("marketing", 0)])
    assert {record.partition for record in batch.records} == {1}
    assert [set(known) for known in (batch.items, batch.to_send, batch.outcomes, batch.failures)] == [{ours.id}] * 4
    assert [letter.record.partition for letter in batch.dead_letters] == [1]
    assert [told.record.partition for told in batch.receipts] == [1]
