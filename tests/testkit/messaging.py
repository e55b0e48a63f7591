"""be-messaging without its stores: it answers in the test's own process, and Kafka's part ends as the test says."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any
from uuid import UUID

import httpx

from messaging_api.access import SCOPES_HEADER, TENANT_HEADER, Scope
from messaging_api.account import AccountView, EntryKind, LedgerEntry, LedgerPage
from messaging_api.message import AcceptedMessage, MessageState, MessageView, payload_hash
from messaging_api.money import amount
from messaging_api.processor import DomainConfig, MessagingConfig
from messaging_api.topology import BillingType
from messaging_processors.messaging.account_api import AccountApi
from messaging_processors.messaging.accounts import AccountChange, Accounts, CurrencyFixed, Terms
from messaging_processors.messaging.app import create_app
from messaging_processors.messaging.erasing import Erasures
from messaging_processors.messaging.erasure_api import ErasureApi
from messaging_processors.messaging.intake import Intake
from messaging_processors.messaging.ledger import Ledger, NoSuchAccount, OtherCurrency, TopUp
from messaging_processors.messaging.message_api import MessageApi
from messaging_processors.messaging.messages import Messages
from messaging_processors.messaging.repeats import Repeats
from messaging_processors.messaging.storing import StoreThreads
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.publishing import NotPublished, Publisher
from messaging_processors.runtime.records import Outgoing

TENANT = "shop"
KNOWN = UUID("7b0d4c1e-0000-4000-8000-000000000001")
CONFIG = MessagingConfig(
    topology="t",
    namespace="n",
    processor="be-messaging",
    bootstrap_servers="unused:9092",
    routes={BillingType.POSTPAID: "postpaid"},
    domains={
        "marketing": DomainConfig(topic="marketing", currency="USD"),
        "authentication": DomainConfig(topic="authentication", currency="EUR", valid_for="5m"),
    },
    cache_ttl="1h",
)


def vouched(tenant: str = TENANT, *scopes: str) -> dict[str, str]:
    """What the gateway says of a caller; all scopes unless some are named."""
    return {TENANT_HEADER: tenant, SCOPES_HEADER: " ".join(scopes or tuple(Scope))}


class FewAccounts(Accounts):
    """postpaid-1 and prepaid-1 of the tenant `shop`, both in USD."""

    def __init__(self) -> None:
        self.away = False

    def terms(self, tenant: str, account_ids: Iterable[str]) -> dict[str, Terms]:
        views = [view for account_id in account_ids if (view := self.find(tenant, account_id))]
        return {view.id: Terms(billing_type=view.billing_type, currency=view.currency) for view in views}

    def find(self, tenant: str, account_id: str) -> AccountView | None:
        if self.away:
            raise Away("database", "gone")
        billing_type = {"postpaid-1": BillingType.POSTPAID, "prepaid-1": BillingType.PREPAID}.get(account_id)
        if billing_type is None or tenant != TENANT:
            return None
        return AccountView(id=account_id, billing_type=billing_type, currency="USD", balance="1.5")

    def save(self, change: AccountChange, deadline: float) -> AccountView:
        known = self.find(change.tenant, change.id)
        if known and known.currency != change.terms.currency:
            raise CurrencyFixed(known.currency)
        limit = change.credit_limit_micros
        return AccountView(
            id=change.id,
            **dict(change.terms),
            balance="0",
            credit_limit=None if limit is None else amount(limit),
        )


class EmptyLedger(Ledger):
    """Takes any top-up of an account of `FewAccounts`."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def top_up(self, top_up: TopUp, deadline: float) -> LedgerEntry:
        account = self._accounts.find(top_up.tenant, top_up.account_id)
        if account is None:
            raise NoSuchAccount
        if account.currency != top_up.currency:
            raise OtherCurrency(account.currency)
        added = amount(top_up.amount_micros)
        return LedgerEntry.model_validate(
            {"sequence": 1, "id": top_up.id, "kind": EntryKind.TOP_UP, "amount": added, "currency": "USD"}
            | {"balance": added, "recordedAt": "2026-05-04T03:02:01Z"}
        )

    def page(self, tenant: str, account_id: str, after: int, limit: int) -> LedgerPage | None:
        return LedgerPage(entries=[]) if self._accounts.find(tenant, account_id) else None


class OneMessage(Messages):
    """`KNOWN` was sent."""

    def __init__(self) -> None:
        pass

    def find(self, tenant: str, message_id: UUID) -> MessageView | None:
        return MessageView(id=message_id, state=MessageState.SENT) if (tenant, message_id) == (TENANT, KNOWN) else None


class Memory(Repeats):
    """Remembers in the process."""

    def __init__(self) -> None:
        self.known: dict[UUID, bytes] = {}

    def contradicting(self, messages: Sequence[AcceptedMessage]) -> list[AcceptedMessage]:
        return [message for message in messages if self.known.get(message.id) not in (None, payload_hash(message))]

    def remember(self, messages: Sequence[AcceptedMessage]) -> None:
        for message in messages:
            self.known.setdefault(message.id, payload_hash(message))


class NobodyToErase(Erasures):
    def __init__(self) -> None:
        pass

    def erase(self, tenant: str, number: str, deadline: float) -> int:
        return 0


class Fate(Publisher):
    """Ends every record the same way."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.records: list[Outgoing] = []

    def publish(self, record: Outgoing) -> Future[None]:
        self.records.append(record)
        if isinstance(self.error, NotPublished):
            raise self.error
        fate: Future[None] = Future()
        fate.set_exception(self.error) if self.error else fate.set_result(None)
        return fate


class BeMessaging:
    """Asks one be-messaging, as the gateway would for the tenant `shop` and a key with all scopes."""

    def __init__(self, publisher: Fate | None = None, config: MessagingConfig = CONFIG) -> None:
        self.publisher = publisher or Fate()
        self.accounts = FewAccounts()
        self.repeats = Memory()
        self._config = config

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **request: Any) -> httpx.Response:  # noqa: ANN401  what httpx takes
        return asyncio.run(self._asked(method, path, headers=vouched() | (headers or {}), **request))

    def ask_as(self, caller: Mapping[str, str], method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401  what httpx takes
        """With the headers of `caller` alone."""
        return asyncio.run(self._asked(method, path, headers=caller, **request))

    async def _asked(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401  what httpx takes
        transport = httpx.ASGITransport(self._app(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://be-messaging") as client:
            return await client.request(method, path, **request)

    def _app(self) -> Any:  # noqa: ANN401  an ASGI application
        threads = StoreThreads()
        intake = Intake(self._config, self.accounts, self.repeats, self.publisher, threads)
        messages = MessageApi(self._config, intake, OneMessage(), self.publisher, threads)
        accounts = AccountApi(self._config, self.accounts, EmptyLedger(self.accounts), threads)
        return create_app(messages, accounts, ErasureApi(NobodyToErase(), threads))


def problem(answer: httpx.Response) -> dict[str, object]:
    """The problem document that `answer` is."""
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = answer.json()
    assert document["status"] == answer.status_code
    assert document.keys() >= {"type", "title", "detail"}
    return document
