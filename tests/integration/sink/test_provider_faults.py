"""A provider that misbehaves: what has an effect has it once, attempts stay few, and nothing becomes a dead letter."""

from datetime import UTC, datetime

import pytest

from messaging_api.processor import SinkConfig
from messaging_api.topology import CircuitBreaker
from messaging_cli.local.third_party import GARBAGE, RESET, Behaviour
from messaging_processors.runtime import metrics
from messaging_processors.runtime.dead_letter_rate import DEAD_LETTER_RATE, DeadLetterRate
from messaging_processors.sink.breaker import RETRY_RATIO, RETRY_RESERVE
from messaging_processors.sink.third_party import THIRD_PARTY
from testkit.accounts import Accounts
from testkit.arriving import Ends, finish, once, some_messages
from testkit.charges import charge, reversed_messages
from testkit.clocks import Clock
from testkit.loops import Sinks, turn_until


@pytest.fixture
def config(config: SinkConfig) -> SinkConfig:
    """A breaker that a test need not wait for long."""
    breaker = CircuitBreaker(open_for="1s")
    return config.model_copy(update={"third_party": config.third_party.model_copy(update={"circuit_breaker": breaker})})


def circuit() -> str:
    """The state that /metrics shows."""
    (metric,) = metrics.CIRCUIT.collect()
    (state,) = [sample.labels[metric.name] for sample in metric.samples if sample.value]
    return state


def test_a_provider_that_is_dead_for_a_while_is_left_alone_and_costs_no_message(
    ends: Ends, sinks: Sinks, accounts: Accounts
) -> None:
    messages = some_messages(200, accounts=50)
    ends.third_party.behaviour = Behaviour(status=500)
    ends.put(messages)
    charge(accounts, messages[0])
    sink = sinks.new()
    sink.runtime.health.started()
    begun = datetime.now(UTC)
    turn_until(lambda: "circuit open" in sink.runtime.health.readiness().away.get(THIRD_PARTY, ""), sink.step)
    assert circuit() == "open"
    turn_until(lambda: sink.runtime.health.readiness().ready, sink.step)
    assert THIRD_PARTY in sink.runtime.health.readiness().away
    turn_until(lambda: (datetime.now(UTC) - begun).total_seconds() > 4, sink.step)
    calls = len(ends.third_party.records)
    assert calls <= 40, "beyond those that opened it there is a call a second"
    assert ends.committed() == 0
    assert len(sink.reader.assigned) == 2, "it has left its group"
    ends.third_party.behaviour = Behaviour()
    finish(ends, 200, sink)
    assert ends.calls() == once(messages)
    assert ends.states(messages) == {"sent": 200}
    assert ends.dead_letters() == []
    assert reversed_messages(accounts, messages[0].account_id) == []
    assert THIRD_PARTY not in sink.runtime.health.readiness().away
    assert circuit() == "closed"


@pytest.mark.parametrize(
    "behaviour",
    [Behaviour(fault=RESET, share=0.1), Behaviour(status=503, share=0.1), Behaviour(status=429, share=0.1)],
    ids=["reset after the effect", "503", "429"],
)
def test_a_provider_that_stumbles_has_one_effect_a_message_and_few_attempts(
    ends: Ends, sinks: Sinks, behaviour: Behaviour
) -> None:
    messages = some_messages(300, accounts=60)
    ends.third_party.behaviour = behaviour
    ends.put(messages)
    begun = datetime.now(UTC)
    finish(ends, 300, sinks.new())
    lasted = (datetime.now(UTC) - begun).total_seconds()
    effects = ends.third_party.effects()
    wanted = [str(message.id) for message in messages]
    assert effects["effects"] == sorted(wanted)
    assert len(ends.third_party.records) > 300, "it did not stumble"
    assert len(ends.third_party.records) - 300 <= 300 * RETRY_RATIO + RETRY_RESERVE + lasted
    order = {f"account-{number}": wanted[number::60] for number in range(60)}
    assert effects["order"] == order
    assert ends.states(messages) == {"sent": 300}
    assert ends.dead_letters() == []


def test_garbage_in_an_answer_is_of_no_interest(ends: Ends, sinks: Sinks) -> None:
    messages = some_messages(5)
    ends.third_party.behaviour = Behaviour(fault=GARBAGE)
    ends.put(messages)
    finish(ends, 5, sinks.new())
    assert ends.calls() == once(messages)
    assert ends.states(messages) == {"sent": 5}


def test_a_provider_that_refuses_everything_does_not_empty_the_topic_into_the_dead_letters(
    ends: Ends, sinks: Sinks
) -> None:
    messages = some_messages(150, accounts=30)
    ends.third_party.behaviour = Behaviour(status=422)
    ends.put(messages, partition=0)
    sink = sinks.new()
    clock = Clock()
    sink.rate = DeadLetterRate(clock)
    turn_until(lambda: sink.waits_for == DEAD_LETTER_RATE, sink.step)
    states = ends.states(messages)
    assert states["dead-lettered"] == len(ends.dead_letters()) == 100
    assert ends.committed() < 150
    readiness = sink.runtime.health.readiness()
    assert not readiness.ready
    assert "look at the newest letters' errors" in readiness.away[DEAD_LETTER_RATE]
    clock.now += 3600
    sink.backoff.succeeded()
    finish(ends, 150, sink)
    assert ends.calls(422) == once(messages), "what had its answer was asked again"
    assert ends.dead_letters() == ["Refused"] * 150
    assert DEAD_LETTER_RATE not in sink.runtime.health.readiness().away
