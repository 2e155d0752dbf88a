"""The config and the data of a training, from the record inside its model."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mlpcli.config.loading import LoadedConfig, Override, config_from_mapping
from mlpcli.errors import DataError, ModelFileError
from mlpcli.model import Model

DATA_FRAME = "(data frame)"  # stands in the config for rows that came from Python


def require_record(weights: str, model: Model) -> Mapping[str, Any]:
    """The record of a model; raises ModelFileError where it holds none of a training."""
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
    """Raise DataError where it is clear without reading that the training data is not here."""
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
    """The config of the record, with the choices that `auto` came to in its last sitting."""
    overrides: list[str | Override] = [
        Override(f"training.{key}", sitting[key], f"the record's {key}")
        for sitting in record.get("sittings", [])[-1:]
        for key in ("threads", "engine")
    ]
    if data:
        overrides.append(Override("data.train", list(data), f"--data {' '.join(data)}"))
    return config_from_mapping(record["config"], overrides, weights)
