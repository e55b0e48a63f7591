"""The cluster of the test bed, through pytest-kind's fixture."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from testkit.cluster import EXAMPLE, Cluster


@pytest.fixture(scope="session")
def example() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    return document
