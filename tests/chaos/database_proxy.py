"""A TCP proxy in front of PostgreSQL that can cut a connection at its COMMIT, before or after the server has it.

A simple query is one message: `Q`, int32 length, the statement and a NUL (PostgreSQL's frontend/backend protocol), and
drivers send a BEGIN and a COMMIT as one, in a segment of its own.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from sqlalchemy import make_url

from messaging_cli.local.services import free_port

_BEGIN, _COMMIT = b"BEGIN\x00", b"COMMIT\x00"
_CHUNK = 65536
_PROBE = 256
"""Bytes; a probe, which only asks whether somebody answers, says less in its transaction."""


class Cut(Enum):
    """When a connection ends."""

    BEFORE = "the server does not get the COMMIT"
    AFTER = "the server gets the COMMIT, and its answer is lost"


class DatabaseProxy:
    """`address` is the SQLAlchemy URL of the server, at the proxy's port. Cuts as many COMMITs as it is told to."""

    def __init__(self, url: str) -> None:
        server = make_url(url)
        self._server = (server.host or "", server.port or 0)
        port = free_port()
        self.address = server.set(port=port).render_as_string(hide_password=False)
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self._cuts: list[Cut] = []
        self._lock = threading.Lock()

    def cut_commits(self, cuts: list[Cut]) -> None:
        """The next COMMITs of transactions that have done something, of whichever connection, one each."""
        with self._lock:
            self._cuts = [*cuts]

    @property
    def to_cut(self) -> int:
        """How many COMMITs have still to come."""
        return len(self._cuts)

    def run(self) -> None:
        """Until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def close(self) -> None:
        """No new connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._server, timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        threading.Thread(target=_pass, args=(server, client), daemon=True).start()
        with contextlib.suppress(OSError):
            said = 0
            while chunk := client.recv(_CHUNK):
                said = 0 if chunk.endswith(_BEGIN) else said + len(chunk)
                cut = self._cut_for(chunk) if said > _PROBE else None
                if cut:
                    _close(client)  # before the server can answer
                if cut is not Cut.BEFORE:
                    server.sendall(chunk)
                if cut:
                    break
        _close(client, server)

    def _cut_for(self, chunk: bytes) -> Cut | None:
        if not chunk.endswith(_COMMIT):
            return None
        with self._lock:
            if not self._cuts:
                return None
            return self._cuts.pop(0)


def _pass(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    _close(source, target)


def _close(*ends: socket.socket) -> None:
    """For both directions: a thread that reads from it wakes up."""
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@contextmanager
def database_proxy(url: str) -> Iterator[DatabaseProxy]:
    """In front of the server at `url`."""
    proxy = DatabaseProxy(url)
    thread = threading.Thread(target=proxy.run, name="database-proxy", daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
