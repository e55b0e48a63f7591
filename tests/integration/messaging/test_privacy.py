"""What is personal goes when it is asked for, or when its time is over; the ledger stays."""

import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from messaging_api.processor import MessagingConfig
from messaging_api.topology import Retention
from messaging_processors.messaging import retention
from messaging_processors.messaging.erasing import recipient_hash
from messaging_processors.messaging.retention import Sweeper
from messaging_processors.runtime import database
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.schema import erasures, ledger_entries, messages
from testkit.posting import Caller
from testkit.processes import Processor, running
from testkit.rows import execute, record_entry, store_message
from testkit.waiting import eventually

NUMBER, OTHER = "+12025550188", "+12025550189"


def personal(postgres_url: str, *ids: UUID) -> list[tuple[str, str]]:
    """Number and text of those of the messages that are there."""
    query = sa.select(messages.c.id, messages.c.recipient, messages.c.body).where(messages.c.id.in_(ids))
    found = {row.id: (row.recipient, row.body) for row in execute(postgres_url, query)}
    return [found[message_id] for message_id in ids if message_id in found]


def ago(**time: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


def test_an_erasure_takes_numbers_and_texts_and_leaves_states_and_ledger(pod: Processor, postgres_url: str) -> None:
    caller = Caller(pod.url)
    charged = record_entry(postgres_url, caller.new_account("Prepaid"))
    before = execute(postgres_url, sa.select(ledger_entries).where(ledger_entries.c.id == charged))
    theirs = [store_message(postgres_url, "sent", recipient=NUMBER, id=charged)]
    theirs += [store_message(postgres_url, "dead-lettered", recipient=NUMBER)]
    another = store_message(postgres_url, "sent", recipient=OTHER)
    assert caller.ask("POST", "/v1/erasures", {"to": NUMBER}).json() == {"erased": 2}
    assert personal(postgres_url, *theirs, another) == [("", ""), ("", ""), (OTHER, "b")]
    assert [caller.message(message_id).json()["state"] for message_id in theirs] == ["sent", "dead-lettered"]
    assert execute(postgres_url, sa.select(ledger_entries).where(ledger_entries.c.id == charged)) == before
    assert caller.ask("POST", "/v1/erasures", {"to": NUMBER}).json() == {"erased": 0}


def test_an_erasure_takes_what_a_provider_said_also_from_redis(pod: Processor, postgres_url: str) -> None:
    caller, said, ours = Caller(pod.url), f"{NUMBER} is not in service", "Refused"
    failed = store_message(postgres_url, "failed", recipient=NUMBER, reason=said)
    letter = store_message(postgres_url, "dead-lettered", recipient=NUMBER, reason=ours)
    assert caller.message(failed).json()["reason"] == said
    caller.ask("POST", "/v1/erasures", {"to": NUMBER}).raise_for_status()
    assert [caller.message(one).json()["reason"] for one in (failed, letter)] == ["", ours]


def test_an_erasure_is_recorded_without_the_number_and_a_later_one_counts(pod: Processor, postgres_url: str) -> None:
    def requested_at() -> datetime:
        key = (erasures.c.tenant == "shop", erasures.c.recipient_hash == recipient_hash(OTHER))
        (row,) = execute(postgres_url, sa.select(erasures.c.requested_at).where(*key))
        return datetime.fromisoformat(str(row.requested_at))

    caller = Caller(pod.url)
    caller.ask("POST", "/v1/erasures", {"to": OTHER}).raise_for_status()
    first = requested_at()
    assert first > ago(minutes=1)
    caller.ask("POST", "/v1/erasures", {"to": OTHER}).raise_for_status()
    assert requested_at() > first


def test_an_erasure_waits_for_the_sink_that_is_just_storing_that_number(
    pod: Processor, postgres_url: str, engine: sa.Engine
) -> None:
    answers: list[dict[str, int]] = []

    def erase() -> None:
        answers.append(Caller(pod.url).ask("POST", "/v1/erasures", {"to": NUMBER}).json())

    stored = store_message(postgres_url, "charged", recipient=OTHER)
    asking = threading.Thread(target=erase)
    with engine.begin() as sink:
        sink.execute(sa.select(messages.c.id).where(messages.c.id == stored).with_for_update())
        asking.start()
        waiting = sa.text("SELECT FROM pg_locks WHERE relation = 'messages'::regclass AND NOT granted")
        eventually(lambda: execute(postgres_url, waiting), every=0.05)
        sink.execute(sa.update(messages).where(messages.c.id == stored).values(recipient=NUMBER))
    asking.join()
    assert answers == [{"erased": 1}]
    assert personal(postgres_url, stored) == [("", "")]


def test_what_is_older_than_its_retention_goes(postgres_url: str, engine: sa.Engine) -> None:
    old, older, young = (
        store_message(
            postgres_url, "failed", recipient=NUMBER, accepted_at=at, updated_at=at, reason="a provider's words"
        )
        for at in (ago(days=2), ago(days=31), ago(hours=1))
    )
    hashes = [recipient_hash(f"{NUMBER}{digit}") for digit in range(2)]
    for one, at in zip(hashes, (ago(days=31), ago(days=2)), strict=True):
        execute(postgres_url, sa.insert(erasures).values(tenant="shop", recipient_hash=one, requested_at=at))
    Sweeper(engine, Retention(bodies="1d"), Health()).sweep()
    assert personal(postgres_url, old, older, young) == [("", ""), ("", ""), (NUMBER, "b")]
    Sweeper(engine, Retention(messages="30d"), Health()).sweep()
    assert personal(postgres_url, old, older, young) == [("", ""), (NUMBER, "b")]
    assert execute(postgres_url, sa.select(messages.c.reason).where(messages.c.id == old)) == [("",)]
    kept = execute(postgres_url, sa.select(erasures.c.recipient_hash).where(erasures.c.recipient_hash.in_(hashes)))
    assert [bytes(row.recipient_hash) for row in kept] == hashes[1:]


def test_what_may_still_be_paid_back_keeps_its_row_but_nothing_personal(postgres_url: str, engine: sa.Engine) -> None:
    """What is not sent yet, and what was sent so lately that its provider may still say that it failed."""
    waiting = store_message(postgres_url, "charged", recipient=NUMBER, accepted_at=ago(days=31))
    sweeper = Sweeper(engine, Retention(messages="30d"), Health())
    sweeper.sweep()
    assert personal(postgres_url, waiting) == [("", "")]
    sent = sa.update(messages).where(messages.c.id == waiting)
    execute(postgres_url, sent.values(state="sent", updated_at=ago(days=29)))
    sweeper.sweep()
    assert personal(postgres_url, waiting) == [("", "")]
    execute(postgres_url, sent.values(updated_at=ago(days=31)))
    sweeper.sweep()
    assert personal(postgres_url, waiting) == []


@pytest.mark.parametrize("longest", [Retention(), Retention(bodies="999999999d", messages="999999999d")])
def test_nothing_goes_without_an_end(postgres_url: str, engine: sa.Engine, longest: Retention) -> None:
    old = store_message(postgres_url, "sent", recipient=NUMBER, accepted_at=ago(days=3650))
    sweeper = Sweeper(engine, longest, Health())
    sweeper.sweep()
    assert personal(postgres_url, old) == [(NUMBER, "b")]
    assert sweeper.pause == retention.EVERY


def test_a_long_backlog_goes_in_chunks_and_by_one_replica_alone(
    postgres_url: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CHUNK", 2)
    Sweeper(engine, Retention(messages="1d"), Health()).sweep()
    old = [store_message(postgres_url, "sent", recipient=NUMBER, accepted_at=ago(days=400 - n)) for n in range(3)]
    sweeper = Sweeper(engine, Retention(bodies="300d"), Health())
    with engine.begin() as another:
        another.execute(sa.text(f"SELECT pg_advisory_xact_lock({retention._LOCK})"))
        sweeper.sweep()
    assert personal(postgres_url, *old) == [(NUMBER, "b")] * 3
    sweeper.sweep()
    assert personal(postgres_url, *old) == [("", ""), ("", ""), (NUMBER, "b")]
    assert sweeper.pause < 1
    sweeper.sweep()
    assert personal(postgres_url, *old) == [("", "")] * 3
    assert sweeper.pause == retention.EVERY


def test_a_row_that_a_sink_works_on_holds_nobody_up(postgres_url: str, engine: sa.Engine) -> None:
    busy, free = (store_message(postgres_url, "charged", accepted_at=ago(days=2)) for _ in range(2))
    with engine.begin() as sink:
        sink.execute(sa.update(messages).where(messages.c.id == busy).values(state="sent"))
        Sweeper(engine, Retention(bodies="1d"), Health()).sweep()
    assert personal(postgres_url, busy, free) == [("+12025550101", "b"), ("", "")]


def test_a_database_that_is_away_is_not_swept(engine: sa.Engine) -> None:
    health = Health()
    health.away(database.DATABASE, "not migrated")
    with pytest.raises(Away, match="not migrated"):
        Sweeper(engine, Retention(bodies="1d"), health).sweep()


def test_the_process_sweeps_by_itself(
    messaging_config: MessagingConfig, stores: dict[str, str], postgres_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    old = store_message(postgres_url, "sent", recipient=NUMBER, accepted_at=ago(days=2))
    keeping = messaging_config.model_copy(update={"retention": Retention(bodies="1d")})
    with running(keeping, tmp_path, **stores):
        eventually(lambda: personal(postgres_url, old) == [("", "")], within=retention.EVERY + 30)


def test_a_process_beside_a_newer_database_ends_and_says_why(
    messaging_config: MessagingConfig, stores: dict[str, str], postgres_url: str, tmp_path: Path
) -> None:
    name = "newer"
    with sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    newer = sa.make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    execute(newer, sa.text("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)"))
    execute(newer, sa.text("INSERT INTO alembic_version VALUES ('2.0')"))
    with running(messaging_config, tmp_path, **stores | {"DATABASE_URL": newer}) as process:
        assert process.process.wait(30) == 1
        assert re.search(r"^messaging_processors: database schema: .*2\.0", process.log.read_text(), re.MULTILINE)
