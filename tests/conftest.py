"""The real services as fixtures: one of each a run, started on first use, on free ports, gone at the end."""

import signal
from collections.abc import Iterator

import hypothesis  # here, since its pytest plugin does at the very end, too deep a stack for Python 3.11.7's parser
import pytest

from bed.shell import require
from messaging_cli.local import services
from messaging_cli.local.process import Service
from messaging_cli.local.third_party import ThirdParty
from messaging_cli.local.third_party import third_party as running_third_party
from testkit.kafka_proxy import KafkaProxy
from testkit.kafka_proxy import proxied_kafka as a_proxied_kafka

# A machine that is busy with something else proves nothing wrong.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# What a shell starts in the background ignores Ctrl-C, and so would everything that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A broker that a test may pause, kill and start again; `address` stays the same."""
    require("mvn", "maven")
    with services.kafka(tmp_path_factory.mktemp("kafka")) as service:
        yield service


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka: Service) -> str:
    return kafka.address


@pytest.fixture(scope="session")
def proxied_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, KafkaProxy]]:
    """A broker of its own, which can be reached directly and through a proxy that tampers with single requests."""
    require("mvn", "maven")
    with a_proxied_kafka(tmp_path_factory.mktemp("proxied-kafka")) as both:
        yield both


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """PostgreSQL that a test may pause, kill and start again."""
    with services.postgres(tmp_path_factory.mktemp("postgres")) as service:
        yield service


@pytest.fixture(scope="session")
def postgres_url(postgres: Service) -> str:
    return postgres.address


@pytest.fixture(scope="session")
def redis_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Redis that a test may pause, kill and start again."""
    with services.redis(tmp_path_factory.mktemp("redis")) as service:
        yield service


@pytest.fixture(scope="session")
def redis_url(redis_service: Service) -> str:
    return redis_service.address


@pytest.fixture
def third_party() -> Iterator[ThirdParty]:
    """A recording provider with a clean memory."""
    with running_third_party() as provider:
        yield provider
