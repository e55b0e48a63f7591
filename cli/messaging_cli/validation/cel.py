"""`x-kubernetes-validations`, evaluated by a CEL engine with what Kubernetes adds to the language: `sum`, `format`.

Called for every node of a document whose schema holds; pure. One difference is known: the engine's `size` counts the
bytes of a text, the API server's its characters.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache

import cel

from messaging_cli.validation.node import Node
from messaging_cli.validation.violation import Violation, broken_rule, failed_rule

Rule = Mapping[str, str]

_ENGINE_ERRORS = (TypeError, ValueError, RuntimeError, LookupError, ArithmeticError)


def broken_rules(node: Node) -> Iterator[Violation]:
    """The rules of the node's schema that do not hold; those about a transition only where there is an old value."""
    rules = node.schema.get("x-kubernetes-validations", ())
    if not rules or node.value is None:
        return
    context = cel.Context({"self": node.value, "oldSelf": node.old}, {"sum": sum, "format": _format})
    for rule in rules:
        if node.old is not None or "oldSelf" not in _program(rule["rule"]).variables():
            yield from _broken(rule, node, context)


def matches(text: str, pattern: str) -> bool:
    """By the same syntax as in the API server, where `$` is the very end of a text; Python's is not."""
    return bool(_program("text.matches(pattern)").execute({"text": text, "pattern": pattern}))


def _broken(rule: Rule, node: Node, context: cel.Context) -> Iterator[Violation]:
    try:
        holds = _program(rule["rule"]).execute(context)
    except _ENGINE_ERRORS as error:
        why = " ".join(str(error).split())
        sentence = f"{why} evaluating rule: {rule.get('message', rule['rule'])}"
        yield failed_rule(node.path, node.schema["type"], sentence)
    else:
        if holds is not True:
            yield broken_rule(node.path, node.value, _sentence(rule, context))


def _sentence(rule: Rule, context: cel.Context) -> str:
    if "messageExpression" not in rule:
        return rule.get("message", f"failed rule: {rule['rule']}")
    try:
        return str(_program(rule["messageExpression"]).execute(context))
    except _ENGINE_ERRORS:
        return rule.get("message", f"failed rule: {rule['rule']}")


@cache
def _program(expression: str) -> cel.Program:
    return cel.compile(expression)


def _format(template: str, arguments: list[object]) -> str:
    return template % tuple(map(_argument, arguments))


def _argument(value: object) -> object:
    """A text is itself; inside a list or a map it is quoted."""
    if isinstance(value, str) or type(value) is int:
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(", ", ":"))
