"""Many callers at the same moment at one pod of be-messaging, each with one message and no patience.

They come without a gateway, which has only so many connections to it.
"""

import asyncio
import time
from dataclasses import dataclass, replace

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from chaos.client import SILENT_SECONDS, Result, Verdict, verdict
from chaos.load import sending
from chaos.tariffs import CURRENCY, a_request
from chaos.world import World
from messaging_api.access import SCOPES_HEADER, TENANT_HEADER, Scope
from messaging_api.message import IDEMPOTENCY_HEADER, MessageRequest


@dataclass(frozen=True)
class Answer:
    """A status, 0 where the connection was lost, when to come again, and how long it took."""

    status: int
    retry_after: str = ""
    seconds: float = 0.0


def burst(world: World, url: str, name: str, count: int) -> list[Answer]:
    """All at once; each is in the journal."""
    return asyncio.run(_burst(world, url, name, count))


async def _burst(world: World, url: str, name: str, count: int) -> list[Answer]:
    vouched = {TENANT_HEADER: world.tenant, SCOPES_HEADER: " ".join(Scope)}
    # httpx's own pool looks through all connections for each, and that would be what is measured.
    many = AiohttpTransport(limits=httpx.Limits(max_connections=count, max_keepalive_connections=0))
    async with httpx.AsyncClient(base_url=url, headers=vouched, transport=many, timeout=60) as client:
        account = {"billingType": "Postpaid", "currency": CURRENCY}
        (await client.put(f"/v1/accounts/{name}", json=account)).raise_for_status()
        return await asyncio.gather(*(_post(world, client, name, number) for number in range(count)))


async def _post(world: World, client: httpx.AsyncClient, name: str, number: int) -> Answer:
    key, message = f"load-key-{name}-{number}", a_request(name, "marketing", number)
    result = Result(t_send=time.time())
    answer = await _answer(client, key, message)
    result.verdicts.append(verdict(answer.status) if answer.status else Verdict.UNKNOWN)
    result.t_done = time.time()
    world.journal.write(sending(world.tenant, key, message, number, result))
    return replace(answer, seconds=result.t_done - result.t_send)


async def _answer(client: httpx.AsyncClient, key: str, message: MessageRequest) -> Answer:
    body = message.model_dump(mode="json", by_alias=True, exclude_none=True)
    try:
        answer = await client.post(
            "/v1/messages", json=body, headers={IDEMPOTENCY_HEADER: key}, timeout=3 * SILENT_SECONDS
        )
    except (httpx.TransportError, aiohttp.ClientError, TimeoutError):
        return Answer(0)
    return Answer(answer.status_code, answer.headers.get("Retry-After", ""))
