"""PostgreSQL stopped, cut off and locked; Redis dead, silent and full."""

import signal
from collections.abc import Callable
from functools import partial

import redis
import sqlalchemy as sa

from chaos.database_proxy import Cut
from chaos.episode import Fault
from chaos.scene import Scene
from messaging_processors.runtime.cache import REDIS
from messaging_processors.runtime.database import DATABASE
from testkit.waiting import eventually, for_seconds, must_answer

_AWAY = "dependency away"
_LOCKED_SECONDS = 14.0
"""Longer than any statement may take; and of what is accepted meanwhile some is late beyond doubt."""
_CUTS = [Cut.AFTER, Cut.BEFORE] * 6
_CALLERS_CUTS = [Cut.AFTER, Cut.BEFORE]
_DEADLOCKS = 3
_DEADLOCK, _OURS, _CUT = "deadlocks with others as victims", "deadlocks with this test as the victim", "commits cut"
_SOME = 150
_NOTICED_GAP = 2.0


def _postgres_stops(scene: Scene) -> None:
    """As `pg_ctl stop -m immediate` does. Nothing may go to the dead letters for it."""
    postgres = scene.world.postgres
    postgres.process.send_signal(signal.SIGQUIT)
    postgres.process.wait(20)
    try:
        scene.until(lambda: _database_away(scene, "billing-") >= 2 and _database_away(scene, "be-messaging"))
    finally:
        postgres.start()


def _commits_are_cut(scene: Scene) -> None:
    """Those of be-messaging, too, which are not counted: top-ups and accounts."""
    proxies = scene.world.services.proxies
    proxies.workers.cut_commits(_CUTS)
    proxies.messaging.cut_commits(_CALLERS_CUTS)
    scene.until(lambda: not (proxies.workers.to_cut or proxies.messaging.to_cut), within=90)
    scene.tally[_CUT] = len(_CUTS)


def _tables_are_locked(scene: Scene) -> None:
    with scene.world.connected() as connection:
        eventually(partial(_locked, connection))
        scene.until(lambda: scene.said("waiting") and scene.said("waiting for a dependency"))
        for_seconds(_LOCKED_SECONDS)


@must_answer(sa.exc.OperationalError)
def _locked(connection: sa.Connection) -> bool:
    """Until the end of the connection; whoever asks for so much at once may be the victim of a deadlock."""
    connection.rollback()
    connection.execute(sa.text("LOCK TABLE accounts, ledger_entries, messages IN ACCESS EXCLUSIVE MODE"))
    return True


def _deadlocks(scene: Scene) -> None:
    """Takes accounts in another order than everybody else, until others were the victims of that."""
    names = [name for name, kind in scene.load.accounts.items() if kind.name == "owing"]
    with scene.world.connected() as connection:
        before = _count_deadlocks(connection)

        def met() -> bool:
            scene.tally[_OURS] += _is_victim(connection, scene.world.tenant, names)
            scene.tally[_DEADLOCK] = _count_deadlocks(connection) - before - scene.tally[_OURS]
            return scene.tally[_DEADLOCK] >= _DEADLOCKS

        eventually(met, within=90, every=0)


def _is_victim(connection: sa.Connection, tenant: str, names: list[str]) -> bool:
    lock = sa.text("SELECT 1 FROM accounts WHERE tenant = :tenant AND id = :id FOR UPDATE")
    try:
        with connection.begin():
            for name in sorted(names, reverse=True):
                connection.execute(lock, {"tenant": tenant, "id": name})
    except sa.exc.OperationalError:
        return True
    return False


def _count_deadlocks(connection: sa.Connection) -> int:
    with connection.begin():
        connection.execute(sa.text("SELECT pg_stat_clear_snapshot()"))
        return int(connection.execute(sa.text("SELECT sum(deadlocks) FROM pg_stat_database")).scalar_one())


def _redis(vanish: Callable[[Scene], Callable[[], object]]) -> Callable[[Scene], None]:
    """Redis goes, and nobody notices but health: messages are accepted, charged and sent as before."""

    def strike(scene: Scene) -> None:
        come_back = vanish(scene)
        try:
            calls = len(scene.calls)
            scene.load.await_accepted(_SOME, within=20)
            scene.until(lambda: len(scene.calls) - calls > _SOME / 4)
        finally:
            come_back()
        assert scene.load.longest_gap < _NOTICED_GAP, f"nothing was accepted for {scene.load.longest_gap:.1f} s"

    return strike


def _dies(scene: Scene) -> Callable[[], object]:
    scene.world.services.redis.kill()
    return scene.world.services.redis.start


def _falls_silent(scene: Scene) -> Callable[[], object]:
    scene.world.services.redis.pause()
    return scene.world.services.redis.resume


def _fills_up(scene: Scene) -> Callable[[], object]:
    _configure(scene, "1mb")
    return lambda: _configure(scene, "0")


def _configure(scene: Scene, memory: str) -> None:
    with redis.Redis.from_url(scene.world.services.redis.address) as client:
        client.config_set("maxmemory", memory)


def _nobody_has_left(scene: Scene) -> None:
    """Whatever a batch waits for, its owner stays in the group."""
    assert not scene.said("partitions lost"), "there was a rebalance"


def _waited(scene: Scene) -> int:
    """Billing and sinks, for what they need."""
    return scene.said("waiting") + scene.said("waiting for a dependency")


def _database_away(scene: Scene, processor: str = "") -> int:
    return scene.said(_AWAY, processor, dependency=DATABASE)


def _redis_away(scene: Scene) -> int:
    return scene.said(_AWAY, dependency=REDIS)


FAULTS = (
    Fault("PostgreSQL stops at once", "S1", _postgres_stops, _database_away, _nobody_has_left),
    Fault("commits are cut off", "S2", _commits_are_cut, lambda scene: scene.tally[_CUT]),
    Fault("tables are locked", "S3", _tables_are_locked, _waited),
    Fault("deadlocks", "S3", _deadlocks, lambda scene: scene.tally[_DEADLOCK]),
    Fault("Redis dies", "S5", _redis(_dies), _redis_away, _nobody_has_left),
    Fault("Redis is silent", "S5", _redis(_falls_silent), _redis_away, _nobody_has_left),
    Fault("Redis is full", "S5", _redis(_fills_up), _redis_away, _nobody_has_left),
)
