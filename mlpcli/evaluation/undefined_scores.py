"""Whether a score is defined on given rows, and can distinguish good from bad predictions.

ROC AUC is not defined if all true values are equal; F1 of a class that does not occur is 0 for every prediction; R2 of
a constant target has no variance to explain. Such a metric cannot choose an epoch or a threshold.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.metrics.averages import Floats
from mlpcli.evaluation.metrics.registry import Task
from mlpcli.evaluation.metrics.scores import score

# Probabilities of the true label and of all others in probe predictions.
CORRECT, WRONG = 0.8, 0.2


def can_distinguish(task: Task, key: str, y: NDArray[Any], names: Sequence[str], weights: Floats | None = None) -> bool:
    """Whether the score `key` is defined for the true values `y`, and differs between correct and wrong predictions.

    Arguments as for `scores.score`. Only the set of true values matters, so the test uses a few rows that
    contain all of them.
    """
    rows = _probe_rows(task, y, weights)
    if not len(rows):
        return False
    y = np.concatenate([y[rows], y[rows]])  # twice each, as some metrics need two rows
    scores = [score(task, key, y, predictions, names) for predictions in _probes(task, y, len(names))]
    return bool(np.isfinite(scores).all()) and len(set(scores)) > 1


def undefined_reason(task: Task, y: NDArray[Any], names: Sequence[str], weights: Floats | None = None) -> str:
    """Why the rows leave a score undefined, as a clause: "no row is of class b"; "" if they do not."""
    rows = _probe_rows(task, y, weights)
    if not len(rows):
        return "no row has a positive weight"
    y = y[rows]
    if task == "classification":
        absent = [name for code, name in enumerate(names) if code not in y]
        return f"no row is of class {_shortened(absent)}" if absent else ""
    if task == "regression":
        constant = [name for name, column in zip(names, y.T, strict=True) if (column == column[0]).all()]
        value = f"{y[0, names.index(constant[0])]:.6g} " if len(constant) == 1 else "the same number "
        return f"{_shortened(constant)} is {value}in every row" if constant else ""
    alike = {name: bool(column[0]) for name, column in zip(names, y.T, strict=True) if len(set(column)) == 1}
    word = "yes" if all(alike.values()) else "either yes or no" if any(alike.values()) else "no"
    return f"{_shortened(list(alike))} is {word} in every row" if alike else ""


def _probe_rows(task: Task, y: NDArray[Any], weights: Floats | None) -> NDArray[np.int64]:
    """A few rows with all true values, of positive weight: one per class, or the minimum and maximum of each column."""
    counted = np.arange(len(y)) if weights is None else np.flatnonzero(weights > 0)
    if not len(counted):
        return counted
    if task == "classification":
        return np.asarray(counted[np.unique(y[counted], return_index=True)[1]])
    extremes = [find(y[counted], axis=0) for find in (np.argmin, np.argmax)]
    return np.asarray(counted[np.unique(np.concatenate(extremes))])


def _probes(task: Task, y: NDArray[Any], n_names: int) -> list[Floats]:
    """Correct and wrong predictions for the true values `y`; for numbers also worse ones."""
    if task == "regression":
        return [y.astype(np.float64) + shift for shift in (0.0, 1.0, 2.0)]
    if task == "multilabel":
        right = np.where(y.astype(np.bool_), CORRECT, WRONG)
        return [right, 1.0 - right]
    predictions = []
    for shift in (0, 1):
        probabilities = np.full((len(y), n_names), WRONG / max(n_names - 1, 1))
        probabilities[np.arange(len(y)), (y + shift) % n_names] = CORRECT
        predictions.append(probabilities)
    return predictions


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" (and {len(names) - 3} more)" if len(names) > 3 else "")
