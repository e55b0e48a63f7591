"""Who a request comes from and what it may do, as the gateway vouches for it, pure; `parameters` calls it."""

from dataclasses import dataclass

from pydantic import ValidationError

from messaging_api.access import API_KEY_HEADER, SCOPES_HEADER, TENANT, TENANT_HEADER, Scope, Tenant
from messaging_processors.runtime.problems import ProblemError

_NOBODY = f"Call through the API gateway: {TENANT_HEADER} and {SCOPES_HEADER} say who calls and what they may do."


@dataclass(frozen=True)
class Caller:
    """A tenant's client."""

    tenant: Tenant
    scopes: frozenset[str]


def caller_of(tenant: str | None, scopes: str | None) -> Caller:
    """Raises the 401 of a request that nobody vouches for."""
    if scopes is None:
        raise ProblemError(401, _NOBODY)
    try:
        return Caller(TENANT.validate_python(tenant), frozenset(scopes.split()))
    except ValidationError as error:
        raise ProblemError(401, _NOBODY) from error


def require_scope(caller: Caller, scope: Scope) -> None:
    """Raises the 403 of a key that may not do this."""
    if scope not in caller.scopes:
        lacking = f"The API key lacks the scope {scope}; add it to the key's scopes in the Secret."
        raise ProblemError(403, lacking, field=API_KEY_HEADER)
