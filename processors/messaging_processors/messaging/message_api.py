"""The endpoints of messages: takes them in, tells what became of them, takes providers' receipts."""

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus

from starlette.responses import Response

from messaging_api.batch import BatchRequest, BatchResult, BatchView
from messaging_api.message import (
    IDEMPOTENCY_HEADER,
    AcceptedMessage,
    MessageRequest,
    MessageState,
    MessageView,
    Receipt,
    ReceiptRequest,
)
from messaging_api.processor import MessagingConfig
from messaging_processors.messaging.accepting import receipt_record, source_of
from messaging_processors.messaging.intake import REFUSED, Asked, Intake, declared_domain
from messaging_processors.messaging.messages import Messages
from messaging_processors.messaging.parameters import (
    MessageIdInPath,
    OptionalKey,
    Provider,
    Reader,
    Sender,
    Traceparent,
)
from messaging_processors.messaging.storing import StoreThreads
from messaging_processors.runtime.problems import ProblemError, unavailable
from messaging_processors.runtime.publishing import FateUnknown, NotPublished, Publisher

PIPELINE_LAG_SECONDS = 5
_RECEIPT_UNKNOWN = "Kafka did not acknowledge the receipt in time: send it again, a second one changes nothing."
_BATCH_KEY = "idempotencyKey"


class MessageApi:
    """A tenant's messages, and receipts of anybody's."""

    def __init__(
        self, config: MessagingConfig, intake: Intake, messages: Messages, publisher: Publisher, threads: StoreThreads
    ) -> None:
        self._config = config
        self._intake = intake
        self._messages = messages
        self._publisher = publisher
        self._threads = threads

    async def accept(
        self,
        caller: Sender,
        request: MessageRequest,
        response: Response,
        key: OptionalKey = None,
        traceparent: Traceparent = None,
    ) -> MessageView:
        """Takes a message in. 202 means that Kafka has it.

        Where that is unknown (504), a repeat with the same `Idempotency-Key` is the same message, charged and sent
        once; without a key it is another one.
        """
        [fate] = await self._intake.take(caller.tenant, [Asked(request, key)], IDEMPOTENCY_HEADER, traceparent)
        if isinstance(fate, ProblemError):
            raise fate
        response.headers["Location"] = f"/v1/messages/{fate.id}"
        return _view(fate)

    async def accept_batch(self, caller: Sender, request: BatchRequest, traceparent: Traceparent = None) -> BatchView:
        """Takes up to 100 messages in, each with the status that `POST /v1/messages` would have answered.

        An error of the whole (not 200) means that none was taken in; only after a 504 nobody knows. Those of one
        account go to Kafka in the order they have here; one that has to be sent there again may come after the next.
        """
        asked = [Asked(message, message.idempotency_key) for message in request.messages]
        fates = await self._intake.take(caller.tenant, asked, _BATCH_KEY, traceparent)
        return BatchView(results=[_result(fate) for fate in fates])

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
        domain = declared_domain(self._config, request.domain)
        receipt = Receipt(**dict(request), received_at=datetime.now(UTC))
        record = receipt_record(receipt, domain.topic, source_of(self._config), traceparent)
        try:
            await asyncio.wrap_future(self._publisher.publish(record))
        except NotPublished as error:
            raise unavailable(REFUSED) from error
        except FateUnknown as error:
            raise ProblemError(504, _RECEIPT_UNKNOWN) from error
        return receipt


def _view(message: AcceptedMessage) -> MessageView:
    return MessageView(id=message.id, state=MessageState.ACCEPTED)


def _result(fate: AcceptedMessage | ProblemError) -> BatchResult:
    if isinstance(fate, ProblemError):
        return BatchResult(status=fate.problem.status, problem=fate.problem)
    return BatchResult(status=HTTPStatus.ACCEPTED, message=_view(fate))
