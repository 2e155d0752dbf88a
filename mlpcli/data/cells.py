"""The cells of one column as numbers or as texts, whatever the dtype of the frame.

Frames from files have float64, int64 and object columns (texts with NaN). Frames from Python may hold anything else:
categories, strings, nullable numbers, booleans, dates. Each distinct value is converted once, never each cell.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_LEADING_ZERO = re.compile(r"^[+-]?0\d")
# More digits than a float64 holds.
_LONG_DIGITS = re.compile(r"^\d{16,}$")

Codes = NDArray[np.signedinteger[Any]]
Values = NDArray[np.float64]
Series: TypeAlias = "pd.Series[Any]"
Looked = TypeVar("Looked", bound=np.generic)

# Rows whose distinct values are looked for together.
FACTORIZED_AT_ONCE = 1 << 16
# Codes that are counted or looked up together.
LOOKED_UP_AT_ONCE = 1 << 16

# Texts that mean "missing" among numbers, besides the table's own markers.
NUMBER_BLANKS = frozenset({"none", "-", "."})


@dataclass(frozen=True)
class TextCells:
    """A column of texts: `texts[codes[row]]` is the cell, code -1 a missing cell; the texts are distinct.

    The codes are of `code_dtype`.
    """

    texts: tuple[str, ...]
    codes: Codes

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many cells hold each text."""
        return count_codes(self.codes, len(self.texts))

    @property
    def n_missing(self) -> int:
        """How many cells are missing."""
        return int(np.count_nonzero(self.codes < 0))

    def translated(self, table: NDArray[Looked], missing: object) -> NDArray[Looked]:
        """`table` (one value per text) looked up for each cell, with `missing` where there is none."""
        whole = np.append(table, np.asarray([missing], table.dtype))
        found = np.empty(len(self.codes), whole.dtype)
        for some in _stretches(self.codes):
            found[some] = whole[self.codes[some]]
        return found

    @property
    def series(self) -> Series:
        """The cells as a frame has them, NaN where they are missing."""
        return pd.Series(self.translated(np.asarray(self.texts, object), np.nan), dtype=object, copy=False)

    def without(self, missing: Collection[str]) -> "TextCells":
        """The cells, of which those with one of some texts are missing."""
        return _merged(self.codes, ["" if text in missing else text for text in self.texts])


@dataclass(frozen=True)
class NumberCells:
    """A column of numbers (NaN: missing), and the first cell that is none: `bad_row` is -1 when all are numbers."""

    values: Values
    bad_row: int = -1
    bad_text: str = ""


def code_dtype(n_codes: int) -> "np.dtype[np.signedinteger[Any]]":
    """The smallest type for codes from -1 to `n_codes`, which has room for one more than there are."""
    return np.dtype(np.min_scalar_type(-n_codes - 1))


def count_codes(codes: Codes, n_codes: int) -> NDArray[np.int64]:
    """How many cells have each of the codes from 0 on; -1 is a missing cell."""
    counts = np.zeros(n_codes + 1, np.int64)
    for some in _stretches(codes):
        counts += np.bincount(codes[some] + 1, minlength=n_codes + 1)
    return counts[1:]


def _stretches(codes: Codes) -> Iterator[slice]:
    """The cells of a column some at a time: NumPy looks things up by int64, eight times as long as most codes."""
    for start in range(0, len(codes), LOOKED_UP_AT_ONCE):
        yield slice(start, start + LOOKED_UP_AT_ONCE)


def is_number_dtype(series: Series) -> bool:
    """Whether the frame holds numbers here (a boolean is none)."""
    return pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype)


def holds_numbers(series: Series) -> bool:
    """Whether the cells are numbers or categories that are."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return pd.api.types.is_numeric_dtype(series.dtype.categories.dtype)
    return is_number_dtype(series)


def is_date_dtype(series: Series) -> bool:
    """Whether the frame holds dates here."""
    return pd.api.types.is_datetime64_any_dtype(series.dtype)


def number_text(number: float) -> str:
    """The shortest text of a number, the same whether it came as 3, 3.0 or 3e0."""
    is_whole = abs(number) < 2**53 and number == round(number)
    return str(int(number)) if is_whole else repr(float(number))


def canonical_number(text: str) -> str:
    """A text of a number as `number_text` spells it; any other text as it is."""
    try:
        return number_text(float(text))
    except ValueError:
        return text


def parse_numbers(texts: Sequence[str]) -> tuple[Values, NDArray[np.bool_]]:
    """The numbers the texts stand for (NaN for "None", "-" and "."), and which of the texts are no numbers."""
    numbers = pd.to_numeric(pd.Series(list(texts), dtype=object), errors="coerce").to_numpy(np.float64)
    unknown = np.isnan(numbers)
    for position in np.flatnonzero(unknown).tolist():
        unknown[position] = texts[position].lower() not in NUMBER_BLANKS
    return numbers, unknown


def text_cells(series: Series) -> TextCells:
    """The column as texts without surrounding blanks; an empty text is a missing cell."""
    values: Any = series
    if is_number_dtype(series):
        is_whole = series.dtype.kind in "iu" and isinstance(series.dtype, np.dtype)
        values = pd.Series(series.to_numpy() if is_whole else series.to_numpy(np.float64, na_value=np.nan), copy=False)
    coder = Coder()
    for start in range(0, len(values), FACTORIZED_AT_ONCE):
        coder.add(coded(values.iloc[start : start + FACTORIZED_AT_ONCE]))
    return coder.cells(pd.Timestamp.isoformat if is_date_dtype(series) else _text)


@dataclass(frozen=True)
class CodedRows:
    """Some rows of a column: `distinct[codes[row]]` is the value, code -1 a missing cell."""

    codes: Codes
    distinct: tuple[Any, ...]


def coded(values: Series) -> CodedRows:
    """Some rows; pandas makes room for as many distinct values as there are rows, so they should not be too many."""
    codes, distinct = pd.factorize(values)
    return CodedRows(codes.astype(code_dtype(len(distinct))), tuple(distinct.tolist()))


class Coder:
    """Puts the rows of a column together, part by part; the distinct values stand in the order in which they occur."""

    def __init__(self) -> None:
        self._places: dict[Any, int] = {}
        self._parts: list[Codes] = []

    def add(self, rows: CodedRows) -> None:
        """Take in further rows."""
        table = [self._places.setdefault(value, len(self._places)) for value in rows.distinct]
        self._parts.append(np.asarray([*table, -1], code_dtype(len(self._places)))[rows.codes])

    def cells(self, spelled: Callable[[Any], str]) -> TextCells:
        """All rows, of each distinct value the text; an empty one is a missing cell."""
        codes = np.concatenate([np.zeros(0, code_dtype(len(self._places))), *self._parts])
        return _merged(codes, [spelled(value) for value in self._places])


def number_cells(series: Series) -> NumberCells:
    """The column as float64, texts of numbers included."""
    if is_number_dtype(series) or pd.api.types.is_bool_dtype(series.dtype):
        if series.dtype.kind in "iufb":
            return NumberCells(series.to_numpy(np.float64))
        return NumberCells(series.to_numpy(np.float64, na_value=np.nan))
    return numbers_of(text_cells(series))


def numbers_of(cells: TextCells) -> NumberCells:
    """Texts as the numbers they stand for."""
    numbers, unknown = parse_numbers(cells.texts)
    values = cells.translated(numbers, np.nan).astype(np.float64, copy=False)
    if not unknown.any():
        return NumberCells(values)
    bad_row = int(np.argmax(cells.translated(unknown, False)))
    return NumberCells(values, bad_row, cells.texts[cells.codes[bad_row]])


def _text(value: object) -> str:
    """A text without surrounding blanks; a number in its one spelling, so 3 and 3.0 agree."""
    if isinstance(value, float):
        return number_text(value)
    return str(value).strip()


def _merged(codes: Codes, texts: Sequence[str]) -> TextCells:
    """Codes over the distinct texts that occur, "" taken as missing."""
    distinct = {text: position for position, text in enumerate(dict.fromkeys(text for text in texts if text))}
    if len(distinct) == len(texts):
        return TextCells(tuple(distinct), codes)
    table = np.asarray([distinct.get(text, -1) for text in texts] + [-1], code_dtype(len(distinct)))
    return TextCells(tuple(distinct), table[codes])


def is_code(text: str) -> bool:
    """Whether a text of digits is a name, not an amount: a leading zero (01), or more digits than a float64 holds."""
    return _LEADING_ZERO.match(text) is not None or _LONG_DIGITS.match(text) is not None


def has_infinite(values: NDArray[np.float64]) -> bool:
    """Whether a number is infinite."""
    # Without infinities and NaN the largest and the smallest are finite, which takes no array as large again.
    return not (np.isfinite(values.max(initial=0.0)) and np.isfinite(values.min(initial=0.0))) and bool(
        np.isinf(values).any()
    )
