"""Messages for billing, and what became of them: on the domain's topic, and in the dead letters."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from messaging_api.message import AcceptedMessage, BilledMessage
from messaging_api.topology import BillingType
from testkit.broker import Broker
from testkit.samples import an_accepted_message

INPUTS = ("postpaid", "prepaid")
ACCOUNTS = [f"account-{number}" for number in range(50)]
"""Whose messages `feed` makes; a test registers them."""


def put(broker: Broker, messages: Iterable[AcceptedMessage], partition: int = -1) -> None:
    """On the topics of their billing types, as be-messaging does; in one partition they are read as one batch."""
    for message in messages:
        topic = INPUTS[message.billing_type is BillingType.PREPAID]
        value, key = message.model_dump_json().encode(), message.account_id.encode()
        broker.put(topic, value, [("domain", message.domain)], key, partition)
    broker.flush()


def feed(broker: Broker, count: int) -> list[str]:
    """Messages of all `ACCOUNTS` on both input topics; their ids."""
    ids = []
    for number in range(count):
        message = an_accepted_message(ACCOUNTS[number % len(ACCOUNTS)])
        value = message.model_dump_json().encode()
        broker.put(INPUTS[number % 2], value, [("domain", "marketing")], message.account_id.encode())
        ids.append(str(message.id))
    broker.flush()
    return ids


@contextmanager
def feeding(broker: Broker, most: int = 4000) -> Iterator[list[str]]:
    """More and more messages, until the end of the block; their ids so far."""
    ids: list[str] = []
    stop = Event()

    def keep_feeding() -> None:
        while len(ids) < most and not stop.wait(0.02):
            ids.extend(feed(broker, 40))

    thread = Thread(target=keep_feeding, daemon=True)
    thread.start()
    try:
        yield ids
    finally:
        stop.set()
        thread.join()


def told(broker: Broker, domain: str = "marketing") -> list[BilledMessage]:
    """What is in the output, as others see it."""
    return [BilledMessage.model_validate_json(record.value or b"") for record in broker.everything(domain)]


def charged(broker: Broker) -> Counter[str]:
    """How often each message id is in the output."""
    return Counter(json.loads(record.value or b"")["id"] for record in broker.everything("marketing"))


def errors(broker: Broker, domain: str = "marketing") -> list[str]:
    """What is wrong with each dead letter."""
    return sorted(letter.header("dlq_error_class") for letter in broker.everything(f"billing-{domain}.dlq"))
