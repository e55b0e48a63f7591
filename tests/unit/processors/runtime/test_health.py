"""What a process says of itself, and what is asked of it over HTTP."""

import socket
import struct
import threading
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from messaging_api.processor import Readiness
from messaging_processors.runtime.health import STUCK_AFTER, Health, serve
from testkit.clocks import Clock
from testkit.waiting import eventually

_RST_AT_CLOSE = struct.pack("ii", 1, 0)


def test_it_is_ready_once_started_unless_something_required_is_away_or_it_drains() -> None:
    health = Health()
    assert not health.readiness().ready
    health.started()
    assert health.readiness() == Readiness(ready=True)
    health.away("redis", "refused", required=False)
    assert health.readiness() == Readiness(ready=True, away={"redis": "refused"})
    health.away("database", "refused")
    assert not health.readiness().ready
    health.back("database")
    health.back("redis")
    assert health.readiness() == Readiness(ready=True)
    health.drain()
    assert not health.readiness().ready


def test_the_latest_reason_is_told() -> None:
    health = Health()
    health.away("kafka", "not connected yet")
    health.away("kafka", "refused")
    assert health.readiness().away == {"kafka": "refused"}


def test_it_lives_as_long_as_its_loop_turns() -> None:
    clock = Clock()
    health = Health(clock)
    clock.now += 10 * STUCK_AFTER
    assert health.alive(), "before the first turn it may wait for what it needs"
    health.beat()
    clock.now += STUCK_AFTER - 1
    assert health.alive()
    clock.now += 1
    assert not health.alive()


@pytest.fixture
def clock() -> Clock:
    return Clock(STUCK_AFTER)


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


@pytest.fixture
def connection(health: Health) -> Iterator[HTTPConnection]:
    server = serve(health, 0)
    connection = HTTPConnection("127.0.0.1", server.server_address[1], timeout=5)
    yield connection
    connection.close()
    server.shutdown()
    server.server_close()


def get(connection: HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_readiness_is_a_status_and_a_reason(health: Health, connection: HTTPConnection) -> None:
    health.started()
    health.away("database", "refused")
    status, body = get(connection, "/readyz")
    assert (status, Readiness.model_validate_json(body).away) == (503, {"database": "refused"})
    health.back("database")
    assert get(connection, "/readyz") == (200, b'{"ready":true,"away":{}}')


def test_a_dead_dependency_is_no_reason_to_be_restarted(health: Health, connection: HTTPConnection) -> None:
    health.beat()
    health.away("database", "refused")
    assert get(connection, "/healthz")[0] == 200


def test_a_loop_that_is_stuck_is_a_reason_and_says_where(
    health: Health, clock: Clock, connection: HTTPConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    health.beat()
    clock.now += STUCK_AFTER
    assert get(connection, "/healthz")[0] == 503
    assert "in test_a_loop_that_is_stuck_is_a_reason_and_says_where" in capfd.readouterr().err


def test_metrics_are_served_and_nothing_else(connection: HTTPConnection) -> None:
    assert b"python_info" in get(connection, "/metrics")[1]
    assert get(connection, "/secrets")[0] == 404


def test_a_prober_that_hangs_up_early_is_no_failure(
    connection: HTTPConnection, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection((connection.host, connection.port)) as prober:
        prober.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_AT_CLOSE)
    get(connection, "/healthz")  # the server has met the prober before
    eventually(lambda: not any("process_request" in thread.name for thread in threading.enumerate()))
    assert capsys.readouterr().err == ""
