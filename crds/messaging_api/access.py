"""Who may do what: the entries of the gateway's Secret, and what the gateway tells be-messaging of a caller.

Every entry of the Secret is a client, named like the entry. Its value is either the JSON of an `ApiKey`, or the key
alone: then the client is its own tenant, with the `PLAIN_SCOPES`.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, TypeAdapter

from messaging_api.base import Model

API_KEY_HEADER = "X-API-Key"
"""A caller's own; the gateway takes `Authorization: Bearer`, too."""
TENANT_HEADER = "x-tenant"
SCOPES_HEADER = "x-scopes"
"""Set by the gateway, space-separated; a caller's own are never passed on."""

Tenant = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-._a-z0-9]*[a-z0-9])?$")]
TENANT = TypeAdapter[Tenant](Tenant)


class Scope(StrEnum):
    """What a key may do."""

    SEND = "send"
    READ = "read"
    ACCOUNTS = "accounts"
    """Create accounts, change how they pay, read their balances and ledgers."""
    TOP_UPS = "top-ups"
    RECEIPTS = "receipts"
    """For providers: tell what became of any tenant's messages."""
    ERASURES = "erasures"


PLAIN_SCOPES = (Scope.SEND, Scope.READ, Scope.ACCOUNTS)


class ApiKey(Model):
    """A client's key, whose accounts it reaches, and what it may do with them."""

    key: Annotated[str, Field(min_length=1)]
    tenant: Tenant
    scopes: tuple[Scope, ...]
