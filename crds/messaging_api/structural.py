"""pydantic models → a structural schema that the API server accepts.

JSON Schema as pydantic emits it is not structural: references, `anyOf` with null, `title`, `const`, numeric exclusive
bounds and `default: null` are refused or mishandled. What has no structural form (unions, tuples) is an error here,
at generation time, and not a surprise at the API server.
"""

from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

_DROPPED = ("title", "default", "examples", "$defs")


def structural_schema(model: type[BaseModel]) -> Schema:
    """The structural form of a model's JSON schema, references inlined, defaults left out.

    Raises `TypeError` for what cannot be structural, naming the schema.
    """
    root = model.model_json_schema(by_alias=True)
    return _node(root, root.get("$defs", {}))


def _node(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    schema = _without_null(_inlined(schema, definitions), definitions)
    for word in ("oneOf", "anyOf", "prefixItems", "exclusiveMinimum", "exclusiveMaximum", "const"):
        if word in schema:
            raise TypeError(f"{word} has no structural form: {schema}")
    node = {key: value for key, value in schema.items() if key not in _DROPPED}
    if "properties" in node:
        node["properties"] = {name: _node(child, definitions) for name, child in node["properties"].items()}
        node.pop("additionalProperties", None)
    elif isinstance(node.get("additionalProperties"), dict):
        node["additionalProperties"] = _node(node["additionalProperties"], definitions)
    if "items" in node:
        node["items"] = _node(node["items"], definitions)
    return node


def _inlined(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    if "$ref" not in schema:
        return schema
    siblings = {key: value for key, value in schema.items() if key != "$ref"}
    return _inlined({**definitions[schema["$ref"].rsplit("/", 1)[1]], **siblings}, definitions)


def _without_null(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    if "anyOf" not in schema:
        return schema
    choices = [choice for choice in schema["anyOf"] if choice.get("type") != "null"]
    if len(choices) != 1:
        raise TypeError(f"a union has no structural form: {schema}")
    siblings = {key: value for key, value in schema.items() if key != "anyOf"}
    return _inlined({**choices[0], **siblings}, definitions)
