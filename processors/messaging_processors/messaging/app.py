"""be-messaging's HTTP API as an ASGI application: its routes, its description, and its errors as problem documents."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from messaging_api.message import Problem
from messaging_processors.messaging.account_api import AccountApi
from messaging_processors.messaging.erasure_api import ErasureApi
from messaging_processors.messaging.message_api import MessageApi
from messaging_processors.messaging.validation import problem_of
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.problems import HANDLERS, MEDIA_TYPE, unavailable
from messaging_processors.runtime.web import MAX_BODY_BYTES


async def _answer_away(_: Request, error: Away) -> Response:
    return unavailable(f"The {error.dependency} is away; try again.").response()


async def _answer_silence(_: Request, __: TimeoutError) -> Response:
    return unavailable("The database does not answer; try again.").response()


async def _answer_invalid(request: Request, error: RequestValidationError) -> Response:
    return problem_of(error.errors(), request.headers.get("content-type", "")).response()


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of an endpoint's problem documents; those that all have included."""
    content = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({401, 403, 422, 429, 503, *statuses})
    }


def create_app(messages: MessageApi, accounts: AccountApi, erasures: ErasureApi) -> FastAPI:
    """The routes, and OpenAPI at /openapi.json."""
    app = FastAPI(
        title="User messaging",
        version="1",
        description="Every error is an RFC 9457 problem document.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # the redirection would name the host that the gateway calls
        exception_handlers={
            **HANDLERS,
            Away: _answer_away,
            TimeoutError: _answer_silence,
            RequestValidationError: _answer_invalid,
        },
        max_body_size=MAX_BODY_BYTES,
    )
    written = _problems(400, 413, 415, 504)
    repeatable = _problems(400, 409, 413, 415, 504)
    account = "/v1/accounts/{id}"
    add = app.add_api_route
    add("/v1/messages", messages.accept, methods=["POST"], status_code=202, responses=repeatable)
    batch = "/v1/messages:batch"
    add(batch, messages.accept_batch, methods=["POST"], responses=written, response_model_exclude_none=True)
    add("/v1/messages/{id}", messages.message, methods=["GET"], responses=_problems(404))
    add("/v1/receipts", messages.receipt, methods=["POST"], status_code=202, responses=written)
    of_an_account = _problems(400, 404, 409, 413, 415, 504)
    add(account, accounts.put, methods=["PUT"], responses=of_an_account)
    add(account, accounts.get, methods=["GET"], responses=_problems(404))
    add(f"{account}/top-ups", accounts.top_up, methods=["POST"], status_code=201, responses=of_an_account)
    add(f"{account}/ledger", accounts.ledger, methods=["GET"], responses=_problems(404))
    add("/v1/erasures", erasures.erase, methods=["POST"], responses=written)
    return app
