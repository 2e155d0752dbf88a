"""A model: what turns rows of the user's table into answers. Preprocessor, networks and the decoding of outputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.preprocessor import Preprocessor, TransformCounts, cast_inputs, transform
from mlpcli.data.reference import ReferenceProfile
from mlpcli.data.row_sketch import RowSketch
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.table import Table, TableFormat
from mlpcli.data.targets.target import NumberTarget, Target, decode_bounds, decode_outputs, predicted_columns
from mlpcli.errors import DataError
from mlpcli.evaluation.conformal.conformity import ConformityScores
from mlpcli.nn.ensemble import Ensemble

# Numbers whose squares, which scores are made of, are finite.
MOST_SQUARED = 1e150

Values = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Model:
    """Everything `predict` needs, and the record of how it was made.

    `target_state` makes answers of outputs and labels of answers (see `decode_outputs`, `predicted_labels`); `reading`
    says which cell texts are missing and whether tables have a header; `weight` is how the sample weights it was
    trained with are read. `scores` and `record` are for people: the model does not depend on them. `reference` is
    what other rows are held against to see whether they look like the training rows, `trained_rows` to see whether they
    are training rows. `conformity` says how far the truth lies from an answer, and `interval_by` is the column of its
    groups.
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
        """How every column that the model knows is read: inputs, targets, sample weights, and groups of intervals."""
        others = (schema for schema in (self.weight, self.interval_by) if schema is not None)
        return (*self.preprocessor.schemas, *self.target.schemas, *others)

    @property
    def row_columns(self) -> tuple[str, ...]:
        """The columns by which rows are told apart: inputs, then targets."""
        return row_columns(self.preprocessor, self.target)

    @property
    def weight_column(self) -> str:
        """The column of sample weights, "" for none."""
        return "" if self.weight is None else self.weight.name

    def read(self, table: Table) -> Table:
        """A table as it comes, its input columns cast as the training's were; raises DataError for a misfit."""
        return cast_inputs(self.preprocessor, table)

    def outputs(self, table: Table, rows: Rows | None = None) -> tuple[NDArray[Any], TransformCounts]:
        """The network's outputs (n_rows, n_out), and what was odd in the rows; raises DataError for a misfit.

        `table` was made by `read`.
        """
        X, counts = transform(self.preprocessor, table, self.ensemble.dtype, rows)
        return self._outputs_of(X, table, rows), counts

    def _outputs_of(self, X: NDArray[Any], table: Table, rows: Rows | None) -> NDArray[Any]:
        return _finite(self.ensemble.outputs(X), table, rows)

    def hidden_activations(self, table: Table) -> dict[str, NDArray[Any]]:
        """What each hidden layer makes of the rows of `table`, which was made by `read`: h1, h2 (n_rows, width)."""
        return self.ensemble.hidden_activations(transform(self.preprocessor, table, self.ensemble.dtype)[0])

    def answers(self, table: Table, rows: Rows | None = None) -> tuple[Values, TransformCounts]:
        """Answers in the user's units (n_rows, n_classes or n_targets), see `decode_outputs`; else as `outputs`."""
        X, counts = transform(self.preprocessor, table, self.ensemble.dtype, rows)
        return self.answers_to(X, table, rows), counts

    def answers_to(self, X: NDArray[Any], table: Table, rows: Rows | None = None) -> Values:
        """The answers to the inputs `X` of the rows of `table`; raises DataError for numbers beyond their range.

        The inverse of a logarithm makes a huge number of any output that is somewhat large.
        """
        return self._decoded(self.ensemble.outputs(X), table, rows)

    def _decoded(self, outputs: NDArray[Any], table: Table, rows: Rows | None) -> Values:
        answers = decode_outputs(self.target, dict(self.target_state), _finite(outputs, table, rows))
        largest = MOST_SQUARED if self._is_scaled else float(np.finfo(self.ensemble.dtype).max)
        _require_all(np.abs(answers) <= largest, table, rows, "the prediction is out of the range of numbers")
        return answers

    @property
    def target_scales(self) -> Values:
        """What one unit of each output is worth in the user's units (n_targets,); ones where that is not one number."""
        return self.target_state["target_scale"] if self._is_scaled else np.ones(len(self.target.names))

    @property
    def _is_scaled(self) -> bool:
        return getattr(self.target, "transform", "none") in ("standardize", "scale")

    @property
    def threshold(self) -> Values | None:
        """Above which probability the second of two classes (1,), or yes (n_targets,), is the answer; None for 0.5."""
        return self.target_state.get("threshold")

    def fold_answers(self, table: Table, rows: Rows | None = None) -> tuple[Values, Values, TransformCounts]:
        """Answers, and what the regions of each fold are made of (n_folds, n_rows, ...), see `decode_bounds`.

        It is of the members that have not seen the fold. The folds are those of `conformity`; one fold has the answers
        themselves. Else as `answers`.
        """
        X, counts = transform(self.preprocessor, table, self.ensemble.dtype, rows)
        if self._has_answers_alone:
            answers = self.answers_to(X, table, rows)
            return answers, answers[None], counts
        mean, of_folds = self.ensemble.fold_outputs(X, self._n_folds)
        return self._decoded(mean, table, rows), self._fold_answers(of_folds), counts

    def fold_answers_to(self, X: NDArray[Any], answers: Values) -> Values:
        """What the regions of each fold are made of, for inputs `X` to which the model gives `answers`."""
        if self._has_answers_alone:
            return answers[None]
        return self._fold_answers(self.ensemble.fold_outputs(X, self._n_folds)[1])

    def _fold_answers(self, outputs: NDArray[Any]) -> Values:
        return np.stack([decode_bounds(self.target, dict(self.target_state), own) for own in outputs])

    @property
    def _has_answers_alone(self) -> bool:
        """Whether regions are made of the answers, and of nothing else that the networks give."""
        return self._n_folds == 1 and not (isinstance(self.target, NumberTarget) and self.target.fitted)

    @property
    def _n_folds(self) -> int:
        return 1 if self.conformity is None else self.conformity.rows.n_folds

    def columns(self, answers: Values) -> dict[str, NDArray[Any]]:
        """The predicted label or number by target column."""
        return predicted_columns(self.target, answers, self.threshold)


def row_columns(preprocessor: Preprocessor, target: Target) -> tuple[str, ...]:
    """The columns by which the rows of a model are told apart: inputs, then targets."""
    return tuple(dict.fromkeys([*(schema.name for schema in preprocessor.schemas), *target.names]))


def _finite(outputs: NDArray[Any], table: Table, rows: Rows | None) -> NDArray[Any]:
    """The outputs; raises DataError for one that is not finite."""
    _require_all(np.isfinite(outputs), table, rows, "the network's output is not finite")
    return outputs


def _require_all(is_right: NDArray[np.bool_], table: Table, rows: Rows | None, fault: str) -> None:
    """Raise DataError for the first row that is not right in all its outputs (n_rows, n_out)."""
    if not is_right.all():
        row = int(np.argmin(is_right.all(axis=1)))
        where = table.where(row if rows is None else int(rows[row]))
        raise DataError(f"{where}: the numbers of this row are too large: {fault}.")
