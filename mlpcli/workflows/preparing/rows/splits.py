"""The rows of each split (training, validation, test, calibration): inputs and targets of the network, and truth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.features.preprocessor import Preprocessor, TransformCounts
from mlpcli.data.grouping import group_labels
from mlpcli.data.table import CategoricalColumn, Codes, Rows, Table, code_dtype, count_codes
from mlpcli.data.targets.encode import encode_target, rows_with_target, true_values
from mlpcli.data.targets.target import ClassTarget, NumberTarget, Target
from mlpcli.errors import DataError, did_you_mean
from mlpcli.nn.losses import BinaryCrossEntropy, Loss, Poisson
from mlpcli.nn.network import Network
from mlpcli.training.dataset import Dataset
from mlpcli.workflows.preparing.resolution import class_target_table, label_smoothing_of
from mlpcli.workflows.preparing.rows.data_store import transform_rows
from mlpcli.workflows.preparing.rows.tables import TrainingTable, read_scored_table
from mlpcli.workflows.preparing.warnings.near_duplicates import age_notes
from mlpcli.workflows.reading.tables import describe_counts
from mlpcli.workflows.reading.weights import positive_weight_rows, row_weights

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """One set of rows, for training or for scoring.

    `truth` has the true targets in the user's units: class codes (n_rows,), or numbers (n_rows, n_targets). `weights`
    (n_rows,) are those of the weight column; the weights in `samples` include class weights. `by` has the group of
    intervals of each row.
    """

    name: str
    samples: Dataset
    truth: NDArray[Any]
    weights: Values | None
    by: CategoricalColumn | None = None

    def first(self, n_rows: int) -> "Split":
        """The first `n_rows` rows, which are a random sample if the table is on disk."""
        return self if len(self.truth) <= n_rows else self.only(slice(n_rows))

    def only(self, rows: slice | Rows) -> "Split":
        """A split of these rows alone."""
        samples = self.samples
        weights = None if samples.weights is None else samples.weights[rows]
        return replace(
            self,
            samples=replace(samples, X=samples.X[rows], y=samples.y[rows], weights=weights),
            truth=self.truth[rows],
            weights=None if self.weights is None else self.weights[rows],
        )


@dataclass(frozen=True)
class FoldRows:
    """Rows of the training table for one fold of a cross-validation.

    `test` rows are scored; `train` rows include validation rows if `holds_out_validation`. Target and preprocessing are
    fitted on the training rows, or on `fit_rows` if the models of all folds must share them.
    """

    train: Rows
    test: Rows
    holds_out_validation: bool
    fit_rows: Rows | None = None


class SplitBuilder:
    """Makes a `Split` of rows of a table. The training split must be made first: it determines the class weights."""

    def __init__(
        self,
        loaded: LoadedConfig,
        preprocessor: Preprocessor,
        target: Target,
        target_state: dict[str, Values],
        network: Network,
        loss: Loss,
        training_table: TrainingTable,
    ) -> None:
        self.loaded, self.preprocessor, self.target, self.target_state = loaded, preprocessor, target, target_state
        self.network, self.loss, self.weight = network, loss, training_table.weight
        table = training_table.table
        self.has_header = table.format.header if table.is_file else None
        self.interval_by = training_table.interval_by
        self.dtype = loaded.config.training.dtype
        self.class_weights: Values | None = None
        self.training_table, self.rows_by_split = training_table, dict[str, Rows]()
        self.counts: dict[str, TransformCounts] = {}  # missing and unseen cells of each split

    def from_table(self, name: str, table: Table, rows: Rows) -> Split:
        """Make the split `name` of rows of the training table."""
        self.rows_by_split[name] = rows
        X, self.counts[name] = transform_rows(self.loaded, self.preprocessor, table, rows, self.dtype)
        return self.split(name, table, rows, X)

    def from_file(self, name: str, source: str | tuple[str, ...], notes: list[str]) -> tuple[Split, str]:
        """Make the split `name` of a separate file; returns it and the SHA-256 of the file, and appends to `notes`."""
        with self.loaded.naming(f"data.{name}"):
            return self._read_file(name, source, notes)

    def _read_file(self, name: str, source: str | tuple[str, ...], notes: list[str]) -> tuple[Split, str]:
        further_schemas = [schema for schema in (self.weight, self.interval_by) if schema is not None]
        table = read_scored_table(
            self.loaded, f"data.{name}", source, self.preprocessor, self.target, further_schemas, self.has_header
        )
        rows, note = rows_with_target(table, self.target.names)
        notes += [*table.notes, *([f"{table.name}: {note}"] if note else [])]
        rows, weight_notes = positive_weight_rows(table, "" if self.weight is None else self.weight.name, rows)
        notes += weight_notes
        X, counts = transform_rows(self.loaded, self.preprocessor, table, rows, self.dtype)
        unusual = describe_counts(counts)
        notes += [f"{table.name}: {unusual}"] if unusual else []
        notes += age_notes(self.training_table, self.rows_by_split["train"], name, table, rows)
        return self.split(name, table, rows, X), table.sha256

    def split(self, name: str, table: Table, rows: Rows, X: NDArray[np.floating]) -> Split:
        """Make the split `name` of rows of a table, whose inputs are `X` (n_rows, n_in)."""
        weights = None if self.weight is None else row_weights(table, self.weight.name, rows)
        by = None if self.interval_by is None else group_labels(table, self.interval_by.name).take(rows)
        if isinstance(self.target, ClassTarget):
            codes = np.asarray(encode_target(self.target, {}, table, rows), code_dtype(len(self.target.labels)))
            table_of_targets = class_target_table(len(self.target.labels), self.network.n_out, self.loss, self.dtype)
            if name == "train":
                self.class_weights = _class_weights(self.loaded, codes, self.target.labels, weights)
            sample_weights = _normalized(_combined(weights, self.class_weights, codes), self.dtype)
            return Split(name, Dataset(X, codes, table_of_targets, sample_weights), codes, weights, by)
        y = np.asarray(encode_target(self.target, self.target_state, table, rows), dtype=np.float64)
        truth = true_values(self.target, table, rows)
        if isinstance(self.target, NumberTarget):
            self._check_counts(table, np.asarray(truth, np.float64))
            y = np.tile(y, (1, max(len(self.target.fitted), 1)))
        elif isinstance(self.loss, BinaryCrossEntropy):
            smoothing = label_smoothing_of(self.loss)
            y = y * (1.0 - smoothing) + smoothing / 2.0
        return Split(name, Dataset(X, y.astype(self.dtype), None, _normalized(weights, self.dtype)), truth, weights, by)

    def _check_counts(self, table: Table, truth: Values) -> None:
        if isinstance(self.loss, Poisson) and truth.min() < 0.0:
            smallest = f"the smallest is {truth.min():g}"
            raise DataError(f"{table.name}: the loss poisson needs targets of 0 or more; {smallest}.")


def _class_weights(loaded: LoadedConfig, codes: Codes, labels: Sequence[str], weights: Values | None) -> Values | None:
    """Weight of each class (n_classes,): n_rows / (n_classes * count) if balanced, as scikit-learn defines it.

    A row of weight k counts as k rows. Classes without rows, which occur with a warm start, are not counted and have
    weight 1. Raises ConfigError for an unknown class, or if no weight is above 0.
    """
    configured = loaded.config.training.class_weights
    if configured is None:
        return None
    if configured == "balanced":
        counts = count_codes(codes, len(labels)) if weights is None else np.bincount(codes, weights, len(labels))
        has_rows = counts > 0
        balanced = np.ones(len(labels))
        balanced[has_rows] = counts.sum() / (np.count_nonzero(has_rows) * counts[has_rows])
        return balanced
    unknown = [name for name in configured if name not in labels]
    if unknown:
        raise loaded.error("training.class_weights", f"no class {unknown[0]!r}.{did_you_mean(unknown[0], labels)}")
    if not any(configured.get(label, 1.0) > 0 for label in labels):
        raise loaded.error("training.class_weights", "at least one class must have a weight above 0.")
    return np.array([configured.get(label, 1.0) for label in labels])


def _combined(weights: Values | None, class_weights: Values | None, codes: Codes) -> Values | None:
    if class_weights is None:
        return weights
    by_row = class_weights[codes]
    return by_row if weights is None else by_row * weights


def _normalized(weights: Values | None, dtype: str) -> NDArray[np.floating] | None:
    """Weights (n_rows,) scaled to mean 1, so that the effective learning rate does not depend on them."""
    if weights is None:
        return None
    if not weights.sum() > 0:
        return np.asarray(weights, dtype=dtype)
    return np.asarray(weights / weights.mean(), dtype=dtype)
