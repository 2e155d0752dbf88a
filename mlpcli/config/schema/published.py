"""The published JSON Schema, read without pydantic: its file, and the keys of the config with suggested values."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Key:
    """A key's description, and values to suggest for it, the default included."""

    description: str
    values: tuple[str, ...]


def published_path() -> Path:
    """Path of the file, which does not exist if the package is in a zip archive."""
    return Path(str(files("mlpcli.config.schema"))) / "config.schema.json"


def published_text() -> str:
    """Content of the file."""
    return (files("mlpcli.config.schema") / "config.schema.json").read_text(encoding="utf-8")


def keys() -> Mapping[str, Key]:
    """Every key of the config by its dotted path."""
    schema = json.loads(published_text())
    result: dict[str, Key] = {}
    for path, field in _fields(schema, schema["definitions"], ()):
        earlier = result.get(path, Key("", ()))
        values = dict.fromkeys([*earlier.values, *_values(field)])
        result[path] = Key(earlier.description or field.get("description", ""), tuple(values))
    return result


def _fields(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], before: tuple[str, ...]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, field in schema["properties"].items():
        path = (*before, key)
        yield ".".join(path), field
        for form in _forms(field):
            (only,) = form.get("allOf", [form])
            inner = definitions.get(only.get("$ref", "").rpartition("/")[2], {})
            if "properties" in inner:
                yield from _fields(inner, definitions, path)


def _forms(field: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return tuple(field.get("anyOf", (field,)))


def _values(field: Mapping[str, Any]) -> Iterator[str]:
    for form in _forms(field):
        yield from form.get("enum", [])
        if "const" in form:
            yield form["const"]
        if form.get("type") == "boolean":
            yield from ("true", "false")
        if form.get("type") == "null":
            yield "null"
    yield from field.get("examples", [])
    default = field.get("default")
    if isinstance(default, int | float) and not isinstance(default, bool):
        yield json.dumps(default)
