"""A sink on real parts: every message is one row, one successful call and one state, whatever is away or repeated."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import redis

from messaging_cli.local.process import Service
from messaging_cli.local.third_party import Behaviour
from messaging_processors.runtime import connection, kafka
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.database import DATABASE
from messaging_processors.sink.third_party import THIRD_PARTY
from testkit.arriving import Ends, finish, once, some_messages
from testkit.loops import Sinks, handed_out, turn_until


@pytest.fixture
def _strict_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that is silent for little more than a session is put out."""
    usual = connection.group_settings
    monkeypatch.setattr(kafka, "group_settings", lambda group: usual(group) | {"max.poll.interval.ms": 7000})


def noted(monkeypatch: pytest.MonkeyPatch, before: Callable[[], object] = lambda: None) -> list[bool]:
    """Whether Redis answered, of each call that waited for it."""
    answered: list[bool] = []
    usual = Cache._try

    def noting(cache: Cache, call: Callable[[], object]) -> bool:
        before()
        answered.append(usual(cache, call))
        return answered[-1]

    monkeypatch.setattr(Cache, "_try", noting)
    return answered


@contextmanager
def killed(service: Service) -> Iterator[None]:
    service.kill()
    try:
        yield
    finally:
        service.start()


@contextmanager
def slow(service: Service) -> Iterator[None]:
    """It is alive, and answers long after everybody's deadline; nobody can take that back but by its end."""
    with redis.Redis.from_url(service.address) as client:
        client.client_pause(20_000)
    try:
        yield
    finally:
        service.kill()
        service.start()


def test_a_message_becomes_a_row_a_call_and_a_state(ends: Ends, sinks: Sinks) -> None:
    charged = some_messages(60)
    ends.put(charged)
    finish(ends, 60, sinks.new())
    assert ends.states(charged) == ends.cached(charged) == {"sent": 60}
    assert ends.calls() == once(charged)
    row = ends.rows(charged)[charged[0].id]
    assert (row.account_id, row.billing_type, row.recipient) == ("account-0", "Postpaid", "+12025550123")
    assert (row.amount_micros, row.currency, row.accepted_at) == (7500, "USD", charged[0].accepted_at)
    body = json.loads(next(record.body for record in ends.third_party.records if record.id == str(charged[0].id)))
    message = json.loads(charged[0].model_dump_json())
    assert body == {name: message[name] for name in ("id", "accountId", "to", "body", "domain")}


def test_an_account_s_messages_are_sent_in_order(ends: Ends, sinks: Sinks) -> None:
    charged = some_messages(60)
    ends.put(charged)
    finish(ends, 60, sinks.new())
    account_of = {str(message.id): message.account_id for message in charged}
    sent = defaultdict(list)
    for record in ends.third_party.records:
        sent[account_of[record.id]].append(record.id)
    wanted = defaultdict(list)
    for message in charged:
        wanted[message.account_id].append(str(message.id))
    assert sent == wanted


def test_what_is_delivered_again_is_neither_stored_nor_sent_again(ends: Ends, sinks: Sinks) -> None:
    charged = some_messages(20)
    ends.put(charged)
    first = sinks.new()
    finish(ends, 20, first)
    sinks.close(first)
    ends.broker.reset(ends.config.group_id, ["marketing"])
    with redis.Redis.from_url(ends.cache_url) as client:
        client.flushall()
    finish(ends, 20, sinks.new())
    assert ends.calls() == once(charged)
    assert ends.states(charged) == ends.cached(charged) == {"sent": 20}


def test_a_message_that_is_in_the_topic_twice_is_sent_once(ends: Ends, sinks: Sinks) -> None:
    charged = some_messages(5)
    ends.put([*charged, *charged])
    finish(ends, 10, sinks.new())
    assert ends.calls() == once(charged)
    assert ends.states(charged) == {"sent": 5}


def test_a_crash_between_call_and_record_repeats_the_call_with_its_key(
    ends: Ends, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged = some_messages(3, accounts=3)
    ends.put(charged, partition=0)
    crashing = sinks.new()

    def crash(_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(crashing.store, "advance", crash)
    with pytest.raises(SystemExit):
        finish(ends, 3, crashing)
    sinks.close(crashing)
    assert ends.states(charged) == {"charged": 3}
    finish(ends, 3, sinks.new())
    assert ends.calls() == once(charged + charged)
    assert ends.states(charged) == {"sent": 3}


def test_a_third_party_that_fails_is_waited_for(ends: Ends, sinks: Sinks) -> None:
    charged = some_messages(20)
    ends.third_party.behaviour = Behaviour(status=500)
    ends.put(charged)
    sink = sinks.new()
    turn_until(lambda: "HTTP 500" in sink.runtime.health.readiness().away.get(THIRD_PARTY, ""), sink.step)
    assert ends.states(charged).keys() == {"charged"}
    assert ends.committed() == 0
    ends.third_party.behaviour = Behaviour()
    finish(ends, 20, sink)
    assert ends.calls() == once(charged)
    assert ends.dead_letters() == []
    assert THIRD_PARTY not in sink.runtime.health.readiness().away


def test_one_message_that_the_third_party_stumbles_over_keeps_no_other_account_waiting(
    ends: Ends, sinks: Sinks
) -> None:
    charged = some_messages(20)
    ends.third_party.behaviour = Behaviour(status=503, ids=(str(charged[0].id),))
    ends.put(charged, partition=0)
    sink = sinks.new()
    turn_until(lambda: sink.waits_for == THIRD_PARTY, sink.step)
    states = {(row.account_id, row.state) for row in ends.rows(charged).values()}
    assert states >= {("account-0", "charged"), ("account-1", "sent")}
    assert {account for account, state in states if state == "charged"} == {"account-0"}
    ends.third_party.behaviour = Behaviour()
    finish(ends, 20, sink)
    assert ends.calls() == once(charged)


def test_the_third_party_says_when_to_come_back(ends: Ends, sinks: Sinks) -> None:
    ends.third_party.behaviour = Behaviour(status=429, retryAfter=2)
    ends.put(some_messages(1))
    sink = sinks.new()
    turn_until(lambda: len(ends.third_party.records) == 2, sink.step)
    first, second = [record.time for record in ends.third_party.records]
    assert second - first >= 2


def test_a_third_party_that_hangs_is_left_after_its_timeout(ends: Ends, sinks: Sinks) -> None:
    ends.third_party.behaviour = Behaviour(delay=30)
    ends.put(some_messages(1))
    third_party = ends.config.third_party.model_copy(update={"timeout": "1s"})
    sink = sinks.new(ends.config.model_copy(update={"third_party": third_party}))
    turn_until(lambda: sink.waits_for == THIRD_PARTY, sink.step)
    assert "no answer in " in sink.runtime.health.readiness().away[THIRD_PARTY]


def test_a_database_that_is_away_is_waited_for(ends: Ends, sinks: Sinks, postgres: Service) -> None:
    before, during = some_messages(5), some_messages(20)
    sink = sinks.new()
    ends.put(before)
    finish(ends, 5, sink)
    postgres.stop()
    try:
        ends.put(during)
        turn_until(lambda: sink.waits_for == DATABASE, sink.step)
        for _ in range(10):
            sink.step()
        assert DATABASE in sink.runtime.health.readiness().away
        assert not sink.runtime.health.readiness().ready
        assert ends.calls() == once(before)
    finally:
        postgres.start()
    finish(ends, 25, sink)
    assert ends.states(during) == {"sent": 20}
    assert ends.calls() == once(before + during)
    assert ends.dead_letters() == []
    assert DATABASE not in sink.runtime.health.readiness().away


@pytest.mark.usefixtures("_strict_group")
def test_a_sink_that_waits_longer_than_a_member_may_be_silent_reads_nothing_and_stays_in_its_group(
    ends: Ends, sinks: Sinks, postgres: Service
) -> None:
    charged = some_messages(60)
    sink = sinks.new()
    ends.put(charged[:20])
    finish(ends, 20, sink)
    member, mine = sink.reader._group, sink.reader.assigned
    postgres.stop()
    try:
        ends.put(charged[20:40])
        turn_until(lambda: sink.waits_for == DATABASE, sink.step)
        sink.backoff.failed(retry_after=60)  # an attempt would be heard by the group, too
        before = handed_out(sink.reader)
        ends.put(charged[40:])
        end = time.monotonic() + 8
        turn_until(lambda: time.monotonic() > end, sink.step)
        assert handed_out(sink.reader) == before, "something was read meanwhile"
    finally:
        postgres.start()
    sink.backoff.succeeded()
    finish(ends, 60, sink)
    assert (sink.reader._group, sink.reader.assigned) == (member, mine), "it has left the group meanwhile"
    assert ends.calls() == once(charged)


def test_what_was_sent_while_the_database_went_away_is_not_sent_again(
    ends: Ends, sinks: Sinks, postgres: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcomes stay in hand until they can be recorded."""
    charged = some_messages(5)
    ends.put(charged)
    sink = sinks.new()
    advance = sink.store.advance

    def stop_first(states: object) -> None:
        postgres.stop()
        monkeypatch.undo()
        advance(states)  # type: ignore[arg-type]

    monkeypatch.setattr(sink.store, "advance", stop_first)
    try:
        turn_until(lambda: sink.waits_for == DATABASE, sink.step)
    finally:
        postgres.start()
    finish(ends, 5, sink)
    assert ends.calls() == once(charged)
    assert ends.states(charged) == {"sent": 5}


@pytest.mark.parametrize("fault", [killed, slow])
@pytest.mark.usefixtures("_strict_group")
def test_redis_that_is_away_stops_nothing_and_is_told_later(
    ends: Ends,
    sinks: Sinks,
    redis_service: Service,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[Service], AbstractContextManager[None]],
) -> None:
    before, charged = some_messages(1), some_messages(200)
    sink = sinks.new()
    ends.put(before)
    finish(ends, 1, sink)
    member, mine = sink.reader._group, sink.reader.assigned
    answered = noted(monkeypatch)
    with fault(redis_service):
        for done in (100, 200):
            ends.put(charged[done - 100 : done])
            finish(ends, 1 + done, sink)
        assert answered == [False], "more than one call has waited for it"
        assert ends.states(charged) == {"sent": 200}
        assert "redis" in sink.runtime.health.readiness().away
    turn_until(lambda: ends.cached(charged) == {"sent": 200}, sink.step, sink.states.probe)
    assert "redis" not in sink.runtime.health.readiness().away
    assert ends.calls() == once(before + charged)
    assert (sink.reader._group, sink.reader.assigned) == (member, mine), "it has left the group meanwhile"


@pytest.mark.usefixtures("_strict_group")
def test_redis_that_answers_late_but_in_time_is_told_at_once(
    ends: Ends, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged = some_messages(30)
    sink = sinks.new()
    ends.put(charged[:1])
    finish(ends, 1, sink)
    member, mine = sink.reader._group, sink.reader.assigned
    with redis.Redis.from_url(ends.cache_url) as client:
        answered = noted(monkeypatch, before=lambda: client.client_pause(150))
        ends.put(charged[1:], partition=0)
        finish(ends, 30, sink)
    assert all(answered), "it was taken for one that is away"
    assert 0 < len(answered) < 10, "it was waited for message by message"
    assert ends.states(charged) == ends.cached(charged) == {"sent": 30}
    assert ends.calls() == once(charged)
    assert (sink.reader._group, sink.reader.assigned) == (member, mine), "it has left the group meanwhile"


def test_who_has_lost_all_that_waited_waits_no_longer(ends: Ends, sinks: Sinks) -> None:
    ends.third_party.behaviour = Behaviour(status=503)
    ends.put(some_messages(5))
    sink = sinks.new()
    turn_until(lambda: sink.waits_for == THIRD_PARTY, sink.step)
    sink.backoff.failed(retry_after=300)
    sink.reader._replace_consumer("its partitions are to be lost")
    sink.step()
    assert (sink.waits_for, sink.backoff.remaining()) == ("", 0)


def test_a_partition_that_is_lost_while_waiting_is_finished_by_its_new_owner(ends: Ends, sinks: Sinks) -> None:
    charged = some_messages(40, accounts=20)
    ends.third_party.behaviour = Behaviour(status=503)
    ends.put(charged)
    old = sinks.new()
    turn_until(lambda: old.waits_for == THIRD_PARTY, old.step)
    new = sinks.new()
    turn_until(lambda: len(old.reader.assigned) == len(new.reader.assigned) == 1, old.step, new.step)
    turn_until(lambda: new.waits_for == THIRD_PARTY, old.step, new.step)
    ends.third_party.behaviour = Behaviour()
    finish(ends, 40, old, new)
    assert ends.calls() == once(charged)
    assert ends.states(charged) == {"sent": 40}
    assert ends.dead_letters() == []
