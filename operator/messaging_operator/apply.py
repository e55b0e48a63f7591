"""Plan → Outcome: does what the plan says, each action on its own. Called by `reconcile`.

An action that fails becomes a Problem and never holds the others back, but for those that build on it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from messaging_api.status import ConditionType, Reason
from messaging_operator.errors import ClusterError, Problem
from messaging_operator.plan import Action, AlterTopicConfig, Apply, CreateTopic, Delete, GrowPartitions, Plan
from messaging_operator.state import Manifest, ObjectKey, configuration_of, object_key


class Topics(Protocol):
    """What is done to topics: an outcome for each action, None where it succeeded."""

    def create(self, actions: Sequence[CreateTopic]) -> list[Problem | None]: ...
    def grow(self, actions: Sequence[GrowPartitions]) -> list[Problem | None]: ...
    def configure(self, actions: Sequence[AlterTopicConfig]) -> list[Problem | None]: ...


class Objects(Protocol):
    """What is done to objects; raises `ClusterError`."""

    def apply(self, namespace: str, manifest: Manifest) -> None: ...
    def delete(self, namespace: str, key: ObjectKey, uid: str) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """What was done and what could not be."""

    done: tuple[Action, ...]
    problems: tuple[Problem, ...]


def apply(plan: Plan, namespace: str, topics: Topics, objects: Objects) -> Outcome:
    """Topics first: who reads or writes them finds them there."""
    creations = [action for action in plan.topics if isinstance(action, CreateTopic)]
    growths = [action for action in plan.topics if isinstance(action, GrowPartitions)]
    changes = [action for action in plan.topics if isinstance(action, AlterTopicConfig)]
    results: list[tuple[Action, Problem | None]] = [
        *zip(creations, topics.create(creations), strict=True),
        *zip(growths, topics.grow(growths), strict=True),
        *zip(changes, topics.configure(changes), strict=True),
        *_apply_objects(plan.objects, namespace, objects),
    ]
    return Outcome(
        done=tuple(action for action, problem in results if problem is None),
        problems=tuple(dict.fromkeys(problem for _, problem in results if problem)),
    )


def _apply_objects(
    actions: Sequence[Apply | Delete], namespace: str, objects: Objects
) -> Iterator[tuple[Action, Problem | None]]:
    """A Deployment whose configuration could not be written waits for the round in which it can."""
    failed: set[ObjectKey] = set()
    for action in actions:
        if isinstance(action, Apply) and configuration_of(action.manifest) in failed:
            continue
        problem = _apply_object(action, namespace, objects)
        if problem and isinstance(action, Apply):
            failed.add(object_key(action.manifest))
        yield action, problem


def _apply_object(action: Apply | Delete, namespace: str, objects: Objects) -> Problem | None:
    try:
        match action:
            case Apply():
                objects.apply(namespace, action.manifest)
            case Delete():
                objects.delete(namespace, action.key, action.uid)
    except ClusterError as error:
        reason = Reason.IN_PROGRESS if error.heals else Reason.WORKLOAD_REFUSED
        return Problem(ConditionType.PROCESSORS_READY, reason, f"{action}: {error}")
    return None
