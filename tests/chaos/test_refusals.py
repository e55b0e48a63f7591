"""What is refused for certain is nowhere: neither charged nor a dead letter."""

from collections.abc import Callable
from typing import Any

import httpx

from chaos.client import Result, Verdict
from chaos.judge import Judge
from chaos.load import sending
from chaos.tariffs import CURRENCY, a_request
from chaos.topology import API_KEY, GATEWAY, READER_KEY
from messaging_api.access import API_KEY_HEADER
from messaging_api.message import IDEMPOTENCY_HEADER

Change = Callable[[dict[str, str], dict[str, Any]], object]
ACCOUNT = "refused"
REFUSALS: dict[str, tuple[int, Change]] = {
    "no API key": (401, lambda headers, _: headers.pop(API_KEY_HEADER)),
    "no scope to send": (403, lambda headers, _: headers.update({API_KEY_HEADER: READER_KEY})),
    "a key that is too long": (422, lambda headers, _: headers.update({IDEMPOTENCY_HEADER: "k" * 4096})),
    "another content type": (415, lambda headers, _: headers.update({"content-type": "text/plain"})),
    "a body that is too large": (413, lambda _, body: body.update(body="x" * 70_000)),
    "a text that is too long": (422, lambda _, body: body.update(body="x" * 1601)),
    "no text": (422, lambda _, body: body.pop("body")),
    "a number that is none": (422, lambda _, body: body.update(to="+1")),
    "an account that nobody opened": (422, lambda _, body: body.update(accountId="nobody")),
    "a domain that is not declared": (422, lambda _, body: body.update(domain="carrier-pigeons")),
    "a field that nobody knows": (422, lambda _, body: body.update(price="0")),
}


def test_what_is_refused_is_nowhere(judge: Judge) -> None:
    world = judge.world
    url = world.supervisor.pods(GATEWAY)[0].running.url
    account = {"billingType": "Postpaid", "currency": CURRENCY}
    httpx.put(f"{url}/v1/accounts/{ACCOUNT}", json=account, headers={API_KEY_HEADER: API_KEY}).raise_for_status()
    for number, (name, (status, change)) in enumerate(REFUSALS.items()):
        key, message = f"load-key-refused-{number}", a_request(ACCOUNT, "marketing", number)
        headers = {API_KEY_HEADER: API_KEY, IDEMPOTENCY_HEADER: key, "content-type": "application/json"}
        body = message.model_dump(mode="json", by_alias=True, exclude_none=True)
        change(headers, body)
        answer = httpx.post(
            f"{url}/v1/messages", content=httpx.Request("POST", url, json=body).content, headers=headers
        )
        assert (answer.status_code, "field" in answer.json()) == (status, True), f"{name}: {answer.text}"
        world.journal.write(sending(world.tenant, key, message, number, Result([Verdict.REFUSED])))
    judge.looks()
