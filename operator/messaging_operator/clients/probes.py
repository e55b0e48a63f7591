"""The operator's door to its processors: what their pods answer at /readyz. Used by `reconcile`."""

import asyncio
from collections.abc import Collection

import httpx
from pydantic import ValidationError

from messaging_api.processor import Readiness

_TIMEOUT_SECONDS = 1.0


def readiness(addresses: Collection[str]) -> dict[str, Readiness]:
    """Asks all at once, each a host:port; who does not answer is left out, as Kubernetes' own probe tells of it."""
    return asyncio.run(_ask_all(addresses)) if addresses else {}


async def _ask_all(addresses: Collection[str]) -> dict[str, Readiness]:
    # Pods are asked directly and in plain: no proxy of the environment, and no certificates to load for it.
    async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False, verify=False) as client:
        answers = await asyncio.gather(*(_ask(client, address) for address in addresses))
    return {address: answer for address, answer in zip(addresses, answers, strict=True) if answer}


async def _ask(client: httpx.AsyncClient, address: str) -> Readiness | None:
    try:
        response = await client.get(f"http://{address}/readyz")
        return Readiness.model_validate_json(response.content)
    except (httpx.HTTPError, ValidationError):
        return None
