"""Target columns: what the network learns from them, and how its outputs become answers.

A target is read as its recorded schema says, like any column; labels are the canonical texts of its cells.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.targets.probabilities import class_probabilities, no_and_yes, tempered
from mlpcli.data.targets.transforms import TargetTransform, restored

Task = Literal["classification", "regression", "multilabel"]
LabelType = Literal["text", "int", "float", "bool"]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class ClassTarget:
    """One column of class labels; `labels[code]` is the label. `dtype` is what labels are in a data frame."""

    schema: ColumnSchema
    labels: tuple[str, ...]
    dtype: LabelType = "text"
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
    def task(self) -> Task:
        """Name of the task."""
        return "classification"


@dataclass(frozen=True)
class NumberTarget:
    """One or more columns of numbers; what their state holds is said in `transforms`."""

    schemas: tuple[ColumnSchema, ...]
    transform: TargetTransform
    n_quantiles: tuple[int, ...] = ()
    kind: Literal["numbers"] = "numbers"

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
    """One or more columns of no and yes."""

    schemas: tuple[ColumnSchema, ...]
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


def label_values(target: ClassTarget) -> NDArray[Any]:
    """The labels (n_classes,) as a data frame has them: int64, float64, bool, or texts (object)."""
    if target.dtype == "text":
        return np.asarray(target.labels, object)
    if target.dtype == "bool":
        return np.asarray([label.casefold() == "true" for label in target.labels], np.bool_)
    number = int if target.dtype == "int" else float
    return np.asarray([number(label) for label in target.labels], np.dtype(number))


def answer_names(target: Target) -> tuple[str, ...]:
    """What the columns of answers stand for: the labels of classes, else the targets."""
    return target.labels if isinstance(target, ClassTarget) else target.names


def decode_outputs(target: Target, state: State, outputs: NDArray[np.floating]) -> Values:
    """Answers in the user's units from network outputs (n_rows, n_outputs), as float64.

    Classes: probabilities (n_rows, n_classes). Booleans: probabilities of yes. Both go through `temperature` (1,), if
    the state has it. Numbers: transformed back, and within `target_low` and `target_high` (n_targets,) if it has them.
    """
    exact: Values = outputs.astype(np.float64)
    if isinstance(target, NumberTarget):
        numbers = restored(exact, target.transform, target.n_quantiles, state)
        return np.clip(numbers, state["target_low"], state["target_high"]) if "target_low" in state else numbers
    temperature = float(state["temperature"][0]) if "temperature" in state else 1.0
    if isinstance(target, BooleanTarget):
        return tempered(no_and_yes(exact), temperature)[..., 1]
    return tempered(class_probabilities(exact, len(target.labels)), temperature)


def predicted_columns(
    target: Target, answers: Values, threshold: Values | None = None
) -> dict[str, NDArray[np.generic]]:
    """The answer of each row by target column: labels (see `label_values`) or numbers (float64).

    `answers` come from `decode_outputs`; `threshold` as for `predicted_labels`.
    """
    if isinstance(target, NumberTarget):
        return {name: answers[:, index] for index, name in enumerate(target.names)}
    found = predicted_labels(target, answers, threshold)
    if isinstance(target, ClassTarget):
        return {target.name: label_values(target)[found[target.name][1]]}
    return {name: np.asarray(texts, dtype=object)[codes] for name, (texts, codes) in found.items()}


def predicted_labels(
    target: ClassTarget | BooleanTarget, answers: Values, threshold: Values | None = None
) -> dict[str, tuple[tuple[str, ...], NDArray[np.int64]]]:
    """By target column its labels, and which of them each row gets; a tie goes to the first class, and to no.

    Of two classes the second, and of booleans yes, is taken above `threshold` (one number, or one per column), if
    there is one.
    """
    if isinstance(target, ClassTarget):
        codes = answers.argmax(axis=1) if threshold is None else (answers[:, 1] > threshold[0]).astype(np.int64)
        return {target.name: (target.labels, codes)}
    codes = (answers > (0.5 if threshold is None else threshold)).astype(np.int64).T
    return dict(zip(target.names, zip(target.levels, codes, strict=True), strict=True))
