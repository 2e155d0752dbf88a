"""Columns of numbers in half the memory: float32 per block of rows, around a value of the block's own.

A number that float32 holds is kept exactly, as are whole numbers near each other. Of any other the distance from the
middle of its block is rounded to 24 bits, which is how the network's inputs are rounded too: the result is what it
would have been up to the last bit or two of float32.
"""

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.machine import return_freed_memory

Values = NDArray[np.float64]
Numbers = NDArray[np.floating | np.integer]

# Cells of a block: enough of them that blocks are few, few enough that one is no weight.
BLOCK_CELLS = 1 << 20
# Cells whose middles and units are found at once: they stay in the cache of a core.
CELLS_AT_ONCE = 1 << 16
# Rows among which the middle is looked for (a few that are far out do not move it), and that are looked at first.
SAMPLE_ROWS = 63


@dataclass(frozen=True)
class Block:
    """Rows `first_row` to `end_row` of all columns: cell = `values` * `unit` + `middle`, in float64.

    `values` is float32 (n_columns, n_rows), C-contiguous; `unit` (a power of two) and `middle` are (n_columns, 1).
    With `is_plain` they are 1 and 0.
    """

    first_row: int
    end_row: int
    values: NDArray[np.float32]
    unit: Values
    middle: Values
    is_plain: bool

    def places_of(self, rows: "NDArray[np.signedinteger[Any]]") -> tuple[int, int]:
        """Of ascending rows of the table the first that lies in this block, and the one after the last."""
        ends = np.asarray((self.first_row, self.end_row), rows.dtype)  # of another type, all rows would be copied
        first, end = np.searchsorted(rows, ends).tolist()
        return first, end

    def cells(
        self,
        columns: "slice | NDArray[np.int64]",
        rows: "slice | NDArray[np.signedinteger[Any]]",
        out: Values | None = None,
    ) -> Values:
        """The numbers (n_columns, n_rows) of some columns and rows, counted within the block; in `out`, if given."""
        if isinstance(columns, np.ndarray) and isinstance(rows, np.ndarray):
            values = self.values[columns[:, None], rows]
        else:
            values = self.values[columns, rows]
        cells: Values = np.empty(values.shape) if out is None else out
        cells[...] = values
        if not self.is_plain:
            cells *= self.unit[columns]
            cells += self.middle[columns]
        return cells


@dataclass(frozen=True)
class Part:
    """Some rows on their way into a block: `cells` (n_columns, n_rows), in float32 where that holds all of them.

    `is_exact` (n_columns,) says of which columns it does.
    """

    cells: Numbers
    is_exact: NDArray[np.bool_]


class PackedNumbers:
    """Columns of finite numbers and NaN, in blocks of consecutive rows; read, and then released block by block."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.n_rows = 0
        self.blocks: list[Block] = []
        self._places = {name: place for place, name in enumerate(names)}
        self._waiting: list[Part] = []
        self._n_waiting = 0

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def part(self, frame: pd.DataFrame) -> Part | None:
        """Rows made ready for `add`, any thread may ask; None unless all cells are finite numbers or missing."""
        cells = frame[list(self.names)].to_numpy().T
        if cells.dtype.kind not in "iuf" or (cells.dtype.kind == "f" and np.isinf(cells).any()):
            return None
        is_whole = np.can_cast(cells.dtype, np.float32)
        # Most tables of measurements are known by a few rows.
        if not is_whole and _differ(cells[:, :SAMPLE_ROWS]).all():
            return Part(cells, np.zeros(len(cells), np.bool_))
        is_exact = np.ones(len(cells), np.bool_) if is_whole else ~_differ(cells)
        if not is_exact.all():
            return Part(cells, is_exact)
        values = _memory(*cells.shape) if cells.size >= BLOCK_CELLS else np.empty(cells.shape, np.float32)
        _round(cells, values)
        return Part(values, is_exact)

    def add(self, part: Part) -> None:
        """Take in further rows; `end` follows the last."""
        self._waiting.append(part)
        self._n_waiting += part.cells.shape[1]
        if self._n_waiting * len(self.names) >= BLOCK_CELLS:
            self.end()

    def end(self) -> None:
        """Pack what waits."""
        if self._n_waiting:
            first, self.n_rows = self.n_rows, self.n_rows + self._n_waiting
            self.blocks.append(_packed(first, self._waiting))
            is_narrow = len(self._waiting) > 1
            self._waiting, self._n_waiting = [], 0
            if is_narrow:  # of many small arrays much of the heap stays behind, a fifth of the numbers of 14 columns
                return_freed_memory()

    def column(self, name: str, rows: "NDArray[np.signedinteger[Any]] | None" = None) -> Values:
        """All cells of a column (n_rows,), or those of ascending `rows`."""
        return next(self.columns([name], rows))

    def columns(self, names: Sequence[str], rows: "NDArray[np.signedinteger[Any]] | None" = None) -> Iterator[Values]:
        """The same of one column after the other; narrow ones are unpacked several at a time."""
        n_rows = self.n_rows if rows is None else len(rows)
        n_at_once = max(1, BLOCK_CELLS // max(n_rows, 1))
        for start in range(0, len(names), n_at_once):
            places = self.places(names[start : start + n_at_once])
            is_run = bool((np.diff(places) == 1).all())
            yield from self._columns(slice(places[0], places[-1] + 1) if is_run else places, len(places), rows)

    def _columns(
        self, places: "slice | NDArray[np.int64]", n_places: int, rows: "NDArray[np.signedinteger[Any]] | None"
    ) -> Values:
        values = np.empty((n_places, self.n_rows if rows is None else len(rows)))
        for block in self.blocks:
            if rows is None:
                block.cells(places, slice(None), values[:, block.first_row : block.end_row])
            else:
                first, end = block.places_of(rows)
                block.cells(places, rows[first:end] - block.first_row, values[:, first:end])
        return values

    def places(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Where columns stand among the packed ones."""
        return np.asarray([self._places[name] for name in names], np.int64)

    def drain(self) -> Iterator[Block]:
        """The blocks in order, each given up when the next is asked for: afterwards there are none."""
        self.blocks.reverse()
        while self.blocks:
            yield self.blocks.pop()


def _memory(n_columns: int, n_rows: int) -> NDArray[np.float32]:
    # A mapping of its own goes back to the system when the block is dropped; what the heap gave it might keep.
    memory = mmap.mmap(-1, max(4 * n_columns * n_rows, 1))
    return np.frombuffer(memory, np.float32, n_columns * n_rows).reshape(n_columns, n_rows)


def _differ(cells: Numbers) -> NDArray[np.bool_]:
    """Of which columns (n_columns, n_rows) float32 does not hold all known cells."""
    with np.errstate(over="ignore", under="ignore"):
        is_other = cells.astype(np.float32) != cells
    differ: NDArray[np.bool_] = is_other.any(axis=1)
    if differ.any() and cells.dtype.kind == "f":
        differ[differ] = (is_other & ~np.isnan(cells))[differ].any(axis=1)
    return differ


def _round(cells: Numbers, values: NDArray[np.float32]) -> None:
    with np.errstate(over="ignore", under="ignore"):
        np.copyto(values, cells, casting="unsafe")
    if cells.dtype.kind == "f":
        values += 0.0  # there is one zero, however it was written


def _packed(first_row: int, parts: Sequence[Part]) -> Block:
    n_columns, n_rows = len(parts[0].cells), sum(part.cells.shape[1] for part in parts)
    is_exact = np.all([part.is_exact for part in parts], axis=0)
    unit, middle = np.ones((n_columns, 1)), np.zeros((n_columns, 1))
    if len(parts) == 1 and n_columns * n_rows >= BLOCK_CELLS and is_exact.all():
        values = np.asarray(parts[0].cells, np.float32)  # which has a memory of its own already
    else:
        values, end = _memory(n_columns, n_rows), 0
        for part in parts:
            start, end = end, end + part.cells.shape[1]
            _round(part.cells, values[:, start:end])
    with np.errstate(over="ignore", under="ignore"):
        inexact = np.flatnonzero(~is_exact)
        for columns in np.array_split(inexact, -(-len(inexact) * n_rows // CELLS_AT_ONCE) or 1):
            cells = np.concatenate([part.cells[columns] for part in parts], axis=1).astype(np.float64, copy=False)
            middle[columns, 0], unit[columns, 0] = _middles_and_units(cells)
            cells -= middle[columns]
            cells /= unit[columns]
            values[columns] = cells
    return Block(first_row, first_row + n_rows, values, unit, middle, bool(is_exact.all()))


def _middles_and_units(cells: Values) -> tuple[Values, Values]:
    """Of each column (n_rows,) a value in the midst of the others, and a power of two near their largest distance."""
    n_rows = cells.shape[1]
    sample = np.sort(cells[:, :: max(1, n_rows // SAMPLE_ROWS)], axis=1)
    middles = sample[:, min(n_rows, SAMPLE_ROWS) // 2].copy()
    largest = np.maximum(np.abs(cells.max(axis=1) - middles), np.abs(cells.min(axis=1) - middles))
    units = np.ldexp(1.0, np.maximum(np.frexp(largest)[1], -1000))
    is_endless = np.isinf(largest)  # the range of float64 from end to end
    middles[is_endless] = 0.0
    units[is_endless] = 2.0 ** (np.frexp(np.abs(cells[is_endless]).max(axis=1, initial=0.0))[1] - 1.0)
    for index in np.flatnonzero(np.isnan(largest)).tolist():
        known = cells[index][~np.isnan(cells[index])]
        (middles[index],), (units[index],) = _middles_and_units(known[np.newaxis])
    return middles, units
