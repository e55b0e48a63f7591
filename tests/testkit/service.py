"""A Service of Kubernetes in miniature: a new connection goes to a pod that is ready, and stays with it to its end.

A connection that a pod refuses or breaks is passed on as broken, so that its client notices.
"""

import contextlib
import itertools
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from testkit.processes import Processor


class Service(socketserver.ThreadingTCPServer):
    """Spreads connections to `port` over the ready ones of `pods`."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, pods: Sequence[Processor]) -> None:
        super().__init__(("127.0.0.1", port), _Talk)
        self._pods = pods
        self._turn = itertools.count()
        self.connections: Counter[str] = Counter()
        """How many connections each pod was given, by its URL."""

    def choose(self) -> int:
        """The port of the next ready pod."""
        ready = [pod.url for pod in self._pods if pod.readiness().ready]
        url = ready[next(self._turn) % len(ready)]
        self.connections[url] += 1
        return urlsplit(url).port or 0


class _Talk(socketserver.BaseRequestHandler):
    server: Service

    def handle(self) -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.server.choose())) as onward:
            answering = threading.Thread(target=_pump, args=(onward, self.request), daemon=True)
            answering.start()
            _pump(self.request, onward)
            answering.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def serving(port: int, pods: Sequence[Processor]) -> Iterator[Service]:
    """Serves until the end of the block."""
    with Service(port, pods) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        try:
            yield service
        finally:
            service.shutdown()
