"""Target columns: what the network learns from them, and how its outputs become answers.

A target is read as its recorded schema says, like any column; labels are the canonical texts of its cells.
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
    """One column of class labels; `labels[code]` is the label. `cell_type` is what labels are in a data frame."""

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
        """How the target column is read."""
        return (self.schema,)

    @property
    def names(self) -> tuple[str, ...]:
        """Target columns."""
        return (self.name,)

    @property
    def cell_types(self) -> tuple[CellType, ...]:
        """What labels are in a data frame."""
        return (self.cell_type,)

    @property
    def task(self) -> Task:
        """Name of the task."""
        return "classification"


@dataclass(frozen=True)
class NumberTarget:
    """One or more columns of numbers; what their state holds is said in `transforms`.

    Where a network has outputs for three quantiles of each target, `fitted` are these: the outputs of all targets for
    the first, then those for the second, which are the answers, then those for the third.
    """

    schemas: tuple[ColumnSchema, ...]
    transform: TargetTransform
    n_quantiles: tuple[int, ...] = ()
    fitted: tuple[float, ...] = ()
    kind: Literal["numbers"] = "numbers"

    @property
    def n_outputs(self) -> int:
        """How many outputs a network has."""
        return len(self.schemas) * max(len(self.fitted), 1)

    @property
    def prediction_outputs(self) -> slice:
        """Which outputs are the answers."""
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
    """One or more columns of no and yes; `cell_types` is what these are in a data frame."""

    schemas: tuple[ColumnSchema, ...]
    cell_types: tuple[CellType, ...]
    kind: Literal["booleans"] = "booleans"

    @property
    def names(self) -> tuple[str, ...]:
        """Target columns."""
        return tuple(schema.name for schema in self.schemas)

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """The texts of no and yes of each column."""
        return tuple(schema.levels for schema in self.schemas)

    @property
    def task(self) -> Task:
        """Name of the task."""
        return "multilabel"


Target = ClassTarget | NumberTarget | BooleanTarget
State = dict[str, Values]


def typed_labels(labels: Sequence[str], cell_type: CellType) -> Any:
    """Labels (n_labels,) as a data frame has them: an array, of times with a zone an index.

    Texts, dates and decimals are objects. Raises ValueError for a label that is not of its type.
    """
    if cell_type == "text":
        return np.asarray(labels, object)
    if cell_type == "bool":
        return np.asarray([label.casefold() == "true" for label in labels], np.bool_)
    if cell_type in ("date", "decimal"):
        read: Any = date.fromisoformat if cell_type == "date" else Decimal
        return np.asarray([read(label) for label in labels], object)
    if cell_type.startswith("datetime64"):
        stamps = np.asarray([label.removesuffix("Z") for label in labels], cell_type.replace(", UTC", ""))
        return pd.DatetimeIndex(stamps, tz="UTC") if "UTC" in cell_type else stamps
    number = float if cell_type.startswith("float") else int
    return np.asarray([number(label) for label in labels], cell_type)


def prediction_names(target: Target) -> tuple[str, ...]:
    """What the columns of answers stand for: the labels of classes, else the targets."""
    return target.labels if isinstance(target, ClassTarget) else target.names


def decode_outputs(target: Target, state: State, outputs: NDArray[np.floating]) -> Values:
    """Answers in the user's units from network outputs (n_rows, n_outputs), as float64.

    Classes: probabilities (n_rows, n_classes), from which `class_weights` (n_classes,) of the training are taken out.
    Booleans: probabilities of yes. Both go through `temperature` (1,), if the state has it. Numbers: transformed back,
    and within `target_low` and `target_high` (n_targets,) if it has them.
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
    """What regions are made of, from network outputs (n_rows, n_outputs): as `decode_outputs`.

    Of three quantiles of n targets it is the lower and then the upper ones, (n_rows, 2 n), with the answer within.
    """
    answers = decode_outputs(target, state, outputs)
    if not isinstance(target, NumberTarget) or not target.fitted:
        return answers
    exact: Values = outputs.astype(np.float64)
    n_targets = len(target.names)
    low, high = (_decode_numbers(target, state, exact[:, some]) for some in (slice(n_targets), slice(-n_targets, None)))
    return np.concatenate([np.minimum(low, answers), np.maximum(high, answers)], axis=1)


def _decode_numbers(target: NumberTarget, state: State, outputs: Values) -> Values:
    numbers = inverse_transform(outputs, target.transform, target.n_quantiles, state)
    return np.clip(numbers, state["target_low"], state["target_high"]) if "target_low" in state else numbers


def predicted_columns(
    target: Target, answers: Values, threshold: Values | None = None
) -> dict[str, NDArray[np.generic]]:
    """The answer of each row by target column: labels (see `typed_labels`) or numbers (float64).

    `answers` come from `decode_outputs`; `threshold` as for `predicted_labels`.
    """
    if isinstance(target, NumberTarget):
        return {name: answers[:, index] for index, name in enumerate(target.names)}
    found = predicted_labels(target, answers, threshold).items()
    return {
        name: typed_labels(labels, cell_type)[codes]
        for (name, (labels, codes)), cell_type in zip(found, target.cell_types, strict=True)
    }


def predicted_labels(
    target: ClassTarget | BooleanTarget, answers: Values, threshold: Values | None = None
) -> dict[str, tuple[tuple[str, ...], NDArray[np.int64]]]:
    """By target column its labels, and which of them each row gets; a tie goes to the first class, and to no.

    Of two classes the second, and of booleans yes, is taken above `threshold` (one number, or one per column), if
    there is one. Of more classes, each with its threshold (n_classes,), it is the one that most exceeds its own.
    """
    if isinstance(target, ClassTarget):
        return {target.name: (target.labels, most_exceeding(answers, threshold))}
    codes = (answers > (0.5 if threshold is None else threshold)).astype(np.int64).T
    return dict(zip(target.names, zip(target.levels, codes, strict=True), strict=True))
