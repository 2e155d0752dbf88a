"""A trained model: preprocessor, ensemble of networks, and the decoding of outputs into predictions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.layout import columns_without_inputs
from mlpcli.data.features.preprocessor import Preprocessor, TransformCounts, cast_inputs, transform
from mlpcli.data.reference import ReferenceProfile
from mlpcli.data.row_sketch import RowSketch
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.table import Table, TableFormat
from mlpcli.data.targets.target import NumberTarget, Target, decode_bounds, decode_outputs, predicted_columns
from mlpcli.errors import DataError
from mlpcli.evaluation.conformal.conformity import ConformityScores
from mlpcli.nn.embeddings import ColumnMask
from mlpcli.nn.ensemble import Ensemble
from mlpcli.nn.network import Network

# Scores square predictions, so that larger numbers would overflow.
MAX_PREDICTION = 1e150

Values = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Model:
    """Everything that predictions need, and the record of the training.

    `target_state` has the fitted values of `decode_outputs` and `predicted_labels`. `reading` is the format of tables:
    missing markers, header. `weight` is the schema of the sample weights in training. `scores` and `record` are
    informative and do not affect predictions. `reference` is the profile of the training rows for drift checks, and
    `trained_rows` a sketch that recognizes training rows. `conformity` has the conformity scores of prediction
    intervals, and `interval_by` is the schema of the column that groups them.
    """

    preprocessor: Preprocessor
    ensemble: Ensemble
    target: Target
    target_state: Mapping[str, Values]
    reading: TableFormat = field(default_factory=TableFormat)
    weight: ColumnSchema | None = None
    scores: Mapping[str, float | None] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    reference: ReferenceProfile = field(default_factory=ReferenceProfile)
    trained_rows: RowSketch = field(default_factory=RowSketch)
    conformity: ConformityScores | None = None
    interval_by: ColumnSchema | None = None

    @property
    def schemas(self) -> tuple[ColumnSchema, ...]:
        """Schemas of all columns: inputs, targets, sample weights, and the groups of prediction intervals."""
        others = (schema for schema in (self.weight, self.interval_by) if schema is not None)
        return (*self.preprocessor.schemas, *self.target.schemas, *others)

    @property
    def excluded_columns(self) -> tuple[tuple[str, ...], ...]:
        """For each member the columns that it does not see."""
        return tuple(excluded_columns(self.preprocessor, network) for network in self.ensemble.networks)

    @property
    def row_columns(self) -> tuple[str, ...]:
        """The columns that identify a training row: inputs, then targets."""
        return row_columns(self.preprocessor, self.target)

    @property
    def weight_column(self) -> str:
        """Name of the column of sample weights, "" for none."""
        return "" if self.weight is None else self.weight.name

    def cast(self, table: Table) -> Table:
        """A table with its input columns cast by the schemas of training; raises DataError for an invalid cell."""
        return cast_inputs(self.preprocessor, table)

    def outputs(self, table: Table, rows: Rows | None = None) -> tuple[NDArray[Any], TransformCounts]:
        """Network outputs (n_rows, n_out) for the `rows` of a table from `cast`, all by default.

        Counts missing cells and unseen levels. Raises DataError for an invalid cell, or an output that is not finite.
        """
        X, counts = transform(self.preprocessor, table, self.ensemble.dtype, rows)
        return _require_finite(self.ensemble.outputs(X), table, rows), counts

    def hidden_activations(self, table: Table) -> dict[str, NDArray[Any]]:
        """Activations (n_rows, width) of each hidden layer, h1, h2, for the rows of a table from `cast`."""
        return self.ensemble.hidden_activations(transform(self.preprocessor, table, self.ensemble.dtype)[0])

    def predict(self, table: Table, rows: Rows | None = None) -> tuple[Values, TransformCounts]:
        """Predictions (n_rows, n_classes or n_targets) as from `decode_outputs`; otherwise as `outputs`."""
        X, counts = transform(self.preprocessor, table, self.ensemble.dtype, rows)
        return self.predict_inputs(X, table, rows), counts

    def predict_inputs(self, X: NDArray[Any], table: Table, rows: Rows | None = None) -> Values:
        """Predictions for inputs `X` (n_rows, n_in); raises DataError for a row whose prediction is too large.

        The inverse of a logarithmic transform can overflow even for moderate outputs. `table` and `rows` name the row.
        """
        return self._decode(self.ensemble.outputs(X), table, rows)

    def _decode(self, outputs: NDArray[Any], table: Table, rows: Rows | None) -> Values:
        predictions = decode_outputs(self.target, dict(self.target_state), _require_finite(outputs, table, rows))
        largest = MAX_PREDICTION if self._is_scaled else float(np.finfo(self.ensemble.dtype).max)
        _require_all(np.abs(predictions) <= largest, table, rows, "the prediction is out of the range of numbers")
        return predictions

    @property
    def target_scales(self) -> Values:
        """The unit of each output in target units (n_targets,); ones if the target transform is not linear."""
        return self.target_state["target_scale"] if self._is_scaled else np.ones(len(self.target.names))

    @property
    def _is_scaled(self) -> bool:
        return getattr(self.target, "transform", "none") in ("standardize", "scale")

    @property
    def threshold(self) -> Values | None:
        """Decision threshold for the second of two classes (1,), or each boolean target (n_targets,); None for 0.5."""
        return self.target_state.get("threshold")

    def predict_folds(self, table: Table, rows: Rows | None = None) -> tuple[Values, Values, TransformCounts]:
        """Predictions, and those of each fold (n_folds, n_rows, n_bounds) as from `decode_bounds`; else as `predict`.

        The predictions of a fold are those of the members that were not trained on it. The folds are those of
        `conformity`; a single fold has the predictions of all members.
        """
        X, counts = transform(self.preprocessor, table, self.ensemble.dtype, rows)
        if self._has_point_predictions:
            predictions = self.predict_inputs(X, table, rows)
            return predictions, predictions[None], counts
        mean, fold_outputs = self.ensemble.fold_outputs(X, self._n_folds)
        return self._decode(mean, table, rows), self._decode_folds(fold_outputs), counts

    def fold_predictions(self, X: NDArray[Any], predictions: Values) -> Values:
        """Predictions of each fold for inputs `X`, as from `predict_folds`; `predictions` are those of all members."""
        if self._has_point_predictions:
            return predictions[None]
        return self._decode_folds(self.ensemble.fold_outputs(X, self._n_folds)[1])

    def _decode_folds(self, fold_outputs: NDArray[Any]) -> Values:
        return np.stack([decode_bounds(self.target, dict(self.target_state), outputs) for outputs in fold_outputs])

    @property
    def _has_point_predictions(self) -> bool:
        """Whether intervals or sets need only the predictions: neither folds nor predicted quantiles."""
        return self._n_folds == 1 and not (isinstance(self.target, NumberTarget) and self.target.fitted)

    @property
    def _n_folds(self) -> int:
        return 1 if self.conformity is None else self.conformity.rows.n_folds

    def columns(self, predictions: Values) -> dict[str, NDArray[Any]]:
        """Predicted labels or numbers by target column."""
        return predicted_columns(self.target, predictions, self.threshold)


def row_columns(preprocessor: Preprocessor, target: Target) -> tuple[str, ...]:
    """The columns that identify a training row of a model: inputs, then targets."""
    return tuple(dict.fromkeys([*(schema.name for schema in preprocessor.schemas), *target.names]))


def excluded_columns(preprocessor: Preprocessor, network: Network) -> tuple[str, ...]:
    """The columns that a network does not see, because its column mask leaves out all of their inputs."""
    first = network.layers[0]
    if not isinstance(first, ColumnMask):
        return ()
    return columns_without_inputs(preprocessor.columns, first.to_mask(network.n_in))


def n_seen_columns(preprocessor: Preprocessor, network: Network) -> int:
    """The number of columns that a network sees."""
    return len(preprocessor.columns) - len(excluded_columns(preprocessor, network))


def _require_finite(outputs: NDArray[Any], table: Table, rows: Rows | None) -> NDArray[Any]:
    """Return the outputs; raises DataError for the first row with one that is not finite."""
    _require_all(np.isfinite(outputs), table, rows, "the network's output is not finite")
    return outputs


def _require_all(is_valid: NDArray[np.bool_], table: Table, rows: Rows | None, fault: str) -> None:
    """Raise DataError for the first row with an invalid output; `is_valid` is (n_rows, n_out)."""
    if not is_valid.all():
        row = int(np.argmin(is_valid.all(axis=1)))
        raise DataError(f"{table.where(row, rows)}: the numbers of this row are too large: {fault}.")
