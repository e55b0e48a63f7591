"""The sinks' rows on a real PostgreSQL: as many statements for one message as for many, and nobody who was erased."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import uuid4

import pytest
import sqlalchemy as sa

from messaging_api.message import BilledMessage, MessageState
from messaging_processors.sink.rows import Change, ending
from messaging_processors.sink.store import Store
from testkit.accounts import Accounts
from testkit.charges import charge
from testkit.samples import a_billed_message

NOW = datetime.now(UTC)


@pytest.fixture
def accounts(database_url: str) -> Accounts:
    return Accounts(database_url)


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    store = Store(engine)
    store.prepare()
    return store


def statements(engine: sa.Engine, work: Callable[[], object]) -> int:
    """How many are sent to the database."""
    seen: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    work()
    sa.event.remove(engine, "before_cursor_execute", note)
    return len(seen)


def changes(messages: Sequence[BilledMessage], state: MessageState) -> list[Change]:
    return [ending(message, state) for message in messages]


def test_a_batch_takes_as_many_statements_as_one_message(store: Store, engine: sa.Engine, accounts: Accounts) -> None:
    def counted(size: int) -> list[int]:
        messages = [a_billed_message(f"account-{uuid4().hex[:8]}") for _ in range(size)]
        charge(accounts, *messages[:20])
        sent, dead = messages[: size // 2 + 1], messages[size // 2 :]
        ids = {message.id for message in messages}
        return [
            statements(engine, lambda: store.keep(messages)),
            statements(engine, lambda: store.advance(changes(dead, MessageState.DEAD_LETTERED))),
            statements(engine, lambda: store.keep(messages, ids)),
            statements(engine, lambda: store.advance(changes(sent, MessageState.SENT))),
            statements(engine, lambda: store.receive(changes(messages, MessageState.FAILED))),
        ]

    few, many = counted(1), counted(500)
    assert few[:4] == many[:4]
    assert max(many) <= 5


def test_states_only_move_forward(store: Store) -> None:
    message = a_billed_message()
    store.keep([message])

    def after(change: Callable[[Sequence[Change]], object], state: MessageState) -> str:
        change(changes([message], state))
        return store.keep([message]).rows[message.id].view.state.value

    assert after(store.advance, MessageState.SENT) == "sent"
    assert after(store.advance, MessageState.DEAD_LETTERED) == "sent"
    assert after(store.receive, MessageState.DELIVERED) == "delivered"
    assert after(store.receive, MessageState.FAILED) == "delivered"
    assert after(store.advance, MessageState.EXPIRED) == "delivered"


def test_it_tells_what_nobody_can_have_sent_before(store: Store) -> None:
    known, new = a_billed_message(), a_billed_message()
    assert store.keep([known]).fresh == {known.id}
    assert store.keep([known, new]).fresh == {new.id}
    store.advance(changes([known], MessageState.DEAD_LETTERED))
    assert store.keep([known], {known.id}).fresh == {known.id}
    assert store.keep([known], {known.id}).fresh == set()


def test_who_finds_a_message_stored_keeps_it_from_expiring(store: Store) -> None:
    message = a_billed_message()
    store.keep([message])
    store.keep([message])
    expiry = changes([message], MessageState.EXPIRED)
    assert store.advance(expiry)[message.id].view.state is MessageState.CHARGED
    store.advance(changes([message], MessageState.DEAD_LETTERED))
    store.keep([message], {message.id})
    assert store.advance(expiry)[message.id].view.state is MessageState.EXPIRED


def test_of_two_receipts_at_once_the_first_counts(store: Store) -> None:
    messages = [a_billed_message() for _ in range(100)]
    store.keep(messages)
    first, second = changes(messages, MessageState.DELIVERED), changes(messages, MessageState.FAILED)
    assert {row.view.state for row in store.receive([*first, *second]).values()} == {MessageState.DELIVERED}


def test_what_a_provider_says_of_an_erased_subscriber_is_not_stored(store: Store, engine: sa.Engine) -> None:
    message, erased = a_billed_message(), a_billed_message()
    store.keep([message, erased])
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE messages SET recipient = '', body = '' WHERE id = :id"), {"id": erased.id})
    said = [ending(one, MessageState.FAILED, "+12025550101 is not in service") for one in (message, erased)]
    rows = store.receive(said)
    assert [rows[one.id].view.reason for one in (message, erased)] == ["+12025550101 is not in service", ""]


def test_what_was_paid_back_is_not_sent_although_its_row_has_gone(
    store: Store, engine: sa.Engine, accounts: Accounts
) -> None:
    paid_back, lost = a_billed_message(), a_billed_message()
    charge(accounts, paid_back, for_good=[lost])
    store.keep([paid_back, lost])
    store.advance(changes([paid_back, lost], MessageState.DEAD_LETTERED))
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM messages"))
    kept = store.keep([paid_back, lost], {paid_back.id, lost.id})
    assert [kept.rows[one.id].view.state for one in (paid_back, lost)] == [
        MessageState.DEAD_LETTERED,
        MessageState.CHARGED,
    ]


def test_of_an_erased_subscriber_only_what_was_accepted_before_is_stored_without_number_and_text(
    store: Store, accounts: Accounts, engine: sa.Engine
) -> None:
    erased = "+12025550187"
    accounts.execute("INSERT INTO erasures VALUES ('shop', :hash, :at)", hash=sha256(erased.encode()).digest(), at=NOW)
    before, after, of_others = (
        a_billed_message().model_copy(update={"to": erased, "accepted_at": NOW + later, "tenant": tenant})
        for later, tenant in ((timedelta(0), "shop"), (timedelta(seconds=10), "shop"), (timedelta(0), "other"))
    )
    clock_ahead = before.model_copy(update={"id": uuid4(), "accepted_at": NOW + timedelta(seconds=1)})
    somebody_else = a_billed_message().model_copy(update={"accepted_at": NOW})
    everyone = [before, clock_ahead, after, of_others, somebody_else]
    store.keep(everyone)
    with engine.connect() as connection:
        rows = {row.id: row for row in connection.execute(sa.text("SELECT * FROM messages"))}
    assert [(rows[one.id].recipient, rows[one.id].body) for one in everyone] == [
        ("", ""),
        ("", ""),
        (erased, "Hello"),
        (erased, "Hello"),
        (somebody_else.to, "Hello"),
    ]


def test_what_cannot_be_stored_is_explained_without_its_value(store: Store) -> None:
    secret = a_billed_message(body="top secret \0")
    kept = store.keep([a_billed_message(), secret])
    assert kept.unstorable.keys() == {secret.id}
    assert "secret" not in kept.unstorable[secret.id]
    assert len(kept.rows) == 2


def test_no_error_of_the_database_repeats_a_parameter(engine: sa.Engine) -> None:
    """One that nobody expected is logged as it is."""
    statement = sa.text("SELECT 1 / 0 WHERE CAST(:body AS text) <> ''")
    with engine.connect() as connection, pytest.raises(sa.exc.DataError) as failure:
        connection.execute(statement, {"body": "a secret"})
    assert "secret" not in str(failure.value)
