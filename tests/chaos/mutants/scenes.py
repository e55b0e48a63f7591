"""What happens to billing on a stage: each scene is one that right billing comes through."""

import time
from collections.abc import Callable
from functools import partial

from chaos.mutants.stage import PARTITIONS, Stage
from testkit.kafka_proxy import Action, Api, Direction
from testkit.waiting import eventually, for_seconds

A_WHILE = 1.0
VISITS = 3
VISIT_SECONDS = 5.0
"""As a member: longer than a batch is in hand."""


def death_in_a_commit(stage: Stage) -> None:
    """Killed when its first commit, of messages and poison, is under way; that is never heard of."""
    commit = stage.proxy.rule(Api.END_TXN, Direction.REQUEST, Action.HOLD)
    for _ in range(PARTITIONS):  # poison comes first in each, and so into the first batch, however many there are
        stage.poison()
    stage.feed(20)
    with stage.pod("pod-0"):
        eventually(lambda: commit.seen)
        for_seconds(A_WHILE)
    with stage.pod("pod-0"):
        stage.until_done()


def members_that_come_and_go(stage: Stage) -> None:
    """Under load: partitions move away from who has their records in hand."""
    with stage.pod("steady"):
        for visit in range(VISITS):
            stage.feed(20)
            stage.until_done()
            name = f"visitor-{visit}"
            with stage.pod(name) as visitor:
                _feed_until(stage, partial(stage.is_member, name), within=40)
                end = time.monotonic() + VISIT_SECONDS
                _feed_until(stage, lambda end=end: time.monotonic() >= end)  # type: ignore[misc]
                visitor.terminate()
                visitor.join(10)
        stage.until_done()


def late_commit(stage: Stage) -> None:
    """A commit is heard of when half of the next transaction is there; then the process dies."""
    late = stage.proxy.rule(Api.END_TXN, Direction.REQUEST, Action.HOLD)
    stage.feed(20)
    with stage.pod("pod-0"):
        eventually(lambda: late.seen)
        stage.until_done()
        offsets = stage.proxy.rule(Api.TXN_OFFSET_COMMIT, Direction.REQUEST, Action.HOLD)
        answer = stage.proxy.answer_to(late)
        stage.feed(20)
        eventually(lambda: offsets.seen and stage.broker.transaction_is_open("marketing"))
        late.release()
        eventually(lambda: answer.seen)
    with stage.pod("pod-0"):
        stage.until_done()


def repeats_of_a_client(stage: Stage) -> None:
    """The same messages come again, elsewhere in the topic."""
    messages = stage.feed(20)
    stage.put(messages[5:10])
    with stage.pod("pod-0"):
        stage.until_done()


def _feed_until(stage: Stage, done: Callable[[], bool], within: float = 30.0) -> None:
    def fed() -> bool:
        stage.feed(4)
        return done()

    eventually(fed, within, every=0.05)
