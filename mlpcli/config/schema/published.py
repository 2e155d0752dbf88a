"""The published JSON Schema, read without pydantic: its file, and the keys of the config with their values."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Key:
    """What is known of a key: its sentence, and values that may stand there, the default among them."""

    doc: str
    values: tuple[str, ...]


def published() -> Path:
    """The file; in a zip archive it is none that exists."""
    return Path(str(files("mlpcli.config.schema"))) / "config.schema.json"


def published_text() -> str:
    """Its text."""
    return (files("mlpcli.config.schema") / "config.schema.json").read_text(encoding="utf-8")


def keys() -> Mapping[str, Key]:
    """Every key of the config by its path, `training.optimizer.learning_rate`."""
    schema = json.loads(published_text())
    found: dict[str, Key] = {}
    for path, place in _places(schema, schema["definitions"], ()):
        known = found.get(path, Key("", ()))
        values = dict.fromkeys([*known.values, *_values(place)])
        found[path] = Key(known.doc or place.get("description", ""), tuple(values))
    return found


def _places(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], before: tuple[str, ...]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, place in schema["properties"].items():
        path = (*before, key)
        yield ".".join(path), place
        for form in _forms(place):
            (only,) = form.get("allOf", [form])
            inner = definitions.get(only.get("$ref", "").rpartition("/")[2], {})
            if "properties" in inner:
                yield from _places(inner, definitions, path)


def _forms(place: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return tuple(place.get("anyOf", (place,)))


def _values(place: Mapping[str, Any]) -> Iterator[str]:
    for form in _forms(place):
        yield from form.get("enum", [])
        if "const" in form:
            yield form["const"]
        if form.get("type") == "boolean":
            yield from ("true", "false")
        if form.get("type") == "null":
            yield "null"
    yield from place.get("examples", [])
    default = place.get("default")
    if isinstance(default, int | float) and not isinstance(default, bool):
        yield json.dumps(default)
