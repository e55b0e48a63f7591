"""A billing process dies inside a transaction, and another pod of the group takes its partitions over."""

import signal
from collections import Counter
from pathlib import Path

import pytest

from messaging_api.processor import BillingConfig
from testkit.broker import Broker
from testkit.charging import charged, feed
from testkit.processes import Processor, running
from testkit.samples import a_billing_config
from testkit.waiting import eventually

PARTITIONS = 6


@pytest.fixture
def broker(kafka_bootstrap: str) -> Broker:
    broker = Broker(kafka_bootstrap)
    broker.make_topics({"postpaid": PARTITIONS, "prepaid": PARTITIONS, "marketing": 3, "billing-marketing.dlq": 3})
    return broker


@pytest.fixture
def config(broker: Broker) -> BillingConfig:
    return a_billing_config("marketing", broker.bootstrap, broker.prefix)


def frozen_inside_a_transaction(broker: Broker, billing: Processor) -> bool:
    billing.process.send_signal(signal.SIGSTOP)
    if broker.transaction_is_open("marketing") and broker.transaction_is_open("marketing"):
        return True
    billing.process.send_signal(signal.SIGCONT)
    return False


@pytest.mark.timeout(120)
@pytest.mark.parametrize("growth", [False, True])
def test_the_successor_goes_on_where_the_killed_one_was(
    broker: Broker, config: BillingConfig, tmp_path: Path, growth: bool
) -> None:
    """Also when the topic grows meanwhile: what is committed is never charged again."""
    ids: list[str] = []
    with (
        running(config, tmp_path, POD_NAME="dies") as dies,
        running(config, tmp_path, POD_NAME="lives") as lives,
    ):
        dies.await_ready()
        lives.await_ready()
        for _ in range(10):
            ids.extend(feed(broker, 40))
        eventually(lambda: len(charged(broker)) == len(ids), within=30)

        def caught() -> bool:
            ids.extend(feed(broker, 40))
            return frozen_inside_a_transaction(broker, dies)

        eventually(caught, within=30, every=0.01)
        dies.process.kill()
        if growth:
            broker.grow("postpaid", 2 * PARTITIONS)
        ids.extend(feed(broker, 40))
        with running(config, tmp_path, POD_NAME="replaces") as replaces:
            def taken_over() -> bool:
                ids.extend(feed(broker, 40))
                return {"dies"} and replaces.log.read_text().count("gained") + lives.log.read_text().count("gained") > 6

            for _ in range(250):
                ids.extend(feed(broker, 20))
                __import__("time").sleep(0.05)
            eventually(lambda: len(charged(broker)) >= len(set(ids)), within=60, every=1)
            print("LIVES", lives.log.read_text())
            print("REPLACES", replaces.log.read_text())
    assert {key: count for key, count in charged(broker).items() if count > 1} == {}
    assert set(charged(broker)) == set(ids)
