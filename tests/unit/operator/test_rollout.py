"""A rolling update of any Deployment, step by step: it always arrives, and never with fewer ready pods than before."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from messaging_operator.clients.rollout import Step, next_step


@dataclass(eq=False)
class Process:
    template: str
    ready: bool = True


def step(replicas: int, *pods: Process) -> Step:
    return next_step(replicas, "new", pods)


def test_at_first_all_are_started_at_once() -> None:
    assert step(3) == Step(3, ())


def test_with_all_in_place_nothing_is_to_be_done() -> None:
    assert step(2, Process("new"), Process("new", ready=False)) == Step(0, ())


def test_a_new_pod_comes_before_an_old_one_goes() -> None:
    old = Process("old")
    assert step(1, old) == Step(1, ())
    assert step(1, old, Process("new", ready=False)) == Step(0, ())
    assert step(1, old, Process("new")) == Step(0, (old,))


def test_an_old_pod_that_is_of_no_use_does_not_wait_for_its_successor() -> None:
    old = Process("old", ready=False)
    assert step(1, old) == Step(1, (old,))


def test_what_is_too_many_goes() -> None:
    pods = [Process("new"), Process("new")]
    assert step(1, *pods) == Step(0, (pods[1],))
    assert step(0, *pods) == Step(0, tuple(pods))


@given(st.integers(0, 5), st.lists(st.booleans(), max_size=6), st.lists(st.booleans(), max_size=6))
def test_a_rollout_arrives_and_nobody_is_missed_on_the_way(replicas: int, old: list[bool], new: list[bool]) -> None:
    pods = [Process("old", ready) for ready in old] + [Process("new", ready) for ready in new]
    enough = min(replicas, sum(pod.ready for pod in pods))
    for _ in range(30):
        todo = next_step(replicas, "new", pods)
        pods = [pod for pod in pods if pod not in todo.stop]
        pods += [Process("new", ready=False) for _ in range(todo.start)]
        assert sum(pod.ready for pod in pods) >= enough
        assert len(pods) <= max(replicas + 1, len(old) + len(new))
        started = next((pod for pod in pods if pod.template == "new" and not pod.ready), None)
        if started:
            started.ready = True
        enough = min(replicas, sum(pod.ready for pod in pods))
    assert [pod.template for pod in pods] == ["new"] * replicas
    assert next_step(replicas, "new", pods) == Step(0, ())
