"""What a sink loses while Redis is away: messages stored and sent a second, as a ratio to the rate with Redis.

    PYTHONPATH=tests .venv/bin/python benchmarks/redis_away.py

Starts Kafka, PostgreSQL, Redis and a third party of its own, and one sink as a process. Each measurement begins when
the sink knows how it stands with Redis, and counts until its group has the last record behind it. The three ways take
turns, round by round, so that a busy machine is unfair to none. Takes about three minutes.
"""

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from messaging_cli.local import services
from messaging_cli.local.process import Service
from messaging_cli.local.third_party import third_party
from testkit.arriving import Ends
from testkit.broker import Broker
from testkit.processes import Processor, running
from testkit.samples import a_billed_message, a_sink_config
from testkit.waiting import eventually

ROUNDS = 12
MESSAGES = 3000
ACCOUNTS = 100


@contextmanager
def there(_: Service) -> Iterator[None]:
    yield


@contextmanager
def dead(redis: Service) -> Iterator[None]:
    redis.kill()
    yield
    redis.start()


@contextmanager
def silent(redis: Service) -> Iterator[None]:
    redis.pause()
    yield
    redis.resume()


WAYS: tuple[Callable[[Service], AbstractContextManager[None]], ...] = (there, dead, silent)


@contextmanager
def a_sink() -> Iterator[tuple[Processor, Service, Ends]]:
    """One that is ready, its Redis, and where its messages go."""
    folder = Path(tempfile.mkdtemp())
    with ExitStack() as stack:
        kafka, postgres, redis = (
            stack.enter_context(start(folder / start.__name__))
            for start in (services.kafka, services.postgres, services.redis)
        )
        provider = stack.enter_context(third_party())
        broker = Broker(kafka.address)
        broker.make_topics({"marketing": 2, "marketing.dlq": 1})
        config = a_sink_config(kafka.address, broker.prefix, provider.address)
        stores = {"DATABASE_URL": postgres.address, "CACHE_URL": redis.address}
        sink = stack.enter_context(running(config, folder, **stores)).await_ready()
        yield sink, redis, Ends(broker, config, postgres.address, redis.address, provider)


def knows(sink: Processor, away: bool) -> bool:
    """Whether the sink has noticed that Redis is there or not."""
    return ("redis" in sink.readiness().away) == away


def speed(ends: Ends) -> float:
    """Messages a second, from the first one to the offset behind the last."""
    messages = [a_billed_message(f"account-{number % ACCOUNTS}") for number in range(MESSAGES)]
    wanted = ends.committed() + MESSAGES
    began = time.monotonic()
    ends.put(messages)
    eventually(lambda: ends.committed() >= wanted, within=120, every=0.05)
    return MESSAGES / (time.monotonic() - began)


def main() -> None:
    found: dict[str, list[float]] = defaultdict(list)
    with a_sink() as (sink, redis, ends):
        speed(ends)  # warm
        for _ in range(ROUNDS):
            for way in WAYS:
                with way(redis):
                    eventually(partial(knows, sink, way is not there))
                    found[way.__name__].append(speed(ends))
                eventually(partial(knows, sink, False))
    table = Table("Redis", "messages a second, median", "ratio, median", "ratio, each round")
    for name, speeds in found.items():
        ratios = [here / usual for here, usual in zip(speeds, found[there.__name__], strict=True)]
        each = " ".join(f"{ratio:.2f}" for ratio in ratios)
        table.add_row(name, f"{statistics.median(speeds):.0f}", f"{statistics.median(ratios):.2f}", each)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
