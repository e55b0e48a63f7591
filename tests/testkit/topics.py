"""Topics as Kafka's own command-line tools see them."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

Tool = Callable[..., str]
"""Runs a class of Kafka's tools with arguments and returns what it printed."""

CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
TRANSACTIONS = "org.apache.kafka.tools.TransactionsCommand"


@dataclass(frozen=True)
class Topics:
    """Reads whole topics with the console consumer and asks the broker about transactions."""

    tool: Tool
    bootstrap: str

    def lines(self, topic: str, isolation: str = "read_committed", headers: bool = False) -> list[str]:
        """Every record of a topic, one line each, with its headers and key if asked; waits 8 s after the last one."""
        shown = ("print.headers=true", "print.key=true") if headers else ()
        properties = [word for name in shown for word in ("--formatter-property", name)]
        output = self.tool(
            CONSUMER,
            "--bootstrap-server",
            self.bootstrap,
            "--topic",
            topic,
            "--from-beginning",
            "--isolation-level",
            isolation,
            "--timeout-ms",
            "8000",
            *properties,
        )
        return [line for line in output.splitlines() if line]

    def ids(self, topic: str, isolation: str = "read_committed") -> Counter[str]:
        """How often the topic carries each message id."""
        return Counter(json.loads(line)["id"] for line in self.lines(topic, isolation))

    def transaction_is_open(self, transactional_id: str) -> bool:
        """Whether the broker has an ongoing transaction of that id (KIP-664's tool)."""
        output = self.tool(
            TRANSACTIONS,
            "--bootstrap-server",
            self.bootstrap,
            "describe",
            "--transactional-id",
            transactional_id,
        )
        return "Ongoing" in output
