"""Reading Kafka as a member of a group; billing and sinks call it.

Promises: what `read` returns belongs to partitions that are ours, and comes with a token that the broker refuses as
soon as they may be somebody else's; every partition, gained or rewound, is read from where the group is and from
nowhere else.

The client's own way to a partition's first offset is not taken. It starts at `auto.offset.reset`, the beginning, where
somebody's open transaction hides the offset while a second rebalance comes; all that is in the partition would be
charged again. It also gives a partition up for good when the question fails. So a gained partition is paused, we ask
where the group is ourselves, as often as it takes, and seek.

An offset that stays hidden belongs to a member that is gone, or does not know yet that the partition is no longer its
own, or Kafka has lost sight of it. Whoever knows how may end that (`on_hidden`, under the membership of `nobody`).
A client that is stranded (`connection`), has stopped reading a partition (`stalls`) or does not get over what passes
(`patience`) is replaced by another member; what was ours is lost.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from messaging_processors.runtime import metrics
from messaging_processors.runtime.asking import Questions, end_of
from messaging_processors.runtime.connection import LIBRARY_LOG, Connection, Statistics, group_settings
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.patience import Patience, Trouble
from messaging_processors.runtime.positions import group_changed, partitions_of, positions_of, record_of, targets
from messaging_processors.runtime.records import Position, Record
from messaging_processors.runtime.stable_offsets import StableOffsets
from messaging_processors.runtime.stalls import Stalls

_ASK_AGAIN_SECONDS = 0.3
_COMMIT_AGAIN_SECONDS = 2.0
_log = structlog.get_logger()


@dataclass(frozen=True)
class Batch:
    """Records, and the proof of membership under which they were read."""

    records: list[Record]
    group: object


class Reader:
    """One member of a consumer group. Not thread-safe; `read` or `idle` must be called at least once a minute."""

    def __init__(
        self,
        connection: Connection,
        group_id: str,
        topics: list[str],
        on_hidden: Callable[[frozenset[Position], object], None] = lambda *_: None,
    ) -> None:
        self._connection = connection
        self._on_hidden = on_hidden
        self._assigned: set[Position] = set()
        self._lost: set[Position] = set()
        self._astray: set[Position] = set()
        self._paused: set[Position] = set()
        self._stable_offsets = StableOffsets()
        self._lost_meanwhile: set[Position] = set()
        self._ask_at = 0.0
        self._held = False
        self._uncommitted: dict[Position, int] = {}
        self._commit_again_at = 0.0
        self._topics = topics
        self._settings = connection.settings() | group_settings(group_id) | {"on_commit": self._noted}
        self._consumer = self._new_consumer()
        self._questions = Questions(self._settings)

    @property
    def assigned(self) -> frozenset[Position]:
        """The partitions that are ours."""
        return frozenset(self._assigned)

    def are_hidden(self, positions: Collection[Position], beside: Position) -> bool | None:
        """Whether the group's offsets of these, whosever they are, cannot be had; None if not even the one `beside`."""
        for asked, otherwise in (([beside], None), (positions, True)):
            try:
                self._questions.committed(asked)
            except Away:
                return otherwise
        return False

    def lost(self) -> set[Position]:
        """The partitions that were taken from us since this was last asked, also those that came back."""
        lost, self._lost = self._lost, set()
        return lost

    def read(self, limit: int, seconds: float) -> Batch:
        """Up to `limit` records; waits up to `seconds` for them."""
        self._find_way()
        self._leave_stuck()
        self._lost_meanwhile.clear()
        records = self._consume(limit, seconds)
        found = {record.position for record in records}
        doubtful = found & (self._lost_meanwhile | self._astray) if self._group != self.nobody else found
        self.rewind(doubtful)
        return Batch([record for record in records if record.position not in doubtful], self._group)

    def idle(self, seconds: float) -> None:
        """Stays a member of the group without reading; call it while held.

        What comes nevertheless, of a partition that has just become ours, is read again later.
        """
        self.rewind(record.position for record in self._consume(1, seconds))

    def rewind(self, positions: Iterable[Position]) -> None:
        """These partitions are read again from where the group is, before anything else of them is."""
        mine = set(positions) & self._assigned
        if mine:
            self._astray |= mine
            self._pause(mine)

    def hold(self) -> None:
        """Stops fetching. Orders nothing twice: each order is a chance for the client to lose one (`stalls`)."""
        self._held = True
        self._pause(self._assigned - self._paused)

    def release(self) -> None:
        """Fetches again."""
        self._held = False
        self._resume(self._assigned - self._astray)

    def commit(self, offsets: Mapping[Position, int]) -> None:
        """The group goes on from `offsets`.

        Does not wait: the client's own waiting has no deadline. It is repeated until Kafka has noted it or the
        partition is no longer ours, for what is read twice meanwhile must do no harm anyway.
        """
        self._uncommitted |= offsets
        self._commit_again_at = time.monotonic() + _COMMIT_AGAIN_SECONDS
        try:
            self._consumer.commit(offsets=targets(self._uncommitted), asynchronous=True)
        except KafkaException as error:
            self._connection.failed(f"offsets not committed: {error.args[0]}")

    def close(self) -> None:
        """Leaves the group, so that others take over at once; gives the last commit its time."""
        self.hold()
        deadline = time.monotonic() + _COMMIT_AGAIN_SECONDS
        while self._uncommitted and time.monotonic() < deadline:
            self.idle(0.1)
        self._consumer.close()
        self._questions.close()

    def _new_consumer(self) -> Consumer:
        consumer = Consumer(self._settings | self._connection.watched(self._look), logger=LIBRARY_LOG)
        # Before it can have joined; else nobody's membership would be ours, and all that it reads would be doubtful.
        self._group = self.nobody = consumer.consumer_group_metadata()
        self._stalls, self._patience = Stalls(), Patience()
        self._told: Statistics = {}
        consumer.subscribe(self._topics, on_assign=self._gain, on_revoke=self._lose, on_lost=self._lose)
        return consumer

    def _replace_consumer(self, why: str) -> None:
        _log.warning(f"{why}, another client tries", not_rewound=sorted(self._astray), group=self._told)
        metrics.CLIENTS_GIVEN_UP.inc()
        self._lose(self._consumer, partitions_of(self._assigned))
        end = end_of(self._consumer)
        self._consumer = self._new_consumer()
        end.start()

    def _noted(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        """Kafka's answer to a commit; called by the client inside `consume`."""
        if failure := error or next((place.error for place in places if place.error), None):
            _log.info("offsets not committed", error=str(failure))
            self._patience.note(Trouble.REFUSED, group_changed(failure))
            if not group_changed(failure):
                self._connection.failed(f"offsets not committed: {failure}")
            return
        self._patience.note(Trouble.REFUSED, lasts=False)
        noted = {(place.topic, place.partition): place.offset for place in places}
        self._uncommitted = {at: offset for at, offset in self._uncommitted.items() if offset > noted.get(at, -1)}
        self._connection.worked()

    def _look(self, statistics: Statistics) -> None:
        self._stable_offsets.look(statistics, self._assigned, self._paused)
        away, self._told = self._connection.is_away(), statistics.get("cgrp", {})  # there is none while it closes
        self._stalls.look(statistics, set() if away else self._assigned - self._paused)
        settled = self._told.get("join_state") == "steady" and self._told["assignment_size"] == len(self._assigned)
        self._patience.note(Trouble.UNSETTLED, not (settled or away))
        self._questions.listen()

    def _leave_stuck(self) -> None:
        if trouble := self._patience.spent():
            self._replace_consumer(trouble)
        elif stalled := self._stalls.find(self._questions.end):
            self._replace_consumer(f"{stalled[0]}[{stalled[1]}] was not read for long, though Kafka has more of it")

    def _consume(self, limit: int, seconds: float) -> list[Record]:
        if self._connection.needs_another_client():
            self._replace_consumer("no broker was connected for long")
        if self._uncommitted and time.monotonic() >= self._commit_again_at:
            self.commit({})
        messages = self._consumer.consume(limit, seconds)
        for error in filter(None, (message.error() for message in messages)):
            self._complain(error)
        return [record_of(message) for message in messages if not message.error()]

    def _complain(self, error: KafkaError) -> None:
        if error.fatal():
            raise KafkaException(error)
        _log.warning("consumer error", error=str(error))
        self._connection.failed(str(error))

    def _find_way(self) -> None:
        """Seeks what is astray to where the group is; while Kafka can't say where that is, the others are read on.

        The admin client would tell which of them are hidden. It ends the process where it gets no answer in time
        (librdkafka 2.16: `rd_kafka_enq_once_del_source_return: Assertion`).
        """
        if not self._astray or time.monotonic() < self._ask_at:
            return
        try:
            places = self._questions.committed(self._astray)
        except Away as error:
            _log.info("the group's offsets are not known yet", partitions=sorted(self._astray), error=str(error))
            if not self._connection.is_away():
                self._on_hidden(frozenset(self._astray), self.nobody)
            self._ask_at = time.monotonic() + _ASK_AGAIN_SECONDS
            return
        self._connection.answered()
        self._set_out([place for place in places if self._sought(place)])

    def _sought(self, place: TopicPartition) -> bool:
        """Whether the client reads on from there; it does not before it has started the partition."""
        offset = place.offset if place.offset >= 0 else OFFSET_BEGINNING
        try:
            self._consumer.seek(TopicPartition(place.topic, place.partition, offset))
        except KafkaException as error:
            _log.info("not rewound yet", topic=place.topic, partition=place.partition, error=str(error))
            return False
        _log.info("rewound", topic=place.topic, partition=place.partition, offset=offset)
        return True

    def _set_out(self, found: list[TopicPartition]) -> None:
        """These are astray no longer; the others are tried again for a while."""
        self._astray -= positions_of(found)
        if not self._held:
            self._resume(positions_of(found))
        self._patience.note(Trouble.UNMOVED, bool(self._astray))
        if self._astray:
            self._ask_at = time.monotonic() + _ASK_AGAIN_SECONDS

    def _pause(self, positions: set[Position]) -> None:
        """The client remembers a pause even beyond the loss of a partition: it must be taken back by then."""
        self._consumer.pause(partitions_of(positions))
        self._paused |= positions

    def _resume(self, positions: set[Position]) -> None:
        """Only what is paused: a partition that isn't would be read again from where the client once started."""
        paused = positions & self._paused
        if paused:
            self._consumer.resume(partitions_of(paused))
            self._paused -= paused

    def _gain(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        gained = positions_of(partitions)
        consumer.incremental_assign([TopicPartition(topic, partition, 0) for topic, partition in gained])
        self._assigned |= gained
        self._patience.note(Trouble.REFUSED, lasts=False)
        self.rewind(gained)
        # The membership under which these partitions are ours, and not what the client knows of itself later: it may
        # have lost a partition without having told us, and the broker accepts its newest metadata for any partition.
        self._group = consumer.consumer_group_metadata()
        _log.info("partitions gained", partitions=sorted(gained))

    def _lose(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._resume(positions_of(partitions))
        self._assigned -= positions_of(partitions)
        self._astray -= positions_of(partitions)
        self._patience = Patience()
        self._lost |= positions_of(partitions)
        self._lost_meanwhile |= positions_of(partitions)
        self._uncommitted = {at: offset for at, offset in self._uncommitted.items() if at in self._assigned}
        _log.info("partitions lost", partitions=sorted(positions_of(partitions)))
