"""A whole topology on this machine, real throughout: Kafka, PostgreSQL, Redis, processors as processes of their own.

Every world has topics, groups and a tenant of its own, so that several share the services.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from chaos.database_proxy import DatabaseProxy
from chaos.journal import Journal
from chaos.load import Load
from chaos.supervisor import Pod, Supervisor
from chaos.topology import (
    API_KEY,
    DOMAINS,
    GATEWAY,
    INPUTS,
    MESSAGING,
    REPLICAS,
    Places,
    api_keys,
    configurations,
    gateway,
    group_of,
    topics,
)
from messaging_api.processor import KafkaProcessorConfig
from messaging_cli.local.process import Service
from messaging_cli.local.third_party import Receipts, ThirdParty
from testkit.broker import Broker
from testkit.waiting import eventually

CATCH_UP_SECONDS = 90.0
_START_SECONDS = 120.0
_FAILED_ONE_IN = 10


@dataclass(frozen=True)
class Proxies:
    """The ways to PostgreSQL: be-messaging's, and that of billing and sinks."""

    messaging: DatabaseProxy
    workers: DatabaseProxy

    def url_for(self, processor: str) -> str:
        return (self.messaging if processor == MESSAGING else self.workers).address


@dataclass(frozen=True)
class Services:
    """What the processors stand on."""

    kafka: Service
    postgres: Service
    redis: Service
    third_party: ThirdParty
    proxies: Proxies

    def environment(self, processor: str) -> dict[str, str]:
        """How a processor reaches its stores."""
        return {"DATABASE_URL": self.proxies.url_for(processor), "CACHE_URL": self.redis.address}


@dataclass(frozen=True)
class World:
    """Everything that a fault can touch and a test can look at."""

    services: Services
    broker: Broker
    supervisor: Supervisor
    journal: Journal
    configurations: Mapping[str, KafkaProcessorConfig]

    @property
    def tenant(self) -> str:
        return self.broker.prefix.rstrip(".")

    @property
    def postgres(self) -> Service:
        return self.services.postgres

    @contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """To PostgreSQL, past the proxies."""
        with sa.create_engine(self.postgres.address, poolclass=sa.NullPool).connect() as connection:
            yield connection

    @property
    def third_party(self) -> ThirdParty:
        return self.services.third_party

    def load(self, name: str, rate: float = 60, ordered: bool = True) -> Load:
        """Traffic through all gateways."""
        urls = [pod.running.url for pod in self.supervisor.pods(GATEWAY)]
        return Load(urls, self.tenant, self.journal, name, rate, ordered)

    def replace(self, pod: Pod) -> None:
        """Deletes a pod without warning; another one takes its place."""
        self.supervisor.delete(pod, self.configurations[pod.processor])

    def quiesce(self, within: float = CATCH_UP_SECONDS) -> None:
        """Until everybody is ready and has done what there is to do."""
        self.supervisor.await_ready(within)
        self.drain(within)
        eventually(lambda: not self.third_party.untold, within)
        self._await_sinks(within)

    def drain(self, within: float) -> None:
        """Until billing and sinks have done what is in Kafka."""
        for domain in DOMAINS:
            eventually(partial(self._has_charged, domain), within)
        self._await_sinks(within)

    def _await_sinks(self, within: float) -> None:
        for domain in DOMAINS:
            eventually(partial(self._has_sent, domain, self._ends(domain)), within)

    def _has_charged(self, domain: str) -> bool:
        """Nothing but be-messaging writes to the accepted topics, without transactions: the end is the last record."""
        group = group_of(self.broker, f"billing-{domain}")
        done = self.broker.committed(group, INPUTS.values())
        ends = {(self.broker.name(topic), at): end for topic in INPUTS.values() for at, end in self._high(topic)}
        behind = {place: (done.get(place, 0), end) for place, end in ends.items() if max(done.get(place, 0), 0) < end}
        assert not behind, f"{group} is behind: {behind}"
        assert not self.broker.transaction_is_open(domain), f"a transaction is open in {domain}"
        return True

    def _has_sent(self, domain: str, ends: Mapping[tuple[str, int], int]) -> bool:
        group = group_of(self.broker, domain)
        done = self.broker.committed(group, [domain])
        behind = {place: (done.get(place, 0), end) for place, end in ends.items() if done.get(place, 0) < end}
        assert not behind, f"{group} is behind: {behind}"
        return True

    def _high(self, topic: str) -> Iterator[tuple[int, int]]:
        return iter(enumerate(self.broker.ends(topic)))

    def _ends(self, topic: str) -> dict[tuple[str, int], int]:
        """Behind the last record of each partition: a transaction's marker is behind it and nobody reads that."""
        return {(record.topic, record.partition): record.offset + 1 for record in self.broker.everything(topic)}


@contextmanager
def a_world(services: Services, folder: Path, kafka_of: Mapping[str, str] | None = None) -> Iterator[World]:
    """All processors, ready; `kafka_of` has the address of Kafka for processors that reach it through a proxy."""
    broker = Broker(services.kafka.address)
    broker.make_topics(topics())
    supervisor = Supervisor(folder, services.environment)
    configs = configurations(broker, Places(services.third_party.address, kafka_of or {}))
    try:
        for name, replicas in REPLICAS.items():
            supervisor.run(configs[name], replicas)
        with closing(Journal(folder)) as journal:
            world = World(services, broker, supervisor, journal, configs)
            keys = api_keys(folder / "keys", world.tenant)
            for pod in supervisor.pods(MESSAGING):
                (front,) = supervisor.run(gateway(pod.running.url, keys), 1)
            services.third_party.receipts = Receipts(
                f"{front.running.url}/v1/receipts", API_KEY, failedOneIn=_FAILED_ONE_IN
            )
            supervisor.await_ready(_START_SECONDS)
            yield world
    finally:
        supervisor.close()
