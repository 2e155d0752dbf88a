"""Input columns that leak the target: copies of it, and values that determine it."""

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Values = NDArray[np.float64]

MIN_ROWS = 50
# On fewer rows a threshold that separates the classes perfectly is often just a good column (iris: setosa's petals).
MIN_ROWS_OF_THRESHOLDS = 200
# Chance, were column and target unrelated, below which pure levels are no accident.
MAX_CHANCE = 1e-6
COPY_CORRELATION = 0.99999


def levels_determine_classes(levels: Codes, y: Codes, max_levels: float = np.inf) -> bool:
    """Whether every level of a column (codes; -1, missing, is a level) occurs with one class only.

    `y` (n_rows,) are class codes, -1 where the target is missing. Needs enough rows per level to be significant.
    """
    known = y >= 0
    levels, y = levels[known] + 1, y[known]
    if len(y) < MIN_ROWS or _class_of_level(levels, y) is None:
        return False
    sizes = np.bincount(levels)
    sizes = sizes[sizes > 0]
    if len(sizes) > min(len(y) / 2, max_levels):
        return False
    sizes, repeats = np.unique(sizes, return_counts=True)
    shares = np.bincount(y) / len(y)
    chances = (shares[:, None] ** sizes[None, :]).sum(axis=0)
    return bool((repeats * np.log(np.maximum(chances, 1e-300))).sum() < np.log(MAX_CHANCE))


def number_determines_classes(distinct: Values, levels: Codes, y: Codes) -> bool:
    """Whether n_classes - 1 thresholds on a number separate all classes of `y` perfectly.

    `distinct[levels]` are the numbers of the rows (-1: missing). Numbers with few distinct values, and whether a number
    is missing, are tested as levels.
    """
    if levels_determine_classes(np.minimum(levels, 0), y):
        return True
    known = (y >= 0) & (levels >= 0)
    n_classes = len(np.unique(y[y >= 0]))
    if levels_determine_classes(levels, y, max_levels=2 * n_classes):
        return True
    class_of_level = _class_of_level(levels[known], y[known])
    if class_of_level is None or np.count_nonzero(known) < MIN_ROWS_OF_THRESHOLDS:
        return False
    by_number = class_of_level[np.argsort(distinct[: len(class_of_level)], kind="stable")]
    by_number = by_number[by_number >= 0]
    n_runs = 1 + np.count_nonzero(by_number[1:] != by_number[:-1])
    return bool(n_runs == n_classes == len(np.unique(by_number)) > 1)


def _class_of_level(levels: Codes, y: Codes) -> Codes | None:
    """The class of each level, -1 without rows; None if a level has rows of several classes."""
    if not len(levels):
        return None
    classes = np.full(int(levels.max()) + 1, -1, np.int64)
    classes[levels] = y
    return classes if np.array_equal(classes[levels], y) else None


def is_linear_copy(values: Values, y: Values) -> bool:
    """Whether a number is the target itself, up to unit and origin (correlation)."""
    known = ~np.isnan(values) & ~np.isnan(y) & np.isfinite(values) & np.isfinite(y)
    if np.count_nonzero(known) < MIN_ROWS:
        return False
    a, b = values[known], y[known]
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt(a @ a) * np.sqrt(b @ b)
    return bool(size > 0 and abs(a @ b) > COPY_CORRELATION * size)
