"""Input columns that leak the target: copies of it, and values that determine it."""

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Values = NDArray[np.float64]

MIN_ROWS = 50
# On fewer rows a threshold that separates the classes perfectly is often just a good column (iris: setosa's petals).
MIN_ROWS_OF_THRESHOLDS = 200
# Significance level: the probability of pure levels if column and target were independent.
MAX_CHANCE = 1e-6
COPY_CORRELATION = 0.99999


def levels_determine_classes(levels: Codes, y: Codes, max_levels: float = np.inf) -> bool:
    """Whether every level of a column (codes; -1, missing, is a level) occurs with one class only.

    `y` (n_rows,) are class codes, -1 where the target is missing. Needs enough rows per level to be significant.
    """
    is_known = y >= 0
    levels, y = levels[is_known] + 1, y[is_known]
    if len(y) < MIN_ROWS or _class_of_level(levels, y) is None:
        return False
    sizes = np.bincount(levels)
    sizes = sizes[sizes > 0]
    if len(sizes) > min(len(y) / 2, max_levels):
        return False
    sizes, n_levels = np.unique(sizes, return_counts=True)
    class_fractions = np.bincount(y) / len(y)
    probabilities = (class_fractions[:, None] ** sizes[None, :]).sum(axis=0)
    return bool((n_levels * np.log(np.maximum(probabilities, 1e-300))).sum() < np.log(MAX_CHANCE))


def number_determines_classes(uniques: Values, levels: Codes, y: Codes) -> bool:
    """Whether n_classes - 1 thresholds on a number separate all classes of `y` perfectly.

    `uniques[levels]` are the numbers of the rows (-1: missing). Numbers with few distinct values, and whether a number
    is missing, are tested as levels.
    """
    if levels_determine_classes(np.minimum(levels, 0), y):
        return True
    is_known = (y >= 0) & (levels >= 0)
    n_classes = len(np.unique(y[y >= 0]))
    if levels_determine_classes(levels, y, max_levels=2 * n_classes):
        return True
    class_of_level = _class_of_level(levels[is_known], y[is_known])
    if class_of_level is None or np.count_nonzero(is_known) < MIN_ROWS_OF_THRESHOLDS:
        return False
    classes = class_of_level[np.argsort(uniques[: len(class_of_level)], kind="stable")]
    classes = classes[classes >= 0]
    n_runs = 1 + np.count_nonzero(classes[1:] != classes[:-1])
    return bool(n_runs == n_classes == len(np.unique(classes)) > 1)


def _class_of_level(levels: Codes, y: Codes) -> Codes | None:
    """The class of each level, -1 without rows; None if a level has rows of several classes."""
    if not len(levels):
        return None
    classes = np.full(int(levels.max()) + 1, -1, np.int64)
    classes[levels] = y
    return classes if np.array_equal(classes[levels], y) else None


def is_linear_copy(values: Values, y: Values) -> bool:
    """Whether a numeric column is a linear function of the target: their correlation exceeds COPY_CORRELATION."""
    is_known = ~np.isnan(values) & ~np.isnan(y) & np.isfinite(values) & np.isfinite(y)
    if np.count_nonzero(is_known) < MIN_ROWS:
        return False
    a, b = _centered(values[is_known]), _centered(y[is_known])
    norms = np.sqrt(a @ a) * np.sqrt(b @ b)
    return bool(norms > 0 and abs(a @ b) > COPY_CORRELATION * norms)


def _centered(values: Values) -> Values:
    """Values without their mean, in a unit whose squares do not overflow."""
    scaled = values / (np.abs(values).max() or 1.0)
    centered: Values = scaled - scaled.mean()
    return centered
