"""Hands messages to the third party; `loop` calls it. The only `httpx` import of the sinks.

Promises: messages of one account are sent in order, accounts concurrently, never more than `maxInFlight` at a time;
every call for a message carries the same Idempotency-Key, its id, and its end; what is too late is not sent. No answer
in time, a broken connection and some answers (`answers`) say nothing, since the third party may have taken the message:
it is sent again, late or not, for what may have been sent is not paid back. So is what it could not take: soon and with
full jitter, `ATTEMPTS` times at most, unless it says itself when to come back; then its account's later messages wait
with it, and the next attempt makes no call before.
`breaker` says whether there are calls, and repetitions, at all.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import httpx

from messaging_api.base import seconds
from messaging_api.message import IDEMPOTENCY_HEADER, BilledMessage
from messaging_api.topology import ThirdParty
from messaging_processors.runtime import metrics
from messaging_processors.runtime.backoff import LONGEST_ASKED_FOR
from messaging_processors.runtime.errors import Away
from messaging_processors.sink.answers import Answer, Late, may_be_taken, meaning, retry_after
from messaging_processors.sink.breaker import Breaker, BreakerState, Call, RetryBudget

THIRD_PARTY = "third-party"
ATTEMPTS = 3
_JITTER_SECONDS = 0.1
"""The most that the first repetition waits; each further one waits up to twice as long."""
_IDLE_SECONDS = 2.0
_TOLD = {"id", "account_id", "to", "body", "domain", "valid_until"}
_TO_CONNECT = 0.9
"""Of the timeout: a connection that takes longer leaves no time for an answer."""
_LONGEST_TIMEOUT = 20.0
"""A turn of the loop lasts as long as its longest call, and a loop that does not turn looks dead."""


@dataclass(frozen=True)
class Clocks:
    """The time of the day, and one that never jumps."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic


@dataclass
class Attempt:
    """What came of one attempt: answers by id, and why others have none, the reason that asks for most time."""

    answers: dict[UUID, Answer] = field(default_factory=dict)
    failed: list[UUID] = field(default_factory=list)
    """Of each call that had no answer that says anything of the message."""
    doubtful: set[UUID] = field(default_factory=set)
    """Messages that the third party may have taken."""
    away: Away | None = None

    @property
    def asks_for_time(self) -> bool:
        """Nothing is to be repeated before."""
        return self.away is not None and self.away.retry_after is not None

    def note(self, away: Away) -> None:
        """That is why some message has no answer."""
        if self.away is None or (away.retry_after or 0) >= (self.away.retry_after or 0):
            self.away = away


class _Doubtful(Away):
    """The third party was asked, and what it did is unknown."""


@dataclass
class _Task:
    """What the calls of one attempt share."""

    give_up: Callable[[], bool]
    tried: set[UUID]
    result: Attempt


class Provider:
    """The third party, with connections and an event loop, which turns during an attempt. Not thread-safe."""

    def __init__(
        self, config: ThirdParty, transport: httpx.AsyncBaseTransport | None = None, clocks: Clocks | None = None
    ) -> None:
        self._in_flight = config.max_in_flight
        limits = httpx.Limits(max_keepalive_connections=self._in_flight, keepalive_expiry=_IDLE_SECONDS)
        self._url = httpx.URL(config.url)
        self._timeout = min(seconds(config.timeout), _LONGEST_TIMEOUT)
        # The client's own timeouts start anew with every byte; `_send` bounds the whole. Only that of connecting is of
        # use: it ends first, and says that nothing was sent.
        timeout = httpx.Timeout(None, connect=self._timeout * _TO_CONNECT)
        self._client = httpx.AsyncClient(timeout=timeout, limits=limits, transport=transport)
        self._loop = asyncio.Runner()
        self._clocks = clocks or Clocks()
        self._breaker = Breaker(config.circuit_breaker, self._clocks.monotonic)
        self._budget = RetryBudget(self._clocks.monotonic)
        self._last_failure = ""
        self._not_before = 0.0

    def attempt(
        self,
        messages: Iterable[BilledMessage],
        tried: Collection[UUID],
        give_up: Callable[[], bool],
        doubtful: Collection[UUID] = (),
    ) -> Attempt:
        """Sends what can be sent until `give_up`; another call for what was `tried` before is a repetition.

        What is `doubtful` may have been taken by an earlier one.
        """
        task = _Task(give_up, {*tried}, Attempt(doubtful={*doubtful}))
        if (left := self._not_before - self._clocks.monotonic()) > 0:
            task.result.note(self._away(self._last_failure, left))
            return task.result
        lanes: dict[tuple[str, str], list[BilledMessage]] = defaultdict(list)
        for message in messages:
            lanes[message.tenant, message.account_id].append(message)
        self._loop.run(self._send_lanes(lanes.values(), task))
        if self._breaker.state is BreakerState.OPEN:
            task.result.note(self._away(f"circuit open: {self._last_failure}", self._breaker.remaining()))
        metrics.CIRCUIT.state(self._breaker.state.value)
        return task.result

    def close(self) -> None:
        """Ends the connections."""
        self._loop.run(self._client.aclose())
        self._loop.close()

    async def _send_lanes(self, lanes: Iterable[Sequence[BilledMessage]], task: _Task) -> None:
        slots = asyncio.Semaphore(self._in_flight)
        async with asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(self._send_in_order(lane, slots, task))

    async def _send_in_order(self, lane: Sequence[BilledMessage], slots: asyncio.Semaphore, task: _Task) -> None:
        """What follows a late one waits until that is recorded: a sink that reads both again may send the late one."""
        async with slots:
            late = False
            for message in lane:
                if self._is_late(message, task):
                    task.result.answers[message.id] = Late()
                    late = True
                elif late or not await self._deliver(message, task):
                    return

    async def _deliver(self, message: BilledMessage, task: _Task) -> bool:
        """Whether the message has an answer of the third party now."""
        for repetition in range(ATTEMPTS):
            if repetition:
                await asyncio.sleep(random.uniform(0, _JITTER_SECONDS * 2 ** (repetition - 1)))
            if self._is_late(message, task):
                task.result.answers[message.id] = Late()
                return False
            call = self._permission(message.id, task)
            if call is None:
                return False
            try:
                task.result.answers[message.id] = await self._call(message, call)
                return True
            except Away as error:
                task.result.failed.append(message.id)
                if isinstance(error, _Doubtful):
                    task.result.doubtful.add(message.id)
                task.result.note(error)
        return False

    def _permission(self, key: UUID, task: _Task) -> Call | None:
        if task.give_up() or not self._breaker.allows:
            return None
        if key not in task.tried:
            self._budget.first()
            task.tried.add(key)
        elif task.result.asks_for_time:
            return None
        elif not self._budget.spend():
            task.result.note(self._away(f"repeated enough: {self._last_failure}", self._budget.remaining()))
            return None
        return self._breaker.begin()

    async def _call(self, message: BilledMessage, call: Call) -> Answer:
        try:
            answer = await self._send(message)
        except Away as error:
            self._last_failure = error.why.removeprefix(f"{self._url.host}: ")
            self._breaker.end(call, failed=True)
            raise
        self._breaker.end(call, failed=False)
        return answer

    async def _send(self, message: BilledMessage) -> Answer:
        end = asyncio.get_running_loop().time() + self._timeout
        try:
            async with asyncio.timeout_at(end):
                response = await self._client.send(self._request(message), stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._away(f"{type(error).__name__}: {str(error) or 'no connection in time'}") from error
        except TimeoutError as error:
            raise self._away(f"no answer in {self._timeout:g} s", kind=_Doubtful) from error
        except httpx.TransportError as error:
            raise self._away(f"{type(error).__name__}: {error}", kind=_Doubtful) from error
        await _drain(response, end)
        status = response.status_code
        if answer := meaning(status):
            return answer
        asked = retry_after(response.headers.get("Retry-After", ""), self._clocks.now())
        if asked:
            self._not_before = self._clocks.monotonic() + min(asked, LONGEST_ASKED_FOR)
        raise self._away(f"HTTP {status}", asked, _Doubtful if may_be_taken(status) else Away)

    def _request(self, message: BilledMessage) -> httpx.Request:
        body = message.model_dump(mode="json", include=_TOLD, exclude_none=True)
        return self._client.build_request("POST", self._url, json=body, headers={IDEMPOTENCY_HEADER: str(message.id)})

    def _is_late(self, message: BilledMessage, task: _Task) -> bool:
        if message.valid_until is None or message.id in task.result.doubtful:
            return False
        return self._clocks.now() >= message.valid_until

    def _away(self, why: str, asked: float | None = None, kind: type[Away] = Away) -> Away:
        return kind(THIRD_PARTY, f"{self._url.host}: {why}", asked)


async def _drain(response: httpx.Response, end: float) -> None:
    """Reads to the end, or the connection could not be used again; what is said there is of no interest."""
    with suppress(TimeoutError, httpx.TransportError):
        async with asyncio.timeout_at(end):
            async for _ in response.aiter_raw():
                pass
    await response.aclose()
