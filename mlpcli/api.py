"""mlpcli from Python: train on a data frame, load a model, predict."""

import warnings
from collections.abc import Mapping
from time import monotonic
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig, config_from_mapping, load_config
from mlpcli.data.features.preprocessor import TransformCounts
from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.typed.frames import table_from_frame
from mlpcli.data.targets.target import ClassTarget, NumberTarget
from mlpcli.errors import ConfigError, Diverged, MlpError, MlpWarning
from mlpcli.evaluation.gates import Verdict
from mlpcli.model import Model
from mlpcli.storage.atomic import write_file
from mlpcli.storage.model_file import encode_model, load_model
from mlpcli.training.member import NonFiniteLoss
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.budget import Budget
from mlpcli.workflows.fitting import epochs, finished, fresh_state
from mlpcli.workflows.memory import refuse_over_budget
from mlpcli.workflows.predict import describe_counts
from mlpcli.workflows.preparation import prepare
from mlpcli.workflows.tables import training_frame


class TrainedModel:
    """A model, as `load` and `train` give it; inputs are frames with the columns it was trained on, in any order.

    Predicting gives an `MlpWarning` where cells have a level that training did not see or saw rarely, and where cells
    are missing in a column without missing cells in training. After `train`, `notes` holds what the user should know of
    the data, and `verdicts` has one entry per gate of `expect`, with `passed`.
    """

    def __init__(self, model: Model, notes: tuple[str, ...] = (), verdicts: tuple[Verdict, ...] = ()) -> None:
        self._model = model
        self.notes = notes
        self.verdicts = verdicts

    def __repr__(self) -> str:
        shape = " -> ".join(map(str, self.layers))
        return f"<mlpcli model of {', '.join(self._model.target.names)}: {shape}>"

    def predict(self, rows: pd.DataFrame) -> "pd.Series[Any] | pd.DataFrame":
        """The predicted label or amount of each row, a Series named as the target; a frame for several targets."""
        answers = self._answered(rows)
        columns = {name: pd.Series(values, index=rows.index) for name, values in self._model.columns(answers).items()}
        if len(columns) == 1:
            return next(iter(columns.values())).rename(self._model.target.names[0])
        return pd.DataFrame(columns)

    def predict_proba(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Probabilities (n_rows, n_classes) in the order of `classes`; for yes/no targets of yes (n_rows, n_targets).

        Raises MlpError for a model of amounts.
        """
        if isinstance(self._model.target, NumberTarget):
            raise MlpError("this model predicts amounts, which have no probabilities. Use predict.")
        return self._answered(rows)

    def _answered(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        needed = frozenset(schema.name for schema in self._model.preprocessor.schemas)
        table = table_from_frame(rows, request=Request(needed), missing=self._model.reading.missing)
        answers, counts = self._model.answers(self._model.read(table))
        known = {feature.name for feature in self._model.preprocessor.columns if feature.n_missing}
        odd = {name: n for name, n in counts.n_missing.items() if name not in known}
        for note in (*table.notes, describe_counts(TransformCounts(odd, counts.n_unseen))):
            if note:
                warnings.warn(note, MlpWarning, stacklevel=3)
        return answers

    @property
    def classes(self) -> tuple[str, ...]:
        """Class labels as they stood in the data; empty for a model that is not of classes."""
        target = self._model.target
        return target.labels if isinstance(target, ClassTarget) else ()

    @property
    def weights(self) -> dict[str, NDArray[Any]]:
        """W1 (N, n), b1 (N,), W2 (M, N), b2 (M,), ... as in the formula, of members with a prefix (m1.W1); copies."""
        tensors = self._model.ensemble.tensors()
        return {name: tensor.copy() for name, tensor in tensors.items() if name.rpartition(".")[2][0] in "Wb"}

    @property
    def layers(self) -> tuple[int, ...]:
        """Sizes n, N, ..., M."""
        return self._model.ensemble.first.sizes

    @property
    def scores(self) -> dict[str, float | None]:
        """Scores of the training, `validation.log_loss` and so on; None where one is not defined."""
        return dict(self._model.scores)

    def save(self, path: str) -> None:
        """Write weights.npz; raises OutputError."""
        write_file(path, encode_model(self._model))


def load(path: str) -> TrainedModel:
    """Read a model file; raises ModelFileError."""
    return TrainedModel(load_model(path))


def train(config: Mapping[str, Any] | str, rows: pd.DataFrame | None = None) -> TrainedModel:
    """Train what a config (a mapping, or the path of a YAML file) says and return the model; no file is written.

    `rows` take the place of `data.train`, which may then be left out. Raises ConfigError, DataError and Diverged.
    """
    started = monotonic()
    loaded = _loaded(config, rows is not None)
    prepared = prepare(loaded, None if rows is None else training_frame(loaded, rows))
    refuse_over_budget(prepared)
    state = fresh_state(prepared)
    budget = Budget(prepared.loaded, monotonic() - started, prepared.spec.chunk_rows is not None)
    try:
        with blas_threads(1):
            for _ in epochs(prepared, state, budget.is_used_up):
                pass
            budget.refuse_untrained(state)
            outcome = finished(prepared, state, budget.reason)
    except NonFiniteLoss as fault:
        raise Diverged(f"{fault}. Try a smaller training.optimizer.learning_rate.") from fault
    return TrainedModel(outcome.model, prepared.notes, outcome.verdicts)


def _loaded(config: Mapping[str, Any] | str, has_rows: bool) -> LoadedConfig:
    if isinstance(config, str):
        return load_config(config)
    if not isinstance(config, Mapping):
        raise ConfigError(f"config: must be a mapping or the path of a YAML file, got {type(config).__name__}.")
    if has_rows and isinstance(config.get("data"), Mapping):
        config = {**config, "data": {"train": "(data frame)", **config["data"]}}
    return config_from_mapping(config)
