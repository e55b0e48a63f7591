"""The loops of billing and sinks in the test's own process, turn by turn."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from messaging_api.processor import BillingConfig, SinkConfig
from messaging_processors.billing import main as billing
from messaging_processors.config import Ports, Secrets
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.kafka import Batch, Reader
from messaging_processors.runtime.positions import partitions_of
from messaging_processors.runtime.process import Runtime
from messaging_processors.sink.loop import Sink
from messaging_processors.sink.main import assemble
from messaging_processors.sink.third_party import Clocks
from testkit.waiting import eventually


def a_runtime(database_url: str = "", cache_url: str = "", pod_name: str = "pod-0") -> Runtime:
    """What `__main__` would hand to `run`, with an end that only the test decides on."""
    return Runtime(Secrets(database_url, cache_url, pod_name), Ports(0, 0), Health(), threading.Event())


def turn_until(done: Callable[[], object], *steps: Callable[[], None], within: float = 60.0) -> None:
    """Turns several loops, one after the other, until `done`."""

    def turned() -> object:
        for step in steps:
            step()
        return done()

    eventually(turned, within, every=0)


def handed_out(reader: Reader) -> list[int]:
    """How far its client is with each partition."""
    places = reader._consumer.position(partitions_of(sorted(reader.assigned)))
    return [place.offset for place in places]


class BillingPod:
    """One billing processor, turned by hand."""

    def __init__(self, config: BillingConfig, database_url: str, name: str) -> None:
        self.runtime = a_runtime(database_url, pod_name=name)
        self.health = self.runtime.health
        self.billing = billing.assemble(config, self.runtime)
        self.reader, self.writer, self.ledger = self.billing.reader, self.billing.writer, self.billing.ledger
        self.step, self.close = self.billing.step, self.billing.close

    def a_batch(self) -> Batch:
        """The first records that come."""
        found: list[Batch] = []

        def read() -> None:
            batch = self.reader.read(500, 0.2)
            found.extend([batch] if batch.records else [])

        turn_until(lambda: found, read)
        return found[0]


@contextmanager
def billing_pods(*configs: BillingConfig, database_url: str, name: str = "pod-0") -> Iterator[list[BillingPod]]:
    """A pod for each configuration."""
    with ExitStack() as stack:
        pods = [BillingPod(config, database_url, name) for config in configs]
        for pod in pods:
            stack.callback(pod.close)
        yield pods


class Sinks:
    """Pods of one sink."""

    def __init__(self, config: SinkConfig, database_url: str, cache_url: str) -> None:
        self._config = config
        self._urls = database_url, cache_url
        self._open: list[Sink] = []

    def new(self, config: SinkConfig | None = None, clocks: Clocks | None = None) -> Sink:
        """Another pod; of the common configuration unless told otherwise."""
        self._open.append(assemble(config or self._config, a_runtime(*self._urls), clocks))
        return self._open[-1]

    def close(self, sink: Sink) -> None:
        self._open.remove(sink)
        sink.close()

    def close_all(self) -> None:
        for sink in list(self._open):
            self.close(sink)
