"""Spec → the topics that it asks for: the declared ones, and a dead-letter topic for every processor that reads."""

from collections.abc import Mapping, Sequence

from messaging_api.topology import Billing, KafkaDefaults, Sink, Topic, TopologySpec
from messaging_operator.errors import ResourceError
from messaging_operator.state import TopicState

_NAME_LIMIT = 63
# Kept for long enough to be looked at after a holiday, which the broker's default of a week is not, and all of them. A
# letter is its record and some headers: where it did not fit, its processor would stand still.
_DEAD_LETTERS = {"cleanup.policy": "delete", "retention.ms": str(30 * 24 * 60 * 60 * 1000)}
_LARGEST = "max.message.bytes"
_ROOM_FOR_ANY = 8 * 1024 * 1024  # eight times what brokers take unless told otherwise; hosted ones allow no more
_ROOM_FOR_HEADERS = 64 * 1024


def dead_letter_topic(processor: Billing | Sink) -> str:
    """Where a processor puts what it can never process; it always has such a place, named or not."""
    name = processor.dead_letter.topic if processor.dead_letter else f"{processor.name}.dlq"
    if len(name) > _NAME_LIMIT:
        raise ResourceError(f"{processor.name}: {name} is too long for a topic; name one in deadLetter.topic")
    return name


def desired_topics(spec: TopologySpec) -> tuple[TopicState, ...]:
    """A dead-letter topic that is declared in `spec.topics` is what it says there."""
    declared = {topic.name: _declared(topic, spec.kafka.defaults) for topic in spec.topics}
    sources: dict[str, list[TopicState]] = {}
    readers: list[Billing | Sink] = [*spec.billing, *spec.sinks]
    for processor in readers:
        name = dead_letter_topic(processor)
        if name not in declared:
            sources.setdefault(name, []).extend(_inputs(processor, declared))
    return (*declared.values(), *(_implied(name, inputs, spec.kafka.defaults) for name, inputs in sources.items()))


def _inputs(processor: Billing | Sink, declared: Mapping[str, TopicState]) -> list[TopicState]:
    if missing := [topic for topic in processor.inputs if topic not in declared]:
        raise ResourceError(f"{processor.name}.from: not in spec.topics: {', '.join(missing)}")
    return [declared[topic] for topic in processor.inputs]


def _declared(topic: Topic, defaults: KafkaDefaults) -> TopicState:
    return TopicState(topic.name, topic.partitions, defaults.replication_factor, defaults.config | topic.config)


def _implied(name: str, inputs: Sequence[TopicState], defaults: KafkaDefaults) -> TopicState:
    """Processors may share one; it is then as wide as the widest of their inputs, and takes the largest record."""
    partitions = max(topic.partitions for topic in inputs)
    limits = [text for topic in inputs if (text := topic.config.get(_LARGEST, "")).isdecimal()]  # Kafka refuses others
    room = max([_ROOM_FOR_ANY, *(int(limit) + _ROOM_FOR_HEADERS for limit in limits)])
    config = defaults.config | _DEAD_LETTERS | {_LARGEST: str(room)}
    return TopicState(name, partitions, defaults.replication_factor, config)
