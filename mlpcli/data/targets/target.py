"""Fitted targets, and the decoding of network outputs into predictions.

A target is cast by its recorded schema, like any column; labels are the canonical texts of its cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.table import CellType
from mlpcli.data.targets.transforms import TargetTransform, inverse_transform
from mlpcli.probabilities import class_probabilities, most_exceeding, no_and_yes, tempered, unweighted

Task = Literal["classification", "regression", "multilabel"]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class ClassTarget:
    """A column of class labels; `labels[code]` is the label, `cell_type` the type of labels in a data frame."""

    schema: ColumnSchema
    labels: tuple[str, ...]
    cell_type: CellType = "text"
    kind: Literal["classes"] = "classes"

    @property
    def name(self) -> str:
        """The target column."""
        return self.schema.name

    @property
    def schemas(self) -> tuple[ColumnSchema, ...]:
        """Schema of the target column."""
        return (self.schema,)

    @property
    def names(self) -> tuple[str, ...]:
        """Target columns."""
        return (self.name,)

    @property
    def cell_types(self) -> tuple[CellType, ...]:
        """Type of labels in a data frame."""
        return (self.cell_type,)

    @property
    def task(self) -> Task:
        """Name of the task."""
        return "classification"


@dataclass(frozen=True)
class NumberTarget:
    """One or more numeric columns; `transforms` describes their state.

    A quantile network has outputs for three quantiles, `fitted`: all targets at the first, then at the second, which
    are the predictions, then at the third.
    """

    schemas: tuple[ColumnSchema, ...]
    transform: TargetTransform
    n_quantiles: tuple[int, ...] = ()
    fitted: tuple[float, ...] = ()
    kind: Literal["numbers"] = "numbers"

    @property
    def n_outputs(self) -> int:
        """Number of network outputs."""
        return len(self.schemas) * max(len(self.fitted), 1)

    @property
    def prediction_outputs(self) -> slice:
        """Slice of the outputs that are the predictions."""
        n_targets = len(self.schemas)
        first = n_targets * (len(self.fitted) // 2)
        return slice(first, first + n_targets)

    @property
    def names(self) -> tuple[str, ...]:
        """Target columns."""
        return tuple(schema.name for schema in self.schemas)

    @property
    def task(self) -> Task:
        """Name of the task."""
        return "regression"


@dataclass(frozen=True)
class BooleanTarget:
    """One or more boolean columns; `cell_types` are their types in a data frame."""

    schemas: tuple[ColumnSchema, ...]
    cell_types: tuple[CellType, ...]
    kind: Literal["booleans"] = "booleans"

    @property
    def names(self) -> tuple[str, ...]:
        """Target columns."""
        return tuple(schema.name for schema in self.schemas)

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Texts of no and yes, per column."""
        return tuple(schema.levels for schema in self.schemas)

    @property
    def task(self) -> Task:
        """Name of the task."""
        return "multilabel"


Target = ClassTarget | NumberTarget | BooleanTarget
State = dict[str, Values]


def typed_labels(labels: Sequence[str], cell_type: CellType) -> Any:
    """Labels (n_labels,) as data-frame values: an array, or an index for times with a zone.

    Texts, dates and decimals have dtype object. Raises ValueError for a label that is invalid for its type.
    """
    if cell_type == "text":
        return np.asarray(labels, object)
    if cell_type == "bool":
        return np.asarray([label.casefold() == "true" for label in labels], np.bool_)
    if cell_type in ("date", "decimal"):
        parse: Any = date.fromisoformat if cell_type == "date" else Decimal
        return np.asarray([parse(label) for label in labels], object)
    if cell_type.startswith("datetime64"):
        stamps = np.asarray([label.removesuffix("Z") for label in labels], cell_type.replace(", UTC", ""))
        return pd.DatetimeIndex(stamps, tz="UTC") if "UTC" in cell_type else stamps
    number = float if cell_type.startswith("float") else int
    return np.asarray([number(label) for label in labels], cell_type)


def prediction_names(target: Target) -> tuple[str, ...]:
    """Names of the prediction columns: class labels, otherwise targets."""
    return target.labels if isinstance(target, ClassTarget) else target.names


def decode_outputs(target: Target, state: State, outputs: NDArray[np.floating]) -> Values:
    """Predictions in original units, float64, from network outputs (n_rows, n_outputs).

    Classes: probabilities (n_rows, n_classes), corrected for the training `class_weights` (n_classes,). Booleans:
    probabilities of yes. Both are calibrated by `temperature` (1,), if in the state. Numbers: inverse-transformed, and
    clipped to `target_low` and `target_high` (n_targets,), if in the state.
    """
    exact: Values = outputs.astype(np.float64)
    if isinstance(target, NumberTarget):
        return _decode_numbers(target, state, exact[:, target.prediction_outputs])
    temperature = float(state["temperature"][0]) if "temperature" in state else 1.0
    if isinstance(target, BooleanTarget):
        return tempered(no_and_yes(exact), temperature)[..., 1]
    probabilities = class_probabilities(exact, len(target.labels))
    if "class_weights" in state:
        probabilities = unweighted(probabilities, state["class_weights"])
    return tempered(probabilities, temperature)


def decode_bounds(target: Target, state: State, outputs: NDArray[np.floating]) -> Values:
    """Inputs of conformal prediction from network outputs (n_rows, n_outputs): as `decode_outputs`.

    For a quantile network with n targets: lower, then upper quantiles (n_rows, 2 n), which enclose the prediction.
    """
    predictions = decode_outputs(target, state, outputs)
    if not isinstance(target, NumberTarget) or not target.fitted:
        return predictions
    exact: Values = outputs.astype(np.float64)
    n_targets = len(target.names)
    low, high = (_decode_numbers(target, state, exact[:, span]) for span in (slice(n_targets), slice(-n_targets, None)))
    return np.concatenate([np.minimum(low, predictions), np.maximum(high, predictions)], axis=1)


def _decode_numbers(target: NumberTarget, state: State, outputs: Values) -> Values:
    numbers = inverse_transform(outputs, target.transform, target.n_quantiles, state)
    return np.clip(numbers, state["target_low"], state["target_high"]) if "target_low" in state else numbers


def predicted_columns(
    target: Target, predictions: Values, threshold: Values | None = None
) -> dict[str, NDArray[np.generic]]:
    """Predictions by target column: labels (see `typed_labels`) or numbers (float64).

    `predictions` are from `decode_outputs`; `threshold` as for `predicted_labels`.
    """
    if isinstance(target, NumberTarget):
        return {name: predictions[:, index] for index, name in enumerate(target.names)}
    labels_and_codes = predicted_labels(target, predictions, threshold).items()
    return {
        name: typed_labels(labels, cell_type)[codes]
        for (name, (labels, codes)), cell_type in zip(labels_and_codes, target.cell_types, strict=True)
    }


def predicted_labels(
    target: ClassTarget | BooleanTarget, predictions: Values, threshold: Values | None = None
) -> dict[str, tuple[tuple[str, ...], NDArray[np.int64]]]:
    """Labels and predicted codes (n_rows,) by target column; ties go to the first class, and to no.

    With `threshold`, the second of two classes, or yes, is predicted above it (a number, or one per column). With more
    classes, each has a threshold (n_classes,), and the class that most exceeds its own is predicted.
    """
    if isinstance(target, ClassTarget):
        return {target.name: (target.labels, most_exceeding(predictions, threshold))}
    codes = (predictions > (0.5 if threshold is None else threshold)).astype(np.int64).T
    return dict(zip(target.names, zip(target.levels, codes, strict=True), strict=True))
