"""The network inputs of each column, and groups of correlated columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.feature import Feature
from mlpcli.data.features.layout import input_spans

Inputs = NDArray[np.floating[Any]]

# Kinds of inputs whose correlations are computed: numbers, and indicators of levels.
COMPARED = ("numeric", "sign", "level")
MAX_COMPARED = 2000  # inputs; correlating more would take longer than the permutations


def inputs_by_column(features: Sequence[Feature]) -> dict[str, NDArray[np.int64]]:
    """The inputs of each column, in the order of the columns; a shared missing indicator is the first column's."""
    inputs: dict[str, list[NDArray[np.int64]]] = {feature.name: [] for feature in features}
    for (_, name), span in input_spans(features).items():
        inputs[name].append(np.arange(span.start, span.stop))
    return {name: np.concatenate(indices) for name, indices in inputs.items()}


@dataclass(frozen=True)
class CorrelatedColumns:
    """A group of columns, each of which has a rank correlation of at least the threshold with another.

    `correlation` is the largest absolute correlation between two of them.
    """

    columns: tuple[str, ...]
    correlation: float


def correlated_columns(X: Inputs, features: Sequence[Feature], threshold: float) -> list[CorrelatedColumns]:
    """Groups of correlated columns in the rows `X` (n_rows, n_inputs), by single linkage.

    The correlation of two columns is the largest absolute Spearman correlation between their inputs (numbers, or
    indicators of levels).
    """
    indices: list[int] = []
    columns: list[int] = []
    names = [feature.name for feature in features]
    for (kind, name), span in input_spans(features).items():
        if kind in COMPARED:
            indices += range(span.start, span.stop)
            columns += [names.index(name)] * (span.stop - span.start)
    if len(indices) > MAX_COMPARED or len(X) < 3:
        return []
    correlations = _correlations(X[:, indices], np.asarray(columns, np.int64), len(names))
    return [
        CorrelatedColumns(
            tuple(names[i] for i in group), float(max(correlations[i, j] for i in group for j in group if i < j))
        )
        for group in _connected_components(correlations >= threshold)
        if len(group) > 1
    ]


def _correlations(X: Inputs, columns: NDArray[np.int64], n_columns: int) -> NDArray[np.float64]:
    """The largest absolute rank correlation between the inputs of each two columns (n_columns, n_columns).

    `columns` (n_inputs,) is the column index of each input in `X`.
    """
    ranks = np.stack([_ranks(column) for column in X.T]) if X.shape[1] else np.empty((0, len(X)))
    ranks -= ranks.mean(axis=1, keepdims=True)
    norms = np.sqrt((ranks**2).sum(axis=1, keepdims=True))
    ranks /= np.where(norms > 0, norms, 1.0)  # a constant is uncorrelated with everything
    correlations = np.zeros((n_columns, n_columns))
    np.maximum.at(correlations, (columns[:, None], columns[None, :]), np.abs(ranks @ ranks.T))
    return correlations


def _ranks(values: Inputs) -> NDArray[np.float64]:
    """Ranks from 0, the mean rank for ties."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse]


def _connected_components(is_linked: NDArray[np.bool_]) -> list[list[int]]:
    """The connected components of a symmetric relation, each sorted."""
    groups: list[list[int]] = []
    unvisited = set(range(len(is_linked)))
    while unvisited:
        group, queue = [], [min(unvisited)]
        unvisited -= set(queue)
        while queue:
            group.append(queue.pop())
            neighbours = unvisited & set(np.flatnonzero(is_linked[group[-1]]).tolist())
            unvisited -= neighbours
            queue += neighbours
        groups.append(sorted(group))
    return groups


def inputs_of_columns(columns: Sequence[str], inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """The inputs of several columns."""
    return np.concatenate([inputs[name] for name in columns])
