"""The recording third party, over HTTP as sinks and tests speak to it."""

from collections.abc import Iterator

import httpx
import pytest

from messaging_cli.local.third_party import third_party


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with third_party() as running, httpx.Client(base_url=running.address) as client:
        yield client


def send(client: httpx.Client, key: str) -> httpx.Response:
    return client.post("/messages/marketing", json={"to": "+12025550101"}, headers={"Idempotency-Key": key})


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
