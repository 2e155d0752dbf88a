"""The config and data of a training, from the record in its model."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mlpcli.config.loading import LoadedConfig, Override, config_from_mapping
from mlpcli.errors import DataError, ModelFileError
from mlpcli.model import Model

DATA_FRAME = "(data frame)"  # replaces the path in the config for rows passed from Python


def require_record(weights: str, model: Model) -> Mapping[str, Any]:
    """The training record of a model; raises ModelFileError if there is none of a single training."""
    record = model.record
    if not isinstance(record.get("config"), dict) or not isinstance(record.get("epochs"), int):
        raise ModelFileError(f"{weights}: has no record of its training that could be repeated.")
    if "folds" in record:
        raise ModelFileError(
            f"{weights}: combines the folds of a cross-validation and has no record of a single training. Reproduce "
            "it with: mlp cv CONFIG --keep"
        )
    return record


def check_data(weights: str, config: Mapping[str, Any], data: Sequence[str]) -> None:
    """Raise DataError if the recorded training data is missing; `data` replaces it. Reads nothing."""
    recorded = config.get("data", {}).get("train", [])
    if data:
        return
    if DATA_FRAME in recorded:
        raise DataError(f"{weights}: was trained on data passed from Python, which cannot be read again.")
    if "-" in recorded:
        raise DataError(f"{weights}: was trained on standard input. Name the data: --data FILE, or --data -")
    for name in recorded:
        if not os.path.exists(name) and not any(sign in name for sign in "*?["):
            raise DataError(f"{name}: no such file; {weights} was trained on it. Name the data: --data FILE")


def recorded_config(weights: str, record: Mapping[str, Any], data: Sequence[str]) -> LoadedConfig:
    """The recorded config, with the engine and threads of its last sitting in place of `auto`."""
    overrides: list[str | Override] = [
        Override(f"training.{key}", sitting[key], f"the record's {key}")
        for sitting in record.get("sittings", [])[-1:]
        for key in ("threads", "engine")
    ]
    if data:
        overrides.append(Override("data.train", list(data), f"--data {' '.join(data)}"))
    return config_from_mapping(record["config"], overrides, weights)
