"""Questions that only Kafka can answer, by a client of their own; `Reader` asks.

The reader's own client answers late: behind its fetches, and where its group waits for a member, behind that.
"""

import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from messaging_processors.runtime.connection import KAFKA, LIBRARY_LOG
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.positions import partitions_of
from messaging_processors.runtime.records import Position

_ANSWER_SECONDS = 0.5
"""Whoever asks does so again and again: a member that is alive has written its transaction's end by then."""
_UNANSWERED = 60
"""In a row: like any client it may be stranded (`connection`), and another takes its place."""


class Questions:
    """Asks for a group that it never joins. Not thread-safe."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = dict(settings)
        self._client = self._new_client()

    def committed(self, positions: Collection[Position]) -> list[TopicPartition]:
        """Where the group is; raises `Away` where Kafka does not say so of one of them."""
        try:
            places = self._client.committed(partitions_of(positions), _ANSWER_SECONDS)
        except KafkaException as error:
            self._failed()
            raise Away(KAFKA, str(error.args[0])) from error
        self._unanswered = 0
        if hidden := next((place.error for place in places if place.error), None):
            raise Away(KAFKA, str(hidden))
        return places

    def end(self, position: Position) -> int | None:
        """Behind the last record that can be read, if Kafka says so."""
        with suppress(KafkaException):
            end = self._client.get_watermark_offsets(TopicPartition(*position), _ANSWER_SECONDS, cached=False)[1]
            self._unanswered = 0
            return end
        self._failed()
        return None

    def listen(self) -> None:
        """Once a second: lets the client say what it has to say."""
        self._client.poll(0)

    def close(self) -> None:
        """Ends the client."""
        self._client.close()

    def _new_client(self) -> Consumer:
        self._unanswered = 0
        return Consumer(self._settings, logger=LIBRARY_LOG)

    def _failed(self) -> None:
        self._unanswered += 1
        if self._unanswered > _UNANSWERED:
            end = end_of(self._client)
            self._client = self._new_client()
            end.start()


def end_of(client: Consumer) -> threading.Thread:
    """To be started when nobody else has the client: it is not closed, which may last for ever, but let go of there."""
    return threading.Thread(target=lambda _: None, args=(client,), name="end of a client", daemon=True)
