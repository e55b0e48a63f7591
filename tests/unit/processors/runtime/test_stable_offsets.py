"""What is told of open transactions: how much they keep from being read, and for how long one is late."""

import pytest
from prometheus_client import REGISTRY

from messaging_processors.runtime.connection import QUEUE_KILOBYTES, Statistics
from messaging_processors.runtime.stable_offsets import LATE_SECONDS, StableOffsets

READ = {("t", 0), ("t", 1)}
Offsets = tuple[int, int]
"""Where a partition ends, and where its first open transaction begins."""
OPEN, ENDED = (10, 4), (10, 10)
ON_TIME = 1 + int(LATE_SECONDS)
"""So often may an open one be seen."""
FIRST = ON_TIME - LATE_SECONDS
"""What the next look counts."""


class World:
    """A client that tells of itself once a second, and what the metrics make of it."""

    def __init__(self) -> None:
        self.stable_offsets = StableOffsets()
        self.now = 1_000
        self._late_before = sample("messaging_late_transaction_seconds_total")

    def pass_seconds(
        self, seconds: int, *offsets: Offsets, connected: bool = True, queued: int = 0, paused: bool = False
    ) -> None:
        for _ in range(seconds):
            self.now += 1
            told = statistics(self.now, offsets, connected, queued)
            self.stable_offsets.look(told, READ, READ if paused else set())

    @property
    def late(self) -> float:
        return sample("messaging_late_transaction_seconds_total") - self._late_before

    @property
    def blocked(self) -> float:
        return sample("messaging_last_stable_offset_lag")


def sample(name: str) -> float:
    found = REGISTRY.get_sample_value(name)
    assert found is not None
    return found


def statistics(seconds: int, offsets: tuple[Offsets, ...], connected: bool, queued: int) -> Statistics:
    found = {
        str(number): {"partition": number, "hi_offset": end, "ls_offset": stable, "fetchq_size": queued}
        for number, (end, stable) in enumerate(offsets)
    }
    return {
        "ts": seconds * 1_000_000,
        "brokers": {"one": {"state": "UP" if connected else "DOWN"}},
        "topics": {"t": {"topic": "t", "partitions": found}} if offsets else {},
    }


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("offsets", "blocked"),
    [
        (((10, 10), (7, 7)), 0),
        (((10, 4), (7, 7)), 6),
        (((10, 4), (7, 0)), 13),
        (((10, 4), (7, -1001)), 6),
        (((-1001, -1001), (-1001, 7)), 0),
        (((10, 10), (7, 7), (9, 1)), 0),
        ((), 0),
    ],
    ids=["none", "one", "both", "not known of one", "not known", "of somebody else's", "nothing read yet"],
)
def test_what_is_behind_an_open_transaction_is_counted(
    world: World, offsets: tuple[Offsets, ...], blocked: int
) -> None:
    world.pass_seconds(1, *offsets)
    assert world.blocked == blocked


def test_a_transaction_is_late_until_it_ends(world: World) -> None:
    world.pass_seconds(ON_TIME, OPEN)
    assert world.late == 0
    world.pass_seconds(5, OPEN)
    assert world.late == FIRST + 4
    world.pass_seconds(5, ENDED)
    assert world.late == FIRST + 4


def test_one_transaction_after_the_other_is_not_late(world: World) -> None:
    for begin in range(30):
        world.pass_seconds(1, (begin + 5, begin))
    assert (world.blocked, world.late) == (5, 0)


def test_records_behind_a_late_transaction_make_it_no_younger(world: World) -> None:
    for end in range(ON_TIME + 4):
        world.pass_seconds(1, (end + 10, 4))
    assert world.late == FIRST + 3


def test_two_late_ones_at_a_time_are_one_time(world: World) -> None:
    world.pass_seconds(4, OPEN, ENDED)
    world.pass_seconds(ON_TIME, OPEN, OPEN)
    assert world.late == FIRST + 3
    world.pass_seconds(2, ENDED, OPEN)
    assert world.late == 2 * FIRST + 4


@pytest.mark.parametrize(("connected", "queued"), [(False, 0), (True, QUEUE_KILOBYTES * 1024)], ids=["away", "full"])
def test_what_the_client_knew_long_ago_is_nothing_late(world: World, connected: bool, queued: int) -> None:
    world.pass_seconds(30, OPEN, connected=connected, queued=queued)
    world.pass_seconds(ON_TIME, OPEN)
    assert (world.blocked, world.late) == (6, 0)
    world.pass_seconds(1, OPEN)
    assert world.late == FIRST


def test_what_is_paused_is_told_nothing_of_and_goes_on_where_it_was(world: World) -> None:
    world.pass_seconds(ON_TIME, OPEN)
    world.pass_seconds(30, OPEN, paused=True)
    assert (world.blocked, world.late) == (0, 0)
    world.pass_seconds(1, OPEN)
    assert (world.blocked, world.late) == (6, 0)
    world.pass_seconds(1, OPEN)
    assert world.late == FIRST
    world.pass_seconds(30, OPEN, paused=True)
    world.pass_seconds(ON_TIME, (10, 5))
    assert world.late == FIRST


def test_a_partition_that_was_not_ours_meanwhile_begins_anew(world: World) -> None:
    world.pass_seconds(30, ENDED, ENDED, OPEN)
    assert world.late == 0
    world.pass_seconds(5, OPEN)
    world.pass_seconds(1)
    world.pass_seconds(ON_TIME, OPEN)
    assert world.late == 0
