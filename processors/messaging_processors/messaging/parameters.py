"""What endpoints take from a request beside its body, by name; FastAPI reads and checks it."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Path, Query, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from messaging_api.access import API_KEY_HEADER, SCOPES_HEADER, TENANT_HEADER, Scope
from messaging_api.account import AccountId
from messaging_api.message import IDEMPOTENCY_HEADER, IdempotencyKey
from messaging_processors.messaging.access import Caller, caller_of, require_scope

_LARGEST_SEQUENCE = 2**63 - 1
# Described here, checked by the gateway: no key comes this far.
_API_KEY = APIKeyHeader(name=API_KEY_HEADER, scheme_name="apiKey", auto_error=False)
_BEARER = HTTPBearer(scheme_name="bearer", description="The same API key.", auto_error=False)


def _with_scope(scope: Scope) -> Callable[..., Caller]:
    def caller(
        _: Annotated[object, Security(_API_KEY, scopes=[scope])],
        __: Annotated[object, Security(_BEARER, scopes=[scope])],
        tenant: Annotated[str | None, Header(alias=TENANT_HEADER, include_in_schema=False)] = None,
        scopes: Annotated[str | None, Header(alias=SCOPES_HEADER, include_in_schema=False)] = None,
    ) -> Caller:
        found = caller_of(tenant, scopes)
        require_scope(found, scope)
        return found

    return caller


Sender = Annotated[Caller, Depends(_with_scope(Scope.SEND))]
Reader = Annotated[Caller, Depends(_with_scope(Scope.READ))]
AccountKeeper = Annotated[Caller, Depends(_with_scope(Scope.ACCOUNTS))]
Payer = Annotated[Caller, Depends(_with_scope(Scope.TOP_UPS))]
Provider = Annotated[Caller, Depends(_with_scope(Scope.RECEIPTS))]
Eraser = Annotated[Caller, Depends(_with_scope(Scope.ERASURES))]

MessageIdInPath = Annotated[UUID, Path(alias="id")]
AccountIdInPath = Annotated[AccountId, Path(alias="id")]
Key = Annotated[IdempotencyKey, Header(alias=IDEMPOTENCY_HEADER)]
OptionalKey = Annotated[IdempotencyKey | None, Header(alias=IDEMPOTENCY_HEADER)]
Traceparent = Annotated[str | None, Header()]
After = Annotated[int, Query(ge=0, le=_LARGEST_SEQUENCE, description="The `next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=500)]
