"""Hands messages to the third party; `main` calls it. The only `httpx` import of the sinks.

Promises: messages of one account are sent in order, accounts concurrently, never more than `maxInFlight` at a time;
every attempt at a message carries the same Idempotency-Key, its id. What an answer means:

    2xx                                                  sent
    401, 403, 404, 405, 407, 408, 425, 429, 5xx, 3xx     the third party cannot be used: nobody's message is at fault
    409                                                  the same: an earlier attempt may still be under way
    any other 4xx                                        this message is refused for good
    no answer in time                                    the third party cannot be used
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from uuid import UUID

import httpx

from messaging_api.base import seconds
from messaging_api.message import ChargedMessage
from messaging_api.topology import ThirdParty
from messaging_processors.runtime.errors import Away

THIRD_PARTY = "third-party"
_NOT_THE_MESSAGE_S_FAULT = (401, 403, 404, 405, 407, 408, 409, 425, 429)
_FAILURES_IN_A_ROW = 3
_IDLE_SECONDS = 2.0
_LONGEST_TIMEOUT = 20.0
"""A turn of the loop lasts as long as its longest call, and a loop that does not turn looks dead."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The third party took the message."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The third party will never take this message."""

    status: int


Answer = Sent | Refused


@dataclass
class Attempt:
    """What came of one attempt: answers by id, and why others have none, the reason that asks for most time."""

    answers: dict[UUID, Answer] = field(default_factory=dict)
    failed: list[UUID] = field(default_factory=list)
    """Those that were tried and have no answer."""
    away: Away | None = None


class Provider:
    """The third party, with connections and an event loop, which turns during an attempt. Not thread-safe."""

    def __init__(self, config: ThirdParty, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._in_flight = config.max_in_flight
        limits = httpx.Limits(max_keepalive_connections=self._in_flight, keepalive_expiry=_IDLE_SECONDS)
        self._url = httpx.URL(config.url)
        self._timeout = min(seconds(config.timeout), _LONGEST_TIMEOUT)
        # The client's own timeouts start anew with every byte; `_send` bounds the whole.
        self._client = httpx.AsyncClient(timeout=None, limits=limits, transport=transport)
        self._loop = asyncio.Runner()

    def attempt(self, messages: Iterable[ChargedMessage], give_up: Callable[[], bool]) -> Attempt:
        """Sends what can be sent until `give_up`, and no more once one call after the other fails."""
        attempt = _Attempt(give_up)
        lanes: dict[str, list[ChargedMessage]] = defaultdict(list)
        for message in messages:
            lanes[message.account_id].append(message)
        self._loop.run(self._send_lanes(lanes.values(), attempt))
        return attempt.result

    def close(self) -> None:
        """Ends the connections."""
        self._loop.run(self._client.aclose())
        self._loop.close()

    async def _send_lanes(self, lanes: Iterable[Sequence[ChargedMessage]], attempt: "_Attempt") -> None:
        slots = asyncio.Semaphore(self._in_flight)
        async with asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(self._send_in_order(lane, slots, attempt))

    async def _send_in_order(
        self, lane: Sequence[ChargedMessage], slots: asyncio.Semaphore, attempt: "_Attempt"
    ) -> None:
        async with slots:
            for message in lane:
                if attempt.is_over():
                    return
                try:
                    attempt.answered(message.id, await self._send(message))
                except Away as error:
                    attempt.failed(message.id, error)
                    return

    async def _send(self, message: ChargedMessage) -> Answer:
        end = asyncio.get_running_loop().time() + self._timeout
        try:
            async with asyncio.timeout_at(end):
                response = await self._client.send(self._request(message), stream=True)
        except TimeoutError as error:
            raise Away(THIRD_PARTY, f"{self._url.host}: no answer in {self._timeout:g} s") from error
        except httpx.TransportError as error:
            raise Away(THIRD_PARTY, f"{self._url.host}: {type(error).__name__}: {error}") from error
        await _drain(response, end)
        return _meaning(response)

    def _request(self, message: ChargedMessage) -> httpx.Request:
        body = message.model_dump(mode="json", include={"id", "account_id", "to", "body", "domain"})
        return self._client.build_request("POST", self._url, json=body, headers={"Idempotency-Key": str(message.id)})


async def _drain(response: httpx.Response, end: float) -> None:
    """Reads to the end, or the connection could not be used again; what is said there is of no interest."""
    with suppress(TimeoutError, httpx.TransportError):
        async with asyncio.timeout_at(end):
            async for _ in response.aiter_raw():
                pass
    await response.aclose()


class _Attempt:
    """What the calls of one attempt share."""

    def __init__(self, give_up: Callable[[], bool]) -> None:
        self.result = Attempt()
        self._give_up = give_up
        self._failures = 0

    def is_over(self) -> bool:
        """True when nothing more is to be sent."""
        return self._failures >= _FAILURES_IN_A_ROW or self._give_up()

    def answered(self, message_id: UUID, answer: Answer) -> None:
        self._failures = 0
        self.result.answers[message_id] = answer

    def failed(self, message_id: UUID, error: Away) -> None:
        self._failures += 1
        self.result.failed.append(message_id)
        known = self.result.away
        if known is None or (error.retry_after or 0) >= (known.retry_after or 0):
            self.result.away = error


def _meaning(response: httpx.Response) -> Answer:
    status = response.status_code
    if response.is_success:
        return Sent()
    if response.is_client_error and status not in _NOT_THE_MESSAGE_S_FAULT:
        return Refused(status)
    asked = _retry_after(response.headers.get("Retry-After", ""))
    raise Away(THIRD_PARTY, f"{response.request.url.host}: HTTP {status}", asked)


def _retry_after(text: str) -> float | None:
    """Seconds until the third party wants to be asked again: it gives them, or a date."""
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):  # the last one: a date beyond all calendars
        return None
