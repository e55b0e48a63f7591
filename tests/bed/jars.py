"""Apache Kafka's jars, fetched once with Maven into the cache.

Called by `services` on the host and by `images` for the cluster's services.
"""

from pathlib import Path

from bed import cache
from bed.shell import require, run, step

POM = Path(__file__).parent / "kafka/pom.xml"


def fetch_jars() -> Path:
    def build(target: Path) -> None:
        require("mvn", "maven")
        with step("fetch Apache Kafka's jars with Maven"):
            run(
                *("mvn", "--quiet", "--batch-mode", "--file", POM),
                *("dependency:copy-dependencies", f"-DoutputDirectory={target}"),
            )

    return cache.built("kafka", cache.digest(POM), build)
