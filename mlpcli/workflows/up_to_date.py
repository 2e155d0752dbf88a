"""`mlp train --if-changed`: whether the run that is there is the one that would come out."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlpcli import __version__
from mlpcli.config.loading import LoadedConfig, load_config
from mlpcli.config.schema import Config
from mlpcli.data.reading.sources import sha256_of
from mlpcli.errors import MlpError
from mlpcli.storage.model_file import load_model
from mlpcli.storage.run_directory import CONFIG, METRICS, WEIGHTS


@dataclass(frozen=True)
class FinishedRun:
    """A complete run that need not be trained again."""

    folder: str
    metrics: Mapping[str, Any]

    @property
    def judged_on(self) -> str:
        """The split that gates were judged on: the last one."""
        splits = {key.partition(".")[0] for key in self.metrics}
        return next(split for split in ("test", "validation", "train") if split in splits)

    @property
    def missed_gates(self) -> list[str]:
        """The gates of `expect` that the run missed."""
        return list(self.metrics["missed_gates"])


def finished_run(loaded: LoadedConfig, folder: str) -> FinishedRun | None:
    """The run in the folder, if it was made of this config and of this data by this version, and is sound."""
    try:
        model = load_model(os.path.join(folder, WEIGHTS))
        config = load_config(os.path.join(folder, CONFIG)).config
        with open(os.path.join(folder, METRICS), "rb") as file:
            metrics = json.load(file)
        is_same = _comparable(config) == _comparable(loaded.config)
        is_same = is_same and all(one["versions"]["mlp"] == __version__ for one in model.record["sittings"])
        if not is_same or not isinstance(metrics["missed_gates"], list):
            return None
        hashes = {part: sha256_of(source) for part, source in _sources(loaded.config)}
        return FinishedRun(folder, metrics) if model.record["data"]["sha256"] == hashes else None
    except (MlpError, OSError, ValueError, KeyError, TypeError):  # no such run, or a file that was changed by hand
        return None


def _comparable(config: Config) -> Config:
    """The config without the name of the folder, which can be written in several ways."""
    return replace(config, output=None)


def _sources(config: Config) -> Iterator[tuple[str, str | tuple[str, ...]]]:
    """Every file of the data, by part; standard input can be read once only, so it counts as changed."""
    sources: dict[str, str | tuple[str, ...] | None] = {"train": config.data.train, "test": config.data.test}
    if isinstance(config.data.validation, str):
        sources["validation"] = config.data.validation
    for part, source in sources.items():
        if source is not None:
            if "-" in ((source,) if isinstance(source, str) else source):
                raise ValueError("standard input")
            yield part, source
