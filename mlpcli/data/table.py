"""Tables: named numeric and categorical columns, and the source position of each row.

A column is either numbers or codes into distinct texts; no value is rounded. Arrays are in memory or memory-mapped
from a temporary file (`store`), with the same interface.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Role = Literal["number", "date", "boolean", "category"]
# Cell types of typed sources; `datetime64[us, UTC]` has a time zone, `mixed` is cells of several types.
CellType = Literal[
    "text", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
    "float64", "decimal", "date", "datetime64[s]", "datetime64[ms]", "datetime64[us]", "datetime64[ns]",
    "datetime64[s, UTC]", "datetime64[ms, UTC]", "datetime64[us, UTC]", "datetime64[ns, UTC]", "mixed",
]  # fmt: skip
Codes = NDArray[np.signedinteger[Any]]
Rows = NDArray[np.signedinteger[Any]]
Values = NDArray[np.float64]

DEFAULT_MISSING = ("", "NA", "N/A", "NaN", "nan", "NaT", "null", "NULL", "?", "#N/A")

# Codes counted or looked up at a time: NumPy converts indices to int64, eight times the size of most codes.
CODES_PER_CHUNK = 1 << 16
ROWS_PER_CHUNK = 1 << 18

# Integer types by size, with their minimum and maximum.
INTEGERS = tuple(
    (np.dtype(dtype), int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    for dtype in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64)
)


@dataclass(frozen=True)
class NumericColumn:
    """Numbers (n_rows,) in a real dtype that represents them exactly; NaN where a cell is missing.

    `role` follows from the type in the source ("date": days since 1970-01-01); None if it is inferred from the cells.
    `cell_type` is the type in the source, None for text formats (CSV).
    """

    values: NDArray[Any]
    role: Role | None = None
    cell_type: CellType | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_missing(self) -> NDArray[np.bool_]:
        """Mask (n_rows,) of missing cells."""
        return np.asarray(np.isnan(self.values))

    def take(self, rows: "Rows | slice") -> "NumericColumn":
        """Selected rows; a slice is a view."""
        return replace(self, values=gather(self.values, rows))


@dataclass(frozen=True)
class CategoricalColumn:
    """Texts: cell = `levels[codes[row]]`, code -1 if missing. Levels are distinct, stripped and NFC-normalized.

    `role` and `cell_type` as for `NumericColumn`.
    """

    levels: tuple[str, ...]
    codes: Codes
    role: Role | None = None
    cell_type: CellType | None = None

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def is_missing(self) -> NDArray[np.bool_]:
        """Mask (n_rows,) of missing cells."""
        return self.codes < 0

    def take(self, rows: "Rows | slice") -> "CategoricalColumn":
        """Selected rows, with all levels; a slice is a view."""
        return replace(self, codes=gather(self.codes, rows))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of cells per level (n_levels,)."""
        return count_codes(self.codes, len(self.levels))

    @property
    def level_counts(self) -> dict[str, int]:
        """Number of cells of each level that occurs, in the order of the levels."""
        return {level: n for level, n in zip(self.levels, self.counts.tolist(), strict=True) if n}

    def translate(self, values: NDArray[Any], missing: object) -> NDArray[Any]:
        """Map each cell to the entry of its level in `values` (n_levels,), missing cells to `missing`."""
        lookup = np.append(values, np.asarray([missing], values.dtype))  # code -1 is the last entry
        mapped = np.empty(len(self.codes), lookup.dtype)
        for chunk in _chunks(self.codes):
            mapped[chunk] = lookup[self.codes[chunk]]
        return mapped

    def relabel(self, levels: Sequence[str | None]) -> "CategoricalColumn":
        """Rename the levels; levels of equal name are merged, None and "" are missing cells.

        Levels are sorted by name, so that the result does not depend on the order of the rows.
        """
        names = sorted({name for name in levels if name})
        code_of = {name: code for code, name in enumerate(names)}
        new_codes = np.asarray([code_of.get(name or "", -1) for name in levels], code_dtype(len(names)))
        return replace(self, levels=tuple(names), codes=self.translate(new_codes, -1))


Column: TypeAlias = NumericColumn | CategoricalColumn


@dataclass(frozen=True)
class TableFormat:
    """The text format of a file; None is detected.

    `missing` lists the markers of a missing cell besides the empty cell. `sheet` applies to workbooks.
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
    """Named columns of equal length.

    `column_names` lists all columns of the source in order, including those not read. `locate(row)` returns the source
    position of a row, such as "file.csv:17". `sha256` is the hash of the uncompressed bytes (`sha256_together`).
    `notes` report to the user what was detected. `first_row` is the index of the first row in its file; `file_ends` are
    cumulative row counts of the files, if known.
    `kept` holds columns in their source type, for output files: a `KeptArray` or a list of cells.
    `spellings` holds the original texts of numeric columns that may be labels or keys.
    With `n_buckets` > 1 the rows are shuffled, for training from disk; `order` (n_rows,) then holds the source row
    number of each.
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
        """The columns read, in source order."""
        return tuple(name for name in self.column_names if name in self.columns)

    def where(self, row: int, rows: Rows | None = None) -> str:
        """Source position of a row, such as "file.csv:17"; `row` is an index into `rows` if they are given."""
        return self.locate(int(row if rows is None else rows[row]))

    def column(self, name: str, rows: Rows | None = None) -> Column:
        """The rows `rows` (None: all) of a column."""
        return self.columns[name] if rows is None else self.columns[name].take(rows)

    def with_columns(self, columns: Mapping[str, Column]) -> "Table":
        """The table with its columns replaced."""
        return replace(self, columns=columns)

    def take(self, rows: "Rows | slice") -> "Table":
        """Selected rows of every column."""
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        numbers = np.arange(self.n_rows)[rows]
        return replace(
            self, columns=columns, n_rows=len(numbers), locate=lambda row: self.where(int(numbers[row])), sha256="",
            order=None if self.order is None else self.order[rows], file_ends=(),
        )  # fmt: skip


def common_type(first: CellType | None, second: CellType | None) -> CellType | None:
    """The cell type to which both types are promoted, "mixed" if there is none."""
    if first == second:
        return first
    try:
        promoted = np.result_type(str(first), str(second))
    except TypeError:
        return "mixed"
    return promoted.name if promoted.kind in "iufM" and "bool" not in (first, second) else "mixed"  # type: ignore[return-value]


def code_dtype(n_codes: int) -> "np.dtype[np.signedinteger[Any]]":
    """The smallest dtype for codes from -1 to `n_codes`, one more than there are."""
    return np.dtype(np.min_scalar_type(-n_codes - 1))


def row_dtype(n_rows: int) -> "np.dtype[np.signedinteger[Any]]":
    """The dtype for row indices."""
    return np.dtype(np.int32 if n_rows <= np.iinfo(np.int32).max else np.int64)


def count_codes(codes: Codes, n_codes: int) -> NDArray[np.int64]:
    """Number of cells per code from 0 to `n_codes` - 1; missing cells (-1) are not counted."""
    counts = np.zeros(n_codes + 1, np.int64)
    for chunk in _chunks(codes):
        counts += np.bincount(codes[chunk] + 1, minlength=n_codes + 1)
    return counts[1:]


def downcast_integers(values: NDArray[Any]) -> NDArray[Any]:
    """Integers in the smallest dtype that represents all of them; other dtypes are unchanged."""
    if values.dtype.kind not in "iu" or not len(values):
        return values
    return values.astype(_integer_dtype(values.min(), values.max()), copy=False)


def downcast_rows(values: NDArray[Any]) -> list[NDArray[Any]]:
    """`downcast_integers` of each row of a matrix (n_columns, n_rows), with fewer NumPy calls."""
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
    """Selected values; a slice is a view. Chunked, as NumPy would convert all row indices to int64 at once."""
    if isinstance(rows, slice) or len(rows) <= ROWS_PER_CHUNK:
        return values[rows]
    gathered = np.empty(len(rows), values.dtype)
    for start in range(0, len(rows), ROWS_PER_CHUNK):
        chunk = slice(start, start + ROWS_PER_CHUNK)
        gathered[chunk] = values[rows[chunk]]
    return gathered


def _chunks(codes: Codes) -> Iterator[slice]:
    for start in range(0, len(codes), CODES_PER_CHUNK):
        yield slice(start, start + CODES_PER_CHUNK)
