"""The operator's door to Kafka: topics and their settings, in as few calls as there are kinds of question.

`reconcile` and `apply` use it. What Kafka refuses comes back as a Problem for each topic; every call has a deadline.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import lru_cache, partial
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
    TopicDescription,
)

from messaging_api.status import ConditionType, Reason
from messaging_operator.errors import Problem
from messaging_operator.plan import AlterTopicConfig, CreateTopic, GrowPartitions
from messaging_operator.state import TopicState

# Short: a cluster that is away must be told within a resync, and holds up the workloads of its topology for as long.
_TIMEOUT_SECONDS = 3.0
_VISIBLE_SECONDS = 2.0
_UNREACHABLE = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._DESTROY_BROKER,
    KafkaError._RESOLVE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.BROKER_NOT_AVAILABLE,
}
Outcome = Problem | None
T = TypeVar("T")
R = TypeVar("R")


class TopicAdmin:
    """The topics of one Kafka cluster."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._admin = AdminClient(
            {
                "bootstrap.servers": bootstrap_servers,
                "client.id": "messaging-topology-operator",
                "reconnect.backoff.max.ms": 2000,
                # Nothing below critical: a cluster that is away is told once, in a condition.
                "log_level": 2,
            }
        )

    def topics(self, names: Sequence[str]) -> dict[str, TopicState | Problem] | Problem:
        """Those of the topics that exist, with every effective setting; two calls, however many topics.

        A topic that cannot be read holds no other up; a Kafka that does not answer is one Problem.
        """
        resources = {name: ConfigResource(ResourceType.TOPIC, name) for name in names}
        described = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=_TIMEOUT_SECONDS)
        configured = self._admin.describe_configs(list(resources.values()), request_timeout=_TIMEOUT_SECONDS)
        answers = {name: (_answer(described[name]), _answer(configured[resources[name]])) for name in names}
        found = {name: seen for name, answer in answers.items() if (seen := self._seen(name, *answer))}
        problems = (seen for seen in found.values() if isinstance(seen, Problem))
        return next((problem for problem in problems if problem.reason is Reason.KAFKA_UNREACHABLE), found)

    def _seen(
        self, name: str, description: TopicDescription | KafkaError, entries: Mapping[str, ConfigEntry] | KafkaError
    ) -> TopicState | Problem | None:
        if isinstance(description, KafkaError):
            return self._unseen(name, description)
        if isinstance(entries, KafkaError):
            return self._unseen(name, entries)
        return _state(description, entries)

    def _unseen(self, name: str, error: KafkaError) -> Problem | None:
        absent = error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
        return None if absent else self._problem(f"topic {name} cannot be read", error)

    def create(self, actions: Sequence[CreateTopic]) -> list[Outcome]:
        """An outcome for each; the topics can be seen when it returns, so that nobody creates them again."""
        call = partial(self._admin.create_topics, request_timeout=_TIMEOUT_SECONDS, operation_timeout=_TIMEOUT_SECONDS)
        requests = [_new_topic(action.topic) for action in actions]
        outcomes = self._outcomes([action.topic.name for action in actions], requests, call)
        made = zip(actions, outcomes, strict=True)
        self._await_visible({action.topic.name: action.topic.partitions for action, problem in made if not problem})
        return outcomes

    def grow(self, actions: Sequence[GrowPartitions]) -> list[Outcome]:
        """An outcome for each; the partitions can be seen when it returns."""
        call = partial(
            self._admin.create_partitions, request_timeout=_TIMEOUT_SECONDS, operation_timeout=_TIMEOUT_SECONDS
        )
        requests = [NewPartitions(action.topic, action.wanted) for action in actions]
        outcomes = self._outcomes([action.topic for action in actions], requests, call)
        made = zip(actions, outcomes, strict=True)
        self._await_visible({action.topic: action.wanted for action, problem in made if not problem})
        return outcomes

    def configure(self, actions: Sequence[AlterTopicConfig]) -> list[Outcome]:
        """An outcome for each. Kafka takes all changes of a topic or none."""
        call = partial(self._admin.incremental_alter_configs, request_timeout=_TIMEOUT_SECONDS)
        requests = [_alteration(action) for action in actions]
        return self._outcomes([action.topic for action in actions], requests, call)

    def _outcomes(
        self, names: Sequence[str], requests: Sequence[R], call: Callable[[list[R]], Mapping[Any, "Future[Any]"]]
    ) -> list[Outcome]:
        """One call for all. The client throws all of them out for one that it does not like: then each goes alone."""
        if not requests:
            return []
        try:
            futures = call(list(requests)).values()
        except (ValueError, TypeError) as error:
            if len(requests) == 1:
                return [Problem(ConditionType.TOPICS_READY, Reason.TOPIC_REFUSED, f"topic {names[0]}: {error}")]
            pairs = zip(names, requests, strict=True)
            return [outcome for name, request in pairs for outcome in self._outcomes([name], [request], call)]
        return [self._outcome(name, future) for name, future in zip(names, futures, strict=True)]

    def _await_visible(self, partitions: Mapping[str, int]) -> None:
        """Brokers learn of a change after the controller has confirmed it."""
        deadline = time.monotonic() + _VISIBLE_SECONDS
        while partitions and time.monotonic() < deadline:
            found = self.topics(list(partitions))
            if isinstance(found, Problem) or all(_shows(found.get(name), count) for name, count in partitions.items()):
                return
            time.sleep(0.05)

    def _outcome(self, topic: str, future: "Future[Any]") -> Outcome:
        answer = _answer(future)
        # Created by a run whose answer was lost: the next reconcile compares it like any other.
        if not isinstance(answer, KafkaError) or answer.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return None
        return self._problem(f"topic {topic}", answer)

    def _problem(self, what: str, error: KafkaError) -> Problem:
        if error.code() in _UNREACHABLE:
            message = (
                f"Kafka at {self._bootstrap_servers} does not answer the operator within {_TIMEOUT_SECONDS:g} s, trying"
                " again; a Service in another namespace than the operator's is called name.namespace.svc"
            )
            return Problem(ConditionType.TOPICS_READY, Reason.KAFKA_UNREACHABLE, message)
        refused = error.code() == KafkaError.INVALID_CONFIG
        reason = Reason.INVALID_TOPIC_CONFIG if refused else Reason.TOPIC_REFUSED
        return Problem(ConditionType.TOPICS_READY, reason, f"{what}: {error.str()}")


connect = lru_cache(maxsize=64)(TopicAdmin)
"""One client for each cluster: a client keeps connections and threads. Least recently used ones are let go."""


def _answer(future: "Future[T]") -> T | KafkaError:
    """The result, or the error as a value."""
    try:
        return future.result(timeout=_TIMEOUT_SECONDS + 1)
    except KafkaException as error:
        failure: KafkaError = error.args[0]
        return failure
    except TimeoutError:
        return KafkaError(KafkaError._TIMED_OUT)


def _shows(seen: TopicState | Problem | None, partitions: int) -> bool:
    """What cannot be read will not be seen by waiting, either."""
    return isinstance(seen, Problem) or (seen is not None and seen.partitions >= partitions)


def _state(description: TopicDescription, entries: Mapping[str, ConfigEntry]) -> TopicState:
    factor = min(len(partition.replicas) for partition in description.partitions)
    config = {name: entry.value for name, entry in entries.items() if entry.value is not None}
    return TopicState(description.name, len(description.partitions), factor, config)


def _new_topic(topic: TopicState) -> NewTopic:
    return NewTopic(topic.name, topic.partitions, topic.replication_factor, config=dict(topic.config))


def _alteration(action: AlterTopicConfig) -> ConfigResource:
    entries = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in action.changes.items()
    ]
    return ConfigResource(ResourceType.TOPIC, action.topic, incremental_configs=entries)
