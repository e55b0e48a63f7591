"""Who may call: the API keys of the mounted Secret, one file a client, named like the client.

Promise: a presented key is compared with every known key in constant time, and a changed Secret counts from the next
`reload` on without a restart.
"""

import hmac
from pathlib import Path

from starlette.datastructures import Headers

from messaging_processors.runtime.errors import Away

API_KEYS = "api-keys"
HEADER = "x-api-key"


class ApiKeys:
    """The clients' keys as they lay in the folder at the last `reload`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clients: dict[str, bytes] = {}

    def reload(self) -> None:
        """Reads the folder anew; raises `Away` when nobody could be let in.

        A folder that cannot be read leaves the known keys in force: a hiccup of the mount must not lock clients out.
        """
        try:
            self._clients = read_keys(self._folder)
        except OSError as error:
            raise Away(API_KEYS, str(error)) from error
        if not self._clients:
            raise Away(API_KEYS, f"no key in {self._folder}: fill the Secret of gateway.auth.apiKeysFrom")

    def client_of(self, presented: str | None) -> str | None:
        """The name of the client that the presented key belongs to."""
        key = (presented or "").encode()
        owners = [client for client, known in self._clients.items() if hmac.compare_digest(known, key)]
        return owners[0] if owners else None


def read_keys(folder: Path) -> dict[str, bytes]:
    """Client → key. Kubernetes' own entries of a mounted Secret (`..data`) and empty files are no clients."""
    files = (path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and path.is_file())
    keys = {path.name: path.read_bytes().strip() for path in files}
    return {client: key for client, key in keys.items() if key}


def presented_key(headers: Headers) -> str | None:
    """The key of a request: `X-API-Key: <key>`, or `Authorization: Bearer <key>`."""
    if key := headers.get(HEADER):
        return key
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
