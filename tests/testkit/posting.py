"""Talks to one be-messaging process and reads back what it wrote to Kafka."""

from dataclasses import dataclass
from uuid import uuid4

import httpx
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from messaging_api.access import SCOPES_HEADER, TENANT_HEADER, Scope
from testkit.plain_http import PLAIN
from testkit.waiting import eventually, must_answer

_USUAL = {"domain": "marketing", "to": "+12025550101", "body": "hello"}


@dataclass(frozen=True)
class Caller:
    """Calls `url` with a new connection each time, as the gateway does for a client of `tenant`."""

    url: str
    tenant: str = "shop"
    scopes: tuple[str, ...] = tuple(Scope)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """`headers` by their names in Python: `idempotency_key`."""
        vouched = {TENANT_HEADER: self.tenant, SCOPES_HEADER: " ".join(self.scopes)}
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return PLAIN.request(method, f"{self.url}{path}", json=body, headers=vouched | more)

    def post(self, account: str, body: str = "hello", **headers: str) -> httpx.Response:
        return self.ask("POST", "/v1/messages", _USUAL | {"accountId": account, "body": body}, **headers)

    def post_batch(self, *messages: dict[str, str]) -> httpx.Response:
        """Each message is what differs from a usual one."""
        return self.ask("POST", "/v1/messages:batch", {"messages": [_USUAL | message for message in messages]})

    def message(self, message_id: object) -> httpx.Response:
        return self.ask("GET", f"/v1/messages/{message_id}")

    def put_account(self, account: str, billing_type: str, currency: str = "USD", **more: str) -> httpx.Response:
        request = {"billingType": billing_type, "currency": currency} | more
        return self.ask("PUT", f"/v1/accounts/{account}", request)

    def account(self, account: str) -> httpx.Response:
        return self.ask("GET", f"/v1/accounts/{account}")

    def billing_type(self, account: str) -> str:
        """How the account pays, as this process sees it."""
        return str(self.account(account).raise_for_status().json()["billingType"])

    def new_account(self, billing_type: str) -> str:
        """An account that nobody has seen before."""
        account = f"account-{uuid4()}"
        self.put_account(account, billing_type).raise_for_status()
        return account

    def top_up(self, account: str, amount: str, key: str, currency: str = "USD") -> httpx.Response:
        path = f"/v1/accounts/{account}/top-ups"
        return self.ask("POST", path, {"amount": amount, "currency": currency}, idempotency_key=key)

    def ledger(self, account: str, after: int = 0, limit: int = 100) -> httpx.Response:
        return self.ask("GET", f"/v1/accounts/{account}/ledger?after={after}&limit={limit}")


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
