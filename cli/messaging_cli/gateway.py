"""The gateway's HTTP API as the command line calls it; be-messaging serves the same, without a key.

Promise: whatever the gateway refuses is a `CliError` of one line that names the field.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import httpx
from httpx_aiohttp import AiohttpTransport
from pydantic import ValidationError

from messaging_api.message import AccountId, AccountRequest, AccountView, Problem
from messaging_api.topology import BillingType
from messaging_cli.errors import CliError

ANSWER_SECONDS = 15


@dataclass(frozen=True)
class Gateway:
    """Where the API gateway listens and the key that it knows us by."""

    url: str
    api_key: str = ""

    def client(self) -> httpx.Client:
        """For a few calls, one after the other."""
        return httpx.Client(base_url=self.url, headers=self._headers(), timeout=ANSWER_SECONDS)

    def async_client(self, connections: int) -> httpx.AsyncClient:
        """For load, over aiohttp's connections: it must not come from the sender's own weight."""
        transport = AiohttpTransport(limits=httpx.Limits(max_connections=connections, keepalive_expiry=2))
        headers = self._headers()
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=ANSWER_SECONDS, transport=transport)

    def put_accounts(self, accounts: Mapping[AccountId, BillingType]) -> list[AccountView]:
        """Creates accounts or changes how they pay."""
        with self._calls() as client:
            return [
                _view(client.put(_path(account), content=AccountRequest(billing_type=billing_type).model_dump_json()))
                for account, billing_type in accounts.items()
            ]

    def account(self, account: AccountId) -> AccountView:
        """How an account pays."""
        with self._calls() as client:
            return _view(client.get(_path(account)))

    @contextmanager
    def _calls(self) -> Iterator[httpx.Client]:
        try:
            with self.client() as client:
                yield client
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise CliError(f"no answer from {self.url} ({error}): is that the gateway, and is it running?") from error

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json"} | ({"X-API-Key": self.api_key} if self.api_key else {})


def complaint(response: httpx.Response) -> str:
    """What a refusal says, in one line; with the field if it is a problem document."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return " ".join(response.text.split())[:300] or response.reason_phrase
    named = problem.field is None or problem.detail.startswith(problem.field)
    return problem.detail if named else f"{problem.field}: {problem.detail}"


def _path(account: AccountId) -> str:
    return f"/v1/accounts/{quote(account, safe='')}"


def _view(response: httpx.Response) -> AccountView:
    call = f"{response.request.method} {response.request.url}"
    if not response.is_success:
        raise CliError(f"{call}: {response.status_code} {complaint(response)}")
    try:
        return AccountView.model_validate_json(response.content)
    except ValidationError as error:
        raise CliError(f"{call}: the answer is no account: is that the gateway?") from error
