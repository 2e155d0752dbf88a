"""Input columns to the network's inputs: fitted on training rows, then the same for every row, by itself.

The order of the inputs is in `inputs.py`, the state and the arithmetic of numbers and dates in `amounts.py`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from mlpcli.data.amounts import Amount, Spread, fit_amount, pack_amounts, unpack_amounts
from mlpcli.data.blocks import write_amounts, write_numbers, write_packed, write_texts
from mlpcli.data.categorical import OneHot, choose_levels
from mlpcli.data.cells import holds_numbers, is_date_dtype
from mlpcli.data.columns import Column, Role, complete_yes_no, find_role
from mlpcli.data.dates import find_date_formats, has_time
from mlpcli.data.edges import guide_of
from mlpcli.data.faults import missing_cell
from mlpcli.data.inputs import input_blocks, input_names, input_places
from mlpcli.data.numeric import MOST_DISTINCT, MissingPolicy, RefuseMissing, Scaler
from mlpcli.data.piecewise import Encoding
from mlpcli.data.selection import Rows, Selection, require_columns, some_of
from mlpcli.data.tables import Table
from mlpcli.errors import DataError

Values = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Preprocessor:
    """What was learnt of the input columns: `columns` in the order of the features, `feature_names` of the inputs."""

    columns: tuple[Column, ...]
    feature_names: tuple[str, ...]
    state: dict[str, NDArray[np.float64]]

    @property
    def number_inputs(self) -> tuple[int, ...]:
        """Which inputs are scaled numbers or dates, one for each such column."""
        return self.number_inputs_with(0)

    def number_inputs_with(self, min_distinct: int) -> tuple[int, ...]:
        """Those of `number_inputs` whose columns have so many distinct training values or more; 1000 is the most."""
        places = input_places(self.columns)
        return tuple(
            places[block, column.name].start
            for block, column, _ in input_blocks(self.columns)
            if block == "amount" and column.n_distinct >= min(min_distinct, MOST_DISTINCT)
        )

    @property
    def bin_inputs(self) -> tuple[int, int]:
        """First of the inputs that are bins of numbers and the one after the last; equal where there are none."""
        places = [place for (block, _), place in input_places(self.columns).items() if block == "bins"]
        return (places[0].start, places[-1].stop) if places else (0, 0)

    @property
    def category_blocks(self) -> tuple[tuple[int, int], ...]:
        """First input and the one after the last of each one-hot column; a row has at most one 1 among them."""
        places = [place for (block, _), place in input_places(self.columns).items() if block == "level"]
        return tuple((place.start, place.stop) for place in places)


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
    encoding: Encoding,
    rows: Rows | None = None,
    targets: Values | Codes | None = None,
) -> Preprocessor:
    """Learn from the training rows `rows` (all rows without it); a column not in `roles` gets the role it looks like.

    Roles and ways of writing (of dates, of yes and no) are found in all rows of the table, amounts and levels in the
    training rows alone. `targets` is what these rows are to give (`encode_target`), for an encoding that goes by it.
    Raises DataError for a column that is not there, is empty, or does not suit its role.
    """
    selection = Selection(table, rows)
    if not features:
        raise DataError(f"{selection.name}: no input columns are left. Check data.features and data.drop.")
    require_columns(selection, features)
    columns: list[Column] = []
    amounts: dict[str, Amount] = {}
    flags: dict[bytes, str] = {}
    guide = None if targets is None else guide_of(targets)
    fit = partial(fit_amount, numeric=numeric, missing=missing, encoding=encoding, guide=guide)
    roles = {name: roles.get(name) or _find_role(selection, name) for name in features}
    numbers = selection.each_numbers([name for name in features if roles[name] == "number"])
    for name in features:
        if roles[name] in ("category", "yes_no"):
            column, is_missing = _fit_texts(selection, name, roles[name], categorical)
        elif roles[name] == "date":
            column, amounts[name], is_missing = _fit_dates(selection, name, fit)
        else:
            column, amounts[name], is_missing = _fit_amounts(selection, Column(name, "number"), next(numbers), fit)
        if column.role != "category" and column.n_missing and not isinstance(missing, RefuseMissing) and missing.flag:
            # Columns that are missing together say one thing: they share the flag of the first.
            pattern = np.packbits(is_missing).tobytes()
            column = replace(column, flag_of=flags.setdefault(pattern, name))
        if isinstance(missing, RefuseMissing):
            column = replace(column, refuses_missing=True)
            if column.n_missing:
                raise missing_cell(selection.where(int(np.argmax(is_missing))), name)
        columns.append(column)
    return Preprocessor(tuple(columns), input_names(columns, amounts), pack_amounts(list(amounts.values())))


def transform(
    preprocessor: Preprocessor, table: Table | pd.DataFrame, dtype: DTypeLike = np.float32, rows: Rows | None = None
) -> tuple[NDArray[np.floating], TransformCounts]:
    """Inputs (n_rows, n_inputs), C-contiguous, of all rows or of `rows`; and how many cells were missing or unseen.

    Raises DataError for a column that is not there, and with file:line for a cell that cannot be used.
    """
    selection = Selection(table, rows)
    require_columns(selection, [column.name for column in preprocessor.columns])
    X = np.zeros((selection.n_rows, len(preprocessor.feature_names)), dtype)
    counts = TransformCounts({}, {})
    if not selection.n_rows:
        return X, counts
    amounts = unpack_amounts(preprocessor.columns, preprocessor.state)
    # Most tables have only numbers, none missing: these are written together, a few rows after the other.
    is_written = write_numbers(X, input_places(preprocessor.columns), selection, preprocessor.columns, amounts)
    written = number_columns(preprocessor) if is_written else ()
    _write_columns(X, preprocessor, amounts, selection, written, counts)
    return X, counts


def transform_and_drain(
    preprocessor: Preprocessor, table: Table, dtype: DTypeLike, row_sets: Sequence[Rows]
) -> list[NDArray[np.floating]]:
    """The inputs of several sets of ascending rows, as `transform` gives them; what is packed of the table is given up.

    So the numbers of a large table are never held twice.
    """
    if table.packed is None:
        return [transform(preprocessor, table, dtype, rows)[0] for rows in row_sets]
    amounts = unpack_amounts(preprocessor.columns, preprocessor.state)
    Xs: list[NDArray[np.floating]] = []
    for rows in row_sets:
        X = np.zeros((len(rows), len(preprocessor.feature_names)), dtype)
        counts = TransformCounts({}, {})
        _write_columns(X, preprocessor, amounts, Selection(table, rows), table.packed.names, counts)
        Xs.append(X)
    write_packed(Xs, row_sets, table.packed, preprocessor.columns, amounts, table.where)
    return Xs


def _write_columns(
    X: NDArray[np.floating],
    preprocessor: Preprocessor,
    amounts: Mapping[str, Amount],
    selection: Selection,
    written: Collection[str],
    counts: TransformCounts,
) -> None:
    """Write the columns that are not `written`, one after the other; `counts` are added to."""
    places, done = input_places(preprocessor.columns), frozenset(written)
    for column in preprocessor.columns:
        if column.name in done:
            continue
        if column.role in ("category", "yes_no"):
            is_missing, n_unseen = write_texts(X, places, selection, column)
            if n_unseen:
                counts.n_unseen[column.name] = n_unseen
        else:
            is_missing = write_amounts(X, places, selection, column, amounts[column.name])
        n_missing = int(np.count_nonzero(is_missing))
        if n_missing:
            counts.n_missing[column.name] = n_missing
            if column.refuses_missing:
                raise missing_cell(selection.where(int(np.argmax(is_missing))), column.name)
            if column.flag_of:
                X[is_missing, places["flag", column.flag_of]] = 1.0


def _find_role(selection: Selection, name: str) -> Role:
    return find_role(selection.no_cells(name), partial(selection.whole_texts, name))


def _fit_dates(
    selection: Selection, name: str, fit: Callable[[Values], tuple[Amount, Spread]]
) -> tuple[Column, Amount, NDArray[np.bool_]]:
    """A column of dates, as `_fit_amounts`."""
    date_format = _date_format(selection, name)
    values = selection.days(name, date_format)
    column = Column(name, "date", date_format=date_format, has_time=has_time(values))
    return _fit_amounts(selection, column, values, fit)


def _fit_amounts(
    selection: Selection, column: Column, values: Values, fit: Callable[[Values], tuple[Amount, Spread]]
) -> tuple[Column, Amount, NDArray[np.bool_]]:
    """A column of numbers or dates, what is learnt of its training values, and which cells are missing.

    Uses up `values`.
    """
    is_missing = np.isnan(values)
    if is_missing.all():
        _refuse_empty(selection, column.name)
    amount, spread = fit(values)
    n_missing = len(values) - spread.n_known
    column = replace(
        column, n_missing=n_missing, minimum=spread.low, maximum=spread.high, n_distinct=spread.n_distinct,
        clip=amount.clip, n_quantiles=len(amount.quantiles), n_bins=max(len(amount.edges) - 1, 0), bin_span=amount.span,
    )  # fmt: skip
    return column, amount, is_missing


def _date_format(selection: Selection, name: str) -> str:
    if is_date_dtype(selection.no_cells(name)):
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
                f"{selection.name}: column {name} is not yes/no, it holds {len(texts)} values: {some_of(texts)}"
            )
        return Column(name, role, levels=levels, n_missing=n_missing), cells.codes < 0
    counts = dict(zip(cells.texts, cells.counts.tolist(), strict=True))
    kept, has_rest = choose_levels(onehot, {text: count for text, count in counts.items() if count})
    column = Column(
        name,
        role,
        levels=kept,
        has_number_levels=holds_numbers(selection.no_cells(name)),
        has_missing_level=n_missing > 0,
        has_other_level=has_rest,
        n_missing=n_missing,
        is_signed=onehot.binary == "one" and len(kept) == 2 and not n_missing and not has_rest,
    )
    return column, cells.codes < 0
