"""The inputs of the network that each column of the user's table feeds, and columns that go together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.feature import Feature
from mlpcli.data.features.layout import input_spans

Inputs = NDArray[np.floating[Any]]

# What columns are compared by: one number for each, or an indicator of each level.
COMPARED = ("numeric", "sign", "level")
MOST_COMPARED = 2000  # inputs; the correlations of more would take longer than the importances


def inputs_by_column(features: Sequence[Feature]) -> dict[str, NDArray[np.int64]]:
    """The inputs of each column, in the order of the columns; a shared missing indicator is the first column's."""
    found: dict[str, list[NDArray[np.int64]]] = {feature.name: [] for feature in features}
    for (_, name), place in input_spans(features).items():
        found[name].append(np.arange(place.start, place.stop))
    return {name: np.concatenate(places) for name, places in found.items()}


@dataclass(frozen=True)
class Together:
    """Columns of which each is linked to another by a rank correlation of at least the threshold.

    `correlation` is the largest absolute one between two of them.
    """

    columns: tuple[str, ...]
    correlation: float


def columns_together(X: Inputs, features: Sequence[Feature], threshold: float) -> list[Together]:
    """Groups of columns that go together in the rows `X` (n_rows, n_inputs), by single linkage.

    Two columns are as close as the largest absolute Spearman correlation of an input of one with an input of the other:
    their numbers, or the indicators of their levels.
    """
    places: list[int] = []
    owners: list[int] = []
    names = [feature.name for feature in features]
    for (kind, name), place in input_spans(features).items():
        if kind in COMPARED:
            places += range(place.start, place.stop)
            owners += [names.index(name)] * (place.stop - place.start)
    if len(places) > MOST_COMPARED or len(X) < 3:
        return []
    closeness = _closeness(X[:, places], np.asarray(owners, np.int64), len(names))
    return [
        Together(tuple(names[i] for i in group), float(max(closeness[i, j] for i in group for j in group if i < j)))
        for group in _linked(closeness >= threshold)
        if len(group) > 1
    ]


def _closeness(X: Inputs, owners: NDArray[np.int64], n_columns: int) -> NDArray[np.float64]:
    """The largest absolute rank correlation between the inputs of two columns (n_columns, n_columns)."""
    ranks = np.stack([_ranks(column) for column in X.T]) if X.shape[1] else np.empty((0, len(X)))
    ranks -= ranks.mean(axis=1, keepdims=True)
    size = np.sqrt((ranks**2).sum(axis=1, keepdims=True))
    ranks /= np.where(size > 0, size, 1.0)  # a constant goes with nothing
    closeness = np.zeros((n_columns, n_columns))
    np.maximum.at(closeness, (owners[:, None], owners[None, :]), np.abs(ranks @ ranks.T))
    return closeness


def _ranks(values: Inputs) -> NDArray[np.float64]:
    """Ranks from 0, the mean rank for ties."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[places]


def _linked(is_close: NDArray[np.bool_]) -> list[list[int]]:
    """The connected groups of a symmetric relation, each in order."""
    groups: list[list[int]] = []
    free = set(range(len(is_close)))
    while free:
        group, waiting = [], [min(free)]
        free -= set(waiting)
        while waiting:
            group.append(waiting.pop())
            near = free & set(np.flatnonzero(is_close[group[-1]]).tolist())
            free -= near
            waiting += near
        groups.append(sorted(group))
    return groups


def joined(columns: Sequence[str], inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """The inputs of several columns."""
    return np.concatenate([inputs[name] for name in columns])
