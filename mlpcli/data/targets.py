"""Target columns: which task they set, what the network learns from them, and how its outputs become answers.

Target columns arrive as texts, so a label comes back as the user wrote it (01, True). Numbers are parsed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.categorical import sort_levels
from mlpcli.data.cells import Codes
from mlpcli.data.labels import class_codes, label_dtype, refuse_missing, yes_no_levels, yes_no_values
from mlpcli.data.probabilities import class_probabilities, no_and_yes, tempered
from mlpcli.data.selection import Rows, Selection, row_dtype
from mlpcli.data.tables import Table
from mlpcli.data.target_transforms import TargetTransform, fit_transform, restored, transformed
from mlpcli.errors import DataError, did_you_mean

Task = Literal["classification", "regression", "multilabel"]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class ClassTarget:
    """One column of class labels; `labels[code]` is the user's own text.

    `dtype` is what the labels were in a data frame from Python, "text" for those of a file.
    """

    name: str
    labels: tuple[str, ...]
    dtype: Literal["text", "int", "float", "bool"] = "text"
    kind: Literal["classes"] = "classes"

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
    """One or more columns of amounts; what their state holds is said in `target_transforms`."""

    names: tuple[str, ...]
    transform: TargetTransform
    n_quantiles: tuple[int, ...] = ()
    kind: Literal["numbers"] = "numbers"

    @property
    def task(self) -> Task:
        """Name of the task."""
        return "regression"


@dataclass(frozen=True)
class YesNoTarget:
    """One or more columns of no and yes; `levels` holds the two texts of each."""

    names: tuple[str, ...]
    levels: tuple[tuple[str, str], ...]
    kind: Literal["yes_no"] = "yes_no"

    @property
    def task(self) -> Task:
        """Name of the task."""
        return "multilabel"


# Squares of larger amounts, summed over the rows, are no longer finite.
LARGEST_AMOUNT = 1e150

Target = ClassTarget | NumberTarget | YesNoTarget
State = dict[str, Values]


def rows_with_target(
    table: Table | pd.DataFrame, target_names: Sequence[str], task: Task, rows: Rows | None = None
) -> tuple[Rows, str]:
    """Rows (of `rows`, of all) where no target is missing, and one sentence for the user ("" when none is).

    Raises DataError when no row is left, or when a numeric target holds a text.
    """
    selection = _selection(table, target_names, rows)
    known = np.ones(selection.n_rows, np.bool_)
    for name in target_names:
        if task == "regression":
            known &= ~np.isnan(_amounts(selection, name))
        else:
            known &= selection.texts(name).codes >= 0
    columns = ", ".join(target_names)
    if not known.any():
        raise DataError(f"{selection.name}: the target {columns} is missing in every row. See data.missing.")
    n_left_out = selection.n_rows - int(np.count_nonzero(known))
    verb = "row has" if n_left_out == 1 else "rows have"
    note = f"{n_left_out} {verb} no value for {columns}: left out." if n_left_out else ""
    dtype = row_dtype(selection.n_rows)
    kept = np.flatnonzero(known).astype(dtype, copy=False) if n_left_out else np.arange(selection.n_rows, dtype=dtype)
    return (kept if rows is None else rows[kept]), note


def _amounts(selection: Selection, name: str) -> Values:
    values = selection.numbers(name)
    if (np.abs(values) > LARGEST_AMOUNT).any():
        row = int(np.argmax(np.abs(values) > LARGEST_AMOUNT))
        raise DataError(
            f"{selection.where(row)}: the target {name} is {values[row]:g}: its square is too large to compute with.\n"
            "Correct the cell, or write the target in another unit."
        )
    return values


def fit_target(
    table: Table | pd.DataFrame,
    target_names: Sequence[str],
    task: Task,
    rows: Rows | None = None,
    transform: TargetTransform = "standardize",
) -> tuple[Target, State]:
    """Describe the targets from the training rows `rows`; `transform` is of amounts.

    The state is empty but for amounts. Raises DataError for a target that is constant, or of the wrong sort for the
    task or the transform.
    """
    selection = _selection(table, target_names, rows)
    if task == "regression":
        return _fit_numbers(selection, target_names, transform)
    levels = []
    for name in target_names:
        texts = selection.texts(name).texts
        if len(texts) < 2:
            only = f"one value only ({texts[0]!r})" if texts else "no value"
            raise DataError(f"{selection.name}: the target {name} has {only} in the training rows: nothing to learn.")
        levels.append(sort_levels(texts))
    if task == "classification":
        if len(target_names) > 1:
            raise DataError("task: classification has one target column. For several yes/no columns: task: multilabel.")
        return ClassTarget(target_names[0], levels[0], label_dtype(selection.no_cells(target_names[0]))), {}
    levels_of = [yes_no_levels(selection, name, texts) for name, texts in zip(target_names, levels, strict=True)]
    return YesNoTarget(tuple(target_names), tuple(levels_of)), {}


def encode_target(
    target: Target, state: State, table: Table | pd.DataFrame, rows: Rows | None = None
) -> Values | Codes:
    """What the network is to give: class codes (n_rows,), or float64 amounts or 0 and 1 (n_rows, n_targets).

    Raises DataError with the place for a missing cell (see `rows_with_target`), a class that training never saw, and a
    text among numbers.
    """
    values = true_values(target, table, rows)
    if not isinstance(target, NumberTarget):
        return values
    if target.transform == "log":
        for name, column in zip(target.names, values.T, strict=True):
            _refuse_negative(Selection(table, rows), name, column)
    return transformed(np.asarray(values, np.float64), target.transform, target.n_quantiles, state)


def answer_names(target: Target) -> tuple[str, ...]:
    """What the columns of answers stand for: the labels of classes, else the targets."""
    return target.labels if isinstance(target, ClassTarget) else target.names


def true_values(target: Target, table: Table | pd.DataFrame, rows: Rows | None = None) -> Values | Codes:
    """What answers are compared with: as `encode_target`, but amounts in the user's units."""
    selection = _selection(table, target.names, rows)
    if isinstance(target, ClassTarget):
        return class_codes(selection, target.name, target.labels)
    columns = np.empty((selection.n_rows, len(target.names)))
    for index, name in enumerate(target.names):
        if isinstance(target, NumberTarget):
            columns[:, index] = selection.numbers(name)
            refuse_missing(selection, name, np.isnan(columns[:, index]))
        else:
            columns[:, index] = yes_no_values(selection, name, target.levels[index])
    return columns


def decode_outputs(target: Target, state: State, outputs: NDArray[np.floating]) -> Values:
    """Answers in the user's units from network outputs (n_rows, n_outputs), as float64.

    Classes: probabilities (n_rows, n_classes). Yes/no: probabilities of yes. Both go through `temperature` (1,), if the
    state has it. Amounts: transformed back, and if the state has `target_low` and `target_high` (n_targets,), within.
    """
    exact: Values = outputs.astype(np.float64)
    if isinstance(target, NumberTarget):
        amounts = restored(exact, target.transform, target.n_quantiles, state)
        return np.clip(amounts, state["target_low"], state["target_high"]) if "target_low" in state else amounts
    temperature = float(state["temperature"][0]) if "temperature" in state else 1.0
    if isinstance(target, YesNoTarget):
        return tempered(no_and_yes(exact), temperature)[..., 1]
    return tempered(class_probabilities(exact, len(target.labels)), temperature)


def predicted_columns(
    target: Target, answers: Values, threshold: Values | None = None
) -> dict[str, NDArray[np.generic]]:
    """The answer of each row by target column: labels (object, the user's texts) or amounts (float64).

    `answers` come from `decode_outputs`; `threshold` as for `predicted_labels`.
    """
    if isinstance(target, NumberTarget):
        return {name: answers[:, index] for index, name in enumerate(target.names)}
    return {
        name: np.asarray(texts, dtype=object)[codes]
        for name, (texts, codes) in predicted_labels(target, answers, threshold).items()
    }


def predicted_labels(
    target: ClassTarget | YesNoTarget, answers: Values, threshold: Values | None = None
) -> dict[str, tuple[tuple[str, ...], Codes]]:
    """By target column its labels, and which of them each row gets; a tie goes to the first class, and to no.

    Of two classes the second, and of yes/no columns yes, is taken above `threshold` (one number, or one per column),
    if there is one.
    """
    if isinstance(target, ClassTarget):
        codes = answers.argmax(axis=1) if threshold is None else (answers[:, 1] > threshold[0]).astype(np.int64)
        return {target.name: (target.labels, codes)}
    codes = (answers > (0.5 if threshold is None else threshold)).astype(np.int64).T
    return dict(zip(target.names, zip(target.levels, codes, strict=True), strict=True))


def _selection(table: Table | pd.DataFrame, target_names: Sequence[str], rows: Rows | None) -> Selection:
    selection = Selection(table, rows)
    for name in target_names:
        if name not in selection:
            hint = did_you_mean(name, selection.found_columns)
            raise DataError(f"{selection.name}: the target column {name} is missing.{hint}")
    return selection


def _refuse_negative(selection: Selection, name: str, values: Values) -> None:
    if (values < 0.0).any():
        row = int(np.argmax(values < 0.0))
        raise DataError(
            f"{selection.where(row)}: the target {name} is {values[row]:g}: preprocess.target: log needs 0 or more.\n"
            "Correct the cell, or write preprocess.target: quantile, which takes any number."
        )


def _fit_numbers(selection: Selection, names: Sequence[str], transform: TargetTransform) -> tuple[Target, State]:
    columns = []
    for name in names:
        values = selection.numbers(name)
        known = values[~np.isnan(values)]
        if not len(known) or known.min() == known.max():
            only = f"one value only ({known[0]:g})" if len(known) else "no value"
            raise DataError(f"{selection.name}: the target {name} has {only} in the training rows: nothing to learn.")
        if transform == "log":
            _refuse_negative(selection, name, values)
        columns.append(known)
    state, n_quantiles = fit_transform(columns, transform)
    return NumberTarget(tuple(names), transform, n_quantiles), state
