"""Sinks in the test's own process, on real Kafka, PostgreSQL and Redis and a recording third party."""

from collections.abc import Iterator

import pytest

from messaging_api.processor import SinkConfig
from messaging_cli.local.third_party import ThirdParty
from testkit.accounts import Accounts
from testkit.arriving import Ends
from testkit.broker import Broker
from testkit.loops import Sinks
from testkit.samples import a_sink_config


@pytest.fixture
def broker(broker: Broker) -> Broker:
    broker.make_topics({"marketing": 2, "marketing.dlq": 2})
    return broker


@pytest.fixture
def config(broker: Broker, third_party: ThirdParty) -> SinkConfig:
    return a_sink_config(broker.bootstrap, broker.prefix, f"{third_party.address}/marketing")


@pytest.fixture
def sinks(config: SinkConfig, postgres_url: str, redis_url: str) -> Iterator[Sinks]:
    sinks = Sinks(config, postgres_url, redis_url)
    yield sinks
    sinks.close_all()


@pytest.fixture
def ends(broker: Broker, config: SinkConfig, postgres_url: str, redis_url: str, third_party: ThirdParty) -> Ends:
    return Ends(broker, config, postgres_url, redis_url, third_party)


@pytest.fixture
def accounts(postgres_url: str) -> Accounts:
    return Accounts(postgres_url)
