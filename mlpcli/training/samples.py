"""Rows ready for the network: inputs, targets and weights, and the drawing of batches from them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Samples:
    """Rows of a table as the network sees them.

    `X` is (n_rows, n_in), C-contiguous. `y` is (n_rows, n_out), or, where `class_targets` (n_classes, n_out) is given,
    the class code (n_rows,) whose row of `class_targets` is the target. `weights` (n_rows,) is None or has mean 1.
    """

    X: Array
    y: NDArray[Any]
    class_targets: Array | None = None
    weights: Array | None = None

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return int(self.X.shape[0])

    @property
    def n_outputs(self) -> int:
        """Width of a target row."""
        return int((self.y if self.class_targets is None else self.class_targets).shape[1])

    def targets(self, rows: slice | NDArray[np.int64]) -> Array:
        """Targets (n, n_out) of these rows."""
        y: Array = self.y[rows] if self.class_targets is None else self.class_targets[self.y[rows]]
        return y


class Batch:
    """Buffers one batch is gathered into: `X`, `y` and `weights`, reused from step to step."""

    def __init__(self, samples: Samples, max_rows: int, dtype: DTypeLike) -> None:
        """`max_rows` counts the rows of all members together."""
        self._samples = samples
        self._X = np.empty((max_rows, samples.X.shape[1]), dtype)
        self._y = np.empty((max_rows, samples.n_outputs), dtype)
        self._codes = np.empty(max_rows, np.int64 if samples.class_targets is None else samples.y.dtype)
        self._weights = np.empty(0 if samples.weights is None else max_rows, dtype)
        self._by_place: dict[tuple[int, tuple[int, ...]], tuple[Array, Array, NDArray[np.int64], Array]] = {}

    def gather(self, rows: NDArray[np.signedinteger[Any]], first: int = 0) -> tuple[Array, Array, Array | None]:
        """Copy the given rows (n,) into the buffers; returns views (n, n_in), (n, n_out) and (n,) or None.

        They are laid from the buffers' row `first` on. With rows (members, n) all of them have that leading axis.
        `mode="clip"` makes `take` skip its bounds check, which is most of its time; the rows are known to be valid.
        """
        samples, place = self._samples, (first, rows.shape)
        rows = rows.astype(np.intp, copy=False)  # which each `take` would do
        if place not in self._by_place:
            self._by_place[place] = self._views(first, rows.shape)
        X, y, codes, weights = self._by_place[place]
        samples.X.take(rows, axis=0, out=X, mode="clip")
        if samples.class_targets is None:
            samples.y.take(rows, axis=0, out=y, mode="clip")
        else:
            samples.y.take(rows, out=codes, mode="clip")
            samples.class_targets.take(codes, axis=0, out=y, mode="clip")
        if samples.weights is None:
            return X, y, None
        samples.weights.take(rows, out=weights, mode="clip")
        return X, y, weights

    def inputs(self, n_rows: int) -> Array:
        """The first `n_rows` rows of inputs that were gathered last, of whoever gathered them."""
        return self._X[:n_rows]

    def _views(self, first: int, shape: tuple[int, ...]) -> tuple[Array, Array, NDArray[np.int64], Array]:
        place = slice(first, first + int(np.prod(shape)))
        X, y = self._X[place].reshape(*shape, -1), self._y[place].reshape(*shape, -1)
        weights = self._weights if self._weights.size == 0 else self._weights[place].reshape(shape)
        return X, y, self._codes[place].reshape(shape), weights
