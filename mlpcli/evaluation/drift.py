"""Tests for drift between two samples, from binned counts alone, and the population stability index.

`before` and `now` are counts (n_bins,) of the same bins.
"""

import math

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

# Cochran's rule: bins with fewer expected rows are merged, but a single one may have as few as MIN_EXPECTED_LAST.
MIN_EXPECTED = 5.0
MIN_EXPECTED_LAST = 1.0
_TINY = 1e-17
_IMPOSSIBLE = 1e-12
_DOUBLINGS, _HALVINGS = 40, 40
_SMALL_LEVEL = 3  # largest number of rows of a small level
# Fractions of the significance level for four tests: the largest new level, all new levels, singletons, small levels.
_LEVEL_FRACTIONS = (0.3, 0.3, 0.2, 0.2)


def psi(before: Counts, now: Counts) -> float:
    """The population stability index: the sum of (q - p) ln(q / p) over the fractions p before and q now.

    Half a row is added to each bin, to avoid infinities for empty bins.
    """
    p = (before + 0.5) / (before.sum() + 0.5 * len(before))
    q = (now + 0.5) / (now.sum() + 0.5 * len(now))
    return float(np.sum((q - p) * np.log(q / p)))


def merge_neighbours(before: Counts, now: Counts, n_groups: int) -> tuple[Counts, Counts]:
    """Merge adjacent bins into at most `n_groups` of about equal size before."""
    if len(before) <= n_groups or not before.sum():
        return before, now
    middles = (np.cumsum(before) - before / 2) / before.sum()
    group = np.minimum((middles * n_groups).astype(np.int64), n_groups - 1)
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    return np.add.reduceat(before, starts), np.add.reduceat(now, starts)


def level_bins(
    before: Counts, now: Counts, bucket: Counts, before_in_buckets: Counts, now_in_buckets: Counts
) -> tuple[Counts, Counts]:
    """Bins of a categorical column: its frequent levels, and the remaining counts of the hash buckets.

    `before` and `now` (n_levels,) are the counts of each listed level, `bucket` (n_levels,) its hash bucket. Frequent
    levels are chosen from both samples together, to avoid selection bias.
    """
    expected = _expected(before + now, int(before_in_buckets.sum()), int(now_in_buckets.sum()))
    is_frequent = expected >= MIN_EXPECTED
    frequent_buckets, n_buckets = bucket[is_frequent], len(before_in_buckets)
    remaining = [
        in_buckets - np.bincount(frequent_buckets, counts[is_frequent], n_buckets).astype(np.int64)
        for counts, in_buckets in ((before, before_in_buckets), (now, now_in_buckets))
    ]
    return merge_rare(np.append(before[is_frequent], remaining[0]), np.append(now[is_frequent], remaining[1]))


def merge_rare(before: Counts, now: Counts) -> tuple[Counts, Counts]:
    """Merge bins with fewer than MIN_EXPECTED expected rows until each has enough.

    They are merged in order and placed last. Empty bins are removed. The last merged bin is added to the smallest other
    bin if it has fewer than MIN_EXPECTED_LAST expected rows.
    """
    total = before + now
    expected = _expected(total, int(before.sum()), int(now.sum()))
    number = np.cumsum(expected >= MIN_EXPECTED) - 1  # of the merged bin
    n_merged = int(np.count_nonzero(expected >= MIN_EXPECTED))
    reached, last = 0.0, []
    for index in np.flatnonzero((expected < MIN_EXPECTED) & (total > 0)).tolist():
        number[index] = n_merged
        reached += float(expected[index])
        last.append(index)
        if reached >= MIN_EXPECTED:
            n_merged, reached, last = n_merged + 1, 0.0, []
    is_counted = total > 0
    if last and n_merged and reached < MIN_EXPECTED_LAST:
        others = is_counted & (number < n_merged)
        number[last] = np.argmin(np.bincount(number[others], total[others]))
    merged = [np.bincount(number[is_counted], counts[is_counted]).astype(np.int64) for counts in (before, now)]
    return merged[0], merged[1]


def _expected(total: Counts, n_before: int, n_now: int) -> NDArray[np.float64]:
    """The expected counts of the smaller sample, given the total counts of bins."""
    return np.multiply(total, min(n_before, n_now) / max(n_before + n_now, 1), dtype=np.float64)


def kolmogorov_smirnov(before: Counts, now: Counts) -> tuple[float, float]:
    """The Kolmogorov-Smirnov distance of two samples at the bin edges, and its p-value.

    The distance of the unbinned samples is at least as large, so the test is conservative. The p-value is asymptotic
    with Stephens' correction.
    """
    n_before, n_now = int(before.sum()), int(now.sum())
    distance = float(np.abs(np.cumsum(before) / n_before - np.cumsum(now) / n_now).max())
    root = math.sqrt(n_before / (n_before + n_now) * n_now)
    return distance, _kolmogorov_tail((root + 0.12 + 0.11 / root) * distance)


def chi_squared(before: Counts, now: Counts) -> tuple[float, float]:
    """Pearson's chi-squared statistic of two samples, and its p-value; every bin must have enough expected rows."""
    table = np.asarray([before, now], np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 0.0, 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, gamma_tail((table.shape[1] - 1) / 2, statistic / 2)


def fisher_exact_greater(k_before: int, n_before: int, k_now: int, n_now: int) -> float:
    """Fisher's exact one-sided p-value of `k_now` of `n_now` against `k_before` of `n_before`.

    The tail of the hypergeometric distribution, summed from its first and largest term.
    """
    n, k = n_before + n_now, k_before + k_now
    if k_now * n_before <= k_before * n_now:  # not more frequent
        return 1.0
    term = math.exp(_log_choose(k, k_now) + _log_choose(n - k, n_now - k_now) - _log_choose(n, n_now))
    tail = term
    for i in range(k_now, min(k, n_now)):
        term *= (k - i) * (n_now - i) / ((i + 1) * (n - k - n_now + i + 1))
        tail += term
        if term < tail * _TINY:
            break
    return min(tail, 1.0)


def new_levels(before: Counts, now: Counts) -> tuple[int, float]:
    """The number of rows with new levels, and an upper bound on its p-value.

    `before` and `now` (n_levels,) are the counts of each level. If both samples are random parts of one table, all c
    rows of a level are among the n_now with probability h = C(n_now, c) / C(n_now + n_before, c). Four test statistics
    are combined: the rows of the largest new level, of all new levels, of small ones, and of levels with a single row,
    which are the most informative if many levels are new by chance.
    """
    n_before, n_now, is_new = int(before.sum()), int(now.sum()), before == 0
    n_new = int(now[is_new].sum())
    if not n_before or not n_new:
        return n_new, 1.0
    total = before + now
    sizes, n_levels = np.unique(total[(total > 0) & (total <= n_now)], return_counts=True)
    log_h = np.asarray([_log_probability_new(size, n_now, n_before) for size in sizes.tolist()])
    # Bound on the probability that any level of at least this size is new.
    chances = np.cumsum((n_levels * np.exp(log_h))[::-1])[::-1]
    is_singleton, is_small = total == 1, sizes <= _SMALL_LEVEL
    bounds = (
        float(chances[np.searchsorted(sizes, now[is_new].max())]),
        _sum_bound(sizes, n_levels, log_h, n_new),
        # Assigning single rows to samples is drawing without replacement.
        fisher_exact_greater(int(before[is_singleton].sum()), n_before, int(now[is_singleton].sum()), n_now),
        _sum_bound(
            sizes[is_small], n_levels[is_small], log_h[is_small], int(now[is_new & (now <= _SMALL_LEVEL)].sum())
        ),
    )
    return n_new, min(1.0, *(bound / fraction for bound, fraction in zip(bounds, _LEVEL_FRACTIONS, strict=True)))


def _sum_bound(sizes: Counts, n_levels: Counts, log_h: NDArray[np.float64], n_new: int) -> float:
    """An upper bound on the probability that levels of these sizes have at least `n_new` new rows."""
    expected = n_levels * np.exp(log_h)
    if n_new <= np.sum(expected * sizes):
        return 1.0
    # Large levels are almost never new; bounding them separately keeps the bound of the others tight.
    chances = np.cumsum(expected[::-1])[::-1]
    n_small = int(np.count_nonzero(chances > _IMPOSSIBLE))
    apart = float(chances[n_small]) if n_small < len(chances) else 0.0
    return apart + _chernoff(sizes[:n_small].astype(np.float64), n_levels[:n_small], log_h[:n_small], n_new)


def unseen_rate(counts: Counts) -> float:
    """The Good-Turing estimate of the rate of unseen levels, from the number of singletons."""
    return int(np.count_nonzero(counts == 1)) / max(int(counts.sum()), 1)


def _chernoff(sizes: NDArray[np.float64], n_levels: Counts, log_h: NDArray[np.float64], n_new: int) -> float:
    """The Chernoff bound for levels that are new with probability h having at least `n_new` rows; 0 without levels.

    Whether levels are new is negatively associated (Joag-Dev and Proschan 1983), so the tail is below that of
    independent levels, which is at most exp(-s t) prod (1 - h + h exp(s c)) for any s > 0, with t = `n_new`.
    """
    if not len(sizes):
        return 0.0
    log_rest = np.log1p(-np.exp(log_h))

    def log_factors(s: float) -> NDArray[np.float64]:
        return np.asarray(np.logaddexp(log_rest, log_h + s * sizes))

    def slope(s: float) -> float:
        return float(np.sum(n_levels * sizes * np.exp(log_h + s * sizes - log_factors(s)))) - n_new

    # The bound is convex in s, so find the root of its slope, which is expected - n_new at s = 0.
    low, high = 0.0, 1.0 / float(sizes.max())
    for _ in range(_DOUBLINGS):
        if slope(high) >= 0.0:
            break
        low, high = high, 2.0 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if slope(middle) >= 0.0 else (middle, high)
    return math.exp(min(float(np.sum(n_levels * log_factors(low))) - low * n_new, 0.0))


def _log_probability_new(c: int, n_now: int, n_before: int) -> float:
    """The log probability that all c rows are among the n_now in a random split."""
    n = n_now + n_before
    return math.lgamma(n_now + 1) - math.lgamma(n_now - c + 1) + math.lgamma(n - c + 1) - math.lgamma(n + 1)


def gamma_tail(a: float, x: float) -> float:
    """The upper regularized incomplete gamma function Q(a, x): the tail of chi-squared is Q(dof / 2, statistic / 2).

    By its series below a + 1 and by its continued fraction above (Press et al., Numerical Recipes, 6.2).
    """
    if x <= 0.0:
        return 1.0
    factor = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1.0:
        term = total = 1.0 / a
        while term > total * _TINY:
            a += 1.0
            term *= x / a
            total += term
        return max(1.0 - factor * total, 0.0)
    b = x + 1.0 - a
    c, d = 1e300, 1.0 / b
    fraction = d
    for i in range(1, 10_000):
        numerator = -i * (i - a)
        b += 2.0
        d = 1.0 / (numerator * d + b)
        c = b + numerator / c
        fraction *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return factor * fraction


def _kolmogorov_tail(x: float) -> float:
    """The survival function of the Kolmogorov distribution."""
    if x < 0.3:  # the series converges slowly, and the value is 1 to five digits
        return 1.0
    signs = (1.0, -1.0)
    return min(1.0, 2.0 * sum(signs[j % 2] * math.exp(-2.0 * ((j + 1) * x) ** 2) for j in range(30)))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
