"""Dead letters on a real Kafka: listed, shown, and put back once, whatever happens meanwhile."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import Mock

import pytest
from confluent_kafka import Producer

from messaging_cli import dead_letters
from messaging_cli.commands.dlq import transactional_id
from messaging_cli.dead_letters import dead_message_ids, read_letters, replay
from messaging_cli.errors import CliError
from messaging_cli.letters import Headers, Letter, marker
from messaging_cli.local.process import Service
from messaging_cli.running import find
from messaging_processors.runtime.records import Failure, Record, dead_letter
from testkit.broker import Broker, Seen
from testkit.charging import charged
from testkit.kafka_proxy import Action, Api, Direction, KafkaProxy
from testkit.letters import LETTERS, NOW, PROCESSOR, put_back, put_letters
from testkit.local_runs import FakeRun, Mtop
from testkit.loops import billing_pods, turn_until
from testkit.samples import an_accepted_message
from testkit.waiting import eventually


def counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {row["processor"]: row["count"] for row in rows if row["count"]}


def batches(local_run: FakeRun, broker: Broker, most: int = 1) -> Iterator[int]:
    """A replay that a test may leave where it is."""
    running = find(local_run.name, None, None)
    return replay(running.kafka, broker.name(LETTERS), transactional_id(running, PROCESSOR), _any, most)


def _any(_: Letter) -> bool:
    return True


def test_list_counts_letters_by_processor_and_error(mtop: Mtop, local_run: FakeRun, broker: Broker) -> None:
    put_letters(broker, ["Invalid", "Invalid", "Unknown"])
    rows = mtop.json("dlq", "list", local_run.name)
    assert [row for row in rows if row["count"]] == [
        {
            "processor": PROCESSOR,
            "topic": broker.name(LETTERS),
            "count": 3,
            "replayed": 0,
            "errors": {"Invalid": 2, "Unknown": 1},
            "oldest": "2030-01-01T00:00:00+00:00",
            "newest": "2030-01-01T00:00:02+00:00",
        }
    ]
    assert len(rows) == 6  # who has none is told, too
    assert mtop.json("dlq", "list", local_run.name, "--processor", "marketing")[0]["count"] == 0


def test_processors_that_share_a_topic_have_their_own_letters(mtop: Mtop, local_run: FakeRun, broker: Broker) -> None:
    put_letters(broker, ["Invalid"])
    put_letters(broker, ["Invalid", "Invalid"], processor="former-billing")
    assert counts(mtop.json("dlq", "list", local_run.name)) == {PROCESSOR: 1, "former-billing": 2}
    assert len(mtop.json("dlq", "show", local_run.name, "-p", PROCESSOR)) == 1
    assert "replayed=1" in mtop.text("dlq", "replay", local_run.name, "-p", PROCESSOR)


def test_show_tells_all_but_the_body(mtop: Mtop, local_run: FakeRun, broker: Broker) -> None:
    ids = put_letters(broker, ["Invalid", "Unknown"])
    newest, _ = mtop.json("dlq", "show", local_run.name, "--processor", PROCESSOR)
    assert newest == {
        "letter": "1@0",
        "source": f"{broker.name('postpaid')}[1]@101",
        "error": "Unknown",
        "errorMessage": "why 1",
        "attempts": 1,
        "firstFailedAt": "2030-01-01T00:00:01+00:00",
        "lastFailedAt": "2030-01-01T00:00:01+00:00",
        "messageId": ids[1],
        "replayed": False,
    }
    limited = mtop.json("dlq", "show", local_run.name, "--processor", PROCESSOR, "--limit", "1")
    assert limited == [newest]


def test_numbers_and_texts_are_shown_only_on_request(mtop: Mtop, local_run: FakeRun, broker: Broker) -> None:
    put_letters(broker, ["Invalid"])
    show = ("dlq", "show", local_run.name, "--processor", PROCESSOR)
    for told in (mtop.text(*show), mtop.text(*show, "-o", "yaml"), mtop.text("dlq", "list", local_run.name)):
        assert "+12025550123" not in told
        assert "Hello" not in told
    assert '"to":"+12025550123"' in mtop.json(*show, "--body")[0]["body"]


def test_a_replayed_record_is_as_it_was(mtop: Mtop, local_run: FakeRun, broker: Broker) -> None:
    put_letters(broker, ["Invalid", "Invalid"])
    assert "replayed=2" in mtop.text("dlq", "replay", local_run.name, "--processor", PROCESSOR)
    letters = {letter.key: letter for letter in broker.everything(LETTERS) if letter.value}
    for record in broker.everything("postpaid"):
        letter = letters[record.key]
        assert record.value == letter.value
        assert record.headers == (*own_headers(letter), ("dlq_attempts", b"1"))


def own_headers(record: Seen) -> tuple[tuple[str, bytes | None], ...]:
    return tuple(header for header in record.headers if not header[0].startswith("dlq_"))


def test_a_letter_is_replayed_once(mtop: Mtop, local_run: FakeRun, broker: Broker) -> None:
    ids = put_letters(broker, ["Invalid"] * 5)
    replay_all = ("dlq", "replay", local_run.name, "--processor", PROCESSOR)
    assert "replayed=5" in mtop.text(*replay_all)
    assert "replayed=0" in mtop.text(*replay_all)
    assert put_back(broker) == Counter(ids)
    assert counts(mtop.json("dlq", "list", local_run.name)) == {}
    everything = mtop.json("dlq", "list", local_run.name, "--all", "--processor", PROCESSOR)[0]
    assert (everything["count"], everything["replayed"]) == (5, 5)


def test_only_one_class_of_error_is_replayed(mtop: Mtop, local_run: FakeRun, broker: Broker) -> None:
    ids = put_letters(broker, ["Invalid", "Unknown", "Invalid", "Unknown"])
    assert "replayed=2" in mtop.text("dlq", "replay", local_run.name, "-p", PROCESSOR, "--error", "Unknown")
    assert put_back(broker) == Counter([ids[1], ids[3]])
    left = mtop.json("dlq", "list", local_run.name, "-p", PROCESSOR)[0]
    assert left["errors"] == {"Invalid": 2}


def test_only_letters_of_an_account_a_time_and_a_place_are_replayed(
    mtop: Mtop, local_run: FakeRun, broker: Broker
) -> None:
    """On each of two partitions one letter a second, in turn."""
    ids = put_letters(broker, ["Invalid"] * 8)
    replay_those = ("dlq", "replay", local_run.name, "-p", PROCESSOR)
    assert "replayed=1" in mtop.text(*replay_those, "--key", "account-1")
    times = ("--since", "2030-01-01T00:00:02", "--until", "2030-01-01T01:00:03+01:00")
    assert "would-replay=2" in mtop.text(*replay_those, *times, "--dry-run")
    assert "replayed=2" in mtop.text(*replay_those, *times)
    places = ("--partition", "0", "--from", "1", "--to", "2")
    shown = mtop.json("dlq", "show", local_run.name, "-p", PROCESSOR, "--all", *places)
    assert [letter["letter"] for letter in shown] == ["0@2", "0@1"]
    assert "replayed=1" in mtop.text(*replay_those, *places), "the other one was replayed by its time"
    assert put_back(broker) == Counter([ids[1], ids[2], ids[3], ids[4]])
    assert "is no time such as" in mtop.error(*replay_those, "--since", "yesterday")


def test_a_time_that_is_shown_means_its_letter(mtop: Mtop, local_run: FakeRun, broker: Broker) -> None:
    put_letters(broker, ["Invalid"] * 3)
    show = ("dlq", "show", local_run.name, "-p", PROCESSOR)
    _, middle, oldest = mtop.json(*show)
    at = middle["lastFailedAt"]
    assert mtop.json(*show, "--since", at, "--until", at) == [middle]
    part = at.replace("+", ".500+")
    assert mtop.json(*show, "--until", part) == [oldest], "a time to the millisecond means that one"


def test_a_dry_run_writes_nothing(mtop: Mtop, local_run: FakeRun, broker: Broker) -> None:
    put_letters(broker, ["Invalid", "Unknown"])
    before = offsets(broker)
    assert "would-replay=1" in mtop.text(
        "dlq", "replay", local_run.name, "-p", PROCESSOR, "--error", "Invalid", "--dry-run"
    )
    assert offsets(broker) == before
    assert broker.everything("postpaid", "read_uncommitted") == []


def offsets(broker: Broker) -> set[tuple[int, int]]:
    return {(record.partition, record.offset) for record in broker.everything(LETTERS, "read_uncommitted")}


def test_a_slow_replay_puts_back_everything_and_no_faster(mtop: Mtop, local_run: FakeRun, broker: Broker) -> None:
    ids = put_letters(broker, ["Invalid"] * 5)
    began = time.monotonic()
    assert "replayed=5" in mtop.text("dlq", "replay", local_run.name, "-p", PROCESSOR, "--rate", "2")
    assert time.monotonic() - began >= 5 / 2
    assert put_back(broker) == Counter(ids)


def test_what_an_interrupted_replay_left_open_is_undone(mtop: Mtop, local_run: FakeRun, broker: Broker) -> None:
    ids = put_letters(broker, ["Invalid"] * 4)
    interrupted = batches(local_run, broker, most=2)
    assert next(interrupted) == 2
    abandoned = open_transaction(find(local_run.name, None, None).kafka, local_run, broker)
    assert "replayed=2" in mtop.text("dlq", "replay", local_run.name, "--processor", PROCESSOR)
    assert put_back(broker) == Counter(ids)
    assert not broker.transaction_is_open(LETTERS)
    del abandoned


def open_transaction(kafka: str, local_run: FakeRun, broker: Broker) -> Producer:
    """A replay that died after it had written and before it committed."""
    named = transactional_id(find(local_run.name, None, None), PROCESSOR)
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": named, "log_level": 0})
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(broker.name("postpaid"), b"torn", headers=[("ce_id", b"torn")])
    for partition in (0, 1):
        marks = [("dlq_replayed", str(offset).encode()) for offset in range(2)]
        for mark in marks:
            producer.produce(broker.name(LETTERS), None, partition=partition, headers=[mark])
    assert producer.flush(10) == 0
    assert broker.transaction_is_open(LETTERS)
    return producer


def test_a_marker_behind_a_processor_s_open_transaction_is_waited_for(
    mtop: Mtop, local_run: FakeRun, broker: Broker
) -> None:
    ids = put_letters(broker, ["Invalid"])
    billing = Producer(
        {
            "bootstrap.servers": broker.bootstrap,
            "transactional.id": broker.name("billing"),
            "transaction.timeout.ms": 5000,
            "log_level": 0,
        }
    )
    billing.init_transactions(10)
    billing.begin_transaction()
    billing.produce(broker.name(LETTERS), b"not yet a letter", partition=0)
    assert billing.flush(10) == 0
    # The letter lies before that transaction, its marker will lie behind.
    first = replay(broker.bootstrap, broker.name(LETTERS), "first", _any)
    assert sum(first) == 1
    assert "replayed=0" in mtop.text("dlq", "replay", local_run.name, "--processor", PROCESSOR)
    assert put_back(broker) == Counter(ids)


def test_of_two_replays_at_a_time_the_older_is_turned_away(mtop: Mtop, local_run: FakeRun, broker: Broker) -> None:
    ids = put_letters(broker, ["Invalid"] * 6)
    older = batches(local_run, broker)
    assert next(older) == 1
    younger = batches(local_run, broker)
    assert next(younger) == 1
    with pytest.raises(CliError, match="another replay of this processor began, or"):
        next(older)
    assert sum(younger) == 4
    assert put_back(broker) == Counter(ids)


def test_a_replay_that_was_stopped_in_a_batch_is_told_to_run_again(
    mtop: Mtop, local_run: FakeRun, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = put_letters(broker, ["Invalid"])

    def stopped(letter: Letter) -> Headers:
        eventually(lambda: broker.transaction_is_open("postpaid"))
        eventually(lambda: not broker.transaction_is_open("postpaid"))
        return marker(letter)

    replay_all = ("dlq", "replay", local_run.name, "--processor", PROCESSOR)
    with monkeypatch.context() as patched:
        patched.setattr(dead_letters, "_TRANSACTION_MS", 4000)
        patched.setattr(dead_letters, "marker", stopped)
        assert "or a batch of this one took over 4 s: run it again" in mtop.error(*replay_all)
    assert "replayed=1" in mtop.text(*replay_all)
    assert put_back(broker) == Counter(ids)


def test_a_commit_that_the_client_silently_repeats_ends_no_later_batch(
    proxied_kafka: tuple[Service, KafkaProxy],
) -> None:
    """Its connection is lost, it asks again on another and says that all went well; then the first one arrives."""
    kafka, proxy = proxied_kafka
    broker = Broker(kafka.address)
    broker.make_topics({LETTERS: 2, "postpaid": 2})
    ids = put_letters(broker, ["Invalid"] * 3)
    replaying = replay(proxy.address, broker.name(LETTERS), broker.name("replay"), _any, 1)
    late = proxy.rule(Api.END_TXN, Direction.REQUEST, Action.HOLD_AND_CUT)
    assert next(replaying) == 1
    answer = proxy.answer_to(late)
    end = proxy.rule(Api.END_TXN, Direction.REQUEST, Action.HOLD)
    with ThreadPoolExecutor(1) as thread:
        second = thread.submit(next, replaying)
        eventually(lambda: end.seen)
        late.release()
        eventually(lambda: answer.seen)
        assert put_back(broker).total() == 1, "the late request has ended the open transaction"
        end.release()
        assert second.result(30) == 1
    assert sum(replaying) == 1
    assert put_back(broker) == Counter(ids)


def test_a_server_that_is_away_is_no_lost_connection(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or all letters would be read anew for every batch."""
    put_letters(broker, ["Invalid"] * 2)
    reading = Mock(wraps=read_letters)
    monkeypatch.setattr(dead_letters, "read_letters", reading)
    away = [f"127.0.0.1:{port}" for port in range(1, 10)]  # the client tries some of them, in any order
    replaying = replay(",".join([*away, broker.bootstrap]), broker.name(LETTERS), broker.name("replay"), _any, 1)
    assert [*replaying] == [1, 1]
    reading.assert_called_once()


def test_a_letter_that_cannot_go_back_leaves_its_batch_where_it_is(
    mtop: Mtop, local_run: FakeRun, broker: Broker
) -> None:
    put_letters(broker, ["Invalid"])
    stray = Record(broker.name("nowhere"), 0, 0, b"k", b"v")
    letter = dead_letter(stray, Failure("Stray", "", NOW, NOW), broker.name(LETTERS), PROCESSOR)
    broker.put(LETTERS, letter.value, letter.headers, letter.key, 0)
    broker.flush()
    told = mtop.error("dlq", "replay", local_run.name, "--processor", PROCESSOR)
    assert broker.name("nowhere") in told
    assert put_back(broker) == Counter()
    assert "replayed=1" in mtop.text("dlq", "replay", local_run.name, "-p", PROCESSOR, "--error", "Invalid")


def test_a_message_is_charged_once_its_domain_is_declared(
    mtop: Mtop, local_run: FakeRun, broker: Broker, database_url: str
) -> None:
    message = an_accepted_message(domain="marketing")
    broker.put("postpaid", message.model_dump_json().encode(), [("domain", "marketing")], b"account-1")
    broker.flush()
    config = local_run.config_of(PROCESSOR)
    with billing_pods(
        config.model_copy(update={"domain": "other", "domains": ["other"]}), database_url=database_url
    ) as (pod,):
        turn_until(lambda: counts(mtop.json("dlq", "list", local_run.name)) == {PROCESSOR: 1}, pod.step)
    assert dead_message_ids(broker.bootstrap, [broker.name(LETTERS)]) == {str(message.id)}
    for expected in ("replayed=1", "replayed=0"):
        assert expected in mtop.text("dlq", "replay", local_run.name, "--processor", PROCESSOR)
    assert dead_message_ids(broker.bootstrap, [broker.name(LETTERS)]) == set()
    with billing_pods(config, database_url=database_url) as (pod,):
        turn_until(lambda: charged(broker), pod.step)
    assert charged(broker) == Counter([str(message.id)])


def test_attempts_add_up_over_replays(mtop: Mtop, local_run: FakeRun, broker: Broker, database_url: str) -> None:
    broker.put("postpaid", b"{", [("domain", "marketing")], b"account-1")
    broker.flush()

    def letters() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = mtop.json("dlq", "show", local_run.name, "--processor", PROCESSOR)
        return found

    with billing_pods(local_run.config_of(PROCESSOR), database_url=database_url) as (pod,):
        turn_until(letters, pod.step)
        mtop.text("dlq", "replay", local_run.name, "--processor", PROCESSOR)
        turn_until(letters, pod.step)
    assert [letter["attempts"] for letter in letters()] == [2]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nobody", "-p", PROCESSOR), "nobody does not run here"),
        (("NAME", "-p", "be-messaging"), "no dead letters of 'be-messaging', only of"),
        (("NAME", "-p", PROCESSOR, "--kafka", "127.0.0.1:9"), "Kafka at 127.0.0.1:9"),
    ],
)
def test_mistakes_are_told_in_a_line(mtop: Mtop, local_run: FakeRun, words: Sequence[str], told: str) -> None:
    assert told in mtop.error("dlq", "show", *(word.replace("NAME", local_run.name) for word in words))


def test_a_topic_that_is_missing_is_named(mtop: Mtop, local_run: FakeRun, broker: Broker) -> None:
    local_run.spec["sinks"][0]["deadLetter"]["topic"] = "not-made-yet"
    local_run.write_status(find(local_run.name, None, None).status)
    assert "has no topic not-made-yet" in mtop.error("dlq", "list", local_run.name)
