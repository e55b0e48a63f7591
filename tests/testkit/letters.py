"""Dead letters of one processor on a test's broker, and which of them are back at their source."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from messaging_processors.runtime.records import Failure, Record, dead_letter
from testkit.broker import Broker
from testkit.samples import an_accepted_message

PROCESSOR = "billing-marketing"
LETTERS = "billing-marketing.dlq"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
OWN_HEADERS = (("domain", b"marketing"), ("binary", b"\x00\xff"), ("nothing", None))


def put_letters(broker: Broker, errors: Sequence[str], processor: str = PROCESSOR) -> list[str]:
    """One letter for each error, on both partitions in turn; the ids of their messages."""
    messages = [an_accepted_message(f"account-{number}") for number in range(len(errors))]
    for number, (message, error) in enumerate(zip(messages, errors, strict=True)):
        headers = (*OWN_HEADERS, ("ce_id", str(message.id).encode()))
        value, key = message.model_dump_json().encode(), message.account_id.encode()
        record = Record(broker.name("postpaid"), number % 2, 100 + number, key, value, headers)
        at = NOW + timedelta(seconds=number, milliseconds=700)  # more than is shown of it
        letter = dead_letter(record, Failure(error, f"why {number}", at, at), broker.name(LETTERS), processor)
        broker.put(LETTERS, letter.value, letter.headers, letter.key, number % 2)
    broker.flush()
    return [str(message.id) for message in messages]


def put_back(broker: Broker) -> Counter[str]:
    """How often each message is in the source topic."""
    return Counter(record.header("ce_id") for record in broker.everything("postpaid"))
