"""The C library under the Kafka client, asked directly for what the client itself does not offer."""

import ctypes
from pathlib import Path

import confluent_kafka


def loaded() -> ctypes.CDLL:
    """The copy that the client has loaded."""
    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    return ctypes.CDLL(str(next(folder.glob("librdkafka*.so*"))))
