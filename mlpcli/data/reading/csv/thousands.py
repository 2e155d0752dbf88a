"""Detection of points that may be thousands separators, as in locales with a decimal comma: 6.001 for 6001."""

from collections.abc import Sequence
from threading import Lock

import numpy as np

from mlpcli.data.schema.number_formats import count_point_groups
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn

# So many numbers with three digits after every point, and no small integers among them, are hardly decimals.
MIN_GROUPED = 10


class PointThousands:
    """Tracks the columns in which three digits follow every point in all batches so far; thread-safe.

    Apart from such numbers, these columns have only integers below 1000 and missing cells (`missing`). At least two
    such integers are required, but not in a file with a delimiter of locales with a decimal comma.
    """

    def __init__(self, sample: Sequence[Sequence[str]], missing: Sequence[str], has_locale_delimiter: bool) -> None:
        self._missing = {"", *missing}
        self._has_locale_delimiter = has_locale_delimiter
        self._lock = Lock()
        self._counts: dict[int, tuple[int, int]] = {}  # by column: numbers with points, integers below 1000
        self._examples: dict[int, tuple[int, str]] = {}  # by column: first row of its batch, text
        self._reported: dict[int, str] = {}
        for index, cells in enumerate(zip(*sample, strict=False)):
            distinct = [*{*cells}.difference(self._missing)]
            if count_point_groups(distinct, [1] * len(distinct)) is not None:
                self._counts[index] = (0, 0)

    def needs_texts(self, index: int, column: Column, may_be_decimal: bool) -> bool:
        """Whether the texts of a batch of a column are needed (`add_texts`); otherwise its numbers are counted here.

        They are not if no number of the batch has a point or an exponent, as in 1e2 (`may_be_decimal`).
        """
        if index not in self._counts or not isinstance(column, NumericColumn):
            return False
        values = column.values
        if values.dtype.itemsize == 1 and self._counts.get(index, (0, 0))[1] > 1:
            return False  # integers below 1000, and more than one of them is known
        if values.dtype.kind == "f":
            values = values[~np.isnan(values)]
        is_small = not len(values) or bool(values.max() < 1000 and values.min() > -1000)
        if not is_small or (values.dtype.kind == "f" and (np.round(values * 1000) / 1000 != values).any()):
            self._drop(index)
        elif values.dtype.kind == "f" and may_be_decimal:
            return True
        else:
            self._add(index, 0, int(np.count_nonzero(values)))
        return False

    def add_texts(self, index: int, column: Column, row: int) -> None:
        """Count the texts of a batch of a column; `row` is the first row of the batch."""
        if index not in self._counts or not isinstance(column, CategoricalColumn):
            return
        cells = [
            cell for cell in zip(column.levels, column.counts.tolist(), strict=True) if cell[0] not in self._missing
        ]
        counts = count_point_groups([text for text, _ in cells], [count for _, count in cells])
        if counts is None:
            self._drop(index)
            return
        grouped_texts = [text for text, _ in cells if "." in text]
        if grouped_texts:
            with self._lock:
                self._examples[index] = min(self._examples.get(index, (row, grouped_texts[0])), (row, grouped_texts[0]))
        self._add(index, *counts)

    def ambiguous_columns(self) -> list[tuple[int, str]]:
        """Columns whose points may be thousands separators, each with an example that later calls repeat."""
        with self._lock:
            for index, (n_grouped, n_small) in self._counts.items():
                are_all_grouped = self._has_locale_delimiter and not n_small and n_grouped >= MIN_GROUPED
                if n_grouped > 1 and (n_small > 1 or are_all_grouped):  # one may be chance
                    self._reported.setdefault(index, self._examples[index][1])
            return sorted((index, text) for index, text in self._reported.items() if index in self._counts)

    def _drop(self, index: int) -> None:
        with self._lock:
            self._counts.pop(index, None)

    def _add(self, index: int, n_grouped: int, n_small: int) -> None:
        with self._lock:
            if index in self._counts:
                grouped, small = self._counts[index]
                self._counts[index] = (grouped + n_grouped, small + n_small)
