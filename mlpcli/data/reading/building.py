"""Concatenation of row batches into the columns of a table, in memory or on disk."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
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

# Bytes of columns that stay in memory beyond a quarter of the float32 inputs that will be made of them.
SMALL = 1 << 24
# Texts of numbers that are kept: no more of them are labels or keys.
MOST_SPELLED = 10_000
# Bytes of columns that are written to disk together.
FLUSHED_TOGETHER = 1 << 23


@dataclass(frozen=True)
class StoreOptions:
    """Where large columns go: a temporary file in `folder` (None: the system's).

    With more than one bucket rows are scattered over `n_buckets(table, n_texts)` random ones, drawn by `seed`, so that
    rows that stand together are a random sample of the table. `table` has the rows as they came, a column of it is read
    when it is asked for; `n_texts` counts the distinct texts of each column, 0 of numbers.
    """

    folder: str | None = None
    n_buckets: Callable[[Table, Mapping[str, int]], int] = lambda table, n_texts: 1
    seed: int = 0


class _Part:
    """A column under construction: arrays in memory, segments on disk; its first non-missing cell decides its kind."""

    def __init__(self) -> None:
        self.role: Role | None = None
        self.cell_type: CellType | None = None
        self.arrays: list[NDArray[Any]] = []
        self.segments: list[Segment] = []
        self.places: dict[str, int] | None = None  # of texts
        self._is_known, self._n_blank = False, 0

    def add(self, column: Column) -> bool:
        """Append a batch; returns False if it is of another kind than earlier ones."""
        is_text = isinstance(column, CategoricalColumn)
        if _is_blank(column):
            if not self._is_known:
                self._n_blank += len(column)
            else:
                self.arrays.append(self._blanks(len(column)))
            return True
        if not self._is_known:
            self._is_known, self.role, self.places = True, column.role, {} if is_text else None
            self.cell_type = column.cell_type
            self.arrays += [self._blanks(self._n_blank)] if self._n_blank else []
        elif self.role != column.role or (self.places is not None) != is_text:
            return False
        self.cell_type = common_type(self.cell_type, column.cell_type)
        self.arrays.append(self._code(column) if isinstance(column, CategoricalColumn) else column.values)
        return True

    def column(self, values: NDArray[Any]) -> Column:
        """The column with these values or codes."""
        if self.places is None:
            return NumericColumn(values, self.role, self.cell_type)
        return CategoricalColumn(tuple(self.places), values, self.role, self.cell_type)

    @property
    def kind(self) -> Column:
        """A column of one cell, of the current kind."""
        if not self._is_known:
            return NumericColumn(np.full(1, np.nan))
        if self.places is None:
            return NumericColumn(np.zeros(1), self.role, self.cell_type)
        return CategoricalColumn(("text",), np.zeros(1, np.int8), self.role, self.cell_type)

    def end(self) -> None:
        """Make a column without non-missing cells a text column."""
        if not self._is_known:
            self._is_known, self.places = True, {}
            self.arrays.append(self._blanks(self._n_blank))

    def _blanks(self, n_rows: int) -> NDArray[Any]:
        return np.full(n_rows, np.nan) if self.places is None else np.full(n_rows, -1, np.int8)

    def _code(self, column: CategoricalColumn) -> Codes:
        """Codes of a batch over the levels of all batches so far."""
        places = self.places if self.places is not None else {}
        table = [places.setdefault(level, len(places)) for level in column.levels]
        codes: Codes = column.translate(np.asarray(table, code_dtype(len(places))), -1)
        return codes


class ColumnBuilder:
    """Takes in batches of columns in order, and gives the columns of all rows.

    `mixed` are columns that were numbers in one batch and texts in another, or of two types: they must be read again
    as texts. `spellings` are the texts of numbers (`Table.spellings`); of more than MOST_SPELLED there are none.
    """

    def __init__(self, options: StoreOptions | None = None) -> None:
        self.n_rows = 0
        self.mixed: set[str] = set()
        self.spellings: dict[str, tuple[str, ...]] = {}
        self._options = options
        self._parts: dict[str, _Part] = {}
        self._spill: SpillFile | None = None
        self._held = 0

    def add(self, columns: Mapping[str, Column], n_rows: int, spellings: Mapping[str, tuple[str, ...]] = {}) -> None:
        """Append rows."""
        self.n_rows += n_rows
        for name, texts in spellings.items():
            if len(known := self.spellings.get(name, ())) <= MOST_SPELLED:
                self.spellings[name] = tuple(dict.fromkeys(known + texts))
        for name, column in columns.items():
            if name in self.mixed:
                continue
            part = self._parts.setdefault(name, _Part())
            if part.add(column):
                self._held += part.arrays[-1].nbytes if part.arrays else 0
            else:
                self.mixed.add(name)
                part.arrays, part.segments = [], []
        if self._options is not None and self._held > self._limit():
            self._flush()

    @property
    def kinds(self) -> dict[str, Column]:
        """One cell per column except `mixed`, of its kind; a missing cell if any kind is possible."""
        return {name: part.kind for name, part in self._parts.items() if name not in self.mixed}

    @property
    def n_texts(self) -> dict[str, int]:
        """Number of distinct texts per column except `mixed`; 0 for numbers."""
        parts = {name: part for name, part in self._parts.items() if name not in self.mixed}
        return {name: len(part.places) if part.places is not None else 0 for name, part in parts.items()}

    def column(self, name: str) -> Column:
        """One column of all rows, in source order."""
        part = self._parts[name]
        part.end()
        if self._spill is not None:
            self._flush()
            return part.column(self._spill.read(part.segments, _dtype(part)))
        part.arrays = [_joined(part.arrays)]
        return part.column(part.arrays[0])

    def build(self, order: NDArray[np.signedinteger] | None = None) -> dict[str, Column]:
        """The columns of all rows except `mixed`, permuted by the order given (None: source order)."""
        for part in self._parts.values():
            part.end()
        parts = {name: part for name, part in self._parts.items() if name not in self.mixed}
        if self._spill is None:
            arrays = {name: _joined(part.arrays) for name, part in parts.items()}
            if order is not None:
                arrays = {name: gather(array, order) for name, array in arrays.items()}
            return {name: part.column(arrays[name]) for name, part in parts.items()}
        self._flush()
        sizes = {name: self.n_rows * _dtype(part).itemsize for name, part in parts.items()}
        folder = self._options.folder if self._options is not None else None
        with closing(self._spill):
            mapped = MappedFile(folder, sum(map(align_up, sizes.values())))
            columns: dict[str, Column] = {}
            for name, part in parts.items():
                values = self._spill.read(part.segments, _dtype(part))
                columns[name] = part.column(mapped.write(values, order))
            mapped.close()
            PAGE_WATCHER.release()
        return columns

    def _limit(self) -> int:
        if self._spill is not None:
            return FLUSHED_TOGETHER
        return SMALL + self.n_rows * len(self._parts)

    def _flush(self) -> None:
        self._spill = self._spill or SpillFile(self._options.folder if self._options else None)
        for part in self._parts.values():
            if part.arrays:
                part.segments.append(self._spill.append(_joined(part.arrays)))
                part.arrays = []
        self._held = 0


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


def _is_blank(column: Column) -> bool:
    """Whether all cells are missing: such a batch is compatible with any kind."""
    if isinstance(column, CategoricalColumn):
        return not (column.codes >= 0).any()
    return column.values.dtype.kind == "f" and bool(np.isnan(column.values).all())


def _joined(arrays: "list[NDArray[Any]]") -> NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays) if arrays else np.zeros(0)


def _dtype(part: _Part) -> "np.dtype[np.generic]":
    dtypes = [segment.dtype for segment in part.segments] + [array.dtype for array in part.arrays]
    return np.result_type(*dtypes) if dtypes else np.dtype(np.float64)
