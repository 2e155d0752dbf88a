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
from mlpcli.data.cells import Series, TextCells
from mlpcli.data.columns import find_yes_no, yes_no_sign
from mlpcli.data.numeric import Standardize
from mlpcli.data.selection import Selection
from mlpcli.data.tables import Table
from mlpcli.errors import DataError, did_you_mean

Task = Literal["classification", "regression", "multilabel"]
Values = NDArray[np.float64]
Codes = NDArray[np.int64]


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
    """One or more columns of amounts; its state holds `target_center` and `target_scale` (n_targets,)."""

    names: tuple[str, ...]
    is_standardized: bool
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


Target = ClassTarget | NumberTarget | YesNoTarget
State = dict[str, Values]


def rows_with_target(
    table: Table | pd.DataFrame, target_names: Sequence[str], task: Task, rows: Codes | None = None
) -> tuple[Codes, str]:
    """Rows (of `rows`, of all) where no target is missing, and one sentence for the user ("" when none is).

    Raises DataError when no row is left, or when a numeric target holds a text.
    """
    selection = _selection(table, target_names, rows)
    known = np.ones(selection.n_rows, np.bool_)
    for name in target_names:
        if task == "regression":
            known &= ~np.isnan(selection.numbers(name))
        else:
            known &= selection.texts(name).codes >= 0
    columns = ", ".join(target_names)
    if not known.any():
        raise DataError(f"{selection.name}: the target {columns} is missing in every row. See data.missing.")
    n_left_out = selection.n_rows - int(np.count_nonzero(known))
    verb = "row has" if n_left_out == 1 else "rows have"
    note = f"{n_left_out} {verb} no value for {columns}: left out." if n_left_out else ""
    kept = np.flatnonzero(known).astype(np.int64, copy=False)
    return (kept if rows is None else rows[kept]), note


def _label_dtype(column: Series) -> Literal["text", "int", "float", "bool"]:
    if pd.api.types.is_bool_dtype(column):
        return "bool"
    if pd.api.types.is_integer_dtype(column):
        return "int"
    return "float" if pd.api.types.is_float_dtype(column) else "text"


def fit_target(
    table: Table | pd.DataFrame,
    target_names: Sequence[str],
    task: Task,
    rows: Codes | None = None,
    standardize: bool = True,
) -> tuple[Target, State]:
    """Describe the targets from the training rows `rows`; `standardize` centres and scales amounts.

    The state holds `target_center` and `target_scale` for amounts and is empty otherwise. Raises DataError for a target
    that is constant, or of the wrong sort for the task.
    """
    selection = _selection(table, target_names, rows)
    if task == "regression":
        return _fit_numbers(selection, target_names, standardize)
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
        return ClassTarget(target_names[0], levels[0], _label_dtype(selection.column(target_names[0]))), {}
    pairs = [_yes_no_levels(selection, name, texts) for name, texts in zip(target_names, levels, strict=True)]
    return YesNoTarget(tuple(target_names), tuple(pairs)), {}


def encode_target(
    target: Target, state: State, table: Table | pd.DataFrame, rows: Codes | None = None
) -> Values | Codes:
    """What the network is to give: int64 class codes (n_rows,), or float64 (n_rows, n_targets) amounts or 0 and 1.

    Raises DataError with the place for a missing cell (see `rows_with_target`), a class that training never saw, and a
    text among numbers.
    """
    selection = _selection(table, target.names, rows)
    if isinstance(target, ClassTarget):
        return _class_codes(target, selection)
    columns = np.empty((selection.n_rows, len(target.names)))
    for index, name in enumerate(target.names):
        if isinstance(target, NumberTarget):
            columns[:, index] = selection.numbers(name)
            _refuse_missing(selection, name, np.isnan(columns[:, index]))
        else:
            columns[:, index] = _yes_no_values(target.levels[index], selection, name)
    if isinstance(target, NumberTarget):
        columns -= state["target_center"]
        columns /= state["target_scale"]
    return columns


def true_values(target: Target, table: Table | pd.DataFrame, rows: Codes | None = None) -> Values | Codes:
    """What answers are compared with: as `encode_target`, but amounts in the user's units."""
    n = len(target.names)
    return encode_target(target, {"target_center": np.zeros(n), "target_scale": np.ones(n)}, table, rows)


def decode_outputs(target: Target, state: State, outputs: NDArray[np.floating]) -> Values:
    """Answers in the user's units from network outputs (n_rows, n_outputs), as float64.

    Classes: probabilities (n_rows, n_classes). Rows that sum to 1 are kept; others (sigmoid outputs) are clipped at 0
    and divided by their sum, or uniform when all are 0. Yes/no: probabilities of yes. Amounts: scaled back.
    """
    outputs = outputs.astype(np.float64)
    if isinstance(target, NumberTarget):
        return outputs * state["target_scale"] + state["target_center"]
    if isinstance(target, YesNoTarget):
        return np.clip(outputs, 0.0, 1.0)
    if outputs.shape[1] == 1 and len(target.labels) == 2:
        second = np.clip(outputs, 0.0, 1.0)
        return np.hstack([1.0 - second, second])
    kept = (np.abs(outputs.sum(axis=1, keepdims=True) - 1.0) <= 1e-5) & (outputs >= 0.0).all(axis=1, keepdims=True)
    shares = np.maximum(outputs, 0.0)
    totals = shares.sum(axis=1, keepdims=True)
    shares = np.where(totals == 0.0, 1.0 / outputs.shape[1], shares / np.where(totals == 0.0, 1.0, totals))
    return np.where(kept, outputs, shares)


def predicted_columns(target: Target, answers: Values) -> dict[str, NDArray[np.generic]]:
    """What `mlp predict` writes, by target column: labels (object, the user's texts) or amounts (float64).

    `answers` come from `decode_outputs`.
    """
    if isinstance(target, NumberTarget):
        return {name: answers[:, index] for index, name in enumerate(target.names)}
    return {
        name: np.asarray(texts, dtype=object)[codes]
        for name, (texts, codes) in predicted_labels(target, answers).items()
    }


def predicted_labels(target: ClassTarget | YesNoTarget, answers: Values) -> dict[str, tuple[tuple[str, ...], Codes]]:
    """By target column its labels, and which of them each row gets; a tie goes to the first class, and to no."""
    if isinstance(target, ClassTarget):
        return {target.name: (target.labels, answers.argmax(axis=1))}
    codes = (answers > 0.5).astype(np.int64).T
    return dict(zip(target.names, zip(target.levels, codes, strict=True), strict=True))


def _selection(table: Table | pd.DataFrame, target_names: Sequence[str], rows: Codes | None) -> Selection:
    selection = Selection(table, rows)
    for name in target_names:
        if name not in selection:
            hint = did_you_mean(name, selection.found_columns)
            raise DataError(f"{selection.name}: the target column {name} is missing.{hint}")
    return selection


def _refuse_missing(selection: Selection, name: str, is_missing: NDArray[np.bool_]) -> None:
    if is_missing.any():
        raise DataError(f"{selection.where(int(np.argmax(is_missing)))}: the target {name} is missing.")


def _fit_numbers(selection: Selection, names: Sequence[str], standardize: bool) -> tuple[Target, State]:
    centers, scales = np.zeros(len(names)), np.ones(len(names))
    for index, name in enumerate(names):
        values = selection.numbers(name)
        known = values[~np.isnan(values)]
        if not len(known) or known.min() == known.max():
            only = f"one value only ({known[0]:g})" if len(known) else "no value"
            raise DataError(f"{selection.name}: the target {name} has {only} in the training rows: nothing to learn.")
        if standardize:
            centers[index], scales[index] = Standardize().measure(known)
    return NumberTarget(tuple(names), standardize), {"target_center": centers, "target_scale": scales}


def _yes_no_levels(selection: Selection, name: str, texts: Sequence[str]) -> tuple[str, str]:
    words = find_yes_no(texts)
    if words is not None:
        return words
    if len(texts) > 2:
        some = ", ".join(texts[:4]) + (", ..." if len(texts) > 4 else "")
        raise DataError(
            f"{selection.name}: the target {name} has {len(texts)} values ({some}); multilabel needs yes/no."
        )
    return texts[0], texts[1]


def _class_codes(target: ClassTarget, selection: Selection) -> Codes:
    cells = selection.texts(target.name)
    codes = {label: float(code) for code, label in enumerate(target.labels)}
    same_number = _same_number(target.labels, cells.texts)
    values = [codes.get(same_number.get(text, text), np.nan) for text in cells.texts]
    return _looked_up(selection, target.name, cells, values, target.labels, "a class").astype(np.int64)


def _yes_no_values(levels: tuple[str, str], selection: Selection, name: str) -> Values:
    cells = selection.texts(name)
    values = [(yes_no_sign(levels, text) + 1.0) / 2.0 for text in cells.texts]
    return _looked_up(selection, name, cells, values, levels, "a value")


def _looked_up(
    selection: Selection, name: str, cells: TextCells, values: list[float], known: Sequence[str], what: str
) -> Values:
    """The value of each cell's text (`values`, one per text); NaN is an error with the place of the cell."""
    _refuse_missing(selection, name, cells.codes < 0)
    is_unknown = np.isnan(np.asarray(values, np.float64))
    if is_unknown.any():
        row = int(np.argmax(cells.translated(is_unknown, False)))
        text = cells.texts[cells.codes[row]]
        some = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise DataError(
            f"{selection.where(row)}: {name} is {text!r}, {what} training never saw (it saw {some}).\n"
            "Correct the cell, leave the row out, or train on rows that have it."
        )
    return cells.translated(np.asarray(values, np.float64), np.nan).astype(np.float64, copy=False)


def _same_number(labels: Sequence[str], texts: Sequence[str]) -> dict[str, str]:
    """Labels for texts that spell the same number in another way: 1.0 for 1, as happens once a column has gaps."""
    by_number = {number: label for label in labels if (number := _number(label)) is not None}
    if len(by_number) < len(labels):
        return {}
    strange = set(texts) - set(labels)
    return {text: by_number[number] for text in strange if (number := _number(text)) in by_number}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
