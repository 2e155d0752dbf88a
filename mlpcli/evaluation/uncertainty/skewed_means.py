"""The interval of a mean of skewed values."""

import math
from statistics import NormalDist

from mlpcli.evaluation.metrics.averages import Floats

FEWEST_DEGREES = 2.0
MOST_STEPS = 100  # of Newton's method: a dozen are enough
NORMAL = NormalDist()
_LEAST = 1e-300


def mean_interval(values: Floats, confidence: float, is_skewed: bool = True) -> tuple[float, float]:
    """Ends of the interval of the mean of `values` (n_rows,), at least two; without skewness that of Student.

    The studentized mean, its skewness removed by the monotone cubic transformation of Hall (1992, "On the removal of
    skewness by transformation", JRSS B 54), against Student's t with the degrees of freedom of the variance.
    """
    n = len(values)
    moved = values - values.mean()
    variance = float(moved @ moved) / n
    if not variance > 0.0:
        return float(values.mean()), float(values.mean())
    t = student_quantile((1 + confidence) / 2, degrees(values))
    skewness = float((moved**3).mean()) / variance**1.5 / math.sqrt(n) if is_skewed else 0.0
    error = math.sqrt(variance / (n - 1))
    return float(values.mean()) - error * _untransformed(t, skewness), float(values.mean()) - error * _untransformed(
        -t, skewness
    )


def _untransformed(t: float, skewness: float) -> float:
    """The studentized mean that Hall's transformation takes to `t`; `skewness` is that of the values, over sqrt(n)."""
    if abs(skewness) < 1e-6:
        return t
    return 3 / skewness * (math.cbrt(1 + skewness * (t - skewness / 6)) - 1)


def degrees(values: Floats) -> float:
    """Degrees of freedom of the variance of `values` (n_rows,), from 2 to n - 1: 2 n / (kurtosis - 1).

    Those of the chi-squared variable with the mean and variance of the estimate (Satterthwaite 1946), whose variance
    for any distribution is (kurtosis - 1) / n of its square (Box 1953).
    """
    squared = (values - values.mean()) ** 2
    mean = float(squared.mean())
    excess = float((squared**2).mean()) / mean**2 - 1 if mean > 0 else 2.0
    return min(max(2 * len(values) / max(excess, _LEAST), FEWEST_DEGREES), max(len(values) - 1.0, FEWEST_DEGREES))


def student_quantile(level: float, degrees: float) -> float:
    """The quantile of Student's t at a level from 0.5 to below 1.

    By Newton's method from the quantile of the normal distribution, which is no larger: the tail is convex, so that
    each step stays below the quantile.
    """
    t = NORMAL.inv_cdf(level)
    scale = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(degrees * math.pi)
    for _ in range(MOST_STEPS):
        density = scale * math.exp(-(degrees + 1) / 2 * math.log1p(t * t / degrees))
        step = (student_tail(t, degrees) - (1 - level)) / density
        t += step
        if step <= 1e-12 * t:
            break
    return t


def student_tail(t: float, degrees: float) -> float:
    """The survival function of Student's t at `t` >= 0: half of the incomplete beta I_x(degrees / 2, 1 / 2)."""
    return _incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5) / 2


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function (Abramowitz & Stegun 26.5.8, by Lentz's method)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly
        return 1 - _incomplete_beta(1 - x, b, a)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = fraction
        for term in (even, odd):
            d, c = 1 / _away_from_zero(1 + term * d), _away_from_zero(1 + term / c)
            fraction *= d * c
        if abs(fraction / before - 1) < 1e-14:
            break
    return math.exp(scale) * fraction / a


def _away_from_zero(x: float) -> float:
    return x if abs(x) > _LEAST else _LEAST
