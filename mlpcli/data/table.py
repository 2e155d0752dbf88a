"""A table: named columns of numbers or of categories, and where each row stood.

A cell means one thing. A column is either numbers or codes into distinct texts; nothing is packed, rounded or read
halfway. Arrays lie in memory, or in a memory-mapped temporary file (`store`), and are used in the same way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Role = Literal["number", "date", "boolean", "category"]
# What the cells of a typed source are. `datetime64[us, UTC]` are times with a zone, `mixed` cells of several types.
CellType = Literal[
    "text", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
    "float64", "decimal", "date", "datetime64[s]", "datetime64[ms]", "datetime64[us]", "datetime64[ns]",
    "datetime64[s, UTC]", "datetime64[ms, UTC]", "datetime64[us, UTC]", "datetime64[ns, UTC]", "mixed",
]  # fmt: skip
Codes = NDArray[np.signedinteger[Any]]
Rows = NDArray[np.signedinteger[Any]]
Values = NDArray[np.float64]

DEFAULT_MISSING = ("", "NA", "N/A", "NaN", "nan", "NaT", "null", "NULL", "?", "#N/A")

# Codes that are counted or looked up together: NumPy indexes by int64, which is eight times as long as most codes.
CODES_PER_CHUNK = 1 << 16
ROWS_PER_CHUNK = 1 << 18

# Integer types from the smallest on, with their least and greatest number.
INTEGERS = tuple(
    (np.dtype(one), int(np.iinfo(one).min), int(np.iinfo(one).max))
    for one in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64)
)


@dataclass(frozen=True)
class NumericColumn:
    """Numbers (n_rows,) of any real dtype that holds them exactly; NaN where a cell is missing.

    `role` is what the type in the source says ("date": days since 1970-01-01); None leaves it to the cells.
    `cell_type` is that type, None where cells are texts without one (CSV).
    """

    values: NDArray[Any]
    role: Role | None = None
    cell_type: CellType | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: "Rows | slice") -> "NumericColumn":
        """Some rows; a slice copies nothing."""
        return replace(self, values=gather(self.values, rows))


@dataclass(frozen=True)
class CategoricalColumn:
    """Texts: cell = `levels[codes[row]]`, code -1 a missing cell. Levels are distinct, without surrounding blanks, NFC.

    `role` is what the type in the source says; None leaves it to the cells. `cell_type` as of a `NumericColumn`.
    """

    levels: tuple[str, ...]
    codes: Codes
    role: Role | None = None
    cell_type: CellType | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: "Rows | slice") -> "CategoricalColumn":
        """Some rows, with all levels; a slice copies nothing."""
        return replace(self, codes=gather(self.codes, rows))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Cells of each level (n_levels,)."""
        return count_codes(self.codes, len(self.levels))

    def translate(self, values: NDArray[Any], missing: object) -> NDArray[Any]:
        """`values` (one per level) looked up for each cell, `missing` where there is none."""
        whole = np.append(values, np.asarray([missing], values.dtype))
        found = np.empty(len(self.codes), whole.dtype)
        for some in _chunks(self.codes):
            found[some] = whole[self.codes[some]]
        return found

    def relabel(self, levels: Sequence[str | None]) -> "CategoricalColumn":
        """Each level under another name: equal names become one level, None and "" a missing cell.

        Levels stand in the order of their names, so that the order of the rows does not matter.
        """
        names = sorted({name for name in levels if name})
        places = {name: place for place, name in enumerate(names)}
        table = np.asarray([places.get(name or "", -1) for name in levels], code_dtype(len(names)))
        return replace(self, levels=tuple(names), codes=self.translate(table, -1))


Column: TypeAlias = NumericColumn | CategoricalColumn


@dataclass(frozen=True)
class TableFormat:
    """How a file is written; None means: found in the file.

    `missing` are texts of a missing cell, beside the empty one. `sheet` is of a workbook.
    """

    delimiter: str | None = None
    encoding: str | None = None
    header: bool | None = None
    missing: tuple[str, ...] = DEFAULT_MISSING
    comment: str | None = None
    skip_rows: int | None = None
    decimal: str = "."
    thousands: str | None = None
    sheet: str | None = None


def _row_number(row: int) -> str:
    return f"row {row}"


@dataclass(frozen=True)
class Table:
    """Rows of named columns, all of them read.

    `column_names` has every column of the source in its order, also those that were not wanted. `locate(row)` gives the
    place of a row, such as "file.csv:17". `sha256` is of the uncompressed bytes (`sha256_together`). `notes` are
    sentences for the user: what was guessed. `first_row` is the number of the first row in its file; `file_ends` are
    the numbers of rows up to and with each file, where known.
    `kept` are columns as a typed source has them, for those who write them again: a `KeptArray`, or a list of cells.
    `spellings` are, of columns of numbers that may be labels or keys, the texts of the numbers as they are written.
    With more than one of `n_buckets` the rows stand in random order, for a training that reads them from disk; `order`
    (n_rows,) then has the number of each in its source.
    """

    columns: Mapping[str, Column]
    n_rows: int
    name: str
    column_names: tuple[str, ...]
    format: TableFormat = field(default_factory=TableFormat)
    locate: Callable[[int], str] = _row_number
    sha256: str = ""
    notes: tuple[str, ...] = ()
    is_file: bool = True
    first_row: int = 0
    kept: Mapping[str, Any] = field(default_factory=dict)
    n_buckets: int = 1
    order: Rows | None = None
    spellings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    file_ends: tuple[int, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that were read, in the order of the source."""
        return tuple(name for name in self.column_names if name in self.columns)

    def where(self, row: int) -> str:
        """The place of a row (from 0) in its file."""
        return self.locate(int(row))

    def with_columns(self, columns: Mapping[str, Column]) -> "Table":
        """The same rows with other columns."""
        return replace(self, columns=columns)

    def take(self, rows: "Rows | slice") -> "Table":
        """Some rows of every column."""
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        numbers = np.arange(self.n_rows)[rows]
        return replace(
            self, columns=columns, n_rows=len(numbers), locate=lambda row: self.where(int(numbers[row])), sha256="",
            order=None if self.order is None else self.order[rows], file_ends=(),
        )  # fmt: skip


def common_type(one: CellType | None, other: CellType | None) -> CellType | None:
    """The type of cells of two types."""
    if one == other:
        return one
    try:
        found = np.result_type(str(one), str(other))
    except TypeError:
        return "mixed"
    return found.name if found.kind in "iufM" and "bool" not in (one, other) else "mixed"  # type: ignore[return-value]


def code_dtype(n_codes: int) -> "np.dtype[np.signedinteger[Any]]":
    """The smallest type for codes from -1 to `n_codes`, which has room for one more than there are."""
    return np.dtype(np.min_scalar_type(-n_codes - 1))


def row_dtype(n_rows: int) -> "np.dtype[np.signedinteger[Any]]":
    """The type for numbers of rows."""
    return np.dtype(np.int32 if n_rows <= np.iinfo(np.int32).max else np.int64)


def count_codes(codes: Codes, n_codes: int) -> NDArray[np.int64]:
    """How many cells have each of the codes from 0 on; -1 is a missing cell."""
    counts = np.zeros(n_codes + 1, np.int64)
    for some in _chunks(codes):
        counts += np.bincount(codes[some] + 1, minlength=n_codes + 1)
    return counts[1:]


def downcast_integers(values: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in the smallest integer type that holds every one of them; others as they are."""
    if values.dtype.kind not in "iu" or not len(values):
        return values
    return values.astype(_integer_dtype(values.min(), values.max()), copy=False)


def downcast_rows(values: NDArray[Any]) -> list[NDArray[Any]]:
    """The same of each row of a matrix (n_columns, n_rows), with fewer calls."""
    if values.dtype.kind not in "iu" or not values.size:
        return list(np.ascontiguousarray(values))
    lows, highs = values.min(axis=1).tolist(), values.max(axis=1).tolist()
    dtypes = [_integer_dtype(low, high) for low, high in zip(lows, highs, strict=True)]
    if len(set(dtypes)) == 1:
        return list(np.ascontiguousarray(values, dtype=dtypes[0]))
    return [row.astype(dtype) for row, dtype in zip(values, dtypes, strict=True)]


def _integer_dtype(low: int, high: int) -> "np.dtype[Any]":
    fits = (dtype for dtype, least, most in INTEGERS if least <= low and high <= most)
    return next(fits, np.dtype(np.int64 if low < 0 else np.uint64))


def gather(values: NDArray[Any], rows: "Rows | slice") -> NDArray[Any]:
    """Some of the values; a slice copies nothing. NumPy would turn all row numbers into int64 at once."""
    if isinstance(rows, slice) or len(rows) <= ROWS_PER_CHUNK:
        return values[rows]
    found = np.empty(len(rows), values.dtype)
    for start in range(0, len(rows), ROWS_PER_CHUNK):
        some = slice(start, start + ROWS_PER_CHUNK)
        found[some] = values[rows[some]]
    return found


def _chunks(codes: Codes) -> Iterator[slice]:
    for start in range(0, len(codes), CODES_PER_CHUNK):
        yield slice(start, start + CODES_PER_CHUNK)
