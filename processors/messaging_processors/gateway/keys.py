"""Who may call: the API keys of the mounted Secret, one file a client, named like the client; `access` says how.

Promise: a presented key is compared with every known key in constant time, a changed Secret counts from the next
`reload` on without a restart, and an entry that is wrong locks out its own client alone. It is told by its name and the
names of its wrong fields, never by what stands in it.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from starlette.datastructures import Headers

from messaging_api.access import API_KEY_HEADER, PLAIN_SCOPES, TENANT, ApiKey, Scope, Tenant
from messaging_processors.runtime.errors import Away

API_KEYS = "api-keys"
API_KEY_ENTRIES = "api-key-entries"
"""Health's name for the entries that are wrong."""
_WRITE_JSON = "write JSON with key, tenant and scopes"


@dataclass(frozen=True)
class Client:
    """Who calls, whose accounts it reaches, and what it may do with them."""

    name: str
    tenant: Tenant
    scopes: tuple[Scope, ...]
    key: bytes = field(repr=False)
    own_tenant: bool = False
    """Made of its name, not chosen in JSON."""


class MalformedEntry(Exception):
    """An entry of the Secret that lets nobody in; says which of its fields are wrong."""


class ApiKeys:
    """The clients as they lay in the folder at the last `reload`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clients: list[Client] = []
        self._malformed: dict[str, str] = {}

    def reload(self) -> None:
        """Reads the folder anew; raises `Away` when nobody could be let in.

        A folder that cannot be read leaves the known keys in force: a hiccup of the mount must not lock clients out.
        """
        try:
            self._clients, self._malformed = read_clients(read_entries(self._folder))
        except OSError as error:
            raise Away(API_KEYS, str(error)) from error
        if not self._clients:
            why = f"no key in {self._folder}: fill the Secret of gateway.auth.apiKeysFrom"
            raise Away(API_KEYS, f"{why} ({_told(self._malformed)})" if self._malformed else why)

    def check(self) -> None:
        """Raises `Away` when entries of the last `reload` are wrong."""
        if self._malformed:
            raise Away(API_KEY_ENTRIES, f"locked out until the Secret is right: {_told(self._malformed)}")

    def client_of(self, presented: str | None) -> Client | None:
        """The client that the presented key belongs to."""
        key = (presented or "").encode()
        owners = [client for client in self._clients if hmac.compare_digest(client.key, key)]
        return owners[0] if owners else None


def read_entries(folder: Path) -> dict[str, bytes]:
    """Name → content. Kubernetes' own entries of a mounted Secret (`..data`) and empty files are no clients."""
    files = (path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and path.is_file())
    entries = {path.name: path.read_bytes().strip() for path in files}
    return {name: content for name, content in entries.items() if content}


def read_clients(entries: Mapping[str, bytes]) -> tuple[list[Client], dict[str, str]]:
    """The clients, and what is wrong with the entries that are none; of two that clash the first stays."""
    clients: list[Client] = []
    malformed: dict[str, str] = {}
    for name, content in entries.items():
        try:
            client = read_client(name, content)
            for earlier in clients:
                _require_distinct(client, earlier)
            clients.append(client)
        except MalformedEntry as error:
            malformed[name] = str(error)
    return clients, malformed


def read_client(name: str, content: bytes) -> Client:
    """JSON of an `ApiKey`, or a key alone; raises `MalformedEntry`."""
    if not content.startswith(b"{"):
        return Client(name, _own_tenant(name), PLAIN_SCOPES, content, own_tenant=True)
    try:
        entry = ApiKey.model_validate_json(content)
    except ValidationError as error:
        raise MalformedEntry(", ".join(_wrong_fields(error))) from None  # its text repeats what stands in the entry
    return Client(name, entry.tenant, entry.scopes, entry.key.encode())


def presented_key(headers: Headers) -> str | None:
    """The key of a request: `X-API-Key: <key>`, or `Authorization: Bearer <key>`."""
    if key := headers.get(API_KEY_HEADER):
        return key
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _require_distinct(client: Client, earlier: Client) -> None:
    """A key is one client's alone, and a tenant is shared only by those who say so in JSON."""
    if client.key == earlier.key:
        raise MalformedEntry(f"the same key as {earlier.name}")
    if client.own_tenant and earlier.own_tenant and client.tenant == earlier.tenant:
        raise MalformedEntry(f"the same tenant as {earlier.name}; {_WRITE_JSON}")


def _own_tenant(name: str) -> Tenant:
    try:
        return TENANT.validate_python(name.lower())
    except ValidationError:
        raise MalformedEntry(f"the name is no tenant's; {_WRITE_JSON}") from None


def _wrong_fields(error: ValidationError) -> list[str]:
    """Known names alone: an unknown one may be a key that somebody put there."""
    places = [problem["loc"][:1] for problem in error.errors()]
    known = {str(name) for place in places for name in place if name in ApiKey.model_fields}
    others = {"an unknown field" if place else "not JSON" for place in places if not known.intersection(place)}
    return sorted(known) + sorted(others)


def _told(malformed: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {wrong}" for name, wrong in malformed.items())
