"""The training record of a model file, with type checks because `mlp repro` reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from mlpcli.nn.layers import MAX_SIZE
from mlpcli.options import Setting
from mlpcli.storage.records import from_plain

Count = Annotated[int, Setting("From 0.", ge=0, le=MAX_SIZE)]


@dataclass(frozen=True)
class Sitting:
    """An uninterrupted part of a training up to `epoch`: the engine, its threads, and versions by package."""

    epoch: Count
    engine: str
    threads: Annotated[int, Setting("From 1.", ge=1)]
    versions: dict[str, str]

    def is_like(self, other: "Sitting") -> bool:
        """Whether another sitting used the same engine, threads and versions."""
        return replace(self, epoch=other.epoch) == other


@dataclass(frozen=True)
class _Data:
    name: str
    sha256: dict[str, str]
    chunk_rows: int | None


_TYPES: dict[str, Any] = {
    "config": dict[str, Any],
    "seed": Annotated[int, Setting("From 0.", ge=0)],
    "sittings": tuple[Sitting, ...],
    "data": _Data,
    "rows": dict[str, int],
    "chosen": dict[str, list[str]],
    "drawn": list[dict[str, Any]],
    "members": list[Count],
    "temperature": Annotated[float, Setting("Above 0.", gt=0)],
    "rank_error": Annotated[float, Setting("A fraction.", gt=0, lt=1)],
    "epoch": Count,
    "epochs": Count,
    "from": str,
    "folds": Count,
}


def check_record(record: Mapping[str, Any], path: str) -> None:
    """Raise ModelFileError for a record entry of the wrong type; every entry is optional."""
    for key, kind in _TYPES.items():
        if key in record:
            from_plain(kind, record[key], path, f"record.{key}")
    config_data = from_plain(dict[str, Any], record.get("config", {}).get("data", {}), path, "record.config.data")
    from_plain(list[str], config_data.get("train", []), path, "record.config.data.train")
