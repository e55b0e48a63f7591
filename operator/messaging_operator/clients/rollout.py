"""What a Deployment's next step is, pure: the rolling update of Kubernetes with maxSurge 1 and maxUnavailable 0.

`processes` calls it for the local run, again and again until there is nothing left to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Pod(Protocol):
    """One process of a Deployment."""

    @property
    def template(self) -> str: ...
    @property
    def ready(self) -> bool: ...


@dataclass(frozen=True)
class Step:
    """How many pods to start, and which to end."""

    start: int
    stop: tuple[Pod, ...]


def next_step(replicas: int, template: str, pods: Sequence[Pod]) -> Step:
    """A pod of an older template ends once a new one is ready in its place, or at once where it never was ready."""
    fresh = sorted((pod for pod in pods if pod.template == template), key=lambda pod: not pod.ready)
    old = [pod for pod in pods if pod.template != template]
    surplus = tuple(fresh[replicas:])
    room = replicas + (1 if old else 0) - len(pods)
    start = max(0, min(replicas - len(fresh), room))
    return Step(start, (*surplus, *_dispensable(replicas, old, sum(pod.ready for pod in fresh[:replicas]))))


def _dispensable(replicas: int, old: Sequence[Pod], ready: int) -> tuple[Pod, ...]:
    useless = [pod for pod in old if not pod.ready]
    useful = [pod for pod in old if pod.ready]
    needed = max(0, replicas - ready)
    return (*useless, *useful[needed:])
