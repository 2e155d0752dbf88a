"""Input columns to the network's inputs: fitted on training rows, then the same for every row, by itself.

The order of the inputs is in `inputs.py`. The state holds `fill`, `center` and `scale`, float64 (n_numbers,), one entry
per number or date, as they follow each other: input = (x - center) / scale.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from mlpcli.data.blocks import write_amounts, write_numbers, write_packed, write_texts
from mlpcli.data.categorical import OneHot, choose_levels
from mlpcli.data.cells import holds_numbers, is_date_dtype
from mlpcli.data.columns import Column, Role, complete_yes_no, find_role
from mlpcli.data.dates import find_date_formats, has_time
from mlpcli.data.faults import missing_cell
from mlpcli.data.inputs import input_blocks, input_places
from mlpcli.data.numeric import MissingPolicy, RefuseMissing, Scaler, fit_fill, fit_scaler
from mlpcli.data.selection import Rows, Selection
from mlpcli.data.tables import Table
from mlpcli.errors import DataError, nearest

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Preprocessor:
    """What was learnt of the input columns: `columns` in the order of the features, `feature_names` of the inputs."""

    columns: tuple[Column, ...]
    feature_names: tuple[str, ...]
    state: dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class TransformCounts:
    """Cells that were missing, and cells with a level that was rare or absent in training, per column that has any."""

    n_missing: dict[str, int]
    n_unseen: dict[str, int]

    def __add__(self, other: "TransformCounts") -> "TransformCounts":
        return TransformCounts(
            dict(Counter(self.n_missing) + Counter(other.n_missing)),
            dict(Counter(self.n_unseen) + Counter(other.n_unseen)),
        )


def text_columns(preprocessor: Preprocessor) -> tuple[str, ...]:
    """Columns to be read as texts."""
    return tuple(column.name for column in preprocessor.columns if column.role != "number")


def number_columns(preprocessor: Preprocessor) -> tuple[str, ...]:
    """Columns to be read as numbers."""
    return tuple(column.name for column in preprocessor.columns if column.role == "number")


def fit_preprocessor(
    table: Table | pd.DataFrame,
    features: Sequence[str],
    roles: Mapping[str, Role],
    numeric: Scaler,
    missing: MissingPolicy,
    categorical: OneHot,
    rows: Rows | None = None,
) -> Preprocessor:
    """Learn from the training rows `rows` (all rows without it); a column not in `roles` gets the role it looks like.

    Roles and ways of writing (of dates, of yes and no) are found in all rows of the table, amounts and levels in the
    training rows alone. Raises DataError for a column that is not there, is empty, or does not suit its role.
    """
    selection = Selection(table, rows)
    if not features:
        raise DataError(f"{selection.name}: no input columns are left. Check data.features and data.drop.")
    _require(selection, features)
    columns: list[Column] = []
    amounts: list[tuple[float, float, float]] = []
    flags: dict[bytes, str] = {}
    for name in features:
        role = roles.get(name) or _find_role(selection, name)
        if role in ("category", "yes_no"):
            column, is_missing = _fit_texts(selection, name, role, categorical)
        else:
            column, values = _fit_amounts(selection, name, role)
            is_missing = np.isnan(values)
            center, scale = fit_scaler(numeric, values)
            amounts.append((fit_fill(missing, values), center, scale))
            if column.n_missing and not isinstance(missing, RefuseMissing) and missing.flag:
                # Columns that are missing together say one thing: they share the flag of the first.
                pattern = np.packbits(is_missing).tobytes()
                column = replace(column, flag_of=flags.setdefault(pattern, name))
        if isinstance(missing, RefuseMissing):
            column = replace(column, refuses_missing=True)
            if column.n_missing:
                raise missing_cell(selection.where(int(np.argmax(is_missing))), name)
        columns.append(column)
    names = tuple(name for _, _, inputs in input_blocks(columns) for name in inputs)
    arrays = np.asarray(amounts, np.float64).reshape(-1, 3).T.copy()
    return Preprocessor(tuple(columns), names, dict(zip(("fill", "center", "scale"), arrays, strict=True)))


def transform(
    preprocessor: Preprocessor, table: Table | pd.DataFrame, dtype: DTypeLike = np.float32, rows: Rows | None = None
) -> tuple[NDArray[np.floating], TransformCounts]:
    """Inputs (n_rows, n_inputs), C-contiguous, of all rows or of `rows`; and how many cells were missing or unseen.

    Raises DataError for a column that is not there, and with file:line for a cell that cannot be used.
    """
    selection = Selection(table, rows)
    _require(selection, [column.name for column in preprocessor.columns])
    X = np.zeros((selection.n_rows, len(preprocessor.feature_names)), dtype)
    counts = TransformCounts({}, {})
    if not selection.n_rows:
        return X, counts
    # Most tables have only numbers, none missing: these are written together, a few rows after the other.
    is_written = write_numbers(X, selection, preprocessor.columns, preprocessor.state)
    written = {column.name for column in preprocessor.columns if is_written and column.role == "number"}
    _write_columns(X, preprocessor, selection, written, counts)
    return X, counts


def transform_and_drain(
    preprocessor: Preprocessor, table: Table, dtype: DTypeLike, row_sets: Sequence[Rows]
) -> list[NDArray[np.floating]]:
    """The inputs of several sets of ascending rows, as `transform` gives them; what is packed of the table is given up.

    So the numbers of a large table are never held twice.
    """
    if table.packed is None:
        return [transform(preprocessor, table, dtype, rows)[0] for rows in row_sets]
    selections = [Selection(table, rows) for rows in row_sets]
    names = [column.name for column in preprocessor.columns]
    _require(selections[0], names)
    shape = len(preprocessor.feature_names)
    Xs: list[NDArray[np.floating]] = [np.zeros((len(rows), shape), dtype) for rows in row_sets]
    written = {name for name in names if name in table.packed}
    # The other columns first: a column of words may be read from what is packed.
    for X, selection in zip(Xs, selections, strict=True):
        _write_columns(X, preprocessor, selection, written, TransformCounts({}, {}))
    write_packed(Xs, row_sets, table.packed, preprocessor.columns, preprocessor.state, table.where)
    return Xs


def _write_columns(
    X: NDArray[np.floating],
    preprocessor: Preprocessor,
    selection: Selection,
    written: Collection[str],
    counts: TransformCounts,
) -> None:
    """Write the columns that are not `written`, one after the other; `counts` are added to."""
    places = input_places(preprocessor.columns)
    amount = 0
    for column in preprocessor.columns:
        if column.name in written:
            amount += 1
            continue
        if column.role in ("category", "yes_no"):
            is_missing, n_unseen = write_texts(X, places, selection, column)
            if n_unseen:
                counts.n_unseen[column.name] = n_unseen
        else:
            fill, center, scale = (float(preprocessor.state[key][amount]) for key in ("fill", "center", "scale"))
            is_missing = write_amounts(X, places, selection, column, (fill, center, scale))
            amount += 1
        n_missing = int(np.count_nonzero(is_missing))
        if n_missing:
            counts.n_missing[column.name] = n_missing
            if column.refuses_missing:
                raise missing_cell(selection.where(int(np.argmax(is_missing))), column.name)
            if column.flag_of:
                X[is_missing, places["flag", column.flag_of]] = 1.0


def _find_role(selection: Selection, name: str) -> Role:
    if selection.is_packed(name):
        return "number"
    return find_role(selection.whole_column(name), partial(selection.whole_texts, name))


def _require(selection: Selection, names: Sequence[str]) -> None:
    lacking = [name for name in names if name not in selection]
    if not lacking:
        return
    # Only a column that nothing needs can be the missing one under another name.
    near = nearest(lacking[0], [column for column in selection.found_columns if column not in names])
    hint = f" Did you mean {near}?" if near else ""
    which = f"column {lacking[0]} is missing" if len(lacking) == 1 else f"columns {_some(lacking)} are missing"
    raise DataError(
        f"{selection.name}: {which}.{hint} The model needs: {_some(names)} (found: {_some(selection.found_columns)})"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def _fit_amounts(selection: Selection, name: str, role: Role) -> tuple[Column, Values]:
    """A column of numbers or dates, and its training values with NaN."""
    column = Column(name, role)
    if role == "number":
        values = selection.numbers(name)
    else:
        column = replace(column, date_format=_date_format(selection, name))
        values = selection.days(name, column.date_format)
        column = replace(column, has_time=has_time(values))
    is_missing = np.isnan(values)
    if is_missing.all():
        _refuse_empty(selection, name)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return replace(column, n_missing=int(np.count_nonzero(is_missing)), minimum=low, maximum=high), values


def _date_format(selection: Selection, name: str) -> str:
    series = selection.whole_column(name)
    if is_date_dtype(series):
        return "YYYY-MM-DD"
    formats = find_date_formats(selection.whole_texts(name).texts)
    if not formats:
        raise DataError(
            f"{selection.name}: column {name} cannot be read as dates, written one and the same way in every row\n"
            "(YYYY-MM-DD, YYYY/MM/DD, DD.MM.YYYY, MM/DD/YYYY or DD/MM/YYYY, each with or without a time)."
        )
    return formats[0]


def _refuse_empty(selection: Selection, name: str) -> None:
    raise DataError(f"{selection.name}: column {name} is empty in the training rows. Leave it out: data.drop: [{name}]")


def _fit_texts(selection: Selection, name: str, role: Role, onehot: OneHot) -> tuple[Column, NDArray[np.bool_]]:
    """A column of levels or of yes and no, and which training cells are missing."""
    cells = selection.texts(name)
    if not cells.texts:
        _refuse_empty(selection, name)
    n_missing = cells.n_missing
    if role == "yes_no":
        texts = selection.whole_texts(name).texts
        levels = complete_yes_no(texts)
        if levels is None:
            raise DataError(
                f"{selection.name}: column {name} is not yes/no, it holds {len(texts)} values: {_some(texts)}"
            )
        return Column(name, role, levels=levels, n_missing=n_missing), cells.codes < 0
    counts = dict(zip(cells.texts, cells.counts.tolist(), strict=True))
    kept, has_rest = choose_levels(onehot, {text: count for text, count in counts.items() if count})
    column = Column(
        name,
        role,
        levels=kept,
        has_number_levels=holds_numbers(selection.whole_column(name)),
        has_missing_level=n_missing > 0,
        has_other_level=has_rest,
        n_missing=n_missing,
    )
    return column, cells.codes < 0
