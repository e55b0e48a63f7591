"""A plan as people want to read it: which values become which, at what risk and why. Pure.

The command line prints it, and an approval is about it. Promise: every action of a plan is at least one change.
"""

import json
from collections.abc import Iterator, Mapping

from messaging_api.plan import Change, ChangeAction
from messaging_api.processor import CONFIG_FILE
from messaging_operator.differences import Difference, differences, spelled
from messaging_operator.errors import Problem
from messaging_operator.plan import Action, AlterTopicConfig, Apply, CreateTopic, Delete, GrowPartitions, Plan
from messaging_operator.risk import rule_for
from messaging_operator.state import (
    APPLIED_HASH,
    COMPONENT_LABEL,
    NAME_LABEL,
    Manifest,
    ObjectKey,
    Observed,
    TopicState,
    configuration_of,
    object_key,
)

# They follow from the rest.
_HASH_PATH, _NAME_PATH = ("metadata", "annotations", APPLIED_HASH), ("metadata", "name")
_CONFIGURATION_PATH = ("data", CONFIG_FILE)
_TABLE = "rates"
_NAMED_BY = {_TABLE: "prefix", "changes": "effectiveFrom"}
_MOST_PRICES = 10


def changes(todo: Plan, observed: Observed) -> tuple[Change, ...]:
    """In the order in which they are made."""
    actions: tuple[Action, ...] = (*todo.topics, *todo.objects)
    return tuple(change for action in actions for change in _changes(action, observed))


def _changes(action: Action, observed: Observed) -> Iterator[Change]:
    match action:
        case CreateTopic(topic):
            yield _topic_change(topic.name, ChangeAction.CREATE, "", None, _topic_summary(topic))
        case GrowPartitions(topic, current, wanted):
            yield _topic_change(topic, ChangeAction.UPDATE, "partitions", current, wanted)
        case AlterTopicConfig(topic, settings):
            effective = _settings(topic, observed)
            for key, value in settings.items():
                yield _topic_change(topic, ChangeAction.UPDATE, key, effective.get(key), value)
        case Apply(manifest):
            yield from _applied(
                manifest, observed.objects.get(object_key(manifest)) or _predecessor(manifest, observed)
            )
        case Delete(key):
            going = observed.objects[key]
            yield _object_change(going, ChangeAction.DELETE, "", _object_summary(going), None)


def _settings(topic: str, observed: Observed) -> Mapping[str, str]:
    seen = {} if isinstance(observed.topics, Problem) else observed.topics
    state = seen.get(topic)
    return state.config if isinstance(state, TopicState) else {}


def _predecessor(manifest: Manifest, observed: Observed) -> Manifest | None:
    """A changed configuration is a ConfigMap of another name: what its processor reads now tells what changes."""
    reader = ObjectKey("Deployment", manifest["metadata"]["labels"][NAME_LABEL])
    if manifest["kind"] != "ConfigMap" or reader not in observed.objects:
        return None
    return observed.objects.get(configuration_of(observed.objects[reader]))


def _applied(manifest: Manifest, actual: Manifest | None) -> Iterator[Change]:
    if actual is None:
        yield _object_change(manifest, ChangeAction.CREATE, "", None, _object_summary(manifest))
        return
    for found in _telling(list(differences(actual, manifest))):
        yield _object_change(manifest, ChangeAction.UPDATE, spelled(found.path), found.before, found.after)


def _telling(found: list[Difference]) -> list[Difference]:
    """The hash of what was applied changes along with all else; alone it stands for what is no longer declared."""
    telling = [difference for difference in found if difference.path not in (_HASH_PATH, _NAME_PATH)]
    return [part for difference in telling for part in _configuration(difference)] or found


def _configuration(found: Difference) -> Iterator[Difference]:
    """A processor's configuration is one text to Kubernetes; all of it is ours, so that what is gone counts too."""
    if found.path != _CONFIGURATION_PATH:
        yield found
        return
    before, after = _parsed(found.before), _parsed(found.after)
    yield from _summarized(_both_ways(before, after), before, after)


def _both_ways(before: object, after: object) -> list[Difference]:
    """What is declared otherwise, and what is no longer declared."""
    gone = (Difference(lost.path, lost.after, None) for lost in differences(after, before) if lost.before is None)
    return [*differences(before, after), *gone]


def _summarized(found: list[Difference], before: object, after: object) -> Iterator[Difference]:
    """A table of rates changes by many prefixes at a time: then their number is told."""
    prices = [difference for difference in found if difference.path[:1] == (_TABLE,)]
    yield from (difference for difference in found if difference.path[:1] != (_TABLE,))
    if len(prices) <= _MOST_PRICES:
        yield from prices
    else:
        changed = _count(len({difference.path[1] for difference in prices}), "prefix", "prefixes")
        yield Difference((_TABLE,), _rows(before), f"{_rows(after)}, {changed} changed")


def _rows(config: object) -> str:
    table = config.get(_TABLE) if isinstance(config, Mapping) else None
    return _count(len(table) if isinstance(table, Mapping) else 0, "prefix", "prefixes")


def _parsed(text: object) -> object:
    try:
        return json.loads(str(text), object_hook=_named_items)
    except ValueError:
        return text  # changed by hand, and no longer JSON


def _named_items(fields: dict[str, object]) -> dict[str, object]:
    """Rates and changes of a price are told by their prefix and their time, not by their place in a list."""
    return {name: _by_name(name, value) for name, value in fields.items() if value is not None}


def _by_name(field: str, value: object) -> object:
    if field not in _NAMED_BY or not isinstance(value, list):
        return value
    return {str(item.get(_NAMED_BY[field])): item for item in value if isinstance(item, Mapping)}


def _topic_change(name: str, action: ChangeAction, field: str, before: object, after: object) -> Change:
    return _change(f"Topic {name}", "Topic", action, field, before, after)


def _object_change(manifest: Manifest, action: ChangeAction, field: str, before: object, after: object) -> Change:
    processor = manifest["metadata"].get("labels", {}).get(COMPONENT_LABEL, "")
    subject = f"{manifest['kind']} {processor}"
    return _change(str(object_key(manifest)), subject, action, field, before, after)


def _change(target: str, subject: str, action: ChangeAction, field: str, before: object, after: object) -> Change:
    rule = rule_for(subject, action, field, before, after)
    return Change(
        action=action,
        target=target,
        field=field,
        before=_text(before),
        after=_text(after),
        risk=rule.risk,
        reason=rule.reason,
    )


def _topic_summary(topic: TopicState) -> str:
    settings = [f"{key}={value}" for key, value in topic.config.items()]
    return ", ".join((_count(topic.partitions, "partition"), _count(topic.replication_factor, "replica"), *settings))


def _object_summary(manifest: Manifest) -> str:
    return _count(manifest["spec"]["replicas"], "pod") if manifest["kind"] == "Deployment" else "present"


def _count(number: int, what: str, many: str = "") -> str:
    return f"{number} {what if number == 1 else many or f'{what}s'}"


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
