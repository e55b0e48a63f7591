"""After all that the other modules did: the operator rests, has complained of nothing, and what must last has lasted.

The last file by its name, because it looks at what the others leave.
"""

import re
from collections.abc import Callable

import pytest

from chaos.checks.logs import is_loud
from testkit.audit import Audit
from testkit.cluster import Cluster
from testkit.waiting import eventually

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("installed")]

# kopf asks again by itself, as where the release brings the CRD and the operator at once and the API server serves it a
# moment later; what fails for good is told with a traceback.
PASSING = re.compile(r"Request attempt #\d+/\d+ failed; will retry: ")


def test_the_operator_comes_to_rest_and_writes_nothing(cluster: Cluster, audit: Audit) -> None:
    eventually(cluster.is_ready, within=180)
    assert audit.writes_at_rest() == []


def test_neither_a_topic_nor_the_operator_was_replaced(
    lasting: Callable[[], dict[str, str]], lasting_at_first: dict[str, str]
) -> None:
    now = lasting()
    assert {name: now.get(name) for name in lasting_at_first} == lasting_at_first


def test_the_operator_logged_no_error(cluster: Cluster) -> None:
    said = cluster.operator_said()
    assert any("TopicCreated" in line for line in said), "the log does not reach back to the start"
    assert [line for line in said if is_loud(line) and not PASSING.search(line)] == []
