"""The ledger on a real PostgreSQL: one entry a message, whoever else writes, and however a transaction ends."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date

import psycopg
import pytest
import sqlalchemy as sa

from messaging_api.tariff import Tariff
from messaging_api.topology import BillingType
from messaging_processors.billing.deciding import Decision, Emission, Repeat
from messaging_processors.billing.handling import Letter, Priced
from messaging_processors.billing.ledger import Ledger
from messaging_processors.runtime import database
from messaging_processors.runtime.errors import Away
from testkit.accounts import Accounts
from testkit.charging import ACCOUNTS
from testkit.deciding import MONTH, NOW, a_priced, moved
from testkit.samples import an_accepted_message

TARIFF = Tariff(currency="USD", free_segments=5)


@pytest.fixture
def new_ledger(database_url: str) -> Iterator[Callable[[], Ledger]]:
    with ExitStack() as stack:

        def new() -> Ledger:
            ledger = Ledger(database.connect(database_url), TARIFF)
            stack.callback(ledger.close)
            return ledger

        yield new


@pytest.fixture
def ledger(new_ledger: Callable[[], Ledger]) -> Ledger:
    return new_ledger()


def settle(ledger: Ledger, *items: Priced | Letter, room: int = 100) -> list[Decision]:
    return ledger.settle(items, NOW, room)


def some(count: int, price: str = "1", prepaid: bool = False, accounts: int = len(ACCOUNTS)) -> list[Priced]:
    kind = BillingType.PREPAID if prepaid else BillingType.POSTPAID
    return [
        a_priced(an_accepted_message(ACCOUNTS[number % accounts], billing_type=kind), price) for number in range(count)
    ]


def test_a_batch_of_any_size_takes_the_same_statements(ledger: Ledger) -> None:
    settle(ledger, *some(1))  # the driver asks a new connection who it is
    statements: list[str] = []
    sa.event.listen(ledger.engine, "before_cursor_execute", lambda *about: statements.append(about[2]))
    for size in (1, 7, 500):
        settle(ledger, *(a_priced(one.message, "1", "1") for one in some(size)))
        assert [statement.split()[0] for statement in statements] == ["SELECT"] * 3 + ["WITH", "UPDATE", "INSERT"]
        statements.clear()


def test_an_entry_says_all_that_a_repeat_has_to_know(ledger: Ledger, accounts: Accounts) -> None:
    (priced,) = some(1, "0.0075")
    settle(ledger, priced)
    (entry,) = accounts.ledger("account-0")
    assert (entry.id, entry.message_id, entry.kind) == (priced.message.id, priced.message.id, "charge")
    assert (entry.domain, entry.billing_type, entry.currency) == ("marketing", "Postpaid", "USD")
    assert (entry.amount_micros, entry.balance_micros, accounts.balance("account-0")) == (-7500, -7500, "-0.0075")
    assert (entry.source_topic, entry.source_partition, entry.source_offset) == (
        priced.record.topic,
        priced.record.partition,
        priced.record.offset,
    )
    (again,) = settle(ledger, priced)
    assert isinstance(again, Emission)
    assert again.again
    assert {name: getattr(again.entry, name) for name in ("reason", "segments", "payload_hash", "refundable")} == {
        name: getattr(entry, name) for name in ("reason", "segments", "payload_hash", "refundable")
    }


def test_an_account_s_entries_are_numbered_as_they_were_decided(ledger: Ledger, accounts: Accounts) -> None:
    """Although they are inserted in the order of their ids."""
    messages = some(50, accounts=1)
    settle(ledger, *messages)
    rows = accounts.ledger("account-0")
    assert [row.id for row in rows] == [one.message.id for one in messages]
    assert [row.balance_micros for row in rows] == [-1_000_000 * (number + 1) for number in range(50)]


def test_free_segments_are_counted_from_batch_to_batch(ledger: Ledger, accounts: Accounts) -> None:
    message = an_accepted_message(ACCOUNTS[0])
    for _ in range(3):
        settle(ledger, a_priced(an_accepted_message(ACCOUNTS[0]), "0", "1", segments=2))
    settle(ledger, a_priced(message.model_copy(update={"domain": "authentication"}), "0", "1"))
    assert [(row.free_segments, row.amount_micros) for row in accounts.ledger("account-0")] == [
        (2, 0),
        (2, 0),
        (1, -1_000_000),
        (1, 0),
    ]
    engine = ledger.engine
    with engine.connect() as connection:
        used = connection.execute(sa.text("SELECT domain, month, used FROM free_segments ORDER BY domain")).all()
    assert [tuple(row) for row in used] == [("authentication", MONTH, 1), ("marketing", date(2030, 6, 1), 5)]


def test_processors_that_race_for_one_account_never_overdraw_it(
    new_ledger: Callable[[], Ledger], accounts: Accounts
) -> None:
    accounts.register("account-0", balance="100")
    batches = [some(40, prepaid=True, accounts=1) for _ in range(6)]
    ledgers = [new_ledger() for _ in batches]
    with ThreadPoolExecutor(len(batches)) as threads:
        list(threads.map(lambda ledger, batch: settle(ledger, *batch), ledgers, batches))
    rows = accounts.ledger("account-0")
    assert Counter(row.reason for row in rows) == {"": 100, "InsufficientBalance": 140}
    assert accounts.balance("account-0") == "0"
    balance = 100_000_000
    for row in rows:
        balance += row.amount_micros
        assert row.balance_micros == balance


def test_processors_that_race_for_the_same_messages_charge_each_once(
    new_ledger: Callable[[], Ledger], accounts: Accounts
) -> None:
    """The same messages at other places, in another order; of two accounts each, as nobody but a thief would send."""
    messages = some(60, accounts=30)
    stolen = [a_priced(one.message.model_copy(update={"account_id": ACCOUNTS[49]}), "1") for one in messages]
    batches: list[list[Priced]] = [messages, [moved(one) for one in reversed(messages)], stolen, stolen[::-1]]
    ledgers = [new_ledger() for _ in batches]
    with ThreadPoolExecutor(len(batches)) as threads:
        found = list(threads.map(lambda ledger, batch: settle(ledger, *batch), ledgers, batches))
    new = [one for decisions in found for one in decisions if isinstance(one, Emission) and not one.again]
    assert len(new) == len({one.entry.id for one in new}) == 60
    assert Counter(row.id for row in accounts.ledger()) == Counter(one.message.id for one in messages)
    assert {type(one) for decisions in found for one in decisions} <= {Emission, Repeat, Letter}


def test_a_message_that_another_account_s_processor_inserts_meanwhile_is_decided_again(
    ledger: Ledger, accounts: Accounts, database_url: str
) -> None:
    """Its insert is under way while we look, and is committed while ours waits for it."""
    (priced,) = some(1)
    other = a_priced(priced.message.model_copy(update={"account_id": ACCOUNTS[1]}), "1")
    url = database_url.replace("+psycopg", "")
    with psycopg.connect(url) as faster, ThreadPoolExecutor(1) as thread:
        faster.execute(
            "INSERT INTO ledger_entries (id, tenant, account_id, kind, currency, segments, free_segments, refundable,"
            " reason, payload_hash) VALUES (%s, 'shop', %s, 'charge', 'USD', 1, 0, 0, '', %s)",
            (priced.message.id, ACCOUNTS[1], other.payload_hash),
        )
        ours = thread.submit(settle, ledger, priced)
        with psycopg.connect(url, autocommit=True) as watching:
            waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            while not watching.execute(waiting).fetchone():
                assert not ours.done()
        faster.commit()
        (letter,) = ours.result()
    assert isinstance(letter, Letter)
    assert letter.error == "IdempotencyConflict"
    assert accounts.balance(ACCOUNTS[0]) == "0"


def forbid(accounts: Accounts, *messages: Priced) -> None:
    """The database refuses these: what a constraint of a newer version may do."""
    ids = ", ".join(f"'{one.message.id}'" for one in messages)
    accounts.execute(f"ALTER TABLE ledger_entries ADD CONSTRAINT no_such_id CHECK (id NOT IN ({ids}))")


def test_what_the_database_refuses_is_a_dead_letter_and_spoils_no_other(ledger: Ledger, accounts: Accounts) -> None:
    messages = some(64, accounts=4)
    forbid(accounts, messages[0], messages[17], messages[63])
    decisions = settle(ledger, *messages)
    assert [number for number, one in enumerate(decisions) if isinstance(one, Letter)] == [0, 17, 63]
    (first, *_) = decisions
    assert isinstance(first, Letter)
    assert (first.error, first.record) == ("Unstorable", messages[0].record)
    assert "no_such_id" in first.why
    assert len(accounts.ledger()) == 61
    assert sum(float(accounts.balance(account)) for account in ACCOUNTS[:4]) == -61


@pytest.mark.parametrize(("room", "decided"), [(0, 5), (1, 9), (2, 12)])
def test_what_the_database_refuses_needs_room_like_any_letter(
    ledger: Ledger, accounts: Accounts, room: int, decided: int
) -> None:
    messages = some(12)
    forbid(accounts, messages[5], messages[9])
    assert len(settle(ledger, *messages, room=room)) == decided
    assert len(accounts.ledger()) == decided - room


def test_a_commit_that_never_arrives_is_repeated(ledger: Ledger, accounts: Accounts) -> None:
    messages = some(10)

    def cut(connection: sa.Connection) -> None:
        pid = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
        accounts.execute("SELECT pg_terminate_backend(:pid)", pid=pid)

    sa.event.listen(ledger.engine, "commit", cut, once=True)
    with pytest.raises(Away):
        settle(ledger, *messages)
    assert accounts.ledger() == []
    assert [one.again for one in settle(ledger, *messages) if isinstance(one, Emission)] == [False] * 10


def test_a_commit_whose_answer_is_lost_is_found_by_the_repeat(ledger: Ledger, accounts: Accounts) -> None:
    messages = some(10)

    def lose(connection: sa.Connection) -> None:
        driver = connection.connection.driver_connection
        driver.execute("COMMIT")  # type: ignore[union-attr]
        driver.close()  # type: ignore[union-attr]

    sa.event.listen(ledger.engine, "commit", lose, once=True)
    with pytest.raises(Away):
        settle(ledger, *messages)
    assert len(accounts.ledger()) == 10
    assert [one.again for one in settle(ledger, *messages) if isinstance(one, Emission)] == [True] * 10
    assert sum(float(accounts.balance(account)) for account in ACCOUNTS) == -10
