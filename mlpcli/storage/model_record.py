"""The record of a model file, how it was made: read by people and by `mlp repro`, so its types are checked as well."""

from collections.abc import Mapping
from typing import Any

_KINDS: dict[str, type] = {
    "config": dict,
    "seed": int,
    "sittings": list,
    "data": dict,
    "rows": dict,
    "epoch": int,
    "epochs": int,
}
_LEAST = {"seed": 0, "epoch": 0, "epochs": 0}
_SITTING: dict[str, type] = {"epoch": int, "engine": str, "threads": int, "versions": dict}


def fault_of_record(record: Mapping[str, Any]) -> str:
    """What is wrong with the record of a model, in a few words; "" for nothing. What is missing is not asked for."""
    for key, kind in _KINDS.items():
        if key in record and not _is(record[key], kind):
            return f"record.{key} is no {kind.__name__}"
    for key, least in _LEAST.items():
        if record.get(key, least) < least:
            return f"record.{key} is {record[key]}"
    data, config = record.get("data", {}), record.get("config", {})
    hashes, source = data.get("sha256", {}), config.get("data", {})
    if (
        not _is(data.get("name", ""), str)
        or not _is(hashes, dict)
        or not all(_is(text, str) for text in hashes.values())
    ):
        return "record.data holds no name and hashes"
    last = 0
    for number, sitting in enumerate(record.get("sittings", [])):
        if not _is_sitting(sitting) or sitting["epoch"] < last:
            return f"record.sittings[{number}] is no sitting"
        last = sitting["epoch"]
    if not all(_is(count, int) for count in record.get("rows", {}).values()):
        return "record.rows holds what is no number of rows"
    trained_on: Any = source.get("train", []) if _is(source, dict) else None
    if not _is(trained_on, list) or not all(_is(name, str) for name in trained_on):
        return "record.config.data names no files"
    return ""


def _is_sitting(value: Any) -> bool:
    is_whole = _is(value, dict) and value.keys() == _SITTING.keys()
    return (
        is_whole
        and all(_is(value[key], kind) for key, kind in _SITTING.items())
        and value["threads"] >= 1
        and all(_is(version, str) for version in value["versions"].values())
    )


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
