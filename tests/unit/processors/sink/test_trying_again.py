"""What is tried again and when, what is left alone, and what is too late to be tried."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest

from messaging_api.topology import CircuitBreaker, ThirdParty
from messaging_processors.sink.answers import Late, Sent
from messaging_processors.sink.breaker import FEWEST_CALLS, RETRY_RESERVE
from messaging_processors.sink.third_party import ATTEMPTS, Clocks, Provider
from testkit.answering import Answering, always, answer, attempt, several
from testkit.clocks import Clock
from testkit.samples import a_billed_message


def test_a_message_that_fails_is_tried_again_soon_with_the_same_key() -> None:
    (message,) = several(1)
    keys: list[str] = []

    def recover(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        return answer(500 if len(keys) < ATTEMPTS else 200)

    made = attempt(recover, [message])
    assert made.answers == {message.id: Sent()}
    assert keys == [str(message.id)] * ATTEMPTS
    assert made.failed == [message.id] * (ATTEMPTS - 1)


def test_a_message_is_not_tried_again_before_the_third_party_wants_to_be_asked() -> None:
    calls: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return answer(429, {b"Retry-After": b"1"})

    attempt(refuse, several(1))
    assert len(calls) == 1


def test_nobody_s_message_is_tried_again_before_that() -> None:
    busy, broken = several(2)
    calls: list[str] = []

    def answer_both(request: httpx.Request) -> httpx.Response:
        calls.append(request.headers["Idempotency-Key"])
        return answer(429, {b"Retry-After": b"1"}) if calls[-1] == str(busy.id) else answer(500)

    attempt(answer_both, [busy, broken])
    assert calls == [str(busy.id), str(broken.id)]


def test_no_attempt_comes_before_that_whatever_else_was_waited_for_meanwhile() -> None:
    """The database was away, say, and asked for less time."""
    clock, calls = Clock(0), list[httpx.Request]()

    def refuse(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return answer(429, {b"Retry-After": b"120"})

    config = ThirdParty(url="http://provider.example")
    with closing(Provider(config, httpx.MockTransport(refuse), Clocks(monotonic=clock))) as provider:
        for seconds in (0, 1, 118):
            clock.now += seconds
            away = provider.attempt(several(1), (), lambda: False).away
            assert away
            assert (away.why, away.retry_after) == ("provider.example: HTTP 429", 120 - clock.now)
        assert len(calls) == 1
        clock.now += 1
        provider.attempt(several(1), (), lambda: False)
        assert len(calls) == 2


def test_a_connection_that_breaks_after_the_request_is_tried_again_with_its_key() -> None:
    (message,) = several(1)
    keys: list[str] = []

    def take_and_hang_up(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ReadError("reset", request=request)
        return answer(200)

    assert attempt(take_and_hang_up, [message]).answers == {message.id: Sent()}
    assert keys == [str(message.id)] * 2


def test_a_third_party_that_fails_is_left_alone_and_then_asked_once() -> None:
    clock = Clock()
    calls: list[httpx.Request] = []
    status = 500

    def fail(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return answer(status)

    config = ThirdParty(url="http://provider.example", max_in_flight=4)
    messages, tried = several(20), set[UUID]()
    clocks = Clocks(monotonic=clock)
    with closing(Provider(config, httpx.MockTransport(fail), clocks)) as provider:
        made = provider.attempt(messages, tried, lambda: False)
        assert made.away
        assert (made.away.why, made.away.retry_after) == ("provider.example: circuit open: HTTP 500", 10)
        assert FEWEST_CALLS <= len(calls) < FEWEST_CALLS + config.max_in_flight
        tried |= {*made.failed}
        calls.clear()
        assert provider.attempt(messages, tried, lambda: False).away
        assert calls == []
        clock.now += 10
        assert provider.attempt(messages, tried, lambda: False).away
        assert len(calls) == 1
        status = 200
        clock.now += 10
        made = provider.attempt(messages, tried, lambda: False)
        assert (len(made.answers), made.away) == (20, None)


def test_repetitions_have_a_budget_and_go_on_slowly_beyond_it() -> None:
    """Alone, so that the circuit breaker never sees more failures than successes."""
    clock = Clock()
    messages = several(400)
    bad = {str(message.id) for message in messages[::4]}
    calls: list[str] = []

    def stumble(request: httpx.Request) -> httpx.Response:
        calls.append(request.headers["Idempotency-Key"])
        return answer(500 if calls[-1] in bad else 200)

    config = ThirdParty(url="http://provider.example", circuit_breaker=CircuitBreaker(failure_ratio="1"))
    with closing(Provider(config, httpx.MockTransport(stumble), Clocks(monotonic=clock))) as provider:
        made = provider.attempt(messages, (), lambda: False)
        assert len(made.answers) == 300
        assert len(calls) - 400 <= 400 * 0.1 + RETRY_RESERVE
        left = [message for message in messages if message.id not in made.answers]
        while provider.attempt(left, made.failed, lambda: False).failed:
            pass
        calls.clear()
        waiting = provider.attempt(left, made.failed, lambda: False)
        assert waiting.away
        assert waiting.away.why == "provider.example: repeated enough: HTTP 500"
        assert calls == []
        clock.now += 3
        provider.attempt(left, made.failed, lambda: False)
        assert 3 <= len(calls) <= 4


def test_what_is_too_late_is_not_sent_and_what_follows_waits_until_that_is_recorded() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    late, at_the_last_moment = (
        a_billed_message().model_copy(update={"valid_until": now + timedelta(seconds=left)}) for left in (0, 1)
    )
    calls: list[str] = []

    def take(request: httpx.Request) -> httpx.Response:
        calls.append(request.headers["Idempotency-Key"])
        return answer(200)

    clocks = Clocks(now=lambda: now)
    config = ThirdParty(url="http://provider.example")
    with closing(Provider(config, httpx.MockTransport(take), clocks)) as provider:
        other = a_billed_message("other")
        made = provider.attempt([late, at_the_last_moment, other], (), lambda: False)
        assert (made.answers, made.away) == ({late.id: Late(), other.id: Sent()}, None)
        made = provider.attempt([at_the_last_moment], (), lambda: False)
    assert made.answers == {at_the_last_moment.id: Sent()}
    assert calls == [str(other.id), str(at_the_last_moment.id)]


def test_what_becomes_too_late_while_it_is_tried_is_not_sent_again() -> None:
    times = iter([datetime(2030, 1, 1, second=second, tzinfo=UTC) for second in range(60)])
    message = a_billed_message().model_copy(update={"valid_until": datetime(2030, 1, 1, second=3, tzinfo=UTC)})
    config = ThirdParty(url="http://provider.example")
    clocks = Clocks(now=lambda: next(times))
    with closing(Provider(config, httpx.MockTransport(always(500)), clocks)) as provider:
        made = provider.attempt([message], (), lambda: False)
    assert (made.answers, made.failed) == ({message.id: Late()}, [message.id])


def hangs_up(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("reset", request=request)


@pytest.mark.parametrize("answering", [hangs_up, always(409), always(502), always(504)])
def test_what_may_have_been_taken_is_sent_again_however_late(answering: Answering) -> None:
    """Else it could be paid back and sent."""
    times = iter([datetime(2030, 1, 1, second=second, tzinfo=UTC) for second in range(60)])
    message = a_billed_message().model_copy(update={"valid_until": datetime(2030, 1, 1, second=2, tzinfo=UTC)})
    calls: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return answering(request)

    config, clocks = ThirdParty(url="http://provider.example"), Clocks(now=lambda: next(times))
    with closing(Provider(config, httpx.MockTransport(take), clocks)) as provider:
        made = provider.attempt([message], (), lambda: False)
        assert (len(calls), made.answers, made.doubtful) == (ATTEMPTS, {}, {message.id})
        provider.attempt([message], made.failed, lambda: False, made.doubtful)
    assert len(calls) > ATTEMPTS


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout])
def test_what_never_reached_the_third_party_is_too_late_in_the_end(error: type[httpx.TransportError]) -> None:
    times = iter([datetime(2030, 1, 1, second=second, tzinfo=UTC) for second in range(60)])
    message = a_billed_message().model_copy(update={"valid_until": datetime(2030, 1, 1, second=3, tzinfo=UTC)})

    def refuse(request: httpx.Request) -> httpx.Response:
        raise error("refused", request=request)

    config, clocks = ThirdParty(url="http://provider.example"), Clocks(now=lambda: next(times))
    with closing(Provider(config, httpx.MockTransport(refuse), clocks)) as provider:
        assert provider.attempt([message], (), lambda: False).answers == {message.id: Late()}


def test_tenants_with_an_account_of_the_same_name_do_not_wait_for_each_other() -> None:
    ours = a_billed_message()
    theirs = ours.model_copy(update={"tenant": "other", "id": uuid4()})
    made = attempt(lambda one: answer(503 if one.headers["Idempotency-Key"] == str(ours.id) else 200), [ours, theirs])
    assert made.answers == {theirs.id: Sent()}
