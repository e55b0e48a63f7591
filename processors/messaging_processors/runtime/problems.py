"""Errors of the HTTP API as RFC 9457 problem documents; gateway and be-messaging raise and register these.

Promise: whatever goes wrong, a caller gets `application/problem+json` with what to do next, and never our internals.
"""

from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from messaging_api.message import Problem

MEDIA_TYPE = "application/problem+json"
_DETAILS = {
    404: "There is nothing at {path}; /openapi.json lists what there is.",
    405: "{method} is not possible at {path}; /openapi.json lists what is.",
    408: "The body did not arrive in time; nothing was done, send the request again.",
    413: "The request is larger than this API takes; split it into smaller ones.",
    500: "Something went wrong on our side and is in our log; whether the request took effect is unknown.",
}


class ProblemError(Exception):
    """Ends a request with a problem document; `field` names the part of the request that is wrong."""

    def __init__(
        self, status: int, detail: str, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, field=field)
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer to send; usable as an ASGI application too."""
        body = self.problem.model_dump_json(exclude_none=True)
        return Response(body, self.problem.status, self.headers, MEDIA_TYPE)


def unavailable(detail: str, retry_after: int = 1) -> ProblemError:
    """503: certainly nothing was done, and the same request may be sent again after `retry_after` seconds."""
    return ProblemError(503, detail, headers={"Retry-After": str(retry_after)})


async def _answer_problem(_: Request, error: ProblemError) -> Response:
    return error.response()


async def _answer_http_error(request: Request, error: HTTPException) -> Response:
    detail = _DETAILS.get(error.status_code, error.detail).format(path=request.url.path, method=request.method)
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    field = "body" if error.status_code in (408, 413) else None
    return ProblemError(error.status_code, detail, field, headers).response()


def _allowed(request: Request) -> str:
    """All methods of this path; the framework names those of its first route only (RFC 9110 §15.5.6)."""
    found = [route for route in request.app.routes if route.matches(request.scope)[0] is Match.PARTIAL]
    return ", ".join(sorted({method for route in found for method in route.methods or ()}))


async def _answer_internal_error(_: Request, __: Exception) -> Response:
    return ProblemError(500, _DETAILS[500]).response()


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    ProblemError: _answer_problem,
    HTTPException: _answer_http_error,
    Exception: _answer_internal_error,
}
"""A Starlette or FastAPI application's exception handlers. What only the last one takes also goes to the log."""
