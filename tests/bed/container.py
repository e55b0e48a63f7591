"""`python -m bed.container kafka|postgres|redis`: turns into that service, listening on every address."""

import os
import sys
from pathlib import Path

from messaging_cli.local.services import (
    format_log,
    java,
    make_database,
    postgres_command,
    prepared,
    redis_command,
    write_properties,
)


def service_command(name: str, folder: Path) -> list[str]:
    """Kafka also tells clients outside the cluster how to come back."""
    if name == "postgres":
        return postgres_command(prepared(folder, "postgres-data", make_database), "0.0.0.0", 5432)
    if name == "redis":
        return redis_command(folder, "0.0.0.0", 6379)
    inside, outside = os.environ["KAFKA_INSIDE"], os.environ["KAFKA_OUTSIDE"]
    listeners = {"INSIDE": ("0.0.0.0:9092", inside), "OUTSIDE": ("0.0.0.0:9094", outside)}
    properties = write_properties(folder, listeners, "127.0.0.1:9093")
    prepared(folder, "kafka-data", lambda _: format_log(properties))
    return java("kafka.Kafka", properties)


if __name__ == "__main__":
    command = service_command(sys.argv[1], Path(os.environ["BED_DATA"]))
    os.execv(command[0], command)
