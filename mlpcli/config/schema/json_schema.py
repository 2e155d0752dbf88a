"""The JSON Schema of a config (draft-07), for editors and other programs: keys, values, defaults and what they mean.

`python -m mlpcli.config.schema.json_schema` prints it; it is published as `config.schema.json` beside this file, and
a test compares the two. Whatever the loader takes is valid: short forms, a section with nothing in it, `${NAME}`. Only
the loader refuses values that cannot be combined, numbers that are not finite, and names of columns and metrics.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from mlpcli.config.schema.fields import BOUNDS, FieldSpec, spec_of
from mlpcli.config.schema.sections import Config
from mlpcli.config.schema.shorthand import DEFAULT_NAME, SHORT_FORM

DIALECT = "http://json-schema.org/draft-07/schema#"
VARIABLE = {"$ref": "#/definitions/EnvironmentVariable"}
VARIABLE_PATTERN = r"(^|[^$])\$\{[A-Za-z_][A-Za-z0-9_]*\}"


def json_schema_text() -> str:
    """The whole of config.schema.json."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def json_schema() -> dict[str, Any]:
    """The schema as plain values; properties stand in the order of docs/config.md."""
    whole = spec_of(Config)
    definitions = {
        "EnvironmentVariable": {
            "type": "string",
            "pattern": VARIABLE_PATTERN,
            "description": "${NAME} is the text of the environment variable NAME, read as if it stood there.",
        }
    }
    for name, schema in sorted(whole.definitions.items()):
        definitions[_name(name)] = _part(FieldSpec(schema, whole.definitions))
    return {
        "$schema": DIALECT,
        "title": "The config of mlp train",
        **_part(whole),
        "description": "One YAML file; only data.train and data.target are required. mlp init DATA.csv writes one.",
        "definitions": definitions,
    }


def _part(part: FieldSpec) -> dict[str, Any]:
    """The definition of an options class."""
    found = {
        "type": "object",
        "description": part.doc,
        "properties": {key: _place(inner, is_key=True) for key, inner in part.keys.items()},
        "patternProperties": {VARIABLE_PATTERN: {}},
        "additionalProperties": False,
    }
    return {**found, "required": list(part.required)} if part.required else found


def _place(spec: FieldSpec, is_key: bool = False) -> dict[str, Any]:
    """What may stand at a place; of a key also its meaning and default."""
    found: dict[str, Any] = {}
    is_section = spec.kind == "part" and not spec.names
    if is_key and spec.doc:
        found["description"] = spec.doc
    if is_key and "default" in spec.schema and not is_section:
        found["default"] = spec.default
    if is_key and "examples" in spec.schema and spec.kind != "map":
        found["examples"] = spec.schema["examples"]
    alternatives = list(_alternatives(spec))
    if is_key and is_section and not spec.required:  # `training:` with nothing behind it
        alternatives.append({"type": "null"})
    return found | (alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives})


def _alternatives(spec: FieldSpec) -> Iterator[dict[str, Any]]:
    """Each form of a value: names first, then numbers, lists and mappings, `${NAME}` and null."""
    texts = dict(_texts(spec))
    if texts:
        yield _choice(texts)
    forms = [form for leaf in spec.leaves for form in _forms(leaf, spec)]
    yield from forms
    takes_any_text = any(form.get("type") == "string" for form in forms)
    is_scalar = bool(texts) or any(form.get("type") in ("integer", "number", "boolean") for form in forms)
    if is_scalar and not takes_any_text:
        yield VARIABLE
    if spec.takes_null:
        yield {"type": "null"}


def _texts(spec: FieldSpec) -> Iterator[tuple[str, str]]:
    """The texts that may stand at a place, each with what it means, where that is written ("" otherwise)."""
    for leaf in spec.leaves:
        short = str(leaf.schema.get(SHORT_FORM, spec.schema.get(SHORT_FORM)))
        if leaf.kind == "choice":
            yield from ((text, "") for text in leaf.choices)
        elif leaf.kind == "part" and short == "name":
            yield from ((name, leaf.class_doc) for name in leaf.names)
        elif leaf.kind == "part" and short in leaf.keys:
            yield from ((text, "") for text in leaf.keys[short].choices)


def _choice(texts: Mapping[str, str]) -> dict[str, Any]:
    """One of several texts; `enumDescriptions` is what editors show beside them."""
    if len(texts) == 1 and not any(texts.values()):
        return {"const": next(iter(texts))}
    described = {"enumDescriptions": list(texts.values())} if any(texts.values()) else {}
    return {"enum": list(texts), **described}


def _forms(leaf: FieldSpec, place: FieldSpec) -> Iterator[dict[str, Any]]:
    """The forms of one leaf beside its texts."""
    if leaf.kind == "part":
        short = str(leaf.schema.get(SHORT_FORM))
        if short in leaf.keys and leaf.keys[short].kind == "integer":
            yield _scalar(leaf.keys[short])
        reference = {"$ref": f"#/definitions/{_name(leaf.schema['$ref'].rpartition('/')[2])}"}
        is_default = not leaf.names or _default_name(place) in leaf.names
        yield reference if is_default else {"allOf": [reference], "required": ["name"]}
    elif leaf.kind == "list":
        if leaf.takes_one_text:
            yield {"type": "string"}
        lengths = {keyword: leaf.schema[keyword] for keyword in ("minItems", "maxItems") if keyword in leaf.schema}
        yield {"type": "array", "items": _place(leaf.item(0)), **lengths}
    elif leaf.kind == "map":
        value = _place(leaf.item(""))
        known = dict.fromkeys(place.schema.get("examples", []), value)
        yield {"type": "object", **({"properties": known} if known else {}), "additionalProperties": value}
    elif leaf.kind != "choice":
        yield _scalar(leaf)


def _scalar(leaf: FieldSpec) -> dict[str, Any]:
    if leaf.kind == "any":
        return {}
    bounds = {keyword: leaf.schema[keyword] for keyword in BOUNDS if keyword in leaf.schema}
    # Not every pydantic writes 1 for a bound of 1.0.
    return {"type": leaf.kind, **{keyword: int(one) if one == int(one) else one for keyword, one in bounds.items()}}


def _default_name(place: FieldSpec) -> str:
    """The name of the part that a mapping without a name means at a place, or ""."""
    default = place.default if isinstance(place.default, dict) else {}
    return str(default.get("name", place.schema.get(DEFAULT_NAME, "")))


def _name(definition: str) -> str:
    """`Quantile_losses` for one of two classes of the same name, for which pydantic writes the whole module."""
    *_, module, name = ["", *definition.split("__")]
    return f"{name}_{module}" if module else name


if __name__ == "__main__":
    sys.stdout.write(json_schema_text())
