"""Cells of class and yes/no targets: which label each of them is."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.cells import Codes, Series, TextCells, code_dtype
from mlpcli.data.columns import find_yes_no, yes_no_sign
from mlpcli.data.selection import Selection
from mlpcli.errors import DataError

Values = NDArray[np.float64]


def label_dtype(column: Series) -> Literal["text", "int", "float", "bool"]:
    """What labels are in a data frame from Python."""
    if pd.api.types.is_bool_dtype(column):
        return "bool"
    if pd.api.types.is_integer_dtype(column):
        return "int"
    return "float" if pd.api.types.is_float_dtype(column) else "text"


def refuse_missing(selection: Selection, name: str, is_missing: NDArray[np.bool_]) -> None:
    """Raise DataError with the place of the first missing cell."""
    if is_missing.any():
        raise DataError(f"{selection.where(int(np.argmax(is_missing)))}: the target {name} is missing.")


def yes_no_levels(selection: Selection, name: str, texts: Sequence[str]) -> tuple[str, str]:
    """The texts of no and yes; raises DataError for a column of more than two that are not known words."""
    words = find_yes_no(texts)
    if words is not None:
        return words
    if len(texts) > 2:
        some = ", ".join(texts[:4]) + (", ..." if len(texts) > 4 else "")
        raise DataError(
            f"{selection.name}: the target {name} has {len(texts)} values ({some}); multilabel needs yes/no."
        )
    return texts[0], texts[1]


def class_codes(selection: Selection, name: str, labels: Sequence[str]) -> Codes:
    """The place of each cell's label among `labels`; raises DataError for a missing cell and an unknown label."""
    cells = selection.texts(name)
    codes = {label: code for code, label in enumerate(labels)}
    same_number = _same_number(labels, cells.texts)
    found = np.asarray([codes.get(same_number.get(text, text), -1) for text in cells.texts], code_dtype(len(labels)))
    _refuse_unknown(selection, name, cells, found < 0, labels, "a class")
    return cells.translated(found, -1)


def yes_no_values(selection: Selection, name: str, levels: tuple[str, str]) -> Values:
    """0 for no and 1 for yes; raises DataError for a missing cell and for any other text."""
    cells = selection.texts(name)
    values = np.asarray([(yes_no_sign(levels, text) + 1.0) / 2.0 for text in cells.texts], np.float64)
    _refuse_unknown(selection, name, cells, np.isnan(values), levels, "a value")
    return cells.translated(values, np.nan)


def _refuse_unknown(
    selection: Selection,
    name: str,
    cells: TextCells,
    is_unknown: NDArray[np.bool_],
    known: Sequence[str],
    what: str,
) -> None:
    """Raise DataError with the place of the first missing cell, or of the first whose text is one that `is_unknown`."""
    refuse_missing(selection, name, cells.codes < 0)
    if is_unknown.any():
        row = int(np.argmax(cells.translated(is_unknown, False)))
        text = cells.texts[cells.codes[row]]
        some = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise DataError(
            f"{selection.where(row)}: {name} is {text!r}, {what} training never saw (it saw {some}).\n"
            "Correct the cell, leave the row out, or train on rows that have it."
        )


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
