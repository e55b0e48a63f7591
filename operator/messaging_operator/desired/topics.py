"""Spec → the topics that it asks for: the declared ones, and a dead-letter topic for every processor that reads."""

from collections.abc import Iterable, Mapping

from messaging_api.topology import Billing, KafkaDefaults, Sink, Topic, TopologySpec
from messaging_operator.errors import ResourceError
from messaging_operator.state import TopicState

_NAME_LIMIT = 63
# Long enough to be looked at after a holiday; the broker's default of a week is not.
_DEAD_LETTER_RETENTION = {"retention.ms": str(30 * 24 * 60 * 60 * 1000)}


def dead_letter_topic(processor: Billing | Sink) -> str:
    """Where a processor puts what it can never process; it always has such a place, named or not."""
    name = processor.dead_letter.topic if processor.dead_letter else f"{processor.name}.dlq"
    if len(name) > _NAME_LIMIT:
        raise ResourceError(f"{processor.name}: {name} is too long for a topic; name one in deadLetter.topic")
    return name


def desired_topics(spec: TopologySpec) -> tuple[TopicState, ...]:
    """A dead-letter topic that is declared in `spec.topics` is what it says there."""
    declared = {topic.name: _declared(topic, spec.kafka.defaults) for topic in spec.topics}
    implied: dict[str, TopicState] = {}
    readers: list[Billing | Sink] = [*spec.billing, *spec.sinks]
    for processor in readers:
        name = dead_letter_topic(processor)
        if name not in declared:
            # Processors may share one; it is then as wide as the widest of their inputs.
            sources = [*_inputs(processor, declared), *filter(None, [implied.get(name)])]
            implied[name] = _implied(name, sources, spec.kafka.defaults)
    return (*declared.values(), *implied.values())


def _inputs(processor: Billing | Sink, declared: Mapping[str, TopicState]) -> list[TopicState]:
    if missing := [topic for topic in processor.inputs if topic not in declared]:
        raise ResourceError(f"{processor.name}.from: not in spec.topics: {', '.join(missing)}")
    return [declared[topic] for topic in processor.inputs]


def _declared(topic: Topic, defaults: KafkaDefaults) -> TopicState:
    return TopicState(topic.name, topic.partitions, defaults.replication_factor, defaults.config | topic.config)


def _implied(name: str, sources: Iterable[TopicState], defaults: KafkaDefaults) -> TopicState:
    partitions = max(source.partitions for source in sources)
    return TopicState(name, partitions, defaults.replication_factor, defaults.config | _DEAD_LETTER_RETENTION)
