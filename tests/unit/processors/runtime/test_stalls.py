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

    stalls: Stalls = field(default_factory=Stalls)
    now: int = 1_000
    next: dict[Position, int] = field(default_factory=lambda: {ONE: 5, OTHER: 5})
    ends: dict[Position, int] = field(default_factory=lambda: {ONE: 5, OTHER: 5})
    queued: dict[Position, int] = field(default_factory=dict)
    """Kilobytes."""
    asked: list[Position] = field(default_factory=list)

    def end(self, position: Position) -> int:
        self.asked.append(position)
        return self.ends[position]

    def pass_seconds(self, seconds: int, read: Collection[Position] = (ONE, OTHER)) -> Position | None:
        """What was found at the end."""
        found = None
        for _ in range(seconds):
            self.now += 1
            partitions = {
                str(at[1]): {
                    "partition": at[1],
                    "next_offset": offset,
                    "fetchq_cnt": self.queued.get(at, 0),
                    "fetchq_size": self.queued.get(at, 0) * 1024,
                }
                for at, offset in self.next.items()
            }
            told = {"ts": self.now * 1_000_000, "topics": {"t": {"topic": "t", "partitions": partitions}}}
            self.stalls.look(told, read)
            found = self.stalls.find(self.end)
        return found


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


@pytest.mark.parametrize("queued", [{ONE: 1}, {OTHER: QUEUE_KILOBYTES}], ids=["of it", "as much as it may, of another"])
def test_a_client_that_has_records_need_not_ask_for_more(world: World, queued: dict[Position, int]) -> None:
    world.ends[ONE] = 6
    world.queued = queued
    assert world.pass_seconds(10 * LONG) is None
    assert ONE not in world.asked


def test_where_nobody_answers_it_is_asked_again_later(world: World) -> None:
    world.ends[ONE] = -1
    assert world.pass_seconds(2 * LONG + 1) is None
    world.ends[ONE] = 6
    assert world.pass_seconds(2 * LONG) == ONE
