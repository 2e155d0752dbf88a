"""Read a run for `mlp doctor`: its model and config, and if available its learning curve and its rows."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpcli.doctor.curves import Curve
from mlpcli.errors import MlpError, ModelFileError
from mlpcli.model import Model
from mlpcli.storage.model.model_file import load_model
from mlpcli.storage.run.history import read_history
from mlpcli.storage.run.run_directory import HISTORY, METRICS, PARTIAL, WEIGHTS, repair
from mlpcli.storage.strict_json import parse_json
from mlpcli.workflows.examining.rows import ExaminedRows, read_examined_rows
from mlpcli.workflows.training.recording.recorded_training import require_record

FINISHED = "all epochs done"


@dataclass(frozen=True)
class ExaminedRun:
    """A run; `curve` and `rows` are a text with the reason if they are not available.

    `name` is the folder of the run, or a model file without one; `stop_reason` is that of metrics.json.
    """

    name: str
    model: Model
    config: Mapping[str, Any]
    stop_reason: str
    curve: Curve | str
    rows: ExaminedRows | str

    def key(self, path: str) -> Any:
        """The value of a key path of the recorded config, None if it does not exist."""
        value: Any = self.config
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    @property
    def activation(self) -> str:
        """The activation of the hidden layers, the first of a list."""
        asked = self.key("model.activation")
        return str(asked[0]) if isinstance(asked, list) and asked else str(asked)


def read_run(run: str, data: Sequence[str]) -> ExaminedRun:
    """Read a run and its training data; `data` replaces the recorded training files.

    `run` is the folder of a run, complete or not, or a model file. Raises MlpError if there is no model, and for `data`
    that differs from the training data.
    """
    folder, weights = _find_model(run)
    model = load_model(weights)
    record = require_record(weights, model)
    stop_reason, curve = _read_curve(folder) if folder else ("", "a model file alone has no history.csv")
    rows: ExaminedRows | str
    try:
        rows = read_examined_rows(weights, model, record, data)
    except MlpError as error:
        if data:
            raise
        rows = str(error)
    return ExaminedRun(folder or weights, model, record["config"], stop_reason, curve, rows)


def _find_model(run: str) -> tuple[str, str]:
    """The folder of the run ("" for a model file without one) and the model file."""
    if os.path.isfile(run):
        folder = os.path.dirname(run) or os.curdir
        is_of_run = os.path.basename(run) == WEIGHTS and os.path.isfile(os.path.join(folder, HISTORY))
        return (folder if is_of_run else ""), run
    folder = os.path.normpath(run)
    if not os.path.isdir(folder) and not repair(folder) and os.path.isdir(folder + PARTIAL):
        folder += PARTIAL
    if not os.path.isdir(folder):
        raise MlpError(f"{run}: no such run. Name the folder of a run: mlp doctor RUN (mlp runs lists them)")
    weights = os.path.join(folder, WEIGHTS)
    if not os.path.isfile(weights):
        what = (
            "has no model yet: continue with --resume"
            if folder.endswith(PARTIAL)
            else f"is not a run: it has no {WEIGHTS}"
        )
        raise ModelFileError(f"{folder}: {what}. Name the folder of a run: mlp doctor RUN (mlp runs lists them)")
    return folder, weights


def _read_curve(folder: str) -> tuple[str, Curve | str]:
    """The stop reason and the learning curve, or why the curve cannot be read."""
    reason = FINISHED
    try:
        with open(os.path.join(folder, METRICS), "rb") as file:
            metrics = parse_json(file.read())
        reason = str(metrics.get("stop_reason", "")) if isinstance(metrics, dict) else ""
    except (OSError, ValueError):
        reason = "unknown"
    try:
        columns = read_history(os.path.join(folder, HISTORY))
        epochs = {name: np.asarray(values, np.float64) for name, values in columns.items()}
        is_before = epochs["epoch"] == 0
        train, rates = epochs["train_loss"][~is_before], epochs["learning_rate"][~is_before]
        validation = epochs["validation_loss"]
    except (MlpError, KeyError) as error:
        return reason, str(error) if isinstance(error, MlpError) else f"{HISTORY} has no column {error}"
    start = float(validation[is_before][0]) if is_before.any() else float("nan")
    return reason, Curve(train, validation[~is_before], start, rates, reason != FINISHED)
