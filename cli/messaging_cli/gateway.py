"""The gateway's HTTP API as the command line calls it.

Promise: whatever the gateway refuses is a `CliError` of one line that names the field.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

import httpx
from httpx_aiohttp import AiohttpTransport
from pydantic import BaseModel, ValidationError

from messaging_api.access import API_KEY_HEADER
from messaging_api.account import AccountId, AccountRequest, AccountView, LedgerEntry, LedgerPage, TopUpRequest
from messaging_api.message import IDEMPOTENCY_HEADER, Problem
from messaging_cli.errors import CliError

ANSWER_SECONDS = 15
M = TypeVar("M", bound=BaseModel)


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

    def put_accounts(self, accounts: Mapping[AccountId, AccountRequest]) -> list[AccountView]:
        """Creates accounts or changes how they pay."""
        with self._calls() as client:
            return [
                _answer(AccountView, client.put(_path(account), content=request.model_dump_json(exclude_none=True)))
                for account, request in accounts.items()
            ]

    def account(self, account: AccountId) -> AccountView:
        """How an account pays, and what it holds."""
        with self._calls() as client:
            return _answer(AccountView, client.get(_path(account)))

    def top_up(self, account: AccountId, request: TopUpRequest, key: str) -> LedgerEntry:
        """Adds to an account's balance, once for each `key`: a repeat answers the same entry."""
        with self._calls() as client:
            call = client.post(
                f"{_path(account)}/top-ups", content=request.model_dump_json(), headers={IDEMPOTENCY_HEADER: key}
            )
            return _answer(LedgerEntry, call)

    def ledger(self, account: AccountId, after: int = 0) -> Iterator[LedgerEntry]:
        """The entries after that sequence number, oldest first, page by page."""
        following: int | None = after
        with self._calls() as client:
            while following is not None:
                page = _answer(LedgerPage, client.get(f"{_path(account)}/ledger", params={"after": following}))
                yield from page.entries
                following = page.next

    @contextmanager
    def _calls(self) -> Iterator[httpx.Client]:
        try:
            with self.client() as client:
                yield client
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise CliError(f"no answer from {self.url} ({error}): is that the gateway, and is it running?") from error

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json"} | ({API_KEY_HEADER: self.api_key} if self.api_key else {})


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


def _answer(model: type[M], response: httpx.Response) -> M:
    call = f"{response.request.method} {response.request.url}"
    if not response.is_success:
        raise CliError(f"{call}: {response.status_code} {complaint(response)}")
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise CliError(f"{call}: the answer is no {model.__name__}: is that the gateway?") from error
