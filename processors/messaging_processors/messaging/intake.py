"""Takes messages in, any number at once, and tells the fate of each; `message_api` calls it.

Promise: the stores are asked once for all, however many there are.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from messaging_api.access import Tenant
from messaging_api.base import Domain, TopicName
from messaging_api.message import AcceptedMessage, MessageRequest
from messaging_api.processor import DomainConfig, MessagingConfig
from messaging_api.topology import BillingType
from messaging_processors.messaging.accepting import accepted, message_id, message_record, source_of
from messaging_processors.messaging.accounts import Accounts, Terms
from messaging_processors.messaging.repeats import Repeats
from messaging_processors.messaging.storing import StoreThreads
from messaging_processors.messaging.validation import require_possible_number
from messaging_processors.runtime.problems import ProblemError, unavailable
from messaging_processors.runtime.publishing import NotPublished, Publisher, PublishError
from messaging_processors.runtime.records import Outgoing

A = TypeVar("A")
B = TypeVar("B")

REFUSED = "Kafka takes no messages and receipts now; this one was not accepted, try again."
_UNKNOWN = "Kafka did not acknowledge the message in time: it may be on its way, or not. "


@dataclass(frozen=True)
class Asked:
    """A message as its caller asks for it, under a key or none."""

    request: MessageRequest
    key: str | None


@dataclass(frozen=True)
class _Draft:
    message: AcceptedMessage
    record: Outgoing
    is_keyed: bool


class Intake:
    """Publishes to Kafka, and answers once Kafka has it. `key_field` is where callers give a key."""

    def __init__(
        self, config: MessagingConfig, accounts: Accounts, repeats: Repeats, publisher: Publisher, threads: StoreThreads
    ) -> None:
        self._config = config
        self._accounts = accounts
        self._repeats = repeats
        self._publisher = publisher
        self._threads = threads
        self._source = source_of(config)

    async def take(
        self, tenant: Tenant, asked: Sequence[Asked], key_field: str, traceparent: str | None
    ) -> list[AcceptedMessage | ProblemError]:
        """Each message that Kafka has, or why it was not taken; raises `Away` and `TimeoutError` where none was tried.

        1. validate; 2. look up how the accounts pay; 3. under keys, look for other messages under them; 4. publish to
        the billing types' topics and wait for Kafka's acknowledgements.
        """
        checked = [_tried(self._check, one) for one in asked]
        drafts = await _each(partial(self._drafts, tenant, traceparent), checked)
        consistent = await _each(partial(self._consistent, key_field), drafts)
        return await _each(partial(self._published, key_field), consistent)

    def _check(self, asked: Asked) -> Asked:
        declared_domain(self._config, asked.request.domain)
        require_possible_number(asked.request.to)
        return asked

    async def _drafts(
        self, tenant: Tenant, traceparent: str | None, asked: Sequence[Asked]
    ) -> list[_Draft | ProblemError]:
        named = {one.request.account_id for one in asked}
        terms = await self._threads.run(self._accounts.terms, tenant, named)
        now = datetime.now(UTC)

        def draft(one: Asked) -> _Draft:
            domain = self._config.domains[one.request.domain]
            billing_type = _fitting(terms.get(one.request.account_id), one.request.domain, domain).billing_type
            topic = self._route(billing_type)
            identifier = message_id(tenant, one.key)
            message = accepted(one.request, tenant, billing_type, identifier, now, domain.valid_for)
            return _Draft(message, message_record(message, topic, self._source, traceparent), bool(one.key))

        return [_tried(draft, one) for one in asked]

    def _route(self, billing_type: BillingType) -> TopicName:
        if topic := self._config.routes.get(billing_type):
            return topic
        raise _wrong_account(f"this topology has no route for {billing_type} accounts")

    async def _consistent(self, key_field: str, drafts: Sequence[_Draft]) -> list[_Draft | ProblemError]:
        keyed = [draft.message for draft in drafts if draft.is_keyed]
        search = partial(self._repeats.contradicting, keyed)
        others = await self._threads.try_briefly(search) if keyed else None
        return [_contradiction(key_field) if draft.message in (others or ()) else draft for draft in drafts]

    async def _published(self, key_field: str, drafts: Sequence[_Draft]) -> list[AcceptedMessage | ProblemError]:
        """A repeat is published again: the ledger charges the message once, whatever is known here."""
        errors = await asyncio.gather(*(self._publish(draft.record) for draft in drafts))
        ends = list(zip(drafts, errors, strict=True))
        keyed = [draft.message for draft, error in ends if draft.is_keyed and not isinstance(error, NotPublished)]
        if keyed:
            await self._threads.try_briefly(partial(self._repeats.remember, keyed))
        return [_problem_of(error, draft.is_keyed, key_field) if error else draft.message for draft, error in ends]

    async def _publish(self, record: Outgoing) -> PublishError | None:
        try:
            await asyncio.wrap_future(self._publisher.publish(record))
        except PublishError as error:
            return error
        return None


def declared_domain(config: MessagingConfig, name: Domain) -> DomainConfig:
    """Raises the 422 of a domain that the topology does not have."""
    if domain := config.domains.get(name):
        return domain
    declared = ", ".join(config.domains)
    raise ProblemError(422, f"domain: not one of this topology's domains: {declared}", field="domain")


def _tried(step: Callable[[A], B], item: A) -> B | ProblemError:
    try:
        return step(item)
    except ProblemError as problem:
        return problem


async def _each(
    step: Callable[[list[A]], Awaitable[list[B | ProblemError]]], items: Sequence[A | ProblemError]
) -> list[B | ProblemError]:
    """`step` of all at once that have no problem yet; what comes of each in its place."""
    right = [item for item in items if not isinstance(item, ProblemError)]
    results = iter(await step(right) if right else ())
    return [item if isinstance(item, ProblemError) else next(results) for item in items]


def _fitting(terms: Terms | None, name: Domain, domain: DomainConfig) -> Terms:
    if terms is None:
        raise _wrong_account("no such account; PUT /v1/accounts/{id} creates it")
    if terms.currency != domain.currency:
        charged = f"domain {name} charges in {domain.currency}"
        raise _wrong_account(f"the account is in {terms.currency}, {charged}; take an account in {domain.currency}")
    return terms


def _wrong_account(detail: str) -> ProblemError:
    return ProblemError(422, f"accountId: {detail}", field="accountId")


def _contradiction(key_field: str) -> ProblemError:
    detail = f"{key_field}: another message came under this key; repeat that one, or take a new key."
    return ProblemError(409, detail, field=key_field)


def _problem_of(error: PublishError, is_keyed: bool, key_field: str) -> ProblemError:
    if isinstance(error, NotPublished):
        return unavailable(REFUSED)
    repeat = f"Repeat it with the same {key_field}: it is charged and sent once."
    no_repeat = f"A repeat is another message; with an {key_field} it would be the same."
    return ProblemError(504, _UNKNOWN + (repeat if is_keyed else no_repeat))
