"""Columns of numbers in half the memory: float32 per block of rows, around a value of the block's own.

A number that float32 holds is kept exactly, as are whole numbers near each other. Of any other the distance from the
middle of its block is rounded to 24 bits, which is how the network's inputs are rounded too: the result is what it
would have been up to the last bit or two of float32.
"""

import mmap
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.dataclass import dataclass

Values = NDArray[np.float64]
Numbers = NDArray[np.float64 | np.integer]

# Cells of a block: enough of them that blocks are few, few enough that one is no weight.
BLOCK_CELLS = 1 << 20
# Of how many rows the middle is looked for: a few that are far out do not move it.
SAMPLE_ROWS = 63


@dataclass(frozen=True)
class Block:
    """Rows `first_row` to `end_row` of all columns: cell = `values` * `unit` + `middle`, in float64.

    `values` is float32 (n_columns, n_rows), C-contiguous; `unit` (a power of two) and `middle` are (n_columns, 1).
    """

    first_row: int
    end_row: int
    values: NDArray[np.float32]
    unit: Values
    middle: Values

    def cells(self, columns: "slice | NDArray[np.int64]", rows: "slice | NDArray[np.int64]") -> Values:
        """The numbers (n_columns, n_rows) of some columns and rows, counted within the block."""
        values: Values = self.values[columns][:, rows].astype(np.float64)
        values *= self.unit[columns]
        values += self.middle[columns]
        return values


class PackedNumbers:
    """Columns of finite numbers and NaN, in blocks of consecutive rows; read, and then released block by block."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.n_rows = 0
        self.blocks: list[Block] = []
        self._places = {name: place for place, name in enumerate(names)}
        self._waiting: list[Numbers] = []
        self._n_waiting = 0

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def add(self, frame: pd.DataFrame) -> bool:
        """Take in further rows, and say whether all cells are finite numbers or missing; `end` follows the last."""
        values = frame[list(self.names)].to_numpy().T
        if values.dtype.kind not in "iuf":
            return False
        self._waiting.append(values)
        self._n_waiting += len(frame)
        if self._n_waiting * len(self.names) >= BLOCK_CELLS:
            self.end()
        return values.dtype.kind != "f" or not np.isinf(values).any()

    def end(self) -> None:
        """Pack what waits."""
        if self._n_waiting:
            first, self.n_rows = self.n_rows, self.n_rows + self._n_waiting
            self.blocks.append(_packed(first, self._waiting, self._n_waiting, len(self.names)))
            self._waiting, self._n_waiting = [], 0

    def column(self, name: str) -> Values:
        """All cells of a column (n_rows,)."""
        place = self._places[name]
        values = np.empty(self.n_rows)
        for block in self.blocks:
            values[block.first_row : block.end_row] = block.cells(slice(place, place + 1), slice(None))[0]
        return values

    def places(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Where columns stand among the packed ones."""
        return np.asarray([self._places[name] for name in names], np.int64)

    def drain(self) -> Iterator[Block]:
        """The blocks in order, each given up when the next is asked for: afterwards there are none."""
        self.blocks.reverse()
        while self.blocks:
            yield self.blocks.pop()


def _packed(first_row: int, parts: Sequence[Numbers], n_rows: int, n_columns: int) -> Block:
    # A mapping of its own goes back to the system when the block is dropped; what the heap gave it might keep.
    memory = mmap.mmap(-1, max(4 * n_columns * n_rows, 1))
    values = np.frombuffer(memory, np.float32, n_columns * n_rows).reshape(n_columns, n_rows)
    unit, middle = np.ones((n_columns, 1)), np.zeros((n_columns, 1))
    with np.errstate(over="ignore", under="ignore"):
        np.concatenate(parts, axis=1, out=values, casting="unsafe")
        ends = np.cumsum([0, *(part.shape[1] for part in parts)])
        is_exact = np.ones(n_columns, np.bool_)
        for part, start in zip(parts, ends, strict=False):
            is_exact &= (values[:, start : start + part.shape[1]] == part).all(axis=1)
        for index in np.flatnonzero(~is_exact).tolist():
            column = np.concatenate([part[index] for part in parts]).astype(np.float64, copy=False)
            if not np.array_equal(values[index], column, equal_nan=True):
                middle[index], unit[index] = _middle_and_unit(column)
                column -= middle[index]
                column /= unit[index]
                values[index] = column
    return Block(first_row, first_row + n_rows, values, unit, middle)


def _middle_and_unit(column: Values) -> tuple[float, float]:
    """A value in the midst of the others, and a power of two near their largest distance from it."""
    known = column[~np.isnan(column)]
    middle = float(np.sort(known[:: max(1, len(known) // SAMPLE_ROWS)])[min(len(known), SAMPLE_ROWS) // 2])
    largest = max(abs(float(known.max()) - middle), abs(float(known.min()) - middle))
    if not np.isfinite(largest):  # the range of float64 from end to end
        return 0.0, float(2.0 ** (np.frexp(np.abs(known).max())[1] - 1))
    return middle, float(np.ldexp(1.0, max(int(np.frexp(largest)[1]), -1000)))
