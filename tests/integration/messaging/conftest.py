"""Two be-messaging processes, as two pods of one Deployment, on real Kafka, PostgreSQL and Redis."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from messaging_api.processor import DomainConfig, MessagingConfig
from messaging_api.topology import BillingType
from testkit.accounts import migrate
from testkit.broker import admin_client
from testkit.posting import Caller
from testkit.processes import Processor, running

POSTPAID, PREPAID = "http-postpaid", "http-prepaid"
MARKETING, AUTHENTICATION = "http-marketing", "http-authentication"
TOPICS = (POSTPAID, PREPAID, MARKETING, AUTHENTICATION)


@pytest.fixture(scope="session")
def stores(postgres_url: str, redis_url: str) -> dict[str, str]:
    """What be-messaging is told by its environment."""
    return {"DATABASE_URL": postgres_url, "CACHE_URL": redis_url}


@pytest.fixture(scope="session")
def messaging_config(kafka_bootstrap: str) -> MessagingConfig:
    """For topics that exist."""
    admin = admin_client(kafka_bootstrap)
    for created in admin.create_topics([NewTopic(topic, 3, 1) for topic in TOPICS]).values():
        created.result(30)
    return MessagingConfig(
        topology="user-api",
        namespace="messaging",
        processor="be-messaging",
        bootstrap_servers=kafka_bootstrap,
        routes={BillingType.POSTPAID: POSTPAID, BillingType.PREPAID: PREPAID},
        domains={
            "marketing": DomainConfig(topic=MARKETING, currency="USD"),
            "authentication": DomainConfig(topic=AUTHENTICATION, currency="EUR", valid_for="5m"),
        },
        cache_ttl="1h",
    )


@pytest.fixture(scope="session")
def pods(
    messaging_config: MessagingConfig, stores: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Processor, Processor]]:
    folder: Path = tmp_path_factory.mktemp("be-messaging")
    with running(messaging_config, folder, **stores) as one, running(messaging_config, folder, **stores) as two:
        yield one.await_ready(), two.await_ready()


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """The pods' own, with its tables also where a test has no pod."""
    migrate(postgres_url)
    return postgres_url


@pytest.fixture
def pod(pods: tuple[Processor, Processor]) -> Processor:
    """One of them, ready again after what the previous test did to its dependencies."""
    return pods[0].await_all()


@pytest.fixture
def callers(pods: tuple[Processor, Processor]) -> tuple[Caller, Caller]:
    """Of both: until its probe has found Redis back, a pod tells it nothing."""
    one, two = (Caller(pod.await_all().url) for pod in pods)
    return one, two
