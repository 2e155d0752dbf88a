"""What may stand at a place of the config, by pydantic's JSON Schema: for messages, `--set` and docs/config.md."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from mlpcli.config.schema.shorthand import ITEM, SHORT_FORM

# The keywords of bounds, and how they are said.
BOUNDS = {"exclusiveMinimum": "greater than", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
NOUNS = {"integer": "an integer", "number": "a number", "string": "a string", "any": "a value"}


class _InOrder(GenerateJsonSchema):
    """Leaves keys in the order in which they are declared."""

    def sort(self, value: Any, parent_key: str | None = None) -> Any:
        """Give the value back."""
        return value


@cache
def adapter(schema: Any) -> TypeAdapter[Any]:
    """What validates values of an options class."""
    return TypeAdapter(schema)


@cache
def spec_of(schema: Any) -> "FieldSpec":
    """The spec of an options class, the whole config say, or of an annotation."""
    written = adapter(schema).json_schema(schema_generator=_InOrder)
    definitions = written.get("$defs", {})
    return FieldSpec(_resolved(written, definitions), definitions)


@dataclass(frozen=True, eq=False)
class FieldSpec:
    """A place: its JSON Schema, with references followed, and the definitions that references inside it lead to."""

    schema: Mapping[str, Any]
    definitions: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """A leaf's kind: "choice" (texts), "part" (an options class), "map", "list", or the type of a scalar."""
        if "enum" in self.schema or "const" in self.schema:
            return "choice"
        if "properties" in self.schema:
            return "part"
        type_ = str(self.schema.get("type", "any"))
        return {"object": "map", "array": "list"}.get(type_, type_)

    @property
    def is_union(self) -> bool:
        """Whether several things may stand here, if only null beside one."""
        return "anyOf" in self.schema or "oneOf" in self.schema

    @property
    def is_tagged(self) -> bool:
        """Whether the members are told apart by `name`."""
        return "discriminator" in self.schema

    @cached_property
    def _alternatives(self) -> tuple["FieldSpec", ...]:
        return tuple(self._inner(one) for one in (*self.schema.get("anyOf", ()), *self.schema.get("oneOf", ())))

    @cached_property
    def members(self) -> tuple["FieldSpec", ...]:
        """The members of a union without null, or the spec itself."""
        return tuple(one for one in self._alternatives if one.kind != "null") or (self,)

    @property
    def takes_null(self) -> bool:
        """Whether null is allowed."""
        return self.kind == "null" or any(one.takes_null for one in self._alternatives)

    @cached_property
    def leaves(self) -> tuple["FieldSpec", ...]:
        """The members of nested unions, flat."""
        return tuple(leaf for one in self.members for leaf in one.leaves) if self.is_union else (self,)

    @property
    def parts(self) -> tuple["FieldSpec", ...]:
        """The options classes that may stand here."""
        return tuple(leaf for leaf in self.leaves if leaf.kind == "part")

    @cached_property
    def keys(self) -> Mapping[str, "FieldSpec"]:
        """The keys of a part."""
        return {key: self._inner(one) for key, one in self.schema.get("properties", {}).items()}

    @property
    def required(self) -> tuple[str, ...]:
        """The keys of a part that must be given."""
        return tuple(self.schema.get("required", ()))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The values of `name` that stand for a part; of most it is one, of a section none."""
        return self.keys["name"].choices if self.kind == "part" and "name" in self.keys else ()

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """The texts that may stand here: literals and names of parts."""
        texts: list[str] = []
        for leaf in self.leaves:
            texts += leaf.names if leaf.kind == "part" else leaf.schema.get("enum", [])
            texts += [leaf.schema["const"]] if "const" in leaf.schema and "enum" not in leaf.schema else []
        return tuple(dict.fromkeys(texts))

    @property
    def takes_one_text(self) -> bool:
        """Whether a list may be written as a single text."""
        return self.schema.get(SHORT_FORM) == ITEM

    @property
    def doc(self) -> str:
        """The sentence about this place."""
        return str(self.schema.get("description", ""))

    @property
    def class_doc(self) -> str:
        """The first sentence about the options class, wherever it stands."""
        written = self.definitions[self.schema["$ref"].rpartition("/")[2]]
        return str(written["description"]).splitlines()[0]

    @property
    def title(self) -> str:
        """The name of an options class."""
        return str(self.schema.get("title", ""))

    @property
    def default(self) -> Any:
        """The plain value of a key that is not written; a map is empty then, of which pydantic says nothing."""
        return self.schema.get("default", {} if self.kind == "map" else None)

    def item(self, key: str | int) -> "FieldSpec":
        """The spec of an item of a list, or of a value of a map."""
        if self.kind == "map":
            values = self.schema.get("additionalProperties", True)  # pydantic before 2.11 leaves it out where any fit
            return self._inner({} if values is True else values)
        if "prefixItems" in self.schema:
            return self._inner(self.schema["prefixItems"][int(key)])
        return self._inner(self.schema["items"])

    def part_for(self, value: Any) -> "FieldSpec | None":
        """The options class that `value` (as written) means here, if it means one."""
        name = value.get("name") if isinstance(value, dict) else value
        for part in self.parts:
            if name in part.names:
                return part
        unnamed = [part for part in self.parts if not part.names]
        if unnamed and isinstance(value, dict):
            return unnamed[0]
        return self.parts[0] if len(self.parts) == 1 else None

    def at(self, path: tuple[str | int, ...], value: Any) -> "FieldSpec | None":
        """The spec at the end of `path`, where `value` is written here; None if the path leads nowhere."""
        spec = self
        for key in path:
            part = spec.part_for(value)
            inner = part.keys.get(str(key)) if part else None
            if inner is None:
                return None
            spec = inner
            value = value.get(key) if isinstance(value, dict) else None
        return spec

    def _inner(self, schema: Mapping[str, Any]) -> "FieldSpec":
        return FieldSpec(_resolved(schema, self.definitions), self.definitions)


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema itself in place of a reference to it, with what is said at the place; `title` is the class's."""
    (only,) = schema["allOf"] if len(schema.get("allOf", ())) == 1 else [schema]
    if "$ref" not in only:
        return schema
    found = definitions[only["$ref"].rpartition("/")[2]]
    here = {keyword: value for keyword, value in schema.items() if keyword not in ("allOf", "title")}
    return {**found, **here, "$ref": only["$ref"]}


def all_keys(spec: FieldSpec, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key path below an options class, those of all members of its unions included."""
    for part in spec.parts:
        for name, inner in part.keys.items():
            path = (*before, name)
            yield path
            yield from all_keys(inner, path)


def allowed(spec: FieldSpec) -> str:
    """What may stand at a place, in words: `a number greater than 0 or null`."""
    choices = spec.choices
    words = ["one of " * (len(choices) > 1) + ", ".join(choices)] if choices else []
    for leaf in spec.leaves:
        if leaf.kind == "boolean":
            words += ["true", "false"]
        elif leaf.takes_one_text:
            words += ["a string", _words(leaf)]
        elif leaf.kind == "list" and choices and leaf.item(0).choices == choices:
            words.append("a list of these")
        elif not leaf.choices:
            words.append(_words(leaf))
    words += ["null"] * spec.takes_null
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" or {words[-1]}"


def _words(leaf: FieldSpec) -> str:
    if leaf.kind in ("integer", "number"):
        range_ = range_words(leaf.schema)
        return f"{NOUNS[leaf.kind]} {'of ' if range_.startswith('at ') else ''}{range_}".rstrip()
    if leaf.kind == "list":
        count = f"{len(leaf.schema['prefixItems'])} " if "prefixItems" in leaf.schema else ""
        return f"a list of {count}{_plural(leaf.item(0))}"
    if leaf.kind == "map":
        return f"a mapping from strings to {_plural(leaf.item(''))}"
    if leaf.kind == "part":
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
