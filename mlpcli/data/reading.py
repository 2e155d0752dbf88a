"""Files as frames: each of them in one piece, or block by block, texts coded and the numbers of a large one packed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.cells import CodedRows, Coder, TextCells, coded
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
    coded: Mapping[str, TextCells] = field(default_factory=dict)


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
    """One file read block by block, its texts coded, the numbers of a large table packed.

    None where numbers are not plain numbers from the first row to the last, and for a faulty file: the way through one
    whole frame knows what to do and to say.
    """
    try:
        with OpenTable(source, plan, digest, in_blocks=True) as opened:
            columns = _Columns(opened.text_names, exact_columns)
            for rows in opened.map_frames(columns.parted):
                if not columns.add(rows):
                    return None
            frame, packed = columns.joined()
            if packed is not None:
                return_freed_memory()
            notes = (*opened.notes, *decimal_comma_notes(opened.name, opened.dialect, plan.format.missing_texts))
            reading = Reading(frame, opened.dialect.names, columns.n_rows, opened.lines, opened.format, notes, packed)
            return [replace(reading, coded=columns.texts())]
    except DataError:
        return None


@dataclass(frozen=True)
class _Rows:
    """Some rows: texts coded, numbers packed (None: they cannot be) if it was known which, and all others."""

    n_cells: int
    texts: Mapping[str, CodedRows]
    frame: pd.DataFrame
    is_packed: bool = False
    numbers: Part | None = None


class _Columns:
    """The rows of a file, of which the texts are coded, and the numbers packed once there are many."""

    def __init__(self, texts: Collection[str], exact: Collection[str]) -> None:
        self.n_rows = 0
        self._exact = exact
        self._texts = texts
        self._coders: dict[str, Coder] = {}
        self._frames: list[pd.DataFrame] = []
        self._packed: PackedNumbers | None = None
        self._n_cells = 0

    def parted(self, frame: pd.DataFrame, _block: Block) -> _Rows:
        """The rows of a block made ready for `add`; any thread may ask."""
        texts = {name: coded(frame[name]) for name in frame.columns if name in self._texts}
        rows = _Rows(frame.size, texts, frame.drop(columns=list(texts)))
        packed = self._packed
        return rows if packed is None else _packed(packed, rows)

    def add(self, rows: _Rows) -> bool:
        """Take in further rows; False when they cannot be packed with those before."""
        self.n_rows += len(rows.frame)
        self._n_cells += rows.n_cells
        for name, texts in rows.texts.items():
            self._coders.setdefault(name, Coder()).add(texts)
        if self._packed is not None:
            return self._pack(self._packed, rows)
        self._frames.append(rows.frame)
        if self._n_cells < FEWEST_PACKED_CELLS:
            return True
        names = [
            name
            for name in rows.frame.columns
            if name not in self._exact and all(part[name].dtype.kind in "iuf" for part in self._frames)
        ]
        if not names:
            return True
        frames, self._frames, self._packed = self._frames, [], PackedNumbers(names)
        return all(self._pack(self._packed, _Rows(0, {}, frame)) for frame in frames)

    def joined(self) -> tuple[pd.DataFrame, PackedNumbers | None]:
        """The columns that are neither coded nor packed as one frame, and those that are packed."""
        if self._packed is not None:
            self._packed.end()
        frame = joined(self._frames) if len(self._frames[0].columns) else pd.DataFrame(index=range(self.n_rows))
        return frame, self._packed

    def texts(self) -> dict[str, TextCells]:
        """The columns that are coded."""
        return {name: coder.cells(str.strip) for name, coder in self._coders.items()}

    def _pack(self, packed: PackedNumbers, rows: _Rows) -> bool:
        if not rows.is_packed:
            rows = _packed(packed, rows)
        self._frames.append(rows.frame)
        if rows.numbers is None:
            return False
        packed.add(rows.numbers)
        return True


def _packed(packed: PackedNumbers, rows: _Rows) -> _Rows:
    rest = rows.frame.drop(columns=list(packed.names))
    return replace(rows, frame=rest, is_packed=True, numbers=packed.part(rows.frame))


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
