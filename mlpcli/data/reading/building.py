"""Concatenation of row batches into the columns of a table, in memory or on disk."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.store import PAGE_WATCHER, MappedFile, Segment, SpillFile, align_up
from mlpcli.data.table import (
    CategoricalColumn,
    CellType,
    Codes,
    Column,
    NumericColumn,
    Role,
    Table,
    code_dtype,
    common_type,
    gather,
    row_dtype,
)

# Columns stay in memory up to this size in bytes plus one byte per cell, a quarter of their size as float32 inputs.
# The first rows of larger ones stay there until all are read, as writing them twice would take longer.
MEMORY_LIMIT = 1 << 24
# Columns with more distinct texts than this cannot be labels or keys, so that no more texts of numbers are collected.
MAX_SPELLINGS = 10_000
# Bytes of further rows per write to disk.
FLUSH_SIZE = 1 << 23


@dataclass(frozen=True)
class StoreOptions:
    """How large columns are stored: in a temporary file in `folder` (None: the system's temporary folder).

    If `n_buckets(table, n_texts)` is more than 1, rows are distributed over that many random buckets, drawn with
    `seed`, so that contiguous rows are a random sample of the table. `table` has the rows in source order, and reads
    each column on access; `n_texts` is the number of distinct texts per column, 0 for numbers.
    """

    folder: str | None = None
    n_buckets: Callable[[Table, Mapping[str, int]], int] = lambda table, n_texts: 1
    seed: int = 0


class _ColumnBuffer:
    """A column under construction: its first rows in memory, segments on disk, and rows not yet written there.

    Its first non-missing cell decides its kind.
    """

    def __init__(self) -> None:
        self.role: Role | None = None
        self.cell_type: CellType | None = None
        self.first_arrays: list[NDArray[Any]] = []
        self.segments: list[Segment] = []
        self.arrays: list[NDArray[Any]] = []
        self.level_codes: dict[str, int] | None = None  # of texts
        self._has_kind, self._n_missing = False, 0

    def add(self, column: Column) -> bool:
        """Append a batch; returns False if it is of another kind than earlier ones."""
        is_text = isinstance(column, CategoricalColumn)
        if _is_all_missing(column):
            if not self._has_kind:
                self._n_missing += len(column)
            else:
                self.arrays.append(self._missing_cells(len(column)))
            return True
        if not self._has_kind:
            self._has_kind, self.role, self.level_codes = True, column.role, {} if is_text else None
            self.cell_type = column.cell_type
            self.arrays += [self._missing_cells(self._n_missing)] if self._n_missing else []
        elif self.role != column.role or (self.level_codes is not None) != is_text:
            return False
        self.cell_type = common_type(self.cell_type, column.cell_type)
        self.arrays.append(self._encode(column) if isinstance(column, CategoricalColumn) else column.values)
        return True

    def column(self, values: NDArray[Any]) -> Column:
        """The column with these values or codes."""
        if self.level_codes is None:
            return NumericColumn(values, self.role, self.cell_type)
        return CategoricalColumn(tuple(self.level_codes), values, self.role, self.cell_type)

    @property
    def sample_cell(self) -> Column:
        """A column of one cell, of the current kind."""
        if not self._has_kind:
            return NumericColumn(np.full(1, np.nan))
        if self.level_codes is None:
            return NumericColumn(np.zeros(1), self.role, self.cell_type)
        return CategoricalColumn(("text",), np.zeros(1, np.int8), self.role, self.cell_type)

    def end(self) -> None:
        """Make a column without non-missing cells a text column."""
        if not self._has_kind:
            self._has_kind, self.level_codes = True, {}
            self.arrays.append(self._missing_cells(self._n_missing))

    def _missing_cells(self, n_rows: int) -> NDArray[Any]:
        return np.full(n_rows, np.nan) if self.level_codes is None else np.full(n_rows, -1, np.int8)

    def _encode(self, column: CategoricalColumn) -> Codes:
        """Codes of a batch over the levels of all batches so far."""
        level_codes = self.level_codes if self.level_codes is not None else {}
        new_codes = [level_codes.setdefault(level, len(level_codes)) for level in column.levels]
        codes: Codes = column.translate(np.asarray(new_codes, code_dtype(len(level_codes))), -1)
        return codes


class ColumnBuilder:
    """Concatenates batches of columns.

    `mixed` are columns that are numeric in one batch and text in another, or whose roles differ: they must be read
    again as texts. `spellings` are the original texts of numeric columns (`Table.spellings`).
    """

    def __init__(self, options: StoreOptions | None = None) -> None:
        self.n_rows = 0
        self.mixed: set[str] = set()
        self.spellings: dict[str, tuple[str, ...]] = {}
        self._options = options
        self._buffers: dict[str, _ColumnBuffer] = {}
        self._spill: SpillFile | None = None
        self._is_large, self._n_unflushed = False, 0

    def add(self, columns: Mapping[str, Column], n_rows: int, spellings: Mapping[str, tuple[str, ...]] = {}) -> None:
        """Append rows."""
        self.n_rows += n_rows
        for name, texts in spellings.items():
            if len(previous := self.spellings.get(name, ())) <= MAX_SPELLINGS:
                self.spellings[name] = tuple(dict.fromkeys(previous + texts))
        for name, column in columns.items():
            if name in self.mixed:
                continue
            buffer = self._buffers.setdefault(name, _ColumnBuffer())
            if buffer.add(column):
                self._n_unflushed += buffer.arrays[-1].nbytes if buffer.arrays else 0
            else:
                self.mixed.add(name)
                buffer.first_arrays, buffer.segments, buffer.arrays = [], [], []
        limit = FLUSH_SIZE if self._is_large else MEMORY_LIMIT + self.n_rows * len(self._buffers)
        if self._options is not None and self._n_unflushed > limit:
            self._flush()

    @property
    def kinds(self) -> dict[str, Column]:
        """One cell per column except `mixed`, of its kind; a missing cell if any kind is possible."""
        return {name: buffer.sample_cell for name, buffer in self._buffers.items() if name not in self.mixed}

    @property
    def n_texts(self) -> dict[str, int]:
        """Number of distinct texts per column except `mixed`; 0 for numbers."""
        buffers = {name: buffer for name, buffer in self._buffers.items() if name not in self.mixed}
        return {
            name: len(buffer.level_codes) if buffer.level_codes is not None else 0 for name, buffer in buffers.items()
        }

    def column(self, name: str) -> Column:
        """One column of all rows, in source order."""
        buffer = self._buffers[name]
        buffer.end()
        if self._is_large:
            return buffer.column(self._join(buffer))
        buffer.arrays = [_concatenate(buffer.arrays)]
        return buffer.column(buffer.arrays[0])

    def build(self, order: NDArray[np.signedinteger] | None = None) -> dict[str, Column]:
        """The columns of all rows except `mixed`, permuted by the order given (None: source order)."""
        for buffer in self._buffers.values():
            buffer.end()
        buffers = {name: buffer for name, buffer in self._buffers.items() if name not in self.mixed}
        if not self._is_large:
            arrays = {name: _concatenate(buffer.arrays) for name, buffer in buffers.items()}
            if order is not None:
                arrays = {name: gather(array, order) for name, array in arrays.items()}
            return {name: buffer.column(arrays[name]) for name, buffer in buffers.items()}
        sizes = {name: self.n_rows * _dtype(buffer).itemsize for name, buffer in buffers.items()}
        folder = self._options.folder if self._options is not None else None
        mapped = MappedFile(folder, sum(map(align_up, sizes.values())))
        columns: dict[str, Column] = {}
        for name, buffer in buffers.items():
            columns[name] = buffer.column(mapped.write(self._join(buffer), order))
            buffer.first_arrays = buffer.arrays = []
        mapped.close()
        if self._spill is not None:
            self._spill.close()
        PAGE_WATCHER.release()
        return columns

    def _flush(self) -> None:
        """Write the rows that are in memory to disk, except the first time."""
        if self._is_large and self._spill is None:
            self._spill = SpillFile(self._options.folder if self._options else None)
        for buffer in self._buffers.values():
            if self._spill is None:
                buffer.first_arrays = buffer.arrays
            elif buffer.arrays:
                buffer.segments.append(self._spill.append(_concatenate(buffer.arrays)))
            buffer.arrays = []
        self._is_large, self._n_unflushed = True, 0

    def _join(self, buffer: _ColumnBuffer) -> NDArray[Any]:
        spilled = [self._spill.read(buffer.segments, _dtype(buffer))] if self._spill and buffer.segments else []
        return _concatenate(buffer.first_arrays + spilled + buffer.arrays)


class BuiltColumns(Mapping[str, Column]):
    """Columns of several builders, each built on access."""

    def __init__(self, builders: Sequence[ColumnBuilder]) -> None:
        self._builders = {name: builder for builder in builders for name in builder.n_texts}

    def __getitem__(self, name: str) -> Column:
        return self._builders[name].column(name)

    def __contains__(self, name: object) -> bool:
        return name in self._builders

    def __iter__(self) -> Iterator[str]:
        return iter(self._builders)

    def __len__(self) -> int:
        return len(self._builders)


def draw_order(n_rows: int, n_buckets: int, seed: int) -> NDArray[np.signedinteger] | None:
    """A permutation of the rows by random bucket, in source order within it; None for one bucket."""
    if n_buckets == 1:
        return None
    rng = np.random.default_rng([seed, n_buckets])
    dtype = np.uint16 if n_buckets < 1 << 16 else np.uint32
    buckets = rng.integers(n_buckets, size=n_rows, dtype=dtype)
    return np.argsort(buckets, kind="stable").astype(row_dtype(n_rows))


def _is_all_missing(column: Column) -> bool:
    """Whether all cells are missing: such a batch is compatible with any kind."""
    if isinstance(column, CategoricalColumn):
        return not ((column.codes[:1] >= 0).any() or (column.codes >= 0).any())
    values = column.values
    return values.dtype.kind == "f" and bool(np.isnan(values[:1]).all() and np.isnan(values).all())


def _concatenate(arrays: "list[NDArray[Any]]") -> NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays) if arrays else np.zeros(0)


def _dtype(buffer: _ColumnBuffer) -> "np.dtype[np.generic]":
    dtypes = [array.dtype for array in buffer.first_arrays + buffer.arrays]
    dtypes += [segment.dtype for segment in buffer.segments]
    return np.result_type(*dtypes) if dtypes else np.dtype(np.float64)
