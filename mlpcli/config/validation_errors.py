"""Pydantic's validation errors as `FILE:LINE: KEY: what is wrong, what is allowed, what to write instead`.

Pydantic's locations contain labels of union members besides keys (`training.optimizer.sgd.momentum`). Following each
location through the schema separates the two.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mlpcli.aliases import key_of, value_of
from mlpcli.config.schema.fields import FieldSpec, all_keys, allowed
from mlpcli.config.yaml.parsing import parse_scalar
from mlpcli.config.yaml.source_map import Path, SourceMap, escaped, path_text, shortened, shown
from mlpcli.errors import ConfigError

MAX_LINES = 3
# The Python types that are valid as items of a list, by the kind of the item.
ITEM_TYPES = {"string": (str,), "integer": (int,), "number": (int, float)}


@dataclass(frozen=True)
class FieldError:
    """An invalid value at a path. `text` is called for the reported errors only: a file can have thousands."""

    path: Path
    text: Callable[[], str]
    explains: bool = False  # whether the text says more than all that the field allows


def config_error(error: ValidationError, spec: FieldSpec, source_map: SourceMap) -> ConfigError:
    """The first MAX_LINES errors in file order, one line each."""
    translate = _Translator(spec, source_map).field_error
    by_path: dict[Path, FieldError] = {}
    for details in error.errors(include_url=False, include_input=False):
        translated = translate(details)
        if translated.path not in by_path or translated.explains:
            by_path[translated.path] = translated
    # Pydantic reports every member of a union. The one with an error inside the value is the one the user means.
    outer = {path[:end] for path in by_path for end in range(len(path))}
    ranks = {path: rank for rank, path in enumerate(source_map.origins)}
    errors = sorted(
        (error for path, error in by_path.items() if path not in outer),
        key=lambda error: ranks.get(error.path, len(ranks)),
    )
    lines = [source_map.message(error.path, error.text()) for error in errors[:MAX_LINES]]
    more = f" (and {len(errors) - MAX_LINES} more)" if len(errors) > MAX_LINES else ""
    return ConfigError("\n".join(lines) + more)


class _Translator:
    """Turns pydantic's errors into errors at paths of the source map."""

    def __init__(self, root: FieldSpec, source_map: SourceMap) -> None:
        self.root = root
        self.source_map = source_map

    def field_error(self, details: ErrorDetails) -> FieldError:
        """The error at the innermost key of `details["loc"]` that the user wrote."""
        loc, kind = list(details["loc"]), details["type"]
        field = spec = self.root  # `spec` is the member of the union `field` that the location leads through
        path: Path = ()
        value: Any = self.source_map.root
        while loc:
            key = loc.pop(0)
            while spec.is_union and len(spec.members) == 1:  # null beside one member has no label
                (spec,) = spec.members
            if spec.is_union:
                member = _member(spec, str(key))
                if member is None or not _resembles(member, value):
                    return self.invalid(field, value, path)
                spec = member
                continue
            is_missing = kind == "missing" and not loc
            if spec.kind == "object":
                if str(key) not in spec.keys:
                    return FieldError((*path, key), partial(self.unknown, spec, str(key), path))
                if is_missing:
                    return FieldError((*path, key), partial(_required, spec.keys[str(key)]))
            elif is_missing:  # a list that is too short
                return FieldError(path, partial(self.must_be, spec, value, path), explains=True)
            field = spec = spec.item(key)
            path, value = (*path, key), _item(value, key)
        if kind in ("value_error", "assertion_error"):
            text = str(details.get("ctx", {}).get("error", details["msg"]))
            return FieldError(path, partial(str, text), explains=True)
        if kind == "union_tag_invalid" and isinstance(value, dict):
            path, value = (*path, "name"), value["name"]
        return self.invalid(field, value, path)

    def invalid(self, spec: FieldSpec, value: Any, path: Path) -> FieldError:
        """A value of the wrong type or out of range."""
        return FieldError(path, partial(self.must_be, spec, value, path))

    def must_be(self, spec: FieldSpec, value: Any, path: Path) -> str:
        """The message for a value that is not allowed."""
        origin = self.source_map.origins.get(path)
        source = origin.source if origin else None
        is_infinite = isinstance(value, float) and value - value != 0
        got = f"{shown(value, source)}{' (not finite)' if is_infinite else ''}"
        return f"must be {allowed(spec)}, got {got}.{_advice(spec, value, source)}"

    def unknown(self, section: FieldSpec, key: str, path: Path) -> str:
        """The message for a key that does not exist in `section`."""
        keys = list(section.keys)
        path_here = path_text((*path, key))
        elsewhere = [
            path_text(key_path) for key_path in all_keys(self.root) if nearest(key, key_path[-1:], cutoff=0.85)
        ]
        elsewhere = [other for other in dict.fromkeys(elsewhere) if other != path_here]
        meant = nearest(key, keys, cutoff=0.8) or self.translated(key, path) or " or ".join(elsewhere[:2])
        meant = meant or nearest(key, keys)
        if meant:
            return f"unknown key. Did you mean {meant}?"
        has = f"{' | '.join(section.names)} has" if section.names else "Known here:"
        return f"unknown key. {has} {', '.join(keys)}."

    def translated(self, key: str, path: Path) -> str:
        """Our key for another library's name, relative to the section `path`; "" if there is none."""
        our_key = key_of(key)
        if not our_key or our_key == path_text((*path, key)):
            return ""
        section, _, name = our_key.rpartition(".")
        return name if section == path_text(path) else our_key


def nearest(text: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The name in `known` most similar to `text`, initials included (lr: learning_rate); "" if none is similar."""
    plain = text[:100].lower().replace("-", "_").replace(" ", "_")
    names = list(known)
    for name in names:
        if name == plain or ("_" in name and plain == "".join(word[:1] for word in name.split("_"))):
            return name
    return next(iter(get_close_matches(plain, names, 1, cutoff)), "")


def _required(spec: FieldSpec) -> str:
    """The message for a missing key; for a section with the keys that it requires."""
    keys = [key for section in spec.objects for key in section.required]
    having = f", with {' and '.join(keys)}" if keys else ""
    return f"must be given{having}. {spec.description}".rstrip()


def _item(value: Any, key: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int):
        return value[key]
    return value  # a short form: a string for a list of one, a name for an object


def _member(spec: FieldSpec, label: str) -> FieldSpec | None:
    """The member of a union with pydantic's `label`; None for scalars, which contain no values."""
    for member in spec.members:
        if member.kind == "object" and label in (*member.names, member.title):
            return member
        if member.is_tagged and label.startswith("tagged-union"):
            return member
        if label.startswith({"mapping": "dict", "list": "tuple"}.get(member.kind, "\0")):
            return member
    return None


def _resembles(member: FieldSpec, value: Any) -> bool:
    """Whether `value` has the form of `member`: a list, a mapping, or the name of an object."""
    if isinstance(value, str):
        return value in member.choices
    return isinstance(value, list if member.kind == "list" else dict)


def _advice(spec: FieldSpec, value: Any, source: str | None) -> str:
    """What to write instead; "" if that cannot be guessed."""
    kinds = {leaf.kind for leaf in spec.leaves}
    if isinstance(value, str):
        return _advice_for_text(value, spec, kinds)
    if isinstance(value, dict):
        names = [
            name
            for object_spec in spec.objects
            if value.keys() <= object_spec.keys.keys()
            for name in object_spec.names
        ]
        return f" Give it a name: {{name: {names[0]}, ...}}." if names else ""
    is_scalar = isinstance(value, int | float)
    text = shortened(escaped(source)) if source else shown(value)
    takes_string = "string" in kinds or any(leaf.takes_one_string for leaf in spec.leaves)
    if is_scalar and takes_string and not kinds & {"integer", "number"}:
        return f' Quote it: "{text}".'
    # If numbers are allowed, too, this one is out of range, and would be in a list.
    if is_scalar and not kinds & {"integer", "number"} and _takes_items(spec, [value]):
        return f" Write {_as_list(spec, text)}."
    return ""


def _takes_items(spec: FieldSpec, values: Sequence[Any]) -> bool:
    """Whether a list of `values` is allowed, judged by their types."""
    lists = [leaf for leaf in spec.leaves if leaf.kind == "list"]
    kinds = {kind for leaf in lists for item in leaf.item(0).leaves for kind in ITEM_TYPES.get(item.kind, ())}
    return all(type(value) in kinds for value in values)


def _as_list(spec: FieldSpec, text: str) -> str:
    """A value as a list; sizes of hidden layers alone, as in other libraries, get the outer layers."""
    is_layers = any(leaf.kind == "list" and "auto" in leaf.item(0).choices for leaf in spec.leaves)
    return f"[auto, {text}, auto]" if is_layers else f"[{text}]"


def _advice_for_text(value: str, spec: FieldSpec, kinds: set[str]) -> str:
    items = [item.strip() for item in value.split(",")]
    if "list" in kinds and len(items) > 1 and all(item in spec.choices for item in items):
        return f" Write [{', '.join(items)}]."
    if "boolean" in kinds and value.lower() in ("yes", "no", "on", "off", "y", "n"):
        return f" Write {'true' if value.lower() in ('yes', 'on', 'y') else 'false'}."
    if meant := value_of(value, spec.choices) or nearest(value, spec.choices):
        return f" Did you mean {meant}?"
    if "list" in kinds and value and (_takes_items(spec, items) or _takes_items(spec, [*map(_scalar, items)])):
        return f" Write {_as_list(spec, shortened(escaped(value)))}."
    if kinds & {"integer", "number"} and type(_scalar(value)) in (int, float):
        return " Write it without quotes."
    return ""


def _scalar(text: str) -> Any:
    try:
        return parse_scalar(text)
    except ValueError:
        return text
