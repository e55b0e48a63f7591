"""The endpoints of messages: takes them in, tells what became of them, takes providers' receipts."""

import asyncio
from datetime import UTC, datetime
from functools import partial

from starlette.responses import Response

from messaging_api.base import Domain, TopicName
from messaging_api.message import (
    IDEMPOTENCY_HEADER,
    AcceptedMessage,
    MessageRequest,
    MessageState,
    MessageView,
    Receipt,
    ReceiptRequest,
)
from messaging_api.processor import DomainConfig, MessagingConfig
from messaging_api.topology import BillingType
from messaging_processors.messaging.accepting import accepted, message_id, message_record, receipt_record
from messaging_processors.messaging.access import Caller
from messaging_processors.messaging.accounts import Accounts, Terms
from messaging_processors.messaging.messages import Messages
from messaging_processors.messaging.parameters import (
    MessageIdInPath,
    OptionalIdempotencyKey,
    Provider,
    Reader,
    Sender,
    Traceparent,
)
from messaging_processors.messaging.repeats import Repeats
from messaging_processors.messaging.storing import StoreThreads
from messaging_processors.messaging.validation import require_possible_number
from messaging_processors.runtime.problems import ProblemError, unavailable
from messaging_processors.runtime.publishing import FateUnknown, NotPublished, Publisher
from messaging_processors.runtime.records import Outgoing

PIPELINE_LAG_SECONDS = 5
_REFUSED = "Kafka takes no messages and receipts now; this one was not accepted, try again."
_UNKNOWN = "Kafka did not acknowledge the message in time: it may be on its way, or not. "
_REPEAT = f"Repeat it with the same {IDEMPOTENCY_HEADER}: it is charged and sent once."
_NO_REPEAT = f"A repeat is another message; with an {IDEMPOTENCY_HEADER} it would be the same."
_RECEIPT_UNKNOWN = "Kafka did not acknowledge the receipt in time: send it again, a second one changes nothing."
_CONTRADICTION = f"{IDEMPOTENCY_HEADER}: another message came under this key; repeat that one, or take a new key."


class MessageApi:
    """Publishes to Kafka, and answers once Kafka has it."""

    def __init__(
        self,
        config: MessagingConfig,
        accounts: Accounts,
        messages: Messages,
        repeats: Repeats,
        publisher: Publisher,
        threads: StoreThreads,
    ) -> None:
        self._config = config
        self._accounts = accounts
        self._messages = messages
        self._repeats = repeats
        self._publisher = publisher
        self._threads = threads
        self._source = f"/{config.namespace}/{config.topology}/{config.processor}"

    async def accept(
        self,
        caller: Sender,
        request: MessageRequest,
        response: Response,
        key: OptionalIdempotencyKey = None,
        traceparent: Traceparent = None,
    ) -> MessageView:
        """Takes a message in. 202 means that Kafka has it.

        Where that is unknown (504), a repeat with the same `Idempotency-Key` is the same message, charged and sent
        once; without a key it is another one.

        1. validate; 2. look up how the account pays; 3. under a key, look for another message under it; 4. publish to
        the billing type's topic and wait for Kafka's acknowledgement; 5. answer.
        """
        domain = self._domain(request.domain)
        require_possible_number(request.to)
        terms = await self._terms(caller, request, domain)
        topic = self._route(terms.billing_type)
        identifier = message_id(caller.tenant, key)
        now = datetime.now(UTC)
        message = accepted(request, caller.tenant, terms.billing_type, identifier, now, domain.valid_for)
        record = message_record(message, topic, self._source, traceparent)
        await (self._publish_under_key(message, record) if key else self._publish(record, _UNKNOWN + _NO_REPEAT))
        response.headers["Location"] = f"/v1/messages/{message.id}"
        return MessageView(id=message.id, state=MessageState.ACCEPTED)

    async def message(self, caller: Reader, message_id: MessageIdInPath) -> MessageView:
        """Tells what became of a message."""
        found = await self._threads.run(self._messages.find, caller.tenant, message_id)
        if found is None:
            raise ProblemError(
                404,
                f"No message {message_id} is stored. One that was just accepted appears within seconds: try again.",
                headers={"Retry-After": str(PIPELINE_LAG_SECONDS)},
            )
        return found

    async def receipt(self, _: Provider, request: ReceiptRequest, traceparent: Traceparent = None) -> Receipt:
        """Takes in what a provider says became of a message. 202 means that Kafka has it."""
        domain = self._domain(request.domain)
        receipt = Receipt(**dict(request), received_at=datetime.now(UTC))
        await self._publish(receipt_record(receipt, domain.topic, self._source, traceparent), _RECEIPT_UNKNOWN)
        return receipt

    def _domain(self, name: Domain) -> DomainConfig:
        if domain := self._config.domains.get(name):
            return domain
        declared = ", ".join(self._config.domains)
        raise ProblemError(422, f"domain: not one of this topology's domains: {declared}", field="domain")

    async def _terms(self, caller: Caller, request: MessageRequest, domain: DomainConfig) -> Terms:
        terms = await self._threads.run(self._accounts.terms, caller.tenant, request.account_id)
        if terms is None:
            raise _wrong_account("no such account; PUT /v1/accounts/{id} creates it")
        if terms.currency != domain.currency:
            charged = f"domain {request.domain} charges in {domain.currency}"
            raise _wrong_account(f"the account is in {terms.currency}, {charged}; take an account in {domain.currency}")
        return terms

    def _route(self, billing_type: BillingType) -> TopicName:
        if topic := self._config.routes.get(billing_type):
            return topic
        raise _wrong_account(f"this topology has no route for {billing_type} accounts")

    async def _publish_under_key(self, message: AcceptedMessage, record: Outgoing) -> None:
        """A repeat is published again: the ledger charges the message once, whatever is known here."""
        if await self._threads.try_briefly(partial(self._repeats.contradicts, message)):
            raise ProblemError(409, _CONTRADICTION, field=IDEMPOTENCY_HEADER)
        try:
            await self._publish(record, _UNKNOWN + _REPEAT)
        except ProblemError as error:
            if isinstance(error.__cause__, FateUnknown):
                await self._remember(message)
            raise
        await self._remember(message)

    async def _remember(self, message: AcceptedMessage) -> None:
        await self._threads.try_briefly(partial(self._repeats.remember, message))

    async def _publish(self, record: Outgoing, unknown: str) -> None:
        try:
            await asyncio.wrap_future(self._publisher.publish(record))
        except NotPublished as error:
            raise unavailable(_REFUSED) from error
        except FateUnknown as error:
            raise ProblemError(504, unknown) from error


def _wrong_account(detail: str) -> ProblemError:
    return ProblemError(422, f"accountId: {detail}", field="accountId")
