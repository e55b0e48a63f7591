"""Apache Kafka's jars, fetched once with Maven into the cache. Called by `services`."""

import subprocess
from pathlib import Path

from messaging_cli.errors import CliError
from messaging_cli.local import cache
from messaging_cli.local.saying import step

POM = Path(__file__).with_name("kafka-pom.xml")


def fetch_jars() -> Path:
    """The folder with the jars; raises `CliError` where Maven is missing or fails."""
    return cache.built("kafka", cache.digest(POM), _fetch)


def _fetch(target: Path) -> None:
    copy = ("dependency:copy-dependencies", f"-DoutputDirectory={target}")
    with step("fetch Apache Kafka's jars with Maven"):
        try:
            subprocess.run(
                ["mvn", "--quiet", "--batch-mode", "--file", str(POM), *copy],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=True,
            )
        except FileNotFoundError as error:
            raise CliError("mvn is missing: install Maven, it fetches Apache Kafka once") from error
        except subprocess.CalledProcessError as error:
            reason = (error.stdout + error.stderr).strip().splitlines()[:1]
            raise CliError(f"Apache Kafka's jars cannot be fetched with Maven: {''.join(reason)}") from error
