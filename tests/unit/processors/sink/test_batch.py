"""The batch in hand: what is still to be done, and what is somebody else's by now."""

from datetime import UTC, datetime, timedelta

from messaging_api.message import ChargedMessage, MessageState
from messaging_processors.runtime.records import Failure, Record
from messaging_processors.sink.batch import Batch
from messaging_processors.sink.decoding import decode, poison
from testkit.samples import a_charged_message, a_sink_config

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CONFIG = a_sink_config()
CHARGED, SENT = MessageState.CHARGED, MessageState.SENT


def a_batch(*values: ChargedMessage | bytes | None) -> Batch:
    """Record by record on partitions 0 and 1 in turn."""
    texts = [value.model_dump_json().encode() if isinstance(value, ChargedMessage) else value for value in values]
    records = [Record("marketing", number % 2, number // 2, None, text) for number, text in enumerate(texts)]
    decoded = decode(records, CONFIG, NOW)
    return Batch(records, {item.message.id: item for item in decoded.items}, decoded.dead_letters)


def test_messages_and_poison_are_told_apart() -> None:
    message = a_charged_message()
    batch = a_batch(message, b"{", None)
    assert batch.unstored == [message]
    assert [(letter.error, letter.record.offset) for letter in batch.dead_letters] == [
        ("InvalidMessage", 0),
        ("InvalidMessage", 1),
    ]


def test_a_message_that_came_twice_is_one_item() -> None:
    message = a_charged_message()
    batch = a_batch(message, message)
    assert batch.unstored == [message]
    assert len(batch.records) == 2


def test_unsent_messages_are_in_the_order_of_the_topic_whatever_the_database_s_is() -> None:
    messages = [a_charged_message() for _ in range(5)]
    batch = a_batch(*messages)
    batch.learn({message.id: CHARGED for message in reversed(messages)})
    assert batch.unsent == messages


def test_what_was_sent_before_or_is_answered_now_is_not_sent() -> None:
    before, now, still = (a_charged_message() for _ in range(3))
    batch = a_batch(before, now, still)
    batch.learn({before.id: SENT, now.id: CHARGED, still.id: CHARGED})
    batch.outcomes[now.id] = SENT
    assert batch.unsent == [still]


def test_an_outcome_that_is_recorded_need_not_be_recorded_again() -> None:
    message = a_charged_message()
    batch = a_batch(message)
    batch.learn({message.id: CHARGED})
    batch.outcomes[message.id] = SENT
    batch.learn({message.id: SENT})
    assert batch.outcomes == {}
    assert batch.unsent == []


def test_a_message_that_cannot_be_stored_leaves_as_a_dead_letter() -> None:
    message = a_charged_message()
    batch = a_batch(message)
    batch.reject(poison(batch.records[0], CONFIG, Failure("Unstorable", "NUL", NOW, NOW)), message.id)
    assert batch.unstored == []
    assert [letter.error for letter in batch.dead_letters] == ["Unstorable"]


def test_a_refusal_tells_of_the_attempts_before() -> None:
    message = a_charged_message()
    batch = a_batch(message)
    assert batch.refused(message.id, "no", NOW) == Failure("Refused", "no", NOW, NOW, attempts=1)
    for minute in range(3):
        batch.failed([message.id], NOW + timedelta(minutes=minute))
    end = NOW + timedelta(hours=1)
    assert batch.refused(message.id, "no", end) == Failure("Refused", "no", NOW, end, attempts=4)


def test_a_lost_partition_takes_everything_of_its_own_with_it() -> None:
    theirs, ours = a_charged_message(), a_charged_message()
    batch = a_batch(theirs, ours, b"{", b"{")
    batch.learn({theirs.id: CHARGED, ours.id: CHARGED})
    batch.outcomes |= {theirs.id: SENT, ours.id: SENT}
    batch.failed([theirs.id, ours.id], NOW)
    batch.forget([("marketing", 0)])
    assert {record.partition for record in batch.records} == {1}
    assert [set(known) for known in (batch.items, batch.states, batch.outcomes, batch.failures)] == [{ours.id}] * 4
    assert [letter.record.partition for letter in batch.dead_letters] == [1]
