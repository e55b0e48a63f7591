"""The recording third party, over HTTP as sinks and tests speak to it."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from messaging_cli.local.third_party import Receipts, third_party
from testkit.waiting import eventually


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with third_party() as running, httpx.Client(base_url=running.address) as client:
        yield client


def send(client: httpx.Client, key: str, account: str = "a", path: str = "/messages/marketing") -> httpx.Response:
    message = {"id": key, "accountId": account, "domain": "marketing", "to": "+12025550101"}
    return client.post(path, json=message, headers={"Idempotency-Key": key})


def test_calls_are_recorded_in_order_and_counted_apart_from_repetitions(client: httpx.Client) -> None:
    assert {send(client, key).status_code for key in ("b", "a", "b")} == {200}
    assert client.get("/calls").json() == {"count": 3, "distinct": 2, "ids": ["b", "a", "b"]}
    record = client.get("/records").json()[0]
    assert (record["id"], record["path"], record["status"]) == ("b", "/messages/marketing", 200)
    assert "+12025550101" in record["body"]
    client.delete("/calls")
    assert client.get("/calls").json()["count"] == 0


def test_it_fails_for_the_ids_it_was_told_to_until_it_is_healed(client: httpx.Client) -> None:
    client.post("/behaviour", json={"status": 503, "retryAfter": 7, "ids": ["bad"]}).raise_for_status()
    refused = send(client, "bad")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "7")
    assert send(client, "good").status_code == 200
    client.post("/behaviour", json={}).raise_for_status()
    assert send(client, "bad").status_code == 200


def test_a_misspelt_behaviour_is_refused_and_changes_nothing(client: httpx.Client) -> None:
    assert client.post("/behaviour", json={"statsu": 500}).status_code == 400
    assert send(client, "a").status_code == 200


def test_what_is_repeated_has_one_effect_and_what_failed_has_none(client: httpx.Client) -> None:
    client.post("/behaviour", json={"status": 500, "ids": ["3"]}).raise_for_status()
    for key, account in (("1", "a"), ("2", "b"), ("1", "a"), ("3", "a"), ("4", "a")):
        send(client, key, account)
    assert client.get("/effects").json() == {
        "attempts": {"1": 2, "2": 1, "3": 1, "4": 1},
        "effects": ["1", "2", "4"],
        "order": {"a": ["1", "4"], "b": ["2"]},
    }
    client.delete("/calls")
    assert client.get("/effects").json()["effects"] == []


def test_what_had_an_effect_is_not_refused_when_it_is_asked_for_again(client: httpx.Client) -> None:
    send(client, "1")
    client.post("/behaviour", json={"status": 422, "retryAfter": 7}).raise_for_status()
    repeated = send(client, "1")
    assert (repeated.status_code, "Retry-After" in repeated.headers) == (200, False)
    assert send(client, "2").status_code == 422
    assert [record["status"] for record in client.get("/records").json()] == [200, 200, 422]


def test_a_reset_comes_after_the_effect(client: httpx.Client) -> None:
    client.post("/behaviour", json={"fault": "reset"}).raise_for_status()
    with pytest.raises(httpx.RemoteProtocolError):
        send(client, "1")
    client.post("/behaviour", json={}).raise_for_status()
    assert send(client, "1").status_code == 200
    effects = client.get("/effects").json()
    assert (effects["attempts"], effects["effects"]) == ({"1": 2}, ["1"])


def test_garbage_is_a_success_that_nobody_can_read(client: httpx.Client) -> None:
    client.post("/behaviour", json={"fault": "garbage"}).raise_for_status()
    with pytest.raises(httpx.DecodingError):
        send(client, "1")
    assert client.get("/effects").json()["effects"] == ["1"]
    assert client.get("/records").json()[0]["fault"] == "garbage"


def test_it_fails_for_a_share_of_the_calls_and_on_the_path_that_it_was_told(client: httpx.Client) -> None:
    client.post("/behaviour", json={"status": 503, "path": "/messages/marketing", "share": 0.5}).raise_for_status()
    found = {send(client, str(number)).status_code for number in range(50)}
    assert found == {200, 503}
    assert {send(client, str(number), path="/messages/other").status_code for number in range(50)} == {200}
    client.post("/behaviour", json={}).raise_for_status()
    assert {send(client, str(number)).status_code for number in range(50)} == {200}


def test_every_effect_is_told_once_where_receipts_go(client: httpx.Client) -> None:
    told: list[tuple[str | None, dict[str, Any]]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            told.append((self.headers["X-API-Key"], json.loads(content)))
            self.send_response(202)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the base class's name
            """Silent."""

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1/receipts"
        client.post("/receipts", json={"url": url, "key": "k", "status": "failed", "reason": "Absent"})
        for key in ("1", "1", "2"):
            send(client, key)
        eventually(lambda: len(told) >= 2, within=10)
        server.shutdown()
        thread.join()
    receipt = {"accountId": "a", "domain": "marketing", "status": "failed", "reason": "Absent"}
    assert sorted(told, key=lambda one: str(one[1]["id"])) == [("k", {"id": key} | receipt) for key in ("1", "2")]


def test_a_request_that_breaks_off_has_asked_for_nothing() -> None:
    with third_party() as provider:
        place = urlsplit(provider.address)
        with socket.create_connection((place.hostname, place.port)) as broken:
            broken.sendall(b"POST /messages HTTP/1.1\r\nIdempotency-Key: half\r\nContent-Length: 10\r\n\r\n{")
            broken.shutdown(socket.SHUT_WR)
            assert broken.recv(1) == b""
        assert provider.records == []


def test_one_receipt_in_so_many_tells_of_a_failure_always_of_the_same_ids() -> None:
    receipts = Receipts(failedOneIn=10)
    statuses = [receipts.status_of(str(key)) for key in range(1000)]
    assert statuses == [receipts.status_of(str(key)) for key in range(1000)]
    assert 50 < Counter(statuses)["failed"] < 150
    assert {Receipts().status_of(str(key)) for key in range(1000)} == {"delivered"}
