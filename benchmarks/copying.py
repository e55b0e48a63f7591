"""A pod that copies records from one topic to another, in transactions, with billing's reader and writer.

`transactional_ids` starts it, once for each way to choose transactional ids. It prints the seconds that `--until`
records took, from the first one read to the last commit.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from uuid import uuid4

from messaging_processors.billing.predecessors import Predecessors
from messaging_processors.runtime import database
from messaging_processors.runtime.connection import Connection
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.kafka import Batch, Reader
from messaging_processors.runtime.records import Outgoing, Position, Record, next_offsets
from messaging_processors.runtime.writing import NotCommitted, TransactionalWriter

BATCH_RECORDS = 500
BATCH_SECONDS = 0.1


class Way(Protocol):
    """A way to choose transactional ids."""

    def prepare(self) -> None: ...

    def found_hidden(self, positions: Collection[Position], nobody: object) -> None: ...

    def write(self, batch: Batch, lost: set[Position]) -> None: ...


class RandomId:
    """One producer a pod, under a name that nobody else will ever know: whatever it leaves open has to time out."""

    def __init__(self, options: argparse.Namespace, connection: Connection) -> None:
        self._output = options.output
        self._writer = TransactionalWriter(connection, f"{options.group}.{uuid4()}")

    def prepare(self) -> None:
        self._writer.prepare()

    def found_hidden(self, positions: Collection[Position], nobody: object) -> None:
        """There is nothing that it could do."""

    def write(self, batch: Batch, lost: set[Position]) -> None:
        self._writer.write(copies(batch.records, self._output), next_offsets(batch.records), batch.group)


class IdOfAPartition:
    """A producer for each partition, under the partition's name: whoever has it next ends what is open."""

    def __init__(self, options: argparse.Namespace, connection: Connection) -> None:
        self._options = options
        self._connection = connection
        self._writers: dict[Position, TransactionalWriter] = {}
        self._threads = ThreadPoolExecutor(24)

    def prepare(self) -> None:
        for writer in self._writers.values():
            writer.prepare()

    def found_hidden(self, positions: Collection[Position], nobody: object) -> None:
        for position in positions:
            self._writer_of(position).prepare()

    def write(self, batch: Batch, lost: set[Position]) -> None:
        """The partitions' transactions at the same time: one after the other would be unfair."""
        for position in lost & self._writers.keys():
            self._writers.pop(position).close()
        shares: dict[Position, list[Record]] = defaultdict(list)
        for record in batch.records:
            shares[record.position].append(record)
        writing = [self._threads.submit(self._write, *share, batch.group) for share in shares.items()]
        for share in writing:
            share.result()

    def _write(self, position: Position, records: list[Record], group: object) -> None:
        writer = self._writer_of(position)
        writer.prepare()
        writer.write(copies(records, self._options.output), next_offsets(records), group)

    def _writer_of(self, position: Position) -> TransactionalWriter:
        topic, partition = position
        name = f"{self._options.group}.{topic}-{partition}"
        return self._writers.setdefault(position, TransactionalWriter(self._connection, name))


class NamedPredecessor:
    """One producer a pod, whose name stands where a successor finds it."""

    def __init__(self, options: argparse.Namespace, connection: Connection) -> None:
        self._output = options.output
        name = f"{options.group}.{uuid4()}"
        self._writer = TransactionalWriter(connection, name)
        engine = database.connect(options.database)
        database.probe(engine)  # billing is connected before it reads, for its ledger
        self._predecessors = Predecessors(engine, connection, options.group, name, [options.output])
        self.found_hidden = self._predecessors.end

    def prepare(self) -> None:
        self._writer.prepare()

    def write(self, batch: Batch, lost: set[Position]) -> None:
        offsets = next_offsets(batch.records)
        self._predecessors.succeed(offsets, lost)
        self._writer.write(copies(batch.records, self._output), offsets, batch.group)


WAYS: Mapping[str, type[RandomId | IdOfAPartition | NamedPredecessor]] = {
    "random id a pod": RandomId,
    "id a partition": IdOfAPartition,
    "predecessor by name": NamedPredecessor,
}


def copies(records: Iterable[Record], output: str) -> list[Outgoing]:
    return [Outgoing(output, record.key, record.value, record.headers) for record in records]


def copy(way: Way, reader: Reader, until: int) -> None:
    """Until that many records are copied, for ever if 0."""
    done, began = 0, 0.0
    while not until or done < until:
        way.prepare()
        batch = reader.read(BATCH_RECORDS, BATCH_SECONDS)
        began = began or (time.monotonic() if batch.records else 0.0)
        if batch.records and written(way, reader, batch):
            done += len(batch.records)
    print(time.monotonic() - began)


def written(way: Way, reader: Reader, batch: Batch) -> bool:
    try:
        way.write(batch, reader.lost())
    except NotCommitted:
        reader.rewind(record.position for record in batch.records)
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("way", "bootstrap", "database", "group", "input", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--until", type=int, default=0)
    options = parser.parse_args()
    connection = Connection(options.bootstrap, Health())
    way = WAYS[options.way](options, connection)
    copy(way, Reader(connection, options.group, [options.input], way.found_hidden), options.until)


if __name__ == "__main__":
    main()
