"""Partial dependence of predictions on a column (Friedman 2001), with curves of single rows (ICE).

The cell of the column is replaced in every row by that of an existing row, so that no value is invented.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Inputs = NDArray[np.floating[Any]]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Dependence:
    """The mean predictions (n_values, n_predictions) with the column at each value.

    `curves` (n_curves, n_values, n_predictions) are the predictions of single rows (individual conditional expectation,
    Goldstein et al. 2015).
    """

    column: str
    values: tuple[str, ...]
    mean: Values
    curves: Values


def donors_of_numbers(values: NDArray[np.float64], max_rows: int) -> NDArray[np.int64]:
    """Rows at evenly spaced quantiles of the values, without NaN; one row per distinct value if there are few."""
    distinct, first = np.unique(values, return_index=True)
    first = first[~np.isnan(distinct)]
    if len(first) <= max_rows:
        return np.asarray(first)
    order = np.argsort(values, kind="stable")[: np.count_nonzero(~np.isnan(values))]
    positions = np.round(np.linspace(0.0, len(order) - 1, max_rows)).astype(np.int64)
    donors = order[positions]
    _, first_of_value = np.unique(values[donors], return_index=True)
    return np.asarray(donors[first_of_value])


def donors_of_codes(codes: NDArray[np.integer[Any]], max_rows: int) -> NDArray[np.int64]:
    """A row for each of the most frequent levels, without missing cells."""
    levels, first, counts = np.unique(codes, return_index=True, return_counts=True)
    is_level = levels >= 0
    order = np.argsort(-counts[is_level], kind="stable")[:max_rows]
    return np.asarray(first[is_level][order])


def partial_dependence(
    predict: Callable[[Inputs], Values],
    X: Inputs,
    inputs: NDArray[np.int64],
    column: str,
    values: tuple[str, ...],
    donors: NDArray[np.int64],
    n_curves: int,
) -> Dependence:
    """Predictions for the rows `X` (n_rows, n_inputs) with the `inputs` from each of the `donors` in turn.

    `X` is modified and restored. The first `n_curves` rows get a curve each.
    """
    original = X[:, inputs]
    means, curves = [], []
    try:
        for donor in donors:
            X[:, inputs] = original[donor]
            predictions = predict(X)
            means.append(predictions.mean(axis=0))
            curves.append(predictions[:n_curves])
    finally:
        X[:, inputs] = original
    return Dependence(column, values, np.stack(means), np.stack(curves, axis=1))
