"""Sends messages at a steady rate and tells what each was answered; called by `send`, the demo and the tests.

Promises: never more than `IN_FLIGHT` requests at a time, so where the other side is slower than the rate, the rate
gives way; a gateway that cannot be reached ends nothing, its requests have no answer; nothing is kept here.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import httpx

from messaging_api.message import MessageRequest
from messaging_cli.gateway import Gateway, complaint

IN_FLIGHT = 64
NO_ANSWER = 0


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
    """From the request to its answer."""

    @property
    def accepted(self) -> bool:
        """Kafka has the message."""
        return self.status == httpx.codes.ACCEPTED


def pause(number: int, rate: float, elapsed: float) -> float:
    """How long to wait before message `number`, counted from 0, so that `rate` messages leave a second."""
    return max(0.0, number / rate - elapsed)


async def send(
    gateway: Gateway,
    messages: Iterable[MessageRequest],
    rate: float,
    hear: Callable[[Answer], None],
    go_on: Callable[[], bool],
) -> None:
    """Sends until `messages` end or `go_on` says no; `hear` gets each answer as it comes."""
    started = time.monotonic()
    room = asyncio.Semaphore(IN_FLIGHT)
    async with gateway.async_client(IN_FLIGHT) as client, asyncio.TaskGroup() as group:
        for number, message in enumerate(messages):
            await asyncio.sleep(pause(number, rate, time.monotonic() - started))
            await room.acquire()
            if not go_on():
                break
            posting = group.create_task(_post(client, message, hear))
            posting.add_done_callback(lambda _: room.release())


async def _post(client: httpx.AsyncClient, message: MessageRequest, hear: Callable[[Answer], None]) -> None:
    posted_at, started = time.time(), time.monotonic()
    try:
        response = await client.post("/v1/messages", content=message.model_dump_json())
        answer = answered(message, response, posted_at, time.monotonic() - started)
    except httpx.TransportError as error:
        answer = unanswered(message, error)
    hear(answer)


def answered(message: MessageRequest, response: httpx.Response, posted_at: float = 0, seconds: float = 0) -> Answer:
    """What the gateway said."""
    accepted = response.status_code == httpx.codes.ACCEPTED
    return Answer(
        message.account_id,
        message.domain,
        response.status_code,
        id=response.json()["id"] if accepted else "",
        retry_after=response.headers.get("Retry-After", ""),
        detail="" if accepted else complaint(response),
        posted_at=posted_at,
        seconds=seconds,
    )


def unanswered(message: MessageRequest, error: httpx.TransportError) -> Answer:
    """Nothing was said."""
    return Answer(message.account_id, message.domain, NO_ANSWER, detail=f"{type(error).__name__}: {error}")
