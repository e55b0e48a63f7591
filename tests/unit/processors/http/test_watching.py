"""Dependencies that answer, refuse, fail or stay silent, and what health says of each."""

import threading

import pytest

from messaging_processors.config import Ports, Secrets
from messaging_processors.runtime import watching
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.process import Runtime
from messaging_processors.runtime.watching import reporting, require, watch
from testkit.waiting import eventually


@pytest.fixture
def health() -> Health:
    health = Health()
    health.started()
    return health


def raising(error: Exception) -> None:
    raise error


def test_an_absent_dependency_is_reported_and_so_is_its_return(health: Health) -> None:
    reporting(health, "kafka", lambda: raising(Away("kafka", "no broker")))()
    assert (health.readiness().ready, health.readiness().away) == (False, {"kafka": "no broker"})
    reporting(health, "kafka", lambda: None)()
    assert (health.readiness().ready, health.readiness().away) == (True, {})


def test_a_dependency_that_is_not_required_is_reported_all_the_same(health: Health) -> None:
    reporting(health, "redis", lambda: raising(Away("redis", "gone")), required=False)()
    assert (health.readiness().ready, health.readiness().away) == (True, {"redis": "gone"})


def test_an_unforeseen_failure_is_an_absence_and_does_not_end_the_watch(health: Health) -> None:
    reporting(health, "database", lambda: raising(ZeroDivisionError("odd")))()
    assert health.readiness().away == {"database": "ZeroDivisionError: odd"}


def test_silence_is_an_absence_before_it_ends(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE", 0.05)
    answered = threading.Event()
    look = threading.Thread(target=reporting(health, "database", lambda: raising_unless(answered.wait(10))))
    look.start()
    eventually(lambda: health.readiness().away == {"database": "no answer in 0.05 s"}, within=5, every=0.01)
    answered.set()
    look.join()
    assert health.readiness().away == {}


def raising_unless(answered: bool) -> None:
    assert answered


def test_it_looks_at_once_and_again_and_again(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "EVERY", 0.01)
    runtime = Runtime(Secrets(), Ports(), health, threading.Event())
    looks: list[None] = []
    watch(runtime, lambda: looks.append(None))
    assert looks
    eventually(lambda: len(looks) > 2, within=5, every=0.01)
    runtime.shutdown.set()


def test_nobody_waits_for_what_is_known_to_be_away(health: Health) -> None:
    require(health, "kafka")
    health.away("kafka", "no broker")
    with pytest.raises(Away, match="no broker"):
        require(health, "kafka")
