"""Whether two sets of rows look alike: the population stability index, and tests that go by counts alone.

`before` and `now` are counts (n_bins,) of the same bins.
"""

import math

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

# Expected rows below which a bin is counted together with others (Cochran's rule).
FEWEST_EXPECTED = 5.0
_TINY = 1e-17


def stability_index(before: Counts, now: Counts) -> float:
    """The population stability index: the sum of (q - p) ln(q / p) over the shares p before and q now.

    Half a row is added to each bin, so that an empty one gives no infinity.
    """
    p = (before + 0.5) / (before.sum() + 0.5 * len(before))
    q = (now + 0.5) / (now.sum() + 0.5 * len(now))
    return float(np.sum((q - p) * np.log(q / p)))


def merge_neighbours(before: Counts, now: Counts, n_groups: int) -> tuple[Counts, Counts]:
    """Join bins that follow each other to at most `n_groups`, of about equal shares before."""
    if len(before) <= n_groups or not before.sum():
        return before, now
    middles = (np.cumsum(before) - before / 2) / before.sum()
    group = np.minimum((middles * n_groups).astype(np.int64), n_groups - 1)
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    return np.add.reduceat(before, starts), np.add.reduceat(now, starts)


def merge_rare(before: Counts, now: Counts) -> tuple[Counts, Counts]:
    """Join the bins in which fewer than FEWEST_EXPECTED rows are expected, of either set, to the last one."""
    together = before + now
    smaller = min(before.sum(), now.sum())
    is_rare = together * (smaller / max(together.sum(), 1)) < FEWEST_EXPECTED
    is_rare[-1] = True
    return tuple(np.append(one[~is_rare], one[is_rare].sum()) for one in (before, now))  # type: ignore[return-value]


def largest_distance(before: Counts, now: Counts) -> tuple[float, float]:
    """Kolmogorov's and Smirnov's distance of two samples at the edges of the bins, and its p-value.

    The true distance is never smaller, so the p-value, asymptotic with Stephens' correction, is never too small.
    """
    n_before, n_now = int(before.sum()), int(now.sum())
    distance = float(np.abs(np.cumsum(before) / n_before - np.cumsum(now) / n_now).max())
    root = math.sqrt(n_before / (n_before + n_now) * n_now)
    return distance, _kolmogorov_tail((root + 0.12 + 0.11 / root) * distance)


def chi_squared(before: Counts, now: Counts) -> tuple[float, float]:
    """Pearson's statistic of two samples of levels, and its p-value; bins are expected to have rows enough."""
    table = np.asarray([before, now], np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 0.0, 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, gamma_tail((table.shape[1] - 1) / 2, statistic / 2)


def more_often(k_before: int, n_before: int, k_now: int, n_now: int) -> float:
    """Fisher's exact p-value of `k_now` of `n_now` or more, where before it was `k_before` of `n_before`.

    The tail of the hypergeometric distribution, summed from its largest term, which is the first.
    """
    n, k = n_before + n_now, k_before + k_now
    if k_now * n_before <= k_before * n_now:  # not more often: no small tail
        return 1.0
    term = math.exp(_log_choose(k, k_now) + _log_choose(n - k, n_now - k_now) - _log_choose(n, n_now))
    tail = term
    for i in range(k_now, min(k, n_now)):
        term *= (k - i) * (n_now - i) / ((i + 1) * (n - k - n_now + i + 1))
        tail += term
        if term < tail * _TINY:
            break
    return min(tail, 1.0)


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
    """The chance that Kolmogorov's statistic is above x."""
    if x < 0.3:  # where the series converges slowly, and the answer is 1 to five digits
        return 1.0
    signs = (1.0, -1.0)
    return min(1.0, 2.0 * sum(signs[j % 2] * math.exp(-2.0 * ((j + 1) * x) ** 2) for j in range(30)))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
