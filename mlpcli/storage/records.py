"""Dataclasses to JSON and back: `from_plain(type(x), to_plain(x), where) == x`.

Decoding is strict: every key, type, Literal and bound (`Setting`) is checked, because a header can come from anywhere,
and a model that is read only in part would silently predict nonsense.
"""

import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, overload

import numpy as np

from mlpcli.errors import ModelFileError
from mlpcli.options import Setting

Record = TypeVar("Record")

# The Literal field that distinguishes the dataclasses of a union.
_TAGS = ("name", "kind")
_NAMES = {int: "an integer", float: "a number", str: "a string", bool: "true or false", type(None): "null"}
_COMPARISONS = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}


class _Mismatch(Exception):
    """A reason, and the key path of the invalid value, built from the inside out."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.path = path

    def within(self, key: str) -> "_Mismatch":
        """The same mismatch with the key of the enclosing level prepended to its path."""
        separator = "" if not self.path or self.path.startswith("[") else "."
        return _Mismatch(str(self), f"{key}{separator}{self.path}")


def to_plain(value: Any) -> Any:
    """Convert dataclasses to dicts, tuples to lists and NumPy scalars to Python scalars.

    Raises ValueError for NaN and infinity, TypeError for other values that JSON cannot represent.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"no number for JSON: {value}")
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value) if field.init}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    raise TypeError(f"no place in JSON for {value!r}")


@overload
def from_plain(cls: type[Record], plain: object, where: str, at: str = ...) -> Record: ...
@overload
def from_plain(cls: Any, plain: object, where: str, at: str = ...) -> Any: ...
def from_plain(cls: Any, plain: object, where: str, at: str = "") -> Any:
    """Decode a value of type `cls` from the result of `to_plain`.

    `cls` is a dataclass or an annotation of int, float (also from an integer), str, bool, None, Literal, Annotated with
    Setting, tuple, list, dict[str, X], Mapping, unions and dataclasses. Unions of dataclasses are distinguished by a
    Literal field `name` or `kind`. Any and object are not converted. Raises ModelFileError for an invalid value and an
    unknown or missing key; the message begins with the file `where` and has the key path, which begins with `at`.
    """
    try:
        return _decode(cls, plain)
    except _Mismatch as error:
        path = error.within(at).path if at else error.path
        location = f" at {path}" if path else ""
        raise ModelFileError(
            f"{where}: the header does not fit this mlp{location}: {error}. "
            "It is damaged, or of another version; train again with: mlp train CONFIG"
        ) from error


def _decode(hint: Any, plain: object) -> Any:
    origin = get_origin(hint)
    if hint is Any or hint is object:
        return plain
    if hint is None:
        hint = type(None)
    if hint in _NAMES:
        return _decode_scalar(hint, plain)
    if is_dataclass(hint) and isinstance(hint, type):
        return _decode_record(hint, plain)
    if origin is typing.Annotated:
        return _decode_annotated(hint, plain)
    if origin is Literal:
        if any(type(plain) is type(choice) and plain == choice for choice in get_args(hint)):
            return plain
        raise _Mismatch(f"must be {' or '.join(_show(choice) for choice in get_args(hint))}, not {_show(plain)}")
    if origin is Union or origin is types.UnionType:
        return _decode_union(get_args(hint), plain)
    if origin in (tuple, list, Sequence):
        return _decode_list(origin, get_args(hint), plain)
    if origin in (dict, Mapping):
        return {key: _decode_at(key, get_args(hint)[1], item) for key, item in _mapping(plain).items()}
    raise TypeError(f"no record can hold {hint!r}")


def _decode_at(key: str, hint: Any, plain: object) -> Any:
    try:
        return _decode(hint, plain)
    except _Mismatch as error:
        raise error.within(_printable(key)) from error


def _decode_scalar(hint: Any, plain: object) -> Any:
    if hint is float and type(plain) is int:
        try:
            return float(plain)
        except OverflowError as error:
            raise _Mismatch("must be a number that is not infinite") from error
    if type(plain) is not hint or (isinstance(plain, float) and not math.isfinite(plain)):
        raise _Mismatch(f"must be {_NAMES[hint]}, not {_show(plain)}")
    return plain


def _decode_annotated(hint: Any, plain: object) -> Any:
    value = _decode(get_args(hint)[0], plain)
    if isinstance(value, int | float):
        for setting in hint.__metadata__:
            if isinstance(setting, Setting):
                _check_bounds(value, setting.bounds)
    return value


def _check_bounds(value: float, bounds: Mapping[str, float]) -> None:
    is_within = {
        "gt": lambda bound: value > bound,
        "ge": lambda bound: value >= bound,
        "lt": lambda bound: value < bound,
        "le": lambda bound: value <= bound,
    }
    for name, bound in bounds.items():
        if not is_within[name](bound):
            raise _Mismatch(f"must be {_COMPARISONS[name]} {bound:g}, not {_show(value)}")


def _decode_list(origin: Any, hints: tuple[Any, ...], plain: object) -> Any:
    if not isinstance(plain, list | tuple):
        raise _Mismatch(f"must be a list, not {_show(plain)}")
    if origin is tuple and not (len(hints) == 2 and hints[1] is ...):
        if len(plain) != len(hints):
            raise _Mismatch(f"must be a list of {len(hints)}, not of {len(plain)}")
        return tuple(_decode_at(f"[{i}]", hint, item) for i, (hint, item) in enumerate(zip(hints, plain, strict=True)))
    items = [_decode_at(f"[{i}]", hints[0], item) for i, item in enumerate(plain)]
    return items if origin is list else tuple(items)


def _decode_union(hints: tuple[Any, ...], plain: object) -> Any:
    records = [hint for hint in hints if isinstance(hint, type) and is_dataclass(hint)]
    if isinstance(plain, dict) and records:
        return _decode_record(_tagged(records, plain), plain)
    # A float also accepts integers, so try it last.
    other_hints = sorted((hint for hint in hints if hint not in records), key=lambda hint: hint is float)
    reasons: list[str] = []
    for hint in other_hints:
        try:
            return _decode(hint, plain)
        except _Mismatch as error:
            if error.path:  # the type matched, and the fault is inside a list or mapping
                raise
            reasons.append(str(error).removeprefix("must be ").rsplit(", not ", 1)[0])
    if records:
        reasons.append("a mapping")
    raise _Mismatch(f"must be {' or '.join(reasons)}, not {_show(plain)}")


def _tagged(records: Sequence[Any], plain: Mapping[str, object]) -> Any:
    """The dataclass of a union that the tag in the mapping selects."""
    if len(records) == 1:
        return records[0]
    for tag in _TAGS:
        choices = {choice: record for record in records for choice in get_args(_strip(_hints(record).get(tag)))}
        if choices:
            choice = plain.get(tag)
            if isinstance(choice, str) and choice in choices:
                return choices[choice]
            raise _Mismatch(f"must be {' or '.join(map(_show, choices))}, not {_show(choice)}", tag)
    raise TypeError(f"nothing tells these apart: {records}")


def _decode_record(cls: Any, plain: object) -> Any:
    mapping = _mapping(plain)
    names = [field.name for field in fields(cls) if field.init]
    if unknown := sorted(set(mapping).difference(names)):
        raise _Mismatch(f"unknown key {_show(unknown[0])}")
    if missing := [name for name in names if name not in mapping]:
        raise _Mismatch(f"no key {missing[0]!r}")
    values = {name: _decode_at(name, _hints(cls)[name], mapping[name]) for name in names}
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:  # raised by __post_init__
        raise _Mismatch(_printable(str(error).rstrip("."), 200)) from error


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _strip(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is typing.Annotated else hint


def _mapping(plain: object) -> dict[str, Any]:
    if not isinstance(plain, dict) or not all(isinstance(key, str) for key in plain):
        raise _Mismatch(f"must be a mapping, not {_show(plain)}")
    return plain


def _show(value: object) -> str:
    if isinstance(value, dict | list):  # may have millions of entries
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    return _printable(repr(value) if not isinstance(value, int) or abs(value) < 10**20 else "a huge number")


def _printable(text: str, width: int = 40) -> str:
    plain = ascii(text[: width + 1])[1:-1].replace("\\'", "'")
    return plain if len(text) <= width else plain[:width] + "..."
