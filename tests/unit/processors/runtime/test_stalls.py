"""When a client is said to have stopped reading a partition: Kafka has more, and for long nothing moves."""

from collections.abc import Collection
from dataclasses import dataclass, field

import pytest

from messaging_processors.runtime.connection import QUEUE_KILOBYTES
from messaging_processors.runtime.records import Position
from messaging_processors.runtime.stalls import STALL_SECONDS, Stalls

ONE, OTHER = ("t", 0), ("t", 1)
LONG = int(STALL_SECONDS)


@dataclass
class World:
    """A client that tells of its two partitions once a second, and is looked for stalls each time."""

    now: int = 1_000
    next: dict[Position, int] = field(default_factory=lambda: {ONE: 5, OTHER: 5})
    ends: dict[Position, int] = field(default_factory=lambda: {ONE: 5, OTHER: 5})
    queued: tuple[int, int] = 0, 0
    """Records and kilobytes, of both: they share one queue."""
    asked: list[Position] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stalls = Stalls(lambda: self.now)

    def end(self, position: Position) -> int | None:
        self.asked.append(position)
        return self.ends.get(position)

    def pass_seconds(self, seconds: int, read: Collection[Position] = (ONE, OTHER)) -> Position | None:
        """What was found at the end."""
        found = None
        for _ in range(seconds):
            self.now += 1
            self.look(self.now, read)
            found = self.stalls.find(self.end)
        return found

    def look(self, now: int, read: Collection[Position] = (ONE, OTHER)) -> None:
        """What the client told then."""
        records, kilobytes = self.queued
        queue = {"fetchq_cnt": records, "fetchq_size": kilobytes * 1024}
        partitions = {
            str(at[1]): {"partition": at[1], "next_offset": offset, **queue} for at, offset in self.next.items()
        }
        self.stalls.look({"time": now, "topics": {"t": {"topic": "t", "partitions": partitions}}}, read)


@pytest.fixture
def world() -> World:
    return World()


def test_a_partition_that_stands_still_though_there_is_more_is_found(world: World) -> None:
    world.ends[OTHER] = 6
    assert world.pass_seconds(2 * LONG) is None
    assert world.pass_seconds(1) == OTHER


def test_at_the_end_of_its_records_it_may_stand_still(world: World) -> None:
    assert world.pass_seconds(100 * LONG) is None
    assert world.asked == [ONE, OTHER] * 99


def test_what_comes_while_it_is_asked_for_is_nothing_missed(world: World) -> None:
    world.ends[ONE] = 6
    world.pass_seconds(LONG + 1)
    assert world.asked == [ONE, OTHER]
    world.next[ONE] = 6
    assert world.pass_seconds(10 * LONG) is None


def test_who_moves_is_not_asked_for(world: World) -> None:
    for _ in range(5 * LONG):
        world.next[ONE] += 1
        world.pass_seconds(1)
    assert world.asked == [OTHER] * 4


def test_after_a_pause_it_is_looked_at_anew(world: World) -> None:
    world.ends[ONE] = 6
    for _ in range(10):
        world.pass_seconds(2 * LONG, read=(ONE,))
        assert world.pass_seconds(1, read=()) is None
    assert world.pass_seconds(2 * LONG + 1) == ONE


@pytest.mark.parametrize("queued", [(100_000, 1), (1, QUEUE_KILOBYTES)], ids=["records", "bytes"])
def test_a_client_that_has_as_much_as_it_may_need_not_ask_for_more(world: World, queued: tuple[int, int]) -> None:
    world.ends[ONE] = 6
    world.queued = queued
    assert world.pass_seconds(10 * LONG) is None
    assert world.asked == []


def test_one_beside_another_that_is_busy_is_found(world: World) -> None:
    world.ends[ONE] = 6
    world.queued = 500, 80
    found = []
    for _ in range(2 * LONG + 1):
        world.next[OTHER] += 1
        found.append(world.pass_seconds(1))
    assert found == [None] * 2 * LONG + [ONE]


def test_what_was_told_before_it_was_asked_for_says_nothing_of_it(world: World) -> None:
    """A turn of the loop took long: half a minute's statistics are heard at once, and then the record."""
    world.pass_seconds(LONG)
    begun = world.now
    world.now += 30
    world.ends[ONE] = 6
    world.look(begun + 1)
    assert world.stalls.find(world.end) is None
    assert world.asked == [ONE, OTHER]
    for second in range(2, 31):
        world.look(begun + second)
        assert world.stalls.find(world.end) is None


def test_where_nobody_answers_it_is_asked_again_later(world: World) -> None:
    del world.ends[ONE]
    assert world.pass_seconds(2 * LONG) is None
    assert world.asked == [ONE, OTHER]
    world.ends[ONE] = 6
    assert world.pass_seconds(2 * LONG) == ONE
