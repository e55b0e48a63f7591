"""Pods asked through the API server's proxy; the API server is one that only knows that path."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from kubernetes import client

from messaging_cli.observing.cluster import running_processes
from messaging_operator.state import NAME_LABEL

ANSWERS = {
    "/api/v1/namespaces/messaging/pods/sink-1:9090/proxy/metrics": (200, b"# TYPE a counter\na_total 1.0\n"),
    "/api/v1/namespaces/messaging/pods/sink-1:9090/proxy/readyz": (503, b'{"ready":false,"away":{"kafka":"gone"}}'),
}


class ApiServer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = ANSWERS.get(self.path, (404, b"{}"))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the base class names it so
        """Silent."""


@pytest.fixture
def api() -> Iterator[client.ApiClient]:
    with HTTPServer(("127.0.0.1", 0), ApiServer) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        host = f"http://127.0.0.1:{server.server_address[1]}"
        configuration = client.Configuration(host=host)
        configuration.retries = False
        yield client.ApiClient(configuration)
        server.shutdown()


def a_pod(name: str, phase: str = "Running", **metadata: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {NAME_LABEL: "sink"}, **metadata}, "status": {"phase": phase}}


def test_a_pod_answers_through_the_proxy_whatever_its_status(api: client.ApiClient) -> None:
    (process,) = running_processes([a_pod("sink-1")], api, "messaging")
    assert (process.processor, process.name) == ("sink", "sink-1")
    assert process.get("metrics") == b"# TYPE a counter\na_total 1.0\n"
    assert process.get("readyz") == b'{"ready":false,"away":{"kafka":"gone"}}'


def test_pods_that_end_or_do_not_run_are_not_asked(api: client.ApiClient) -> None:
    pods = [a_pod("a", "Pending"), a_pod("b", deletionTimestamp="2030-01-01T00:00:00Z"), a_pod("c")]
    assert [process.name for process in running_processes(pods, api, "messaging")] == ["c"]


def test_an_api_server_that_does_not_answer_leaves_a_gap() -> None:
    configuration = client.Configuration(host="http://127.0.0.1:9")
    configuration.retries = False
    nowhere = client.ApiClient(configuration)
    (process,) = running_processes([a_pod("sink-1")], nowhere, "messaging")
    assert process.get("metrics") is None
