"""Columns as pandas parsed them, brought to the few types that a table has."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.cells import NUMBER_BLANKS, Series, TextCells, has_infinite, is_code, parse_numbers, text_cells
from mlpcli.data.dialect import is_figure
from mlpcli.data.faults import infinite, not_a_number
from mlpcli.data.parsing import Plan


def has_lost_text(column: Series) -> bool:
    """Whether pandas saw truth values, or numbers in one place and words in another: how they were spelt is lost."""
    if column.dtype == np.bool_:
        return True
    return column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) not in ("string", "empty")


def tidied(frame: pd.DataFrame, plan: Plan, where: Callable[[int], str]) -> pd.DataFrame:
    """Bring each column to float64, int64 or text (object: str and NaN, without surrounding blanks).

    `where` tells the place of a row. Raises DataError for a text in a column of numbers, and for an infinite number.
    """
    dtypes = set(frame.dtypes)
    if dtypes == {np.dtype(np.float64)} and not has_infinite(frame.to_numpy()):
        return frame
    if dtypes == {np.dtype(np.uint16)} and plan.number_columns.issuperset(frame.columns):
        return frame.astype(np.float64)
    columns = {str(name): _tidied_column(str(name), frame[name], plan, where) for name in frame.columns}
    changed = {name: column for name, column in columns.items() if column is not None}
    if not changed:
        return frame
    if 2 * len(changed) > len(columns):
        kept = {name: frame[name] for name in columns if name not in changed}
        return pd.DataFrame({n: changed.get(n, kept.get(n)) for n in columns}, index=frame.index, copy=False)
    # The others stay together in one array, which is quick to take rows from.
    tidy = frame.copy(deep=False)
    for name, column in changed.items():
        tidy[name] = column
    return tidy


def _tidied_column(name: str, column: Series, plan: Plan, where: Callable[[int], str]) -> "Series | None":
    """One column brought in order; None when it is."""
    is_number = name in plan.number_columns
    if column.dtype.kind in "iuf":
        if column.dtype.kind == "f":
            _check_finite(name, column.to_numpy(), where)
        wanted = np.int64 if not is_number and np.can_cast(column.to_numpy().dtype, np.int64) else np.float64
        return column.astype(wanted) if column.dtype != wanted else None
    if has_lost_text(column):
        column = column.map(str, na_action="ignore")
    cells = text_cells(column)
    tidy = _tidied_texts(name, cells, plan, where)
    if isinstance(tidy, TextCells):
        return tidy.series.set_axis(column.index)
    return pd.Series(tidy, index=column.index)


def with_texts(
    frame: pd.DataFrame, coded: Mapping[str, TextCells], plan: Plan, where: Callable[[int], str]
) -> tuple[pd.DataFrame, dict[str, TextCells]]:
    """The frame with those of the coded columns that turn out to hold numbers, and the others, brought in order."""
    whole, texts = frame.copy(deep=False), dict[str, TextCells]()
    for name, cells in coded.items():
        tidy = _tidied_texts(name, cells, plan, where)
        if isinstance(tidy, TextCells):
            texts[name] = tidy
        else:
            whole[name] = tidy
    return whole, texts


def _tidied_texts(
    name: str, cells: TextCells, plan: Plan, where: Callable[[int], str]
) -> TextCells | NDArray[np.float64]:
    """A column of texts without those that mean a missing cell, or the numbers that it turns out to hold."""
    missing = plan.missing_texts(name)
    is_missing = np.asarray([text in missing for text in cells.texts], np.bool_)
    may_be_number = plan.guesses and name not in plan.text_columns
    # Most columns of words are known by their first texts, without trying to read thousands as numbers.
    known = missing | NUMBER_BLANKS
    is_wordy = any(not is_figure(text) and not known & {text, text.lower()} for text in cells.texts[:20])
    is_number = name in plan.number_columns
    if is_number or (may_be_number and not is_wordy):
        numbers, is_unknown = parse_numbers(cells.texts)
        is_unknown &= ~is_missing
        if is_unknown.any() and all(_is_too_large(cells.texts[position]) for position in np.flatnonzero(is_unknown)):
            numbers, is_unknown = np.where(is_unknown, np.inf, numbers), np.zeros_like(is_unknown)
        if is_number and is_unknown.any():
            row = int(np.argmax(cells.translated(is_unknown, False)))
            raise not_a_number(where(row), name, cells.texts[cells.codes[row]])
        is_amount = not (is_unknown.any() or np.isnan(numbers[~is_missing]).all() or any(map(is_code, cells.texts)))
        if is_number or is_amount:
            values = cells.translated(np.where(is_missing, np.nan, numbers), np.nan).astype(np.float64)
            _check_finite(name, values, where)
            return values
    return cells.without(missing)


def _is_too_large(text: str) -> bool:
    """Whether a text is a number beyond float64; before 3.1 pandas gives such as texts, later as infinity."""
    try:
        return math.isinf(float(text))
    except ValueError:
        return False


def _check_finite(name: str, values: NDArray[np.float64], where: Callable[[int], str]) -> None:
    is_infinite = np.isinf(values)
    if is_infinite.any():
        raise infinite(where(int(np.argmax(is_infinite))), name)
