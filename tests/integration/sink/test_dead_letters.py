"""What a sink cannot process is kept as a dead letter, each record once, while the rest arrives."""

import json

from messaging_api.message import DeadLetterHeader
from messaging_cli.local.third_party import Behaviour
from messaging_processors.runtime.connection import KAFKA
from testkit.arriving import Ends, finish, once, some_messages
from testkit.loops import Sinks, turn_until
from testkit.samples import a_billed_message


def test_a_message_that_is_refused_for_good_is_a_dead_letter_and_the_next_one_is_sent(ends: Ends, sinks: Sinks) -> None:
    charged = some_messages(3, accounts=1)
    ends.third_party.behaviour = Behaviour(status=422, ids=(str(charged[1].id),))
    ends.put(charged)
    finish(ends, 3, sinks.new())
    assert ends.states(charged) == ends.cached(charged) == {"sent": 2, "dead-lettered": 1}
    (letter,) = ends.broker.everything("marketing.dlq")
    assert json.loads(letter.value or b"")["id"] == str(charged[1].id)
    assert letter.header("dlq_error_message") == "the third party answered HTTP 422"


def test_a_refusal_after_failures_counts_them(ends: Ends, sinks: Sinks) -> None:
    (message,) = some_messages(1)
    ends.third_party.behaviour = Behaviour(status=503)
    ends.put([message])
    sink = sinks.new()
    turn_until(lambda: len(ends.third_party.records) >= 2, sink.step)
    ends.third_party.behaviour = Behaviour(status=422)
    finish(ends, 1, sink)
    (letter,) = ends.broker.everything("marketing.dlq")
    assert letter.header("dlq_attempts") == str(len(ends.third_party.records))
    assert letter.header("dlq_first_failed_at") < letter.header("dlq_last_failed_at")


def test_a_dead_letter_that_is_put_back_is_sent(ends: Ends, sinks: Sinks) -> None:
    """`mtop dlq replay` leaves the count of attempts on the record; without it a second delivery sends nothing."""
    (message,) = some_messages(1)
    ends.third_party.behaviour = Behaviour(status=422)
    ends.put([message])
    sink = sinks.new()
    finish(ends, 1, sink)
    ends.third_party.behaviour = Behaviour()
    ends.put([message])
    finish(ends, 2, sink)
    assert ends.states([message]) == ends.cached([message]) == {"dead-lettered": 1}
    ends.put([message], headers=[(DeadLetterHeader.ATTEMPTS, b"1")])
    finish(ends, 3, sink)
    assert ends.states([message]) == ends.cached([message]) == {"sent": 1}
    assert ends.calls() == once([message])


def test_poison_is_a_dead_letter_and_the_rest_arrives(ends: Ends, sinks: Sinks) -> None:
    charged = some_messages(4)
    unstorable = a_billed_message(body="a body with \0 in it")
    ends.put([*charged[:2], unstorable, *charged[2:]])
    for value in (b"{", b"", None, b'{"id": 7}'):
        ends.broker.put("marketing", value)
    ends.broker.flush()
    finish(ends, 9, sinks.new())
    assert ends.states(charged) == {"sent": 4}
    assert ends.dead_letters() == ["InvalidMessage"] * 4 + ["Unstorable"]
    assert ends.calls() == once(charged)


def test_a_dead_letter_that_does_not_fit_holds_its_sink_and_has_no_other_written_twice(
    ends: Ends, sinks: Sinks
) -> None:
    ends.broker.configure("marketing.dlq", {"max.message.bytes": "300000"})
    for value in (b"{", b"x" * 400_000, b"}"):
        ends.broker.put("marketing", value, partition=0)
    ends.broker.flush()
    sink = sinks.new()
    turn_until(lambda: sink.waits_for == KAFKA and len(ends.dead_letters()) == 2, sink.step)
    assert "MSG_SIZE_TOO_LARGE" in sink.runtime.health.readiness().away[KAFKA]
    assert ends.committed() == 0
    ends.broker.configure("marketing.dlq", {"max.message.bytes": "1000000"})
    finish(ends, 3, sink)
    assert ends.dead_letters() == ["InvalidMessage"] * 3
