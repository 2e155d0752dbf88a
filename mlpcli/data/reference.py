"""Reference profile of the training rows, and histograms of later rows in the same bins.

Numbers and dates have bins with edges near every twentieth of the training rows; texts have a bin per level, and hash
buckets of levels (`level_sketch`). docs/data-contract.md describes how the counts are used.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.feature import Feature
from mlpcli.data.features.weighted_statistics import sort_non_missing, total_weight, values_at_ranks, weights_below
from mlpcli.data.level_sketch import N_BUCKETS, fill_buckets, hash_buckets, hash_levels, keep_lowest_hashes
from mlpcli.data.table import CategoricalColumn, NumericColumn, Rows, Table

Counts = NDArray[np.int64]
Values = NDArray[np.float64]

N_BINS = 20
MAX_LEVELS = 1000
MAX_LEVEL_LENGTH = 200  # of a level
# Bounds of a profile in a model file: levels of all columns together, and columns.
MAX_TOTAL_LEVELS = 20_000
MAX_COLUMNS = 5_000
# Sample size in later tables: the standard error of a fraction is at most 0.2%.
SAMPLE_ROWS = 65_536
MAX_UNSEEN_LEVELS = 1000  # per column
MAX_ROWS = 2**53  # in a file

# Relative tolerance of comparisons with the training range: the precision of float32.
PRECISION = 2.0**-23
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class ReferenceColumn:
    """Counts of the training rows in a column; missing cells are not counted.

    Numbers and dates have ascending `edges`; `counts` has one entry more: up to and including each edge, and above the
    last. Other columns have `levels` with their `counts`, and `buckets` with the rows of all levels by hash. If
    `is_sample`, only the levels with the lowest hashes are in `levels`.
    """

    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    buckets: tuple[int, ...] = ()
    is_sample: bool = False

    @cached_property
    def hashes(self) -> NDArray[np.uint64]:
        """The hash of each level (n_levels,)."""
        return hash_levels(self.levels)

    @property
    def level_buckets(self) -> Counts:
        """The bucket of each level (n_levels,)."""
        return hash_buckets(self.hashes)

    def names(self, texts: Sequence[str], hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Mask of texts (n_texts,) for which the profile records whether they occurred in the training rows."""
        is_short = np.asarray([len(text) <= MAX_LEVEL_LENGTH for text in texts], np.bool_)
        return is_short & (hashes <= self.hashes.max()) if self.is_sample else is_short


@dataclass(frozen=True)
class ReferenceProfile:
    """Number of training rows and a profile per input column; empty for a very wide table."""

    n_rows: int = 0
    columns: tuple[ReferenceColumn, ...] = ()


@dataclass(frozen=True)
class Histogram:
    """Counts per input column of some rows, in the bins of a profile; `a + b` merges two histograms.

    `counts` concatenates the bins and buckets of all columns; `n_missing`, and `n_below` and `n_above` the training
    range, are (n_columns,), as are `low` and `high`, infinite where there are no numbers. `unseen` counts levels that
    are not in the training rows, per column those with the lowest hashes.
    """

    n_rows: int
    counts: Counts
    n_missing: Counts
    n_below: Counts
    n_above: Counts
    low: Values
    high: Values
    unseen: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __add__(self, other: "Histogram") -> "Histogram":
        names = dict.fromkeys([*self.unseen, *other.unseen])
        unseen = {name: Counter(self.unseen.get(name, {})) + Counter(other.unseen.get(name, {})) for name in names}
        return Histogram(
            self.n_rows + other.n_rows,
            self.counts + other.counts,
            self.n_missing + other.n_missing,
            self.n_below + other.n_below,
            self.n_above + other.n_above,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            {name: keep_lowest_hashes(texts, MAX_UNSEEN_LEVELS) for name, texts in unseen.items()},
        )


def fit_numeric_bins(ordered: Values, weights: Values | None = None) -> ReferenceColumn:
    """Bins of non-missing numbers or days (n_known,) in ascending order; `weights` are integer row counts."""
    edges = _bin_edges(ordered, weights)
    return ReferenceColumn(edges=edges, counts=tuple(_bin_counts(ordered, edges, weights).tolist()))


def fit_level_counts(column: CategoricalColumn, feature: Feature, n_columns: int) -> ReferenceColumn:
    """Levels of a column of a table with `n_columns` columns, and their counts."""
    counts_by_level = column.level_counts
    if feature.role == "boolean":
        levels, is_sample = feature.schema.levels, False
    else:
        short_levels = {text: count for text, count in counts_by_level.items() if len(text) <= MAX_LEVEL_LENGTH}
        recorded = keep_lowest_hashes(short_levels, min(MAX_LEVELS, MAX_TOTAL_LEVELS // n_columns))
        # Ties are in the order of the texts, so that the order of the rows does not matter.
        levels = tuple(sorted(recorded, key=lambda text: (-counts_by_level[text], text)))
        is_sample = len(recorded) < len(short_levels)
    counts = tuple(counts_by_level.get(level, 0) for level in levels)
    buckets = fill_buckets(hash_levels(counts_by_level), counts_by_level.values())
    return ReferenceColumn((), levels, counts, tuple(buckets.tolist()), is_sample)


def build_profile(n_rows: int, columns: Sequence[ReferenceColumn]) -> ReferenceProfile:
    """The profile of `n_rows` training rows; empty for a very wide table."""
    return ReferenceProfile() if len(columns) > MAX_COLUMNS else ReferenceProfile(n_rows, tuple(columns))


def sample_rows(n_rows: int, limit: int) -> Rows:
    """All row indices, or `limit` of them: one per equal interval, at a varying offset that avoids periodicity."""
    if n_rows <= limit:
        return np.arange(n_rows)
    index = np.arange(limit)
    return ((index + index * _GOLDEN % 1.0) * (n_rows / limit)).astype(np.int64)


def count_rows(
    profile: ReferenceProfile, features: Sequence[Feature], table: Table, rows: Rows | None = None, max_rows: int = 0
) -> Histogram:
    """Count rows of a table (None: all) into the bins of the profile, or a sample of `max_rows` of them unless 0.

    `table` is cast by the schemas of the features.
    """
    n_rows = table.n_rows if rows is None else len(rows)
    if max_rows and n_rows > max_rows:
        sampled = sample_rows(n_rows, max_rows)
        rows, n_rows = sampled if rows is None else rows[sampled], max_rows
    n_columns = len(features)
    numbers = np.zeros((3, n_columns), np.int64)
    low, high = np.full(n_columns, np.inf), np.full(n_columns, -np.inf)
    counts: list[Counts] = []
    unseen: dict[str, Mapping[str, int]] = {}
    for index, (feature, reference) in enumerate(zip(features, profile.columns, strict=True)):
        column = table.column(feature.name, rows)
        if isinstance(column, NumericColumn):
            ordered, _ = sort_non_missing(np.array(column.values, np.float64))
            numbers[0, index] = n_rows - len(ordered)
            counts.append(_bin_counts(ordered, reference.edges))
            if len(ordered):
                low[index], high[index] = ordered[0], ordered[-1]
                numbers[1:, index] = _count_out_of_range(ordered, feature)
        else:
            numbers[0, index] = np.count_nonzero(column.is_missing)
            counts_by_level = column.level_counts
            hashes = hash_levels(counts_by_level)
            counts += [_level_counts(counts_by_level, reference.levels), fill_buckets(hashes, counts_by_level.values())]
            levels = frozenset(reference.levels)
            is_named = reference.names(list(counts_by_level), hashes).tolist()
            unseen_levels = {
                text: count
                for (text, count), is_recorded in zip(counts_by_level.items(), is_named, strict=True)
                if is_recorded and text not in levels
            }
            if unseen_levels:
                unseen[feature.name] = keep_lowest_hashes(unseen_levels, MAX_UNSEEN_LEVELS)
    all_counts = np.concatenate([np.zeros(0, np.int64), *counts])
    return Histogram(n_rows, all_counts, numbers[0], numbers[1], numbers[2], low, high, unseen)


def split_counts(profile: ReferenceProfile, histogram: Histogram) -> list[tuple[Counts, Counts]]:
    """Counts per column: in its bins and in its buckets."""
    lengths = [length for column in profile.columns for length in (len(column.counts), len(column.buckets))]
    counts = np.split(histogram.counts, np.cumsum(lengths)[:-1])
    return list(zip(counts[::2], counts[1::2], strict=True))


def comparable_counts(reference: ReferenceColumn, counts: Counts, unseen: Mapping[str, int]) -> tuple[Counts, Counts]:
    """Row counts in training and now, of the levels that would be recorded by name in both.

    If new levels were dropped, those with the highest hashes, known levels in the same hash range are dropped too.
    """
    before = np.asarray(reference.counts, np.int64)
    if len(unseen) >= MAX_UNSEEN_LEVELS:
        is_kept = reference.hashes <= hash_levels(unseen).max()
        before, counts = before[is_kept], counts[is_kept]
    new = np.asarray(list(unseen.values()), np.int64)
    return np.concatenate([before, np.zeros_like(new)]), np.concatenate([counts, new])


def find_profile_fault(profile: ReferenceProfile, features: Sequence[Feature]) -> str:
    """Describe why a profile from a file does not match these columns; "" if it matches or is empty."""
    if profile == ReferenceProfile():
        return ""
    if len(profile.columns) != len(features) or not 0 < profile.n_rows <= MAX_ROWS:
        return f"of {len(profile.columns)} columns and {profile.n_rows} rows for {len(features)} columns"
    for feature, reference in zip(features, profile.columns, strict=True):
        n_known = max(sum(reference.counts), sum(reference.buckets))
        is_non_negative = min((feature.n_missing, *reference.counts, *reference.buckets)) >= 0
        matches = _edges_fit if feature.is_numeric else _levels_fit
        if not (is_non_negative and n_known + feature.n_missing <= profile.n_rows and matches(reference, feature)):
            return f"that does not fit column {feature.name}"
    return ""


def _edges_fit(reference: ReferenceColumn, feature: Feature) -> bool:
    if reference.levels or reference.buckets or reference.is_sample:
        return False
    is_rising = all(before < after for before, after in pairwise(reference.edges))
    return is_rising and len(reference.edges) < N_BINS and len(reference.counts) == len(reference.edges) + 1


def _levels_fit(reference: ReferenceColumn, feature: Feature) -> bool:
    if reference.edges or (
        feature.role == "boolean" and (reference.levels != feature.schema.levels or reference.is_sample)
    ):
        return False
    if not len(set(reference.levels)) == len(reference.levels) == len(reference.counts) <= MAX_LEVELS:
        return False
    if len(reference.buckets) != N_BUCKETS or (reference.is_sample and not reference.levels):
        return False
    recorded = fill_buckets(reference.hashes, reference.counts)
    return bool((recorded <= np.asarray(reference.buckets)).all())


def _bin_edges(ordered: Values, weights: Values | None) -> tuple[float, ...]:
    """At most N_BINS - 1 edges, each midway between two adjacent values.

    Therefore rounding does not move a value to another bin, and equal values are in one bin.
    """
    if not len(ordered):
        return ()
    unique_values = ordered[np.append(True, ordered[1:] > ordered[:-1])]
    if len(unique_values) > N_BINS:
        quantiles = values_at_ranks(
            ordered, np.arange(1, N_BINS) * int(total_weight(ordered, weights)) // N_BINS, weights
        )
        indices, n_quantiles = np.unique(np.searchsorted(unique_values, quantiles), return_counts=True)
        # A value that spans several quantiles gets a bin of its own, with an edge below it too.
        indices = np.union1d(indices, np.maximum(indices[n_quantiles > 1] - 1, 0))
    else:
        indices = np.arange(len(unique_values))
    below = unique_values[indices[indices < len(unique_values) - 1]]
    above = unique_values[indices[indices < len(unique_values) - 1] + 1]
    middle = below / 2 + above / 2
    return tuple(np.where((middle > below) & (middle < above), middle, below).tolist())


def _bin_counts(ordered: Values, edges: Sequence[float], weights: Values | None = None) -> Counts:
    ends = weights_below(ordered, np.asarray(edges, np.float64), weights)[1]
    return np.diff(np.concatenate([[0.0], ends, [total_weight(ordered, weights)]])).astype(np.int64)


def _count_out_of_range(ordered: Values, feature: Feature) -> tuple[int, int]:
    """Number of values below the training minimum, and above the maximum."""
    low, high = feature.minimum, feature.maximum
    if low is None or high is None:
        return 0, 0
    n_below = np.searchsorted(ordered, low - abs(low) * PRECISION)
    n_above = len(ordered) - np.searchsorted(ordered, high + abs(high) * PRECISION, side="right")
    return int(n_below), int(n_above)


def _level_counts(counts_by_level: Mapping[str, int], levels: Sequence[str]) -> Counts:
    return np.asarray([counts_by_level.get(level, 0) for level in levels], np.int64)
