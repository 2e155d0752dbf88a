"""The dataset of a training: inputs, targets and row weights, and batches gathered from them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[np.floating[Any]]
Rows = NDArray[np.signedinteger[Any]]


@dataclass(frozen=True)
class Dataset:
    """Preprocessed rows of a table; immutable, so that several trainings can share it.

    `X` is (n_rows, n_in), C-contiguous. `y` is (n_rows, n_out), or, where `class_targets` (n_classes, n_out) is given,
    the class code (n_rows,) whose row of `class_targets` is the target. `weights` (n_rows,) is None or has mean 1.
    """

    X: Array
    y: NDArray[Any]
    class_targets: Array | None = None
    weights: Array | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.X)

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return int((self.y if self.class_targets is None else self.class_targets).shape[1])

    def targets(self, rows: slice | Rows) -> Array:
        """Targets (n, n_out) of the given rows."""
        y: Array = self.y[rows] if self.class_targets is None else self.class_targets[self.y[rows]]
        return y


class Batch:
    """Buffers into which batches of up to `max_rows` rows are gathered."""

    def __init__(self, dataset: Dataset, max_rows: int, dtype: DTypeLike) -> None:
        self._dataset = dataset
        self._X = np.empty((max_rows, dataset.X.shape[1]), dtype)
        # Feature-major, as the logits, so that losses read both in memory order.
        self._y = np.empty((dataset.n_out, max_rows), dtype)
        self._weights = None if dataset.weights is None else np.empty(max_rows, dtype)

    def gather(self, rows: Rows) -> tuple[Array, Array, Array | None]:
        """Inputs (n, n_in), targets (n, n_out) and weights (n,) or None of these rows, in buffers that are reused.

        `mode="clip"` skips the bounds check of `take`, which is most of its time; the rows are known to be valid.
        """
        dataset, n = self._dataset, len(rows)
        rows = rows.astype(np.intp, copy=False)  # once, instead of in each `take`
        X, y, weights = self._X[:n], self._y[:, :n].T, self._weights
        dataset.X.take(rows, axis=0, out=X, mode="clip")
        if dataset.class_targets is None:
            y[...] = dataset.y.take(rows, axis=0, mode="clip")
        else:
            codes = dataset.y.take(rows, mode="clip")
            y[...] = dataset.class_targets.take(codes, axis=0, mode="clip")
        if weights is not None and dataset.weights is not None:
            weights = dataset.weights.take(rows, out=weights[:n], mode="clip")
        return X, y, weights
