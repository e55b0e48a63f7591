"""Sends messages at a steady rate and tells what each was answered; called by `send`, the demo and the tests.

Promises: never more than `IN_FLIGHT` requests at a time, so where the other side is slower than the rate, the rate
gives way; a gateway that cannot be reached ends nothing, its requests have no answer; nothing is kept here. Every
message has an `Idempotency-Key`, and where nobody knows whether it was taken it is repeated under it a few times.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import httpx

from messaging_api.message import IDEMPOTENCY_HEADER, MessageRequest
from messaging_cli.gateway import Gateway, complaint

IN_FLIGHT = 64
NO_ANSWER = 0
TRIES = 4
_PAUSE_SECONDS = 0.25
_UNKNOWN = (NO_ANSWER, httpx.codes.BAD_GATEWAY, httpx.codes.GATEWAY_TIMEOUT)
"""The message may have been taken, or not; whoever is told a 503 knows that it was not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One message and what became of its request; status `NO_ANSWER` when there was none at all."""

    account: str
    domain: str
    status: int
    id: str = ""
    retry_after: str = ""
    detail: str = ""
    posted_at: float = 0.0
    """Unix time, by the sender's clock."""
    seconds: float = 0.0
    """From the first request to the last answer."""
    tries: int = 1

    @property
    def accepted(self) -> bool:
        """Kafka has the message."""
        return self.status == httpx.codes.ACCEPTED


def pause(number: int, rate: float, elapsed: float) -> float:
    """How long to wait before message `number`, counted from 0, so that `rate` messages leave a second."""
    return max(0.0, number / rate - elapsed)


def new_run() -> str:
    """What the keys of one run begin with, so that no other's are the same."""
    return secrets.token_hex(8)


async def send(
    gateway: Gateway,
    messages: Iterable[MessageRequest],
    rate: float,
    hear: Callable[[Answer], None],
    go_on: Callable[[], bool],
    run: str = "",
) -> None:
    """Sends until `messages` end or `go_on` says no; `hear` gets each answer as it comes.

    The same `run`, of `new_run`, gives the same keys, and so the same messages.
    """
    run, started = run or new_run(), time.monotonic()
    room = asyncio.Semaphore(IN_FLIGHT)
    async with gateway.async_client(IN_FLIGHT) as client, asyncio.TaskGroup() as group:
        for number, message in enumerate(messages):
            await asyncio.sleep(pause(number, rate, time.monotonic() - started))
            await room.acquire()
            if not go_on():
                break
            posting = group.create_task(_post(client, message, f"{run}-{number}", hear))
            posting.add_done_callback(lambda _: room.release())


async def _post(client: httpx.AsyncClient, message: MessageRequest, key: str, hear: Callable[[Answer], None]) -> None:
    posted_at, started = time.time(), time.monotonic()
    for number in range(1, TRIES + 1):
        answer = await _try(client, message, key)
        if answer.status not in _UNKNOWN or number == TRIES:
            break
        await asyncio.sleep(_PAUSE_SECONDS * 2 ** (number - 1))
    hear(replace(answer, posted_at=posted_at, seconds=time.monotonic() - started, tries=number))


async def _try(client: httpx.AsyncClient, message: MessageRequest, key: str) -> Answer:
    try:
        headers = {IDEMPOTENCY_HEADER: key}
        return answered(message, await client.post("/v1/messages", content=message.model_dump_json(), headers=headers))
    except httpx.TransportError as error:
        return unanswered(message, error)


def answered(message: MessageRequest, response: httpx.Response) -> Answer:
    """What the gateway said."""
    accepted = response.status_code == httpx.codes.ACCEPTED
    return Answer(
        message.account_id,
        message.domain,
        response.status_code,
        id=response.json()["id"] if accepted else "",
        retry_after=response.headers.get("Retry-After", ""),
        detail="" if accepted else complaint(response),
    )


def unanswered(message: MessageRequest, error: httpx.TransportError) -> Answer:
    """Nothing was said."""
    return Answer(message.account_id, message.domain, NO_ANSWER, detail=f"{type(error).__name__}: {error}")
