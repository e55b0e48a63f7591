"""Topics as Kafka's own command-line tools see them.

A tool that fails or does not answer fails an assertion, so that `eventually` asks again.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from testkit.waiting import eventually, must_answer

Tool = Callable[..., str]
"""Runs a class of Kafka's tools with arguments and returns what it printed."""

CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
TRANSACTIONS = "org.apache.kafka.tools.TransactionsCommand"
SILENCE_MS = "40000"


@dataclass(frozen=True)
class Topics:
    """Reads whole topics with the console consumer and asks the broker about transactions."""

    tool: Tool
    bootstrap: str

    def lines(self, topic: str, headers: bool = False) -> list[str]:
        """Every committed record of a topic, one line each, with its headers and key if asked.

        The console consumer knows no end but silence, and a busy machine is silent, too: it is told how many there are.
        """
        eventually(partial(self.is_settled, topic), within=60)
        if not (count := self._count(topic)):
            return []
        shown = ("print.headers=true", "print.key=true") if headers else ()
        properties = [word for name in shown for word in ("--formatter-property", name)]
        reading = ("--topic", topic, "--from-beginning", "--isolation-level", "read_committed", *properties)
        output = self._run(CONSUMER, *reading, "--max-messages", str(count), "--timeout-ms", SILENCE_MS)
        lines = [line for line in output.split("\n") if line]
        assert len(lines) == count, f"the console consumer read {len(lines)} of {count} records of {topic}"
        return lines

    def ids(self, topic: str) -> Counter[str]:
        """How often the topic carries each message id."""
        return Counter(json.loads(line)["id"] for line in self.lines(topic))

    @must_answer(KafkaException)
    def unique_ids(self, topics: Sequence[str]) -> dict[str, str]:
        """A topic that was deleted and made again has another one."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        described = admin.describe_topics(TopicCollection(list(topics)), request_timeout=10)
        return {name: str(answer.result().topic_id) for name, answer in described.items()}

    def transaction_state(self, transactional_id: str) -> str:
        """Of the newest of that id (KIP-664's tool)."""
        (found,) = self._described("describe", "--transactional-id", transactional_id)
        return found["TransactionState"]

    def _described(self, *question: str) -> list[dict[str, str]]:
        output = self._run(TRANSACTIONS, *question)
        header, *rows = [[cell.strip() for cell in line.split("\t")] for line in output.splitlines() if line.strip()]
        return [dict(zip(header, row, strict=True)) for row in rows]

    @must_answer(RuntimeError, subprocess.TimeoutExpired)
    def _run(self, tool: str, *arguments: str) -> str:
        return self.tool(tool, "--bootstrap-server", self.bootstrap, *arguments)

    @must_answer(KafkaException)
    def is_settled(self, topic: str) -> bool:
        """Whether no transaction that is still open keeps records from those who read what is committed."""
        ends = []
        for isolation in ("read_uncommitted", "read_committed"):
            with closing(self._consumer(isolation)) as consumer:
                places = _places(consumer, topic)
                ends.append([consumer.get_watermark_offsets(place, timeout=10)[1] for place in places])
        return ends[0] == ends[1]

    def _count(self, topic: str) -> int:
        """How many committed records there are, by another client than the one that is going to read them."""
        with closing(self._consumer("read_committed")) as consumer:
            places = _places(consumer, topic)
            consumer.assign(places)
            count = ended = 0
            while ended < len(places):
                codes = [error.code() if (error := message.error()) else 0 for message in consumer.consume(500, 1.0)]
                count += codes.count(0)
                ended += codes.count(KafkaError._PARTITION_EOF)
        return count

    def _consumer(self, isolation: str) -> Consumer:
        settings = {"bootstrap.servers": self.bootstrap, "group.id": "nobody", "isolation.level": isolation}
        return Consumer(settings | {"enable.auto.commit": False, "enable.partition.eof": True})


def _places(consumer: Consumer, topic: str) -> list[TopicPartition]:
    """All partitions of a topic from their beginnings."""
    found = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    return [TopicPartition(topic, number, OFFSET_BEGINNING) for number in found]
