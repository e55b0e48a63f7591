"""A sink's parts put together, and its process; `loop` says what it does."""

from messaging_api.base import seconds
from messaging_api.processor import SinkConfig
from messaging_processors.runtime import database
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.connection import Connection
from messaging_processors.runtime.kafka import Reader
from messaging_processors.runtime.process import Runtime, turn
from messaging_processors.runtime.watching import reporting, watch
from messaging_processors.runtime.writing import DeadLetterWriter
from messaging_processors.sink.loop import Sink
from messaging_processors.sink.states import States
from messaging_processors.sink.store import Store
from messaging_processors.sink.third_party import Clocks, Provider


def assemble(config: SinkConfig, runtime: Runtime, clocks: Clocks | None = None) -> Sink:
    """A sink with all its parts."""
    connection = Connection(config.bootstrap_servers, runtime.health)
    clocks = clocks or Clocks()
    return Sink(
        config,
        runtime,
        Reader(connection, config.group_id, config.inputs),
        DeadLetterWriter(connection),
        Store(database.connect(runtime.secrets.database_url)),
        Provider(config.third_party, clocks=clocks),
        States(Cache(runtime.secrets.cache_url, seconds(config.cache_ttl), runtime.health)),
        clocks,
    )


def run(config: SinkConfig, runtime: Runtime) -> None:
    """Works until the process has to end; what is unfinished then is read again."""
    sink = assemble(config, runtime)
    look = reporting(runtime.health, database.DATABASE, sink.store.probe)
    # While the loop itself waits for the database it knows better: a probe works on a full disk, too.
    watch(runtime, lambda: None if sink.waits_for == database.DATABASE else look())
    watch(runtime, sink.states.probe)
    turn(sink.step, runtime)
    sink.close()
