"""be-messaging's HTTP API as an ASGI application: takes messages in, tells what became of them, keeps accounts."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, ParamSpec, TypeVar
from uuid import UUID, uuid4

from fastapi import FastAPI, Header, Path, Response
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from messaging_api.message import (
    AccountId,
    AccountRequest,
    AccountView,
    MessageRequest,
    MessageState,
    MessageView,
    Problem,
)
from messaging_api.processor import MessagingConfig
from messaging_processors.messaging.accepting import accepted, record
from messaging_processors.messaging.accounts import Accounts, ChangeUnknown
from messaging_processors.messaging.messages import Messages
from messaging_processors.messaging.validation import problem_of
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.problems import HANDLERS, MEDIA_TYPE, ProblemError, unavailable
from messaging_processors.runtime.publishing import FateUnknown, NotPublished, Publisher
from messaging_processors.runtime.records import Outgoing
from messaging_processors.runtime.web import MAX_BODY_BYTES

STORE_SECONDS = 4.0
"""No request waits longer for the database, whatever keeps it from answering."""
_STORE_THREADS = 16
PIPELINE_LAG_SECONDS = 5
_CHANGE_UNKNOWN = "The database did not answer in time: the account may have changed, or not. Ask, or send it again."
_UNKNOWN = "Kafka did not acknowledge the message in time: it may be on its way, or not. A repeat is another message."

P = ParamSpec("P")
T = TypeVar("T")


class Api:
    """The endpoints."""

    def __init__(self, config: MessagingConfig, accounts: Accounts, messages: Messages, publisher: Publisher) -> None:
        self._config = config
        self._accounts = accounts
        self._messages = messages
        self._publisher = publisher
        self._source = f"/{config.namespace}/{config.topology}/{config.processor}"
        self._threads = ThreadPoolExecutor(_STORE_THREADS, thread_name_prefix="store")

    async def accept(
        self, request: MessageRequest, response: Response, traceparent: Annotated[str | None, Header()] = None
    ) -> MessageView:
        """Takes a message in. 202 means that Kafka has it; where that is unknown (504), a repeat is another message.

        1. validate; 2. look up how the account pays; 3. publish to that billing type's topic and wait for Kafka's
        acknowledgement; 4. answer.
        """
        if request.domain not in self._config.domains:
            declared = ", ".join(self._config.domains)
            raise ProblemError(422, f"domain: not one of this topology's domains: {declared}", field="domain")
        account = await self._in_thread(self._accounts.find, request.account_id)
        if account is None:
            raise ProblemError(422, "accountId: no such account; PUT /v1/accounts/{id} creates it", field="accountId")
        topic = self._config.routes.get(account.billing_type)
        if topic is None:
            detail = f"accountId: this topology has no route for {account.billing_type} accounts"
            raise ProblemError(422, detail, field="accountId")
        message = accepted(request, account.billing_type, uuid4(), datetime.now(UTC))
        await self._publish(record(message, topic, self._source, traceparent))
        response.headers["Location"] = f"/v1/messages/{message.id}"
        return MessageView(id=message.id, state=MessageState.ACCEPTED)

    async def message(self, message_id: Annotated[UUID, Path(alias="id")]) -> MessageView:
        """Tells what became of a message."""
        found = await self._in_thread(self._messages.find, message_id)
        if found is None:
            raise ProblemError(
                404,
                f"No message {message_id} is stored yet. One that was accepted appears within seconds: try again.",
                headers={"Retry-After": str(PIPELINE_LAG_SECONDS)},
            )
        return found

    async def put_account(
        self, account_id: Annotated[AccountId, Path(alias="id")], request: AccountRequest
    ) -> AccountView:
        """Creates an account or changes how it pays, from the next message on."""
        account = AccountView(id=account_id, billing_type=request.billing_type)
        try:
            await self._in_thread(self._accounts.save, account, time.monotonic() + STORE_SECONDS)
        except (ChangeUnknown, TimeoutError) as error:
            raise ProblemError(504, _CHANGE_UNKNOWN) from error
        return account

    async def account(self, account_id: Annotated[AccountId, Path(alias="id")]) -> AccountView:
        """Tells how an account pays."""
        found = await self._in_thread(self._accounts.find, account_id)
        if found is None:
            raise ProblemError(404, f"There is no account {account_id}; PUT /v1/accounts/{account_id} creates it.")
        return found

    async def _in_thread(self, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """A store's answer without holding up the other requests."""
        working = asyncio.get_running_loop().run_in_executor(self._threads, partial(call, *arguments, **named))
        return await asyncio.wait_for(working, STORE_SECONDS)

    async def _publish(self, outgoing: Outgoing) -> None:
        try:
            await asyncio.wrap_future(self._publisher.publish(outgoing))
        except NotPublished as error:
            raise unavailable("Kafka does not take messages now; this one was not accepted, try again.") from error
        except FateUnknown as error:
            raise ProblemError(504, _UNKNOWN) from error


async def _answer_away(_: Request, error: Away) -> Response:
    return unavailable(f"The {error.dependency} is away; try again.").response()


async def _answer_silence(_: Request, __: TimeoutError) -> Response:
    return unavailable("The database does not answer; try again.").response()


async def _answer_invalid(request: Request, error: RequestValidationError) -> Response:
    return problem_of(error.errors(), request.headers.get("content-type", "")).response()


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of an endpoint's problem documents."""
    content = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def create_app(api: Api) -> FastAPI:
    """The routes, and OpenAPI at /openapi.json."""
    app = FastAPI(
        title="User messaging",
        version="1",
        description="Every error is an RFC 9457 problem document.",
        docs_url=None,
        redoc_url=None,
        exception_handlers={
            **HANDLERS,
            Away: _answer_away,
            TimeoutError: _answer_silence,
            RequestValidationError: _answer_invalid,
        },
        max_body_size=MAX_BODY_BYTES,
    )
    changing, reading = _problems(400, 413, 415, 422, 503, 504), _problems(404, 422, 503)
    app.add_api_route("/v1/messages", api.accept, methods=["POST"], status_code=202, responses=changing)
    app.add_api_route("/v1/messages/{id}", api.message, methods=["GET"], responses=reading)
    app.add_api_route("/v1/accounts/{id}", api.put_account, methods=["PUT"], responses=changing)
    app.add_api_route("/v1/accounts/{id}", api.account, methods=["GET"], responses=reading)
    return app
