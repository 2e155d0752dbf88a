"""`mlp train --if-changed`: whether the existing run is the one that a new training would produce."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlpcli import __version__
from mlpcli.config.loading import LoadedConfig, load_config
from mlpcli.config.schema.sections import Config
from mlpcli.data.reading.sources import sha256_of
from mlpcli.errors import MlpError
from mlpcli.evaluation.gates import Gate, GateResult, make_gates
from mlpcli.storage.model.model_file import load_model
from mlpcli.storage.run.run_directory import CONFIG, METRICS, WEIGHTS
from mlpcli.workflows.preparing.warm_start import WarmStart
from mlpcli.workflows.scoring.baseline import far_worse_run, split_scores


@dataclass(frozen=True)
class FinishedRun:
    """A complete run that need not be trained again.

    `gate_results` are those of the training. Interval ends are not in metrics.json, so gates on them have no score.
    """

    folder: str
    metrics: Mapping[str, Any]
    layers: tuple[int, ...]
    gates: tuple[Gate, ...]
    kept: str = ""  # no other run had to be renamed

    @property
    def gate_results(self) -> tuple[GateResult, ...]:
        """The results of the gates of `expect`."""
        scores = split_scores(self.metrics, self.judged_on)
        return tuple(GateResult(gate, _score(scores.get(gate.metric)), self._passed(gate)) for gate in self.gates)

    def _passed(self, gate: Gate) -> bool:
        return gate.text not in self.missed_gates

    @property
    def far_worse(self) -> str:
        """A sentence if the model is far worse than the constant baseline, else ""."""
        return far_worse_run(self.metrics)

    @property
    def judged_on(self) -> str:
        """The split on which the gates were checked: the last one."""
        splits = {key.partition(".")[0] for key in self.metrics}
        return next(split for split in ("test", "validation", "train") if split in splits)

    @property
    def missed_gates(self) -> list[str]:
        """The gates of `expect` that the run missed."""
        return list(self.metrics["missed_gates"])


def find_finished_run(loaded: LoadedConfig, folder: str, start: WarmStart | None = None) -> FinishedRun | None:
    """The run in the folder if this version made it from the same config, data and warm start; None otherwise.

    None too if files are missing or damaged.
    """
    try:
        model = load_model(os.path.join(folder, WEIGHTS))
        config = load_config(os.path.join(folder, CONFIG)).config
        with open(os.path.join(folder, METRICS), "rb") as file:
            metrics = json.load(file)
        is_same = _comparable(config) == _comparable(loaded.config)
        is_same = is_same and all(sitting["versions"]["mlp"] == __version__ for sitting in model.record["sittings"])
        is_same = is_same and model.record.get("from") == (None if start is None else start.sha256)
        if not is_same or not isinstance(metrics["missed_gates"], list):
            return None
        hashes = {split: sha256_of(source) for split, source in _sources(loaded.config)}
        if model.record["data"]["sha256"] != hashes:
            return None
        gates = make_gates(loaded.config.expect.min, loaded.config.expect.max)
        return FinishedRun(folder, metrics, tuple(model.ensemble.first.sizes), tuple(gates))
    except (MlpError, OSError, ValueError, KeyError, TypeError):  # no such run, or a file that was changed by hand
        return None


def _score(value: float | None) -> float:
    return math.nan if value is None else value


def _comparable(config: Config) -> Config:
    """The config without the folder name, which can be written in several ways, and without the trackers."""
    return replace(config, output=None, tracking=())


def _sources(config: Config) -> Iterator[tuple[str, str | tuple[str, ...]]]:
    """Yield the data files of each split. Raises ValueError for standard input, which cannot be read twice."""
    sources: dict[str, str | tuple[str, ...] | None] = {"train": config.data.train, "test": config.data.test}
    if isinstance(config.data.validation, str):
        sources["validation"] = config.data.validation
    for split, source in sources.items():
        if source is not None:
            if "-" in ((source,) if isinstance(source, str) else source):
                raise ValueError("standard input")
            yield split, source
