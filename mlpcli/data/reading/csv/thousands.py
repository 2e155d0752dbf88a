"""Points that may stand between thousands: 6.001 for 6001, in files of those who write decimals with a comma."""

from collections.abc import Sequence
from threading import Lock

import numpy as np

from mlpcli.data.schema.number_formats import count_point_groups
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn

# Of so many numbers that all have groups of three digits, none is a decimal of fewer or more.
FEWEST_GROUPED = 10


class PointThousands:
    """The columns in which three digits follow every point, in all rows seen so far; batches come from any thread.

    Besides groups there are integers below 1000 and missing cells (`missing`) only.
    """

    def __init__(self, sample: Sequence[Sequence[str]], missing: Sequence[str]) -> None:
        self._missing = {"", *missing}
        self._lock = Lock()
        self._counts: dict[int, tuple[int, int]] = {}  # of grouped and of small numbers
        self._examples: dict[int, tuple[int, str]] = {}  # with the row of its batch, that of the first one
        self._found: dict[int, str] = {}
        for place, cells in enumerate(zip(*sample, strict=False)):
            filled = [cell for cell in cells if cell not in self._missing]
            if count_point_groups(filled, np.ones(len(filled), np.int64)) is not None:
                self._counts[place] = (0, 0)

    def needs_texts(self, place: int, column: Column) -> bool:
        """Whether only the texts of a batch of a column can tell; takes the batch in where its numbers can."""
        if place not in self._counts or not isinstance(column, NumericColumn):
            return False
        known = column.values
        if known.dtype.kind == "f":
            known = known[~np.isnan(known)]
        is_small = not len(known) or bool(known.max() < 1000 and known.min() > -1000)
        if not is_small or (known.dtype.kind == "f" and (np.round(known * 1000) / 1000 != known).any()):
            self._drop(place)
        elif known.dtype.kind == "f":
            return True
        else:
            self._add(place, 0, int(np.count_nonzero(known)))
        return False

    def take_in(self, place: int, column: Column, row: int) -> None:
        """The texts of a batch that begins with row `row`."""
        if place not in self._counts or not isinstance(column, CategoricalColumn):
            return
        cells = [
            cell for cell in zip(column.levels, column.counts.tolist(), strict=True) if cell[0] not in self._missing
        ]
        found = count_point_groups([text for text, _ in cells], [count for _, count in cells])
        if found is None:
            self._drop(place)
            return
        grouped = [text for text, _ in cells if "." in text]
        if grouped:
            with self._lock:
                self._examples[place] = min(self._examples.get(place, (row, grouped[0])), (row, grouped[0]))
        self._add(place, *found)

    def found(self) -> list[tuple[int, str]]:
        """The columns with points that may be between thousands, each with an example, which stays the same."""
        with self._lock:
            for place, (n_grouped, n_small) in self._counts.items():
                if n_grouped > 1 and (
                    n_small > 1 or (not n_small and n_grouped >= FEWEST_GROUPED)
                ):  # one may be chance
                    self._found.setdefault(place, self._examples[place][1])
            return sorted((place, text) for place, text in self._found.items() if place in self._counts)

    def _drop(self, place: int) -> None:
        with self._lock:
            self._counts.pop(place, None)

    def _add(self, place: int, n_grouped: int, n_small: int) -> None:
        with self._lock:
            if place in self._counts:
                grouped, small = self._counts[place]
                self._counts[place] = (grouped + n_grouped, small + n_small)
