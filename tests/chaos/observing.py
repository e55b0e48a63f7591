"""Reads a world that is quiet, from outside: the database, the topics, the third party, the logs, the journal."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast
from uuid import UUID

import redis
import sqlalchemy as sa

from chaos.observed import (
    Account,
    Billed,
    Call,
    Content,
    End,
    Entry,
    Letter,
    LogLine,
    Observed,
    Place,
    Progress,
    Receipt,
    Remembered,
    Row,
)
from chaos.topology import DOMAINS, INPUTS, WORKERS, group_of, inputs_of
from chaos.world import World
from messaging_api.account import EntryKind
from messaging_api.message import (
    DEAD_LETTER_PREFIX,
    RECEIPT_TYPE,
    TYPE_HEADER,
    DeadLetterHeader,
    MessageState,
    MessageView,
    message_cache_key,
)
from messaging_api.money import micros
from messaging_api.topology import BillingType
from messaging_cli.local.third_party import Record
from messaging_processors.runtime.records import Position
from messaging_processors.runtime.schema import accounts, ledger_entries, messages
from testkit.broker import Seen
from testkit.waiting import eventually, must_answer

_ANSWER_SECONDS = 5.0
_TOLD_SECONDS = 5.0
"""What Redis was not told while it was away it is told within that time."""
_UNMARKED = re.compile(
    r"Couldn't find leader endpoint for partitions (?:Hash)?Set\((.*?)\) while trying to send transaction markers"
)
_REFUSED = 422
"""What faults let the third party answer where no repetition helps."""


def observe(world: World) -> Observed:
    """Everything that the checker wants to know."""
    letters = [record for name in WORKERS for record in world.broker.everything(f"{name}.dlq")]
    told = [record for domain in DOMAINS for record in world.broker.everything(domain)]
    inputs = [record for topic in INPUTS.values() for record in world.broker.everything(topic)]
    sources = by_place([*told, *inputs])
    kept, pods = stored(world.postgres.address, world.tenant), world.supervisor.all_pods
    return Observed(
        sendings=world.journal.sendings(),
        payments=world.journal.payments(),
        **kept,
        remembered=_remembered(world, kept["rows"]),
        calls=tuple(map(called, list(world.third_party.records))),
        receipts=tuple(_receipt(record) for record in told if _is_receipt(record)),
        billed=tuple(_billed(record) for record in told if not _is_receipt(record)),
        letters=tuple(_letter(record, sources) for record in letters if record.value is not None),
        markers=tuple(_replayed(record) for record in letters if record.value is None),
        inputs=tuple(found for record in inputs if (found := _id(record))),
        progress=tuple(_progress(world, [*told, *inputs])),
        open_topics=tuple(topic for topic in DOMAINS if world.broker.transaction_is_open(topic)),
        unmarked=_unmarked(world.services.kafka.log.read_text(errors="replace")),
        ends=tuple(End(pod.name, code) for pod in pods for code in pod.unasked_ends),
        freezes=tuple(freeze for pod in pods for freeze in pod.freezes),
        logs=tuple(LogLine(pod.name, line) for pod in pods for line in pod.log.splitlines()),
    )


@must_answer(sa.exc.SQLAlchemyError)
def stored(database_url: str, tenant: str) -> dict[str, Any]:
    """The accounts, entries and rows of `Observed`."""
    with sa.create_engine(database_url, poolclass=sa.NullPool).connect() as connection:

        def rows(table: sa.Table) -> sa.CursorResult[Any]:
            return connection.execute(sa.select(table).where(table.c.tenant == tenant))

        return {
            "accounts": tuple(_account(row) for row in rows(accounts)),
            "entries": tuple(_entry(row) for row in rows(ledger_entries)),
            "rows": tuple(_row(row) for row in rows(messages)),
        }


def _remembered(world: World, rows: Sequence[Row]) -> tuple[Remembered, ...]:
    """Once it agrees with the rows, or does not in time."""
    states = {row.id: row.state for row in rows}
    with suppress(AssertionError):
        eventually(lambda: all(one.state is states[one.id] for one in _held(world, rows)), _TOLD_SECONDS)
    return _held(world, rows)


@must_answer(redis.RedisError)
def _held(world: World, rows: Sequence[Row]) -> tuple[Remembered, ...]:
    keys = [message_cache_key(world.tenant, row.id) for row in rows]
    with redis.Redis.from_url(world.services.redis.address, socket_timeout=_ANSWER_SECONDS) as client:
        values = cast(list[bytes | None], client.mget(keys)) if keys else []
    views = [MessageView.model_validate_json(value) for value in values if value]
    return tuple(Remembered(view.id, view.state) for view in views)


def _account(row: sa.Row[Any]) -> Account:
    return Account(row.id, BillingType(row.billing_type), row.balance_micros, row.credit_limit_micros)


def _entry(row: sa.Row[Any]) -> Entry:
    return Entry(
        id=row.id,
        sequence=row.sequence,
        account=row.account_id,
        kind=EntryKind(row.kind),
        amount=row.amount_micros,
        balance=row.balance_micros,
        message_id=row.message_id,
        domain=row.domain or "",
        segments=row.segments,
        free_segments=row.free_segments,
        refundable=bool(row.refundable),
        reason=row.reason,
        source=(row.source_topic, row.source_partition, row.source_offset) if row.source_topic else None,
        recorded_at=row.recorded_at,
    )


def _row(row: sa.Row[Any]) -> Row:
    state = MessageState(row.state)
    return Row(row.id, row.account_id, row.domain, state, row.amount_micros, row.accepted_at, row.updated_at)


def called(record: Record) -> Call:
    """As the third party has recorded it."""
    return Call(UUID(record.id), record.body, effective=record.status < 300, refused=record.status == _REFUSED)


def _is_receipt(record: Seen) -> bool:
    return _header(record, TYPE_HEADER) == RECEIPT_TYPE


def _receipt(record: Seen) -> Receipt:
    receipt = json.loads(record.value or b"")
    return Receipt(UUID(receipt["id"]), MessageState(receipt["status"]))


def _billed(record: Seen) -> Billed:
    billed = json.loads(record.value or b"")
    replayed = _header(record, DeadLetterHeader.ATTEMPTS) != ""
    return Billed(_place(record), UUID(billed["id"]), micros(billed["charge"]["amount"]), replayed)


def _letter(record: Seen, sources: Mapping[Place, Seen]) -> Letter:
    partition, offset = (int(_header(record, name)) for name in (DeadLetterHeader.PARTITION, DeadLetterHeader.OFFSET))
    source = _header(record, DeadLetterHeader.TOPIC), partition, offset
    return Letter(
        _place(record),
        _header(record, DeadLetterHeader.PROCESSOR),
        _header(record, DeadLetterHeader.ERROR_CLASS),
        source,
        _id(record),
        _content(record),
        _content(sources[source]) if source in sources else None,
    )


def _content(record: Seen) -> Content:
    own = tuple((name, value) for name, value in record.headers if not name.startswith(DEAD_LETTER_PREFIX))
    return Content(record.key, record.value, own)


def _replayed(marker: Seen) -> Place:
    return marker.topic, marker.partition, int(_header(marker, DeadLetterHeader.REPLAYED))


def _progress(world: World, records: Iterable[Seen]) -> Iterable[Progress]:
    ends: dict[tuple[str, int], int] = {}
    for record in records:
        ends[record.topic, record.partition] = record.offset + 1
    for name in WORKERS:
        group = group_of(world.broker, name)
        for (topic, partition), committed in world.broker.committed(group, inputs_of(name)).items():
            yield Progress(group, topic, partition, max(committed, 0), ends.get((topic, partition), 0))


def _unmarked(log: str) -> tuple[Position, ...]:
    places = (place.rpartition("-") for found in _UNMARKED.findall(log) for place in found.split(", "))
    return tuple((topic, int(number)) for topic, _, number in places)


def by_place(records: Iterable[Seen]) -> dict[Place, Seen]:
    """Each where it was written."""
    return {_place(record): record for record in records}


def _place(record: Seen) -> Place:
    return record.topic, record.partition, record.offset


def _id(record: Seen) -> UUID | None:
    """Of a message that can be read."""
    try:
        return UUID(json.loads(record.value or b"")["id"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _header(record: Seen, name: str) -> str:
    return (dict(record.headers).get(name) or b"").decode(errors="replace")
