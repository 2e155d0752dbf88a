"""Files as frames: each of them in one piece, or block by block with the numbers of a large one packed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.dialect import TableFormat, decimal_comma_notes
from mlpcli.data.encoding import Digest
from mlpcli.data.faults import other_columns
from mlpcli.data.packing import PackedNumbers, Part
from mlpcli.data.parsing import Block, OpenTable, Plan
from mlpcli.data.records import LineMap
from mlpcli.data.sources import Source
from mlpcli.errors import DataError
from mlpcli.machine import return_freed_memory

# Numbers of more cells than this are packed: fewer take hardly more memory than pandas.
FEWEST_PACKED_CELLS = 1 << 21


@dataclass(frozen=True)
class Reading:
    """What was read of one file."""

    frame: pd.DataFrame
    names: tuple[str, ...]
    n_rows: int
    lines: LineMap
    format: TableFormat
    notes: tuple[str, ...]
    packed: PackedNumbers | None = None


def read_all(sources: Sequence[Source], plan: Plan, digest: Digest | None) -> list[Reading]:
    """Each file as one frame, all with the columns of the first."""
    readings: list[Reading] = []
    for source in sources:
        if readings:  # whether there is a header is found once, in the first file
            plan = replace(plan, format=replace(plan.format, header=readings[0].format.header))
        with OpenTable(source, plan, digest) as opened:
            names = opened.dialect.names
            if readings:
                check_columns(opened.name, names, readings[0].lines.name, readings[0].names)
            frame = opened.whole()
            missing = plan.format.missing_texts
            notes = (*opened.notes, *decimal_comma_notes(opened.name, opened.dialect, missing))
            readings.append(Reading(frame, names, len(frame), opened.lines, opened.format, notes))
    return readings


def read_packed(source: Source, plan: Plan, digest: Digest, exact_columns: Collection[str]) -> list[Reading] | None:
    """One file read block by block, the numbers of a large table packed.

    None where numbers are not plain numbers from the first row to the last, and for a faulty file: the way through one
    whole frame knows what to do and to say.
    """
    columns = _Columns(exact_columns)
    try:
        with OpenTable(source, plan, digest, in_blocks=True) as opened:
            for rows in opened.map_frames(columns.parted):
                if not columns.add(rows):
                    return None
            frame, packed = columns.joined()
            if packed is not None:
                return_freed_memory()
            notes = (*opened.notes, *decimal_comma_notes(opened.name, opened.dialect, plan.format.missing_texts))
            return [Reading(frame, opened.dialect.names, len(frame), opened.lines, opened.format, notes, packed)]
    except DataError:
        return None


@dataclass(frozen=True)
class _Rows:
    """Some rows: their columns that are not packed, and the others (None: they cannot be)."""

    frame: pd.DataFrame
    numbers: Part | None


class _Columns:
    """The frames of a file, of which the numbers are packed once there are many."""

    def __init__(self, exact: Collection[str]) -> None:
        self._exact = exact
        self._frames: list[pd.DataFrame] = []
        self._packed: PackedNumbers | None = None
        self._n_cells = 0

    def parted(self, frame: pd.DataFrame, _block: Block) -> pd.DataFrame | _Rows:
        """The rows of a block made ready for `add`, as far as is known which columns are packed; any thread may ask."""
        packed = self._packed
        return frame if packed is None else _parted(packed, frame)

    def add(self, rows: pd.DataFrame | _Rows) -> bool:
        """Take in further rows; False when they cannot be packed with those before."""
        if self._packed is not None:
            return self._pack(self._packed, rows)
        assert isinstance(rows, pd.DataFrame)
        self._frames.append(rows)
        self._n_cells += rows.size
        if self._n_cells < FEWEST_PACKED_CELLS:
            return True
        names = [
            name
            for name in rows.columns
            if name not in self._exact and all(part[name].dtype.kind in "iuf" for part in self._frames)
        ]
        if not names:
            return True
        frames, self._frames, self._packed = self._frames, [], PackedNumbers(names)
        return all(self._pack(self._packed, frame) for frame in frames)

    def joined(self) -> tuple[pd.DataFrame, PackedNumbers | None]:
        """What is not packed as one frame, and what is."""
        if self._packed is None:
            return joined(self._frames), None
        self._packed.end()
        frame = joined(self._frames) if len(self._frames[0].columns) else pd.DataFrame(index=range(self._packed.n_rows))
        return frame, self._packed

    def _pack(self, packed: PackedNumbers, rows: pd.DataFrame | _Rows) -> bool:
        parted = rows if isinstance(rows, _Rows) else _parted(packed, rows)
        self._frames.append(parted.frame)
        if parted.numbers is None:
            return False
        packed.add(parted.numbers)
        return True


def _parted(packed: PackedNumbers, frame: pd.DataFrame) -> _Rows:
    return _Rows(frame.drop(columns=list(packed.names)), packed.part(frame))


def check_columns(name: str, names: Sequence[str], first: str, expected: Sequence[str]) -> None:
    """Refuse a further file that has not the columns of the first, in whatever order."""
    found, wanted = frozenset(names), frozenset(expected)
    missing = [column for column in expected if column not in found]
    added = [column for column in names if column not in wanted]
    if missing or added:
        raise other_columns(name, first, missing, added)


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of several frames; a column of more than one type becomes one of objects, for `has_lost_text` to see."""
    filled = [frame for frame in frames if len(frame)] or [frames[0]]
    if len(filled) == 1:
        return filled[0]
    columns = {name: _joined_column([frame[name] for frame in filled]) for name in frames[0].columns}
    return pd.DataFrame(columns, columns=frames[0].columns)


def _joined_column(columns: Sequence[Any]) -> NDArray[Any]:
    are_numbers = all(column.dtype.kind in "iuf" for column in columns)
    return np.concatenate([column.to_numpy() if are_numbers else column.to_numpy(object) for column in columns])
