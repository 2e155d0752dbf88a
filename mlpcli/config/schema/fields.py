"""The allowed values of a config key, read from pydantic's JSON Schema: for messages, `--set` and docs/config.md."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from mlpcli.config.schema.shorthand import ITEM, SHORT_FORM

# JSON Schema's keywords of bounds, in words.
BOUNDS = {"exclusiveMinimum": "greater than", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
NOUNS = {"integer": "an integer", "number": "a number", "string": "a string", "any": "a value"}


class _InOrder(GenerateJsonSchema):
    """Keeps the order of nested defaults, which pydantic sorts by key."""

    def sort(self, value: Any, parent_key: str | None = None) -> Any:
        return value


@cache
def adapter(schema: Any) -> TypeAdapter[Any]:
    """Pydantic's validator of an options class."""
    return TypeAdapter(schema)


@cache
def spec_of(schema: Any) -> "FieldSpec":
    """The spec of an options class, such as the whole config, or of an annotation."""
    root = adapter(schema).json_schema(schema_generator=_InOrder)
    definitions = root.get("$defs", {})
    return FieldSpec(_resolved(root, definitions), definitions)


@dataclass(frozen=True, eq=False)
class FieldSpec:
    """The JSON Schema of a value, with its own reference resolved, and the definitions for references inside it.

    An *object* is an options class, with fixed keys; a *mapping* has keys of the user, such as columns.
    """

    schema: Mapping[str, Any]
    definitions: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """`choice` (literal strings), `object`, `mapping`, `list`, the type of a scalar, or `any`."""
        if "enum" in self.schema or "const" in self.schema:
            return "choice"
        if "properties" in self.schema:
            return "object"
        type_ = str(self.schema.get("type", "any"))
        return {"object": "mapping", "array": "list"}.get(type_, type_)

    @property
    def is_union(self) -> bool:
        """Whether there are several members; null counts as one."""
        return "anyOf" in self.schema or "oneOf" in self.schema

    @property
    def is_tagged(self) -> bool:
        """Whether `name` selects the member."""
        return "discriminator" in self.schema

    @cached_property
    def _alternatives(self) -> tuple["FieldSpec", ...]:
        return tuple(self._inner(schema) for schema in (*self.schema.get("anyOf", ()), *self.schema.get("oneOf", ())))

    @cached_property
    def members(self) -> tuple["FieldSpec", ...]:
        """The members of a union without null; the spec itself if it is none."""
        return tuple(spec for spec in self._alternatives if spec.kind != "null") or (self,)

    @property
    def is_nullable(self) -> bool:
        """Whether null is allowed."""
        return self.kind == "null" or any(spec.is_nullable for spec in self._alternatives)

    @cached_property
    def leaves(self) -> tuple["FieldSpec", ...]:
        """The members of nested unions, flattened."""
        return tuple(leaf for spec in self.members for leaf in spec.leaves) if self.is_union else (self,)

    @property
    def objects(self) -> tuple["FieldSpec", ...]:
        """The options classes among the leaves."""
        return tuple(leaf for leaf in self.leaves if leaf.kind == "object")

    @cached_property
    def keys(self) -> Mapping[str, "FieldSpec"]:
        """The keys of an object."""
        return {key: self._inner(schema) for key, schema in self.schema.get("properties", {}).items()}

    @property
    def required(self) -> tuple[str, ...]:
        """The required keys of an object."""
        return tuple(self.schema.get("required", ()))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The values of `name` that select this object; none for a section, which has no `name`."""
        return self.keys["name"].choices if self.kind == "object" and "name" in self.keys else ()

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """The allowed strings: literals and names of objects."""
        strings: list[str] = []
        for leaf in self.leaves:
            strings += leaf.names if leaf.kind == "object" else leaf.schema.get("enum", [])
            strings += [leaf.schema["const"]] if "const" in leaf.schema and "enum" not in leaf.schema else []
        return tuple(dict.fromkeys(strings))

    @property
    def takes_one_string(self) -> bool:
        """Whether a list may be written as a single string."""
        return self.schema.get(SHORT_FORM) == ITEM

    @property
    def description(self) -> str:
        """The documentation of this key."""
        return str(self.schema.get("description", ""))

    @property
    def class_description(self) -> str:
        """The first line of an options class's docstring."""
        definition = self.definitions[self.schema["$ref"].rpartition("/")[2]]
        return str(definition["description"]).splitlines()[0]

    @property
    def title(self) -> str:
        """The name of an options class."""
        return str(self.schema.get("title", ""))

    @property
    def default(self) -> Any:
        """The default as a plain value. Pydantic omits that of a mapping, which is empty."""
        return self.schema.get("default", {} if self.kind == "mapping" else None)

    def item(self, key: str | int) -> "FieldSpec":
        """The spec of a key of an object, of a value of a mapping, or of an item of a list."""
        if self.kind == "object":
            return self.keys[str(key)]
        if self.kind == "mapping":
            values = self.schema.get("additionalProperties", True)  # pydantic before 2.11 omits it if any value fits
            return self._inner({} if values is True else values)
        if "prefixItems" in self.schema:
            return self._inner(self.schema["prefixItems"][int(key)])
        return self._inner(self.schema["items"])

    def object_for(self, value: Any) -> "FieldSpec | None":
        """The options class that `value` (as written) selects; None if it selects none."""
        name = value.get("name") if isinstance(value, dict) else value
        for candidate in self.objects:
            if name in candidate.names:
                return candidate
        unnamed = [candidate for candidate in self.objects if not candidate.names]
        if unnamed and isinstance(value, dict):
            return unnamed[0]
        return self.objects[0] if len(self.objects) == 1 else None

    def at(self, path: tuple[str | int, ...], value: Any) -> "FieldSpec | None":
        """The spec at the end of `path` within `value` (as written); None if the path does not exist."""
        spec = self
        for key in path:
            selected = spec.object_for(value)
            if selected is None or str(key) not in selected.keys:
                return None
            spec = selected.keys[str(key)]
            value = value.get(key) if isinstance(value, dict) else None
        return spec

    def _inner(self, schema: Mapping[str, Any]) -> "FieldSpec":
        return FieldSpec(_resolved(schema, self.definitions), self.definitions)


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """The definition that `schema` refers to, updated with the keywords beside the reference except `title`."""
    (only,) = schema["allOf"] if len(schema.get("allOf", ())) == 1 else [schema]
    if "$ref" not in only:
        return schema
    definition = definitions[only["$ref"].rpartition("/")[2]]
    beside = {keyword: value for keyword, value in schema.items() if keyword not in ("allOf", "title")}
    return {**definition, **beside, "$ref": only["$ref"]}


def all_keys(spec: FieldSpec, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every key below `spec`, in all members of unions."""
    for selectable in spec.objects:
        for name, inner in selectable.keys.items():
            path = (*before, name)
            yield path
            yield from all_keys(inner, path)


def allowed(spec: FieldSpec) -> str:
    """The allowed values in words: `a number greater than 0 or null`."""
    choices = spec.choices
    words = ["one of " * (len(choices) > 1) + ", ".join(choices)] if choices else []
    for leaf in spec.leaves:
        if leaf.kind == "boolean":
            words += ["true", "false"]
        elif leaf.takes_one_string:
            words += ["a string", _words(leaf)]
        elif leaf.kind == "list" and choices and leaf.item(0).choices == choices:
            words.append("a list of these")
        elif not leaf.choices:
            words.append(_words(leaf))
    words += ["null"] * spec.is_nullable
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" or {words[-1]}"


def _words(leaf: FieldSpec) -> str:
    if leaf.kind in ("integer", "number"):
        range_ = range_words(leaf.schema)
        return f"{NOUNS[leaf.kind]} {'of ' if range_.startswith('at ') else ''}{range_}".rstrip()
    if leaf.kind == "list":
        count = f"{len(leaf.schema['prefixItems'])} " if "prefixItems" in leaf.schema else ""
        return f"a list of {count}{_plural(leaf.item(0))}"
    if leaf.kind == "mapping":
        return f"a mapping from strings to {_plural(leaf.item(''))}"
    if leaf.kind == "object":
        return f"a mapping with {', '.join(leaf.keys)}"
    return NOUNS[leaf.kind]


def _plural(spec: FieldSpec) -> str:
    """`numbers greater than 0`, for the items of a list or a mapping."""
    text = allowed(spec)
    for noun in ("a number", "an integer", "a string", "a value"):
        if text.startswith(noun):
            return f"{noun.split()[1]}s{text.removeprefix(noun)}"
    return f"({text})"


def range_words(schema: Mapping[str, Any]) -> str:
    """The bounds in words: `greater than 0`, `from 0 to 1`, `at least 0 and below 1`."""
    bounds = {keyword: schema[keyword] for keyword in BOUNDS if keyword in schema}
    if bounds.keys() == {"minimum", "maximum"}:
        return f"from {bounds['minimum']:g} to {_bound(bounds['maximum'])}"
    return " and ".join(f"{BOUNDS[keyword]} {_bound(bound)}" for keyword, bound in bounds.items())


def _bound(bound: float) -> str:
    return str(int(bound)) if float(bound).is_integer() else repr(bound)
