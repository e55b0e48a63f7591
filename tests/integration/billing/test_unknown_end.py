"""Nobody knows whether a transaction was committed: a fresh producer finds out, and nothing is charged twice."""

from collections import Counter
from collections.abc import Callable

import pytest

from messaging_cli.local.process import Service
from messaging_processors.runtime import writing
from testkit.broker import Broker
from testkit.charging import charged, feed
from testkit.loops import billing_pods, turn_until
from testkit.samples import a_billing_config


@pytest.fixture
def broker(broker: Broker) -> Broker:
    broker.make_topics({"postpaid": 2, "prepaid": 2, "marketing": 2, "billing-marketing.dlq": 1})
    return broker


def test_a_commit_that_is_not_answered_ends_its_producer_and_charges_once(
    broker: Broker, kafka: Service, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka freezes under the commit's request, and carries it out when it is back."""
    config = a_billing_config("marketing", broker.bootstrap, broker.prefix)
    ids = feed(broker, 2000)
    commit = writing._until

    with billing_pods(config, database_url=database_url) as (pod,):

        def freeze_first(deadline: float, call: Callable[[float], None]) -> None:
            if call.__name__ == "commit_transaction" and pod.writer._producer:
                pod.writer._producer.flush()  # what is not known shall be the commit, and nothing else
                kafka.pause()
            commit(deadline, call)

        monkeypatch.setattr(writing, "_until", freeze_first)
        pod.writer.prepare()
        try:
            turn_until(lambda: pod.writer._producer is None, pod.step)
        finally:
            kafka.resume()
            monkeypatch.undo()
        turn_until(lambda: len(charged(broker)) == len(ids), *[pod.step] * 5)
    assert charged(broker) == Counter(ids)
