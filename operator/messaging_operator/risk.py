"""What a change can do to those who depend on it, and why: one table, the first rule that fits decides. Pure.

`changes` asks it. A subject is `Topic`, or an object's kind and its processor's: `Deployment billing`. Fields of a
ConfigMap are those of the processor's configuration.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from messaging_api.base import seconds
from messaging_api.plan import ChangeAction, Risk

Condition = Callable[[object, object], bool]
_NO_LIMIT = 2**63

_RESUMES = "it goes on where its consumer group stopped; a new group starts at the beginning of its topics"
_WAIT = "its messages wait in their topics, no longer than their retention"
_UNBILLED = "new messages of the domain are refused; those that wait become dead letters, or wait on"
_REPLACED = "takes effect as the pods are replaced"
_OTHER_TOPIC = "new records go to another topic and can overtake an account's records in the old one"


def _always(_before: object, _after: object) -> bool:
    return True


def _lowered(before: object, after: object) -> bool:
    return _limit(after) < _limit(before)


def _raised(before: object, after: object) -> bool:
    return _limit(after) > _limit(before)


def _limit(value: object) -> int:
    """-1 is Kafka's word for no limit; what is not a number, Kafka will refuse."""
    try:
        number = int(str(value))
    except ValueError:
        return _NO_LIMIT
    return _NO_LIMIT if number == -1 else number


def _shortened(before: object, after: object) -> bool:
    """Nothing is for ever."""
    return after is not None and (before is None or seconds(str(after)) < seconds(str(before)))


def _gains(policy: str) -> Condition:
    return lambda before, after: policy in _parts(after) - _parts(before)


def _loses_one(before: object, after: object) -> bool:
    return bool(_parts(before) - _parts(after))


def _parts(value: object) -> set[str]:
    items = value if isinstance(value, list) else str(value).split(",")
    return {str(item).strip() for item in items}


def _becomes(wanted: str) -> Condition:
    return lambda _before, after: str(after).lower() == wanted


def _was_there(before: object, _after: object) -> bool:
    return before is not None


def _is_gone(_before: object, after: object) -> bool:
    return after is None


def _was_open_to_the_outside(before: object, _after: object) -> bool:
    return before in ("NodePort", "LoadBalancer")


@dataclass(frozen=True)
class Rule:
    """`field` is a pattern (`*` is anything); `when` looks at the value before and after."""

    field: str
    risk: Risk
    reason: str
    when: Condition = _always


RULES = (
    ("Topic", ChangeAction.CREATE, (Rule("*", Risk.SAFE, "nobody uses it yet"),)),
    (
        "Topic",
        ChangeAction.UPDATE,
        (
            Rule("partitions", Risk.ORDERING_RISK, "keys move: an account's new records can overtake its old ones"),
            Rule("retention.ms", Risk.DATA_LOSS, "records older than that are deleted, read or not", _lowered),
            Rule("retention.bytes", Risk.DATA_LOSS, "a partition's oldest records beyond it are deleted", _lowered),
            Rule("cleanup.policy", Risk.DATA_LOSS, "records are deleted when their retention ends", _gains("delete")),
            Rule("cleanup.policy", Risk.DATA_LOSS, "only the last record of each account is kept", _gains("compact")),
            Rule("unclean.leader.*", Risk.DATA_LOSS, "what a replica that leads lacks is lost", _becomes("true")),
            Rule("remote.storage.enable", Risk.DATA_LOSS, "what lies in remote storage is deleted", _becomes("false")),
            Rule("min.insync.replicas", Risk.DISRUPTIVE, "writes are refused with fewer replicas in sync", _raised),
            Rule("max.message.bytes", Risk.DISRUPTIVE, "larger batches of records are refused", _lowered),
            Rule("message.timestamp.*.max.ms", Risk.DISRUPTIVE, "records timed further away are refused", _lowered),
            Rule("*", Risk.SAFE, "what is written and what is kept stays the same"),
        ),
    ),
    ("Deployment billing", ChangeAction.CREATE, (Rule("*", Risk.SAFE, _RESUMES),)),
    ("Deployment sink", ChangeAction.CREATE, (Rule("*", Risk.SAFE, _RESUMES),)),
    ("Deployment *", ChangeAction.CREATE, (Rule("*", Risk.SAFE, "nothing of that name runs yet"),)),
    ("Deployment billing", ChangeAction.UPDATE, (Rule("spec.replicas", Risk.DISRUPTIVE, _WAIT, _becomes("0")),)),
    ("Deployment sink", ChangeAction.UPDATE, (Rule("spec.replicas", Risk.DISRUPTIVE, _WAIT, _becomes("0")),)),
    (
        "Deployment *",
        ChangeAction.UPDATE,
        (
            Rule("spec.replicas", Risk.DISRUPTIVE, "callers get no answer until it runs again", _becomes("0")),
            Rule("spec.replicas", Risk.SAFE, "the pods that stay take over", _lowered),
            Rule("spec.replicas", Risk.SAFE, "more pods share the work"),
            Rule("spec.template.*", Risk.SAFE, "pods are replaced one by one, each once its successor is ready"),
            Rule("*/applied-hash", Risk.SAFE, "what is no longer declared goes; pods are replaced one by one for it"),
            Rule("*", Risk.SAFE, "no pod is replaced for it"),
        ),
    ),
    ("Deployment billing", ChangeAction.DELETE, (Rule("*", Risk.DISRUPTIVE, _UNBILLED),)),
    ("Deployment sink", ChangeAction.DELETE, (Rule("*", Risk.DISRUPTIVE, _WAIT),)),
    ("Deployment *", ChangeAction.DELETE, (Rule("*", Risk.DISRUPTIVE, "callers get no answer any more"),)),
    ("ConfigMap *", ChangeAction.CREATE, (Rule("*", Risk.SAFE, "its processor reads it when it starts"),)),
    (
        "ConfigMap *",
        ChangeAction.UPDATE,
        (
            Rule("routes.*", Risk.DISRUPTIVE, "messages of accounts of that type are refused", _is_gone),
            Rule("routes.*", Risk.ORDERING_RISK, _OTHER_TOPIC, _was_there),
            Rule("output", Risk.ORDERING_RISK, _OTHER_TOPIC),
            Rule("inputs", Risk.DISRUPTIVE, "what waits in a topic that is no longer read stays there", _loses_one),
            Rule("domains", Risk.DISRUPTIVE, _UNBILLED, _loses_one),
            Rule("*.currency", Risk.DISRUPTIVE, "messages of accounts in the old currency are refused"),
            Rule("domains.*.*", Risk.SAFE, _REPLACED),
            Rule("domains.*", Risk.DISRUPTIVE, _UNBILLED, _is_gone),
            Rule("retention.*", Risk.DATA_LOSS, "what PostgreSQL has kept for longer is erased", _shortened),
            Rule("bootstrapServers", Risk.DISRUPTIVE, "what waits in the old Kafka is not read, if this is another"),
            Rule("*", Risk.SAFE, _REPLACED),
        ),
    ),
    ("ConfigMap *", ChangeAction.DELETE, (Rule("*", Risk.SAFE, "nobody is left who reads it"),)),
    ("Service *", ChangeAction.CREATE, (Rule("*", Risk.SAFE, "nobody calls it yet"),)),
    (
        "Service *",
        ChangeAction.UPDATE,
        (
            Rule("spec.type", Risk.DISRUPTIVE, "callers from outside need another address", _was_open_to_the_outside),
            Rule("spec.ports*.nodePort", Risk.DISRUPTIVE, "callers from outside need another port", _was_there),
            Rule("*", Risk.SAFE, "callers find it where it was"),
        ),
    ),
    ("Service *", ChangeAction.DELETE, (Rule("*", Risk.DISRUPTIVE, "callers no longer reach its pods"),)),
)


def rule_for(subject: str, action: ChangeAction, field: str, before: object, after: object) -> Rule:
    """Every kind of object has a rule for every action."""
    return next(
        rule
        for subjects, actions, rules in RULES
        if actions is action and fnmatchcase(subject, subjects)
        for rule in rules
        if fnmatchcase(field, rule.field) and rule.when(before, after)
    )
