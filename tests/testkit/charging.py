"""Messages for billing, and which of them were charged."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from testkit.broker import Broker
from testkit.samples import an_accepted_message

INPUTS = ("postpaid", "prepaid")


def feed(broker: Broker, count: int) -> list[str]:
    """Messages of many accounts on both input topics; their ids."""
    ids = []
    for number in range(count):
        message = an_accepted_message(f"account-{number % 50}")
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


def charged(broker: Broker) -> Counter[str]:
    """How often each message id is in the output, as others see it."""
    return Counter(json.loads(record.value or b"")["id"] for record in broker.everything("marketing"))
