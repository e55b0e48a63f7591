"""The C library under the Kafka client, asked directly for what the client itself does not offer."""

import ctypes
from pathlib import Path

import confluent_kafka
from confluent_kafka import KafkaError, Producer


def loaded() -> ctypes.CDLL:
    """The copy that the client has loaded."""
    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    return ctypes.CDLL(str(next(folder.glob("librdkafka*.so*"))))


def break_for_good(producer: Producer) -> None:
    """The producer meets a fatal error; no broker can be made to cause one in a test."""
    handle = ctypes.c_void_p.from_address(id(producer) + object.__basicsize__)  # the first field of the client's object
    assert loaded().rd_kafka_test_fatal_error(handle, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, b"a gap") == 0
