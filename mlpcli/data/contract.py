"""What rows look like, column by column: the training rows once, other rows later, counted into the same bins.

Of numbers and dates the bins lie between edges near every twentieth of the training rows, of texts a bin is a level.
docs/data-contract.md describes what is made of the counts.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.cells import canonical_number
from mlpcli.data.columns import Column, yes_no_sign
from mlpcli.data.numeric import known_and_sorted
from mlpcli.data.selection import Rows, Selection
from mlpcli.data.tables import Table

Counts = NDArray[np.int64]
Values = NDArray[np.float64]

N_BINS = 20
MOST_LEVELS = 100
MOST_CHARACTERS = 200  # of a level
# Bounds of what the model file is given: levels of all columns together, and columns.
MOST_LEVELS_TOGETHER = 20_000
MOST_COLUMNS = 5_000
# Rows looked at: shares of so many are known to half a percent at worst.
SAMPLE_ROWS = 65_536
MOST_UNSEEN = 20
MOST_ROWS = 2**53  # that a file may speak of

# What a number may differ by, relative to its size, without being another: the precision of float32.
PRECISION = 2.0**-23
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class ColumnContract:
    """What the training rows held in a column; `counts` has no missing cells in it.

    A number or a date has rising `edges` and one count more: up to and with an edge, and above the last. Any other
    column has `levels`, the count of each, and a last count of all other texts.
    """

    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Contract:
    """What the training rows looked like: how many there were, and each input column; none for a model without it."""

    n_rows: int = 0
    columns: tuple[ColumnContract, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What rows held, for each input column in its order; `a + b` is of the rows of both.

    `counts` are those of the contract's bins, all columns in a row; `n_missing`, `n_below` and `n_above` the range of
    the training rows are (n_columns,), so are `low` and `high`, infinite where there are no numbers. `unseen` counts
    texts that are not among the levels, the most frequent of each column.
    """

    n_rows: int
    counts: Counts
    n_missing: Counts
    n_below: Counts
    n_above: Counts
    low: Values
    high: Values
    unseen: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __add__(self, other: "Seen") -> "Seen":
        names = dict.fromkeys([*self.unseen, *other.unseen])
        unseen = {name: Counter(self.unseen.get(name, {})) + Counter(other.unseen.get(name, {})) for name in names}
        return Seen(
            self.n_rows + other.n_rows,
            self.counts + other.counts,
            self.n_missing + other.n_missing,
            self.n_below + other.n_below,
            self.n_above + other.n_above,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            {name: dict(texts.most_common(MOST_UNSEEN)) for name, texts in unseen.items()},
        )


def fit_contract(table: Table, columns: Sequence[Column], rows: Rows) -> Contract:
    """What the training rows `rows` hold in columns that were fitted on them; of a very wide table nothing is kept."""
    if len(columns) > MOST_COLUMNS:
        return Contract()
    selection = Selection(table, rows[spread_rows(len(rows), SAMPLE_ROWS)])
    n_texts = sum(column.role in ("category", "yes_no") for column in columns)
    most_levels = min(MOST_LEVELS, MOST_LEVELS_TOGETHER // max(n_texts, 1))
    numbers = selection.each_numbers([column.name for column in columns if column.role == "number"])
    fitted = (
        _fit_amounts(next(numbers) if column.role == "number" else selection.days(column.name, column.date_format))
        if column.role in ("number", "date")
        else _fit_texts(selection, column, most_levels)
        for column in columns
    )
    return Contract(len(rows), tuple(fitted))


def spread_rows(n_rows: int, most: int) -> Rows:
    """All rows, or `most` of them: one of each stretch, at a place in it that no period of the table keeps up with."""
    if n_rows <= most:
        return np.arange(n_rows)
    number = np.arange(most)
    return ((number + number * _GOLDEN % 1.0) * (n_rows / most)).astype(np.int64)


def see(
    contract: Contract, columns: Sequence[Column], table: Table, rows: Rows | None = None, most_rows: int = 0
) -> Seen:
    """Count the rows of a table, all or some, into the bins of the contract; at most `most_rows` of them unless 0.

    Raises DataError for a cell that cannot be read, as the model's own reading does.
    """
    n_rows = len(table.frame) if rows is None else len(rows)
    if most_rows and n_rows > most_rows:
        picked = spread_rows(n_rows, most_rows)
        rows = picked if rows is None else rows[picked]
    selection = Selection(table, rows)
    n_columns = len(columns)
    numbers = np.zeros((3, n_columns), np.int64)
    low, high = np.full(n_columns, np.inf), np.full(n_columns, -np.inf)
    counts: list[Counts] = []
    unseen: dict[str, Mapping[str, int]] = {}
    together = _ordered_together(selection, columns)
    for index, (column, known) in enumerate(zip(columns, contract.columns, strict=True)):
        if column.role in ("number", "date"):
            ordered = together[column.name] if column.name in together else _ordered(selection, column)
            numbers[0, index] = selection.n_rows - len(ordered)
            counts.append(_binned(ordered, known.edges))
            if len(ordered):
                low[index], high[index] = ordered[0], ordered[-1]
                numbers[1:, index] = _beyond(ordered, column)
        else:
            of_bins, numbers[0, index], others = _level_counts(selection, column, known.levels)
            counts.append(of_bins)
            if others:
                unseen[column.name] = dict(Counter(others).most_common(MOST_UNSEEN))
    all_counts = np.concatenate([np.zeros(0, np.int64), *counts])
    return Seen(selection.n_rows, all_counts, numbers[0], numbers[1], numbers[2], low, high, unseen)


def split_counts(contract: Contract, seen: Seen) -> list[Counts]:
    """The counts of each column."""
    ends = np.cumsum([len(column.counts) for column in contract.columns])
    return np.split(seen.counts, ends[:-1])


def usual_others(known: ColumnContract) -> tuple[int, int]:
    """Of how many training rows how many would have had no level of their own, had they come later.

    That is the estimate of Good and Turing: those of the rarest levels that were kept are counted in where another row
    less would have left them out.
    """
    of_levels, others = known.counts[:-1], known.counts[-1]
    least = min(of_levels, default=0)
    if others and (least == 2 or len(of_levels) == MOST_LEVELS):
        others += sum(count for count in of_levels if count == least)
    return others, sum(known.counts)


def find_fault(contract: Contract, columns: Sequence[Column]) -> str:
    """What a contract from a file does not fit these columns by; "" if it does, or says nothing of any column."""
    if contract == Contract():
        return ""
    if len(contract.columns) != len(columns) or not 0 < contract.n_rows <= MOST_ROWS:
        return f"of {len(contract.columns)} columns and {contract.n_rows} rows for {len(columns)} columns"
    for column, known in zip(columns, contract.columns, strict=True):
        is_amount = column.role in ("number", "date")
        n_bins = len(known.edges if is_amount else known.levels) + 1
        fits_role = not known.levels if is_amount else not known.edges
        if column.role == "yes_no" and known.levels != column.levels:
            fits_role = False
        is_rising = all(before < after for before, after in pairwise(known.edges))
        is_small = len(known.edges) < N_BINS and len(set(known.levels)) == len(known.levels) <= MOST_LEVELS
        n_seen = sum(known.counts)
        counts_fit = len(known.counts) == n_bins and min(known.counts) >= 0 and n_seen <= contract.n_rows
        if not (fits_role and is_rising and is_small and counts_fit and 0 <= column.n_missing <= contract.n_rows):
            return f"that does not fit column {column.name}"
    return ""


def _fit_amounts(values: Values) -> ColumnContract:
    ordered = known_and_sorted(values)
    edges = _edges(ordered)
    return ColumnContract(edges=edges, counts=tuple(_binned(ordered, edges).tolist()))


def _fit_texts(selection: Selection, column: Column, most_levels: int) -> ColumnContract:
    levels = column.levels
    if column.role == "category":
        _, _, found = _level_counts(selection, column, ())
        # How often a level is met that was never seen is told by those seen once: they stay among the others.
        short = {text: count for text, count in found.items() if count > 1 and len(text) <= MOST_CHARACTERS}
        # Equal counts in the order of the texts, so that the order of the rows does not matter.
        levels = tuple(sorted(short, key=lambda text: (-short[text], text))[:most_levels])
    counts, _, _ = _level_counts(selection, column, levels)
    return ColumnContract(levels=levels, counts=tuple(counts.tolist()))


def _ordered(selection: Selection, column: Column) -> Values:
    """The numbers or days of a column, ascending, without the missing cells."""
    is_date = column.role == "date"
    return known_and_sorted(
        selection.days(column.name, column.date_format) if is_date else selection.numbers(column.name)
    )


def _ordered_together(selection: Selection, columns: Sequence[Column]) -> dict[str, Values]:
    """The same of columns that are plain numbers, in a tenth of the time; nothing of a table that has others."""
    names = [column.name for column in columns if column.role == "number"]
    cells = selection.plain_numbers(names)
    if cells is None:
        return {}
    ordered = np.sort(cells(0, selection.n_rows).T.astype(np.float64), axis=1)
    # A number that is not finite is left to the reading that names its place.
    known = {name: _known(row) for name, row in zip(names, ordered, strict=True)}
    return {name: row for name, row in known.items() if np.isfinite(row[:1]).all() and np.isfinite(row[-1:]).all()}


def _known(ordered: Values) -> Values:
    return ordered[: np.searchsorted(ordered, np.nan)]


def _edges(ordered: Values) -> tuple[float, ...]:
    """At most N_BINS - 1 edges, each in the middle between two values that follow each other.

    There no rounding of a value moves it to another bin, and a value that many rows share is on one side.
    """
    if not len(ordered):
        return ()
    distinct = ordered[np.append(True, ordered[1:] > ordered[:-1])]
    if len(distinct) > N_BINS:
        ranks = np.arange(1, N_BINS) * len(ordered) // N_BINS
        places, times = np.unique(np.searchsorted(distinct, ordered[ranks]), return_counts=True)
        # A value of more than a bin has one of its own: an edge below it too.
        places = np.union1d(places, np.maximum(places[times > 1] - 1, 0))
    else:
        places = np.arange(len(distinct))
    below = distinct[places[places < len(distinct) - 1]]
    above = distinct[places[places < len(distinct) - 1] + 1]
    middle = below / 2 + above / 2
    return tuple(np.where((middle > below) & (middle < above), middle, below).tolist())


def _binned(ordered: Values, edges: Sequence[float]) -> Counts:
    ends = np.searchsorted(ordered, np.asarray(edges, np.float64), side="right")
    return np.diff(np.concatenate([[0], ends, [len(ordered)]])).astype(np.int64)


def _beyond(ordered: Values, column: Column) -> tuple[int, int]:
    """How many values lie below the training rows' least, and above their greatest."""
    low, high = column.minimum, column.maximum
    if low is None or high is None:
        return 0, 0
    n_below = np.searchsorted(ordered, low - abs(low) * PRECISION)
    n_above = len(ordered) - np.searchsorted(ordered, high + abs(high) * PRECISION, side="right")
    return int(n_below), int(n_above)


def _level_counts(selection: Selection, column: Column, levels: Sequence[str]) -> tuple[Counts, int, dict[str, int]]:
    """Cells of each level and of all others; missing cells; and the other texts with their counts."""
    cells = selection.texts(column.name)
    counts = np.zeros(len(levels) + 1, np.int64)
    place = {level: index for index, level in enumerate(levels)}
    others: Counter[str] = Counter()
    for text, count in zip(cells.texts, cells.counts.tolist(), strict=True):
        if column.role == "yes_no":
            sign = yes_no_sign(levels, text)
            index = 2 if math.isnan(sign) else int(sign > 0)
        else:
            text = canonical_number(text) if column.has_number_levels else text
            index = place.get(text, len(levels))
        counts[index] += count
        if index == len(levels) and count:
            others[text] += count
    return counts, cells.n_missing, dict(others)
