"""Talks to one be-messaging process and reads back what it wrote to Kafka."""

from dataclasses import dataclass
from uuid import uuid4

import httpx
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from testkit.waiting import eventually, must_answer

SILENT = 15.0


@dataclass(frozen=True)
class Caller:
    """Calls `url` with a new connection each time."""

    url: str

    def post(self, account: str, body: str = "hello", **headers: str) -> httpx.Response:
        message = {"accountId": account, "domain": "marketing", "to": "+12025550101", "body": body}
        return httpx.post(f"{self.url}/v1/messages", json=message, headers=headers, timeout=SILENT)

    def message(self, message_id: object) -> httpx.Response:
        return httpx.get(f"{self.url}/v1/messages/{message_id}", timeout=SILENT)

    def put_account(self, account: str, billing_type: str) -> httpx.Response:
        return httpx.put(f"{self.url}/v1/accounts/{account}", json={"billingType": billing_type}, timeout=SILENT)

    def billing_type(self, account: str) -> str:
        """How the account pays, as this process sees it."""
        answer = httpx.get(f"{self.url}/v1/accounts/{account}", timeout=SILENT).raise_for_status()
        return str(answer.json()["billingType"])

    def new_account(self, billing_type: str) -> str:
        """An account that nobody has seen before."""
        account = f"account-{uuid4()}"
        self.put_account(account, billing_type).raise_for_status()
        return account


def records(bootstrap: str, topic: str) -> list[Message]:
    """All of a topic's records, as a new group would read them."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"test-{uuid4()}", "enable.auto.commit": False})
    try:
        ends = eventually(lambda: _ends(consumer, topic))
        consumer.assign([TopicPartition(topic, number, 0) for number in ends])
        found: list[Message] = []
        while len(found) < sum(ends.values()):
            found += [message for message in consumer.consume(500, 0.2) if message.error() is None]
        return found
    finally:
        consumer.close()


@must_answer(KafkaException)
def _ends(consumer: Consumer, topic: str) -> dict[int, int]:
    """How far each partition goes; a broker that is just back may not lead it yet."""
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    return {number: consumer.get_watermark_offsets(TopicPartition(topic, number), 10)[1] for number in partitions}
