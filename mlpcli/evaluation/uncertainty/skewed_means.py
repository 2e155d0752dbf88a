"""Confidence interval of the mean of skewed values, and Student's t distribution."""

import math
from statistics import NormalDist

from mlpcli.evaluation.metrics.averages import Floats

MIN_DEGREES = 2.0
MAX_STEPS = 100  # of Newton's method, which needs about a dozen
NORMAL = NormalDist()
_TINY = 1e-300


def mean_interval(values: Floats, confidence: float, is_skewed: bool = True) -> tuple[float, float]:
    """Ends of the confidence interval of the mean of at least two `values` (n_rows,).

    Student's interval with the effective degrees of freedom of the variance. With `is_skewed` the studentized mean is
    first transformed by the monotone cubic of Hall (1992, "On the removal of skewness by transformation", JRSS B 54).
    """
    n = len(values)
    deviations = values - values.mean()
    variance = float(deviations @ deviations) / n
    if not variance > 0.0:
        return float(values.mean()), float(values.mean())
    t = student_quantile((1 + confidence) / 2, degrees_of_freedom(values))
    skewness = float((deviations**3).mean()) / variance**1.5 / math.sqrt(n) if is_skewed else 0.0
    error = math.sqrt(variance / (n - 1))
    return float(values.mean()) - error * _untransformed(t, skewness), float(values.mean()) - error * _untransformed(
        -t, skewness
    )


def _untransformed(t: float, skewness: float) -> float:
    """The inverse of Hall's transformation at `t`; `skewness` is that of the values, divided by sqrt(n)."""
    if abs(skewness) < 1e-6:
        return t
    return 3 / skewness * (math.cbrt(1 + skewness * (t - skewness / 6)) - 1)


def degrees_of_freedom(values: Floats) -> float:
    """Effective degrees of freedom of the variance of `values` (n_rows,): 2 n / (kurtosis - 1), clipped to [2, n - 1].

    Those of the chi-squared distribution with the mean and variance of the variance estimate (Satterthwaite 1946). Its
    squared coefficient of variation is (kurtosis - 1) / n for any distribution (Box 1953).
    """
    squared = (values - values.mean()) ** 2
    mean = float(squared.mean())
    excess = float((squared**2).mean()) / mean**2 - 1 if mean > 0 else 2.0
    return min(max(2 * len(values) / max(excess, _TINY), MIN_DEGREES), max(len(values) - 1.0, MIN_DEGREES))


def student_quantile(level: float, degrees: float) -> float:
    """The quantile of Student's t at a level in [0.5, 1), by Newton's method.

    It starts at the normal quantile, which is a lower bound. The tail is convex, so each step stays a lower bound.
    """
    t = NORMAL.inv_cdf(level)
    scale = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(degrees * math.pi)
    for _ in range(MAX_STEPS):
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
    """The regularized incomplete beta function I_x(a, b) (Abramowitz & Stegun 26.5.8, by Lentz's method)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the continued fraction converges slowly there
        return 1 - _incomplete_beta(1 - x, b, a)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        previous = fraction
        for term in (even, odd):
            d, c = 1 / _away_from_zero(1 + term * d), _away_from_zero(1 + term / c)
            fraction *= d * c
        if abs(fraction / previous - 1) < 1e-14:
            break
    return math.exp(scale) * fraction / a


def _away_from_zero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY
