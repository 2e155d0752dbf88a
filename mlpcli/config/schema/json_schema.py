"""The JSON Schema of a config (draft-07) for editors and other programs: keys, values, defaults and descriptions.

`python -m mlpcli.config.schema.json_schema` prints it; it is published as `config.schema.json` beside this file, and
a test compares the two. It accepts everything that the loader accepts: short forms, empty sections, `${NAME}`. Only
the loader rejects invalid combinations of values, non-finite numbers, and names of columns and metrics.
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
    """The content of config.schema.json."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def json_schema() -> dict[str, Any]:
    """The schema as plain values, with properties in the order of docs/config.md."""
    root = spec_of(Config)
    definitions = {
        "EnvironmentVariable": {
            "type": "string",
            "pattern": VARIABLE_PATTERN,
            "description": "${NAME} is the text of the environment variable NAME, read as if it stood there.",
        }
    }
    for name, schema in sorted(root.definitions.items()):
        definitions[_name(name)] = _object(FieldSpec(schema, root.definitions))
    return {
        "$schema": DIALECT,
        "title": "The config of mlp train",
        **_object(root),
        "description": "One YAML file; only data.train and data.target are required. mlp init DATA.csv writes one.",
        "definitions": definitions,
    }


def _object(spec: FieldSpec) -> dict[str, Any]:
    """The definition of an options class."""
    definition = {
        "type": "object",
        "description": spec.description,
        "properties": {key: _field(inner, is_key=True) for key, inner in spec.keys.items()},
        "patternProperties": {VARIABLE_PATTERN: {}},
        "additionalProperties": False,
    }
    return {**definition, "required": list(spec.required)} if spec.required else definition


def _field(spec: FieldSpec, is_key: bool = False) -> dict[str, Any]:
    """The allowed values, of a key with its description and default."""
    schema: dict[str, Any] = {}
    is_section = spec.kind == "object" and not spec.names
    if is_key and spec.description:
        schema["description"] = spec.description
    if is_key and "default" in spec.schema and not is_section:
        schema["default"] = spec.default
    if is_key and "examples" in spec.schema and spec.kind != "mapping":
        schema["examples"] = spec.schema["examples"]
    alternatives = list(_alternatives(spec))
    if is_key and is_section and not spec.required:  # an empty section: `training:`
        alternatives.append({"type": "null"})
    return schema | (alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives})


def _alternatives(spec: FieldSpec) -> Iterator[dict[str, Any]]:
    """The forms of a value: strings first, then numbers, lists and mappings, `${NAME}` and null."""
    strings = dict(_strings(spec))
    if strings:
        yield _choice(strings)
    forms = [form for leaf in spec.leaves for form in _forms(leaf, spec)]
    yield from forms
    takes_any_string = any(form.get("type") == "string" for form in forms)
    is_scalar = bool(strings) or any(form.get("type") in ("integer", "number", "boolean") for form in forms)
    if is_scalar and not takes_any_string:
        yield VARIABLE
    if spec.is_nullable:
        yield {"type": "null"}


def _strings(spec: FieldSpec) -> Iterator[tuple[str, str]]:
    """The allowed strings, each with its description ("" if there is none)."""
    for leaf in spec.leaves:
        short = str(leaf.schema.get(SHORT_FORM, spec.schema.get(SHORT_FORM)))
        if leaf.kind == "choice":
            yield from ((string, "") for string in leaf.choices)
        elif leaf.kind == "object" and short == "name":
            yield from ((name, leaf.class_description) for name in leaf.names)
        elif leaf.kind == "object" and short in leaf.keys:
            yield from ((string, "") for string in leaf.keys[short].choices)


def _choice(strings: Mapping[str, str]) -> dict[str, Any]:
    """One of several strings; editors show `enumDescriptions` beside them."""
    if len(strings) == 1 and not any(strings.values()):
        return {"const": next(iter(strings))}
    described = {"enumDescriptions": list(strings.values())} if any(strings.values()) else {}
    return {"enum": list(strings), **described}


def _forms(leaf: FieldSpec, field: FieldSpec) -> Iterator[dict[str, Any]]:
    """The forms of one leaf of `field` other than strings."""
    if leaf.kind == "object":
        short = str(leaf.schema.get(SHORT_FORM))
        if short in leaf.keys and leaf.keys[short].kind == "integer":
            yield _scalar(leaf.keys[short])
        reference = {"$ref": f"#/definitions/{_name(leaf.schema['$ref'].rpartition('/')[2])}"}
        is_default = not leaf.names or _default_name(field) in leaf.names
        yield reference if is_default else {"allOf": [reference], "required": ["name"]}
    elif leaf.kind == "list":
        if leaf.takes_one_string:
            yield {"type": "string"}
        lengths = {keyword: leaf.schema[keyword] for keyword in ("minItems", "maxItems") if keyword in leaf.schema}
        yield {"type": "array", "items": _field(leaf.item(0)), **lengths}
    elif leaf.kind == "mapping":
        value = _field(leaf.item(""))
        examples = dict.fromkeys(field.schema.get("examples", []), value)
        yield {"type": "object", **({"properties": examples} if examples else {}), "additionalProperties": value}
    elif leaf.kind != "choice":
        yield _scalar(leaf)


def _scalar(leaf: FieldSpec) -> dict[str, Any]:
    if leaf.kind == "any":
        return {}
    bounds = {keyword: leaf.schema[keyword] for keyword in BOUNDS if keyword in leaf.schema}
    # Some versions of pydantic write 1.0 for 1.
    return {
        "type": leaf.kind,
        **{keyword: int(bound) if bound == int(bound) else bound for keyword, bound in bounds.items()},
    }


def _default_name(field: FieldSpec) -> str:
    """The name of the options class that a mapping without `name` selects; "" if there is none."""
    default = field.default if isinstance(field.default, dict) else {}
    return str(default.get("name", field.schema.get(DEFAULT_NAME, "")))


def _name(definition: str) -> str:
    """`Quantile_losses` for one of two classes of the same name, which pydantic prefixes with the full module."""
    *_, module, name = ["", *definition.split("__")]
    return f"{name}_{module}" if module else name


if __name__ == "__main__":
    sys.stdout.write(json_schema_text())
