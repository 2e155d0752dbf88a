"""Strict JSON: no NaN, no infinity, no duplicate keys, limited nesting."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

_MAX_DEPTH = 32


def format_json(value: Any) -> bytes:
    """Compact ASCII bytes with keys in order. Raises ValueError for NaN, infinity and nesting that is too deep."""
    if _is_too_deep(value):
        raise ValueError(f"nested deeper than {_MAX_DEPTH}")
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Key paths joined by dots, and values; lists and empty mappings are values."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def parse_json(data: bytes) -> Any:
    """Parse untrusted UTF-8 bytes; raises only ValueError."""
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_constant=_reject_constant,
            parse_float=_parse_finite,
            object_pairs_hook=_reject_duplicates,
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if _is_too_deep(value):
        raise ValueError("nested too deeply")
    return value


def _is_too_deep(value: object) -> bool:
    """Whether nesting is deeper than allowed; checked level by level, without recursion."""
    level: list[Any] = [value]
    for _ in range(_MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list | tuple):
                inner += item
        level = inner
    return any(isinstance(item, dict | list | tuple) for item in level)


def _reject_constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


def _parse_finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a duplicate key")
    return mapping
