"""Target columns of a cast table: rows with a target, fitting of targets, and their encoding for the network."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.faults import join_names
from mlpcli.data.schema.cells import name_hint, parse_numbers, quote_with_difference, sort_levels
from mlpcli.data.schema.column import ColumnSchema, first_row_with_level
from mlpcli.data.schema.spelling import number_text
from mlpcli.data.table import CategoricalColumn, CellType, Codes, NumericColumn, Rows, Table, code_dtype, row_dtype
from mlpcli.data.targets.target import BooleanTarget, ClassTarget, NumberTarget, State, Target, Task
from mlpcli.data.targets.transforms import TargetTransform, fit_transform, transform_targets
from mlpcli.errors import DataError

Values = NDArray[np.float64]

# Squares of larger numbers, summed over the rows, may overflow.
LARGEST_NUMBER = np.float64(1e150)
_LARGE = "its square is too large to compute with.\nCorrect the cell, or write the target in another unit."
_NEGATIVE = (
    "preprocess.target: log needs 0 or more.\n"
    "Correct the cell, or write preprocess.target: quantile, which takes any number."
)
_INTEGER = re.compile("0|-?[1-9][0-9]*")


def require_targets(table: Table, names: Sequence[str], role: str = "target") -> None:
    """Raise DataError for a target column that is not in the table."""
    for name in names:
        if name not in table.columns:
            hint = name_hint(name, table.column_names)
            raise DataError(f"{table.name}: the {role} column {name} is missing.{hint}")


def rows_with_target(table: Table, names: Sequence[str], rows: Rows | None = None) -> tuple[Rows, str]:
    """Rows (of `rows`, None: all) where no target is missing, and a note for the user ("" if none is missing).

    `table` is cast by the schemas of the targets. Raises DataError if no row is left.
    """
    masks = _non_missing_cells(table, names, rows)
    has_all, n_rows = np.logical_and.reduce(masks), len(masks[0])
    columns = ", ".join(names)
    if not has_all.any():
        raise DataError(f"{table.name}: the target {columns} is missing in every row. See data.missing.")
    n_left_out = n_rows - int(np.count_nonzero(has_all))
    note = ""
    if n_left_out:
        verb = "row has" if n_left_out == 1 else "rows have"
        note = f"{n_left_out} {verb} no value for {columns}: left out."
        if len(names) > 1:
            counts = ", ".join(f"{name} {np.count_nonzero(mask)}" for name, mask in zip(names, masks, strict=True))
            note += f" Rows with a value, each target alone: {counts}."
    dtype = row_dtype(n_rows)
    with_target = np.flatnonzero(has_all).astype(dtype, copy=False) if n_left_out else np.arange(n_rows, dtype=dtype)
    return (with_target if rows is None else rows[with_target]), note


def has_targets(table: Table, names: Sequence[str]) -> NDArray[np.bool_]:
    """Mask (n_rows,) of rows without a missing target; `table` is cast by their schemas."""
    return np.asarray(np.logical_and.reduce(_non_missing_cells(table, names, None)))


def _non_missing_cells(table: Table, names: Sequence[str], rows: Rows | None) -> list[NDArray[np.bool_]]:
    """Mask of non-missing cells per target, over `rows` (None: all); raises DataError for a number too large."""
    require_targets(table, names)
    masks = []
    for name in names:
        column = table.column(name, rows)
        if isinstance(column, NumericColumn):
            _refuse(table, rows, name, column.values, np.abs(column.values) > LARGEST_NUMBER, _LARGE)
        masks.append(~column.is_missing)
    return masks


def fit_target(
    table: Table,
    schemas: Sequence[ColumnSchema],
    task: Task,
    rows: Rows,
    transform: TargetTransform = "standardize",
    weights: Values | None = None,
    fitted: tuple[float, ...] = (),
) -> tuple[Target, State]:
    """Fit the targets on the training rows `rows` of a table cast by `schemas`.

    `transform`, and the quantiles `fitted` of a quantile network, apply to regression, which alone has a non-empty
    state. `weights` (n_rows,) are the weights of `rows`. Raises DataError for a target that is constant or invalid for
    the task or transform.
    """
    if task == "regression":
        return _fit_numbers(table, schemas, rows, transform, weights, fitted)
    for schema in schemas:
        column = table.columns[schema.name].take(rows)
        assert isinstance(column, CategoricalColumn)
        levels = list(column.level_counts)
        if len(levels) < 2:
            raise _constant_error(table, schema.name, repr(levels[0]) if levels else "")
        if task == "multilabel" and len(levels) > 2:
            raise DataError(
                f"{table.name}: the target {schema.name} has {len(levels)} values ({join_names(levels, 4)}); "
                "multilabel needs booleans."
            )
    if task == "multilabel":
        return BooleanTarget(
            tuple(schemas), tuple(label_cell_type(table, schema.name, schema.levels) for schema in schemas)
        ), {}
    if len(schemas) > 1:
        raise DataError("task: classification has one target column. For several booleans: task: multilabel.")
    labels = sort_levels(levels)
    return ClassTarget(schemas[0], labels, label_cell_type(table, schemas[0].name, labels)), {}


def label_cell_type(table: Table, name: str, labels: Sequence[str]) -> CellType:
    """Data-frame type of labels: that of their cells, otherwise the one pandas would infer."""
    cell_type = table.columns[name].cell_type
    if cell_type is not None and cell_type != "mixed":
        return cell_type
    if {label.casefold() for label in labels} == {"false", "true"}:
        return "bool"
    if all(_INTEGER.fullmatch(label) and -(2**63) <= int(label) < 2**63 for label in labels):
        return "int64"
    numbers, is_text = parse_numbers(labels)
    if any(is_text) or not np.isfinite(numbers).all():
        return "text"
    is_plain = all(label == number_text(number) for label, number in zip(labels, numbers.tolist(), strict=True))
    return "float64" if is_plain else "text"


def encode_target(target: Target, state: State, table: Table, rows: Rows | None = None) -> NDArray[Any]:
    """Network targets: class codes (n_rows,), or float64 numbers or 0 and 1 (n_rows, n_targets).

    Raises DataError with the location of a missing cell (see `rows_with_target`) or an unseen class.
    """
    values = true_values(target, table, rows)
    if not isinstance(target, NumberTarget):
        return values
    if target.transform == "log":
        for name, column in zip(target.names, values.T, strict=True):
            _refuse(table, rows, name, column, column < 0.0, _NEGATIVE)
    return transform_targets(np.asarray(values, np.float64), target.transform, target.n_quantiles, state)


def true_values(target: Target, table: Table, rows: Rows | None = None) -> NDArray[Any]:
    """Ground truth for scores: as `encode_target`, but numbers in original units."""
    require_targets(table, target.names)
    encoded = []
    for name in target.names:
        column = table.column(name, rows)
        if column.is_missing.any():
            raise DataError(f"{table.where(int(np.argmax(column.is_missing)), rows)}: the target {name} is missing.")
        if isinstance(column, NumericColumn):
            encoded.append(np.asarray(column.values, np.float64))
        elif isinstance(target, ClassTarget):
            return _encode_labels(table, rows, name, column, target.labels, "a class")
        else:
            schema = next(schema for schema in target.schemas if schema.name == name)
            encoded.append(_encode_labels(table, rows, name, column, schema.levels, "a value").astype(np.float64))
    return np.stack(encoded, axis=1)


def _encode_labels(
    table: Table, rows: Rows | None, name: str, column: CategoricalColumn, labels: Sequence[str], noun: str
) -> Codes:
    """Index of each cell's label in `labels`; raises DataError for an unseen label."""
    code_of_label = {label: code for code, label in enumerate(labels)}
    new_codes = np.asarray([code_of_label.get(level, -1) for level in column.levels], code_dtype(len(labels)))
    is_unknown = (new_codes < 0) & (column.counts > 0)
    if is_unknown.any():
        row = first_row_with_level(column, is_unknown)
        text = column.levels[column.codes[row]]
        raise DataError(
            f"{table.where(row, rows)}: {name} is {quote_with_difference(text, labels)}, {noun} that did not "
            f"occur in training (there: {join_names(labels)}).\n"
            "Correct the cell, leave the row out, or train on rows that have it."
        )
    codes: Codes = column.translate(new_codes, -1)
    return codes


def _constant_error(table: Table, name: str, value: str) -> DataError:
    problem = f"one value only ({value})" if value else "no value"
    return DataError(f"{table.name}: the target {name} has {problem} in the training rows: nothing to learn.")


def _refuse(
    table: Table, rows: Rows | None, name: str, values: NDArray[Any], is_refused: NDArray[np.bool_], why: str
) -> None:
    """Raise DataError for the first refused number (n_rows,) of a target."""
    if is_refused.any():
        row = int(np.argmax(is_refused))
        raise DataError(f"{table.where(row, rows)}: the target {name} is {values[row]:g}: {why}")


def _fit_numbers(
    table: Table,
    schemas: Sequence[ColumnSchema],
    rows: Rows,
    transform: TargetTransform,
    weights: Values | None,
    fitted: tuple[float, ...],
) -> tuple[Target, State]:
    columns = []
    for schema in schemas:
        column = table.columns[schema.name].take(rows)
        assert isinstance(column, NumericColumn)
        values = np.asarray(column.values, np.float64)
        present = values[~np.isnan(values)]
        if not len(present) or present.min() == present.max():
            raise _constant_error(table, schema.name, f"{present[0]:g}" if len(present) else "")
        if transform == "log":
            _refuse(table, rows, schema.name, values, values < 0.0, _NEGATIVE)
        columns.append(values)
    state, n_quantiles = fit_transform(columns, transform, weights)
    return NumberTarget(tuple(schemas), transform, n_quantiles, fitted), state
