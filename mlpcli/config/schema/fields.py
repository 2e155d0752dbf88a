"""What the schema allows at a place, read from its annotations: for messages, `--set` and docs/config.md."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, Discriminator

from mlpcli.options import Setting


@dataclass(frozen=True)
class Shape:
    """One annotation taken apart."""

    kind: Any  # without Annotated
    setting: Setting | None
    is_tagged: bool  # a union whose members are told apart by `name`
    takes_one_text: bool  # a list that may be written as a single text

    @property
    def is_union(self) -> bool:
        """Whether this is a union, if only with None."""
        return get_origin(self.kind) in (Union, UnionType)

    @property
    def members(self) -> tuple["Shape", ...]:
        """The members of a union without None, or the shape itself."""
        if not self.is_union:
            return (self,)
        kept = [member for member in get_args(self.kind) if member is not NoneType]
        if len(kept) == 1:  # the bounds of `Annotated[float | None, Setting(gt=0)]` are the number's
            inner = shape_of(kept[0])
            return (
                Shape(
                    inner.kind,
                    inner.setting or self.setting,
                    inner.is_tagged,
                    inner.takes_one_text or self.takes_one_text,
                ),
            )
        return tuple(shape_of(member) for member in kept)

    @property
    def takes_null(self) -> bool:
        """Whether null is allowed."""
        return NoneType in get_args(self.kind) or self.kind is NoneType

    @property
    def leaves(self) -> tuple["Shape", ...]:
        """The members of nested unions, flat."""
        if not self.is_union:
            return (self,)
        return tuple(leaf for member in self.members for leaf in member.leaves)

    @property
    def parts(self) -> tuple[type, ...]:
        """The options classes that may stand here."""
        return tuple(leaf.kind for leaf in self.leaves if is_options(leaf.kind))

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that may stand here: literals and names of parts."""
        texts: list[str] = []
        for leaf in self.leaves:
            if get_origin(leaf.kind) is Literal:
                texts += map(str, get_args(leaf.kind))
            elif is_options(leaf.kind):
                texts += part_names(leaf.kind)
        return tuple(dict.fromkeys(texts))

    @property
    def doc(self) -> str:
        """The sentence of the Setting."""
        return self.setting.doc if self.setting else ""


def shape_of(annotation: Any) -> Shape:
    """Take an annotation apart."""
    metadata: tuple[Any, ...] = ()
    if get_origin(annotation) is Annotated:
        annotation, *rest = get_args(annotation)
        metadata = tuple(rest)
    setting = next((item for item in reversed(metadata) if isinstance(item, Setting)), None)
    is_tagged = any(isinstance(item, Discriminator) for item in metadata)
    expanders = [item.func for item in metadata if isinstance(item, BeforeValidator)]
    takes_one_text = any(expand("x") in (["x"], ("x",)) for expand in expanders)  # type: ignore[call-arg]
    return Shape(annotation, setting, is_tagged, takes_one_text)


def is_options(kind: Any) -> bool:
    """Whether `kind` is an options class."""
    return isinstance(kind, type) and is_dataclass(kind)


def part_names(part: type) -> tuple[str, ...]:
    """The values of `name` that stand for an options class; of most it is one, of a section none."""
    if "name" not in part_shapes(part):
        return ()
    name = part_shapes(part)["name"]
    return tuple(map(str, get_args(name.kind))) if get_origin(name.kind) is Literal else ()


@cache
def part_shapes(part: type) -> Mapping[str, Shape]:
    """The shape of each field of an options class."""
    hints = get_type_hints(part, include_extras=True)
    return {one.name: shape_of(hints[one.name]) for one in fields(part)}


def part_defaults(part: type) -> dict[str, Any]:
    """The default of each field of an options class that has one."""
    return {one.name: _default(one) for one in fields(part) if _default(one) is not MISSING}


def _default(one: Field[Any]) -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()


def all_keys(part: type, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key path below an options class, those of all members of its unions included."""
    for name, shape in part_shapes(part).items():
        path = (*before, name)
        yield path
        for inner in shape.parts:
            yield from all_keys(inner, path)


def part_for(shape: Shape, value: Any) -> type | None:
    """The options class that `value` (as written) means at a place, if it means one."""
    name = value.get("name") if isinstance(value, dict) else value
    for part in shape.parts:
        if name in part_names(part):
            return part
    unnamed: list[type] = [part for part in shape.parts if not part_names(part)]
    if unnamed and isinstance(value, dict):
        return unnamed[0]
    return shape.parts[0] if len(shape.parts) == 1 else None


def shape_at(shape: Shape, path: tuple[str | int, ...], value: Any) -> Shape | None:
    """The shape at the end of `path` below `shape`, where `value` is written; None if the path leads nowhere."""
    for key in path:
        part = part_for(shape, value)
        inner = part_shapes(part).get(str(key)) if part else None
        if inner is None:
            return None
        shape = inner
        value = value.get(key) if isinstance(value, dict) else None
    return shape


def allowed(shape: Shape) -> str:
    """What may stand at a place, in words: `a number greater than 0 or null`."""
    choices = shape.choices
    words = ["one of " * (len(choices) > 1) + ", ".join(choices)] if choices else []
    for leaf in shape.leaves:
        if leaf.kind is bool:
            words += ["true", "false"]
        elif leaf.takes_one_text:
            words += ["a text", _words(leaf)]
        elif get_origin(leaf.kind) is tuple and choices and items_of(leaf).choices == choices:
            words.append("a list of these")
        elif not leaf.choices:
            words.append(_words(leaf))
    words += ["null"] * shape.takes_null
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" or {words[-1]}"


def _words(leaf: Shape) -> str:
    if leaf.kind in (int, float):
        noun = "a whole number" if leaf.kind is int else "a number"
        range_ = range_words(leaf.setting)
        return f"{noun} {'of ' if range_.startswith('at ') else ''}{range_}".rstrip()
    if get_origin(leaf.kind) is tuple:
        return _list_words(leaf)
    if get_origin(leaf.kind) is dict:
        return f"a mapping from texts to {_plural(get_args(leaf.kind)[1])}"
    if is_options(leaf.kind):
        return f"a mapping with {', '.join(part_shapes(leaf.kind))}"
    return "a text" if leaf.kind is str else str(leaf.kind)


def items_of(leaf: Shape) -> Shape:
    """The shape of the items of a list."""
    return shape_of(get_args(leaf.kind)[0])


def _list_words(leaf: Shape) -> str:
    items = get_args(leaf.kind)
    count = "" if items[-1] is Ellipsis else f"{len(items)} "
    return f"a list of {count}{_plural(items[0])}"


def _plural(annotation: Any) -> str:
    """`numbers greater than 0`, for the items of a list or a mapping."""
    text = allowed(shape_of(annotation))
    if text.startswith(("a number", "a whole number", "a text")):
        head, noun, rest = text.removeprefix("a ").partition("number" if "number" in text else "text")
        return f"{head}{noun}s{rest}"
    return f"({text})"


def range_words(setting: Setting | None) -> str:
    """The bounds in words: `greater than 0`, `from 0 to 1`, `at least 0 and below 1`."""
    bounds = setting.bounds if setting else {}
    if bounds.keys() == {"ge", "le"}:
        return f"from {bounds['ge']:g} to {_bound(bounds['le'])}"
    words = {"gt": "greater than", "ge": "at least", "lt": "below", "le": "at most"}
    return " and ".join(f"{words[kind]} {_bound(bound)}" for kind, bound in bounds.items())


def _bound(bound: float) -> str:
    return str(int(bound)) if float(bound).is_integer() else repr(bound)
