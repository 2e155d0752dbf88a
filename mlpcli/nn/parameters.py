"""All weights and biases in one flat vector: W1, W2, ... first, then b1, b2, ...; `W[l]`, `b[l]` are views of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Parameters:
    """The fitted numbers of a network of `sizes` n -> N -> ... -> M.

    `flat` is (n_parameters,); `W[l]` is (sizes[l+1], sizes[l]) and `b[l]` is (sizes[l+1],), both views of `flat`.
    """

    sizes: tuple[int, ...]
    flat: Array
    W: tuple[Array, ...]
    b: tuple[Array, ...]

    @property
    def n_weights(self) -> int:
        """How many leading entries of `flat` are weights; the rest are biases."""
        return sum(W.size for W in self.W)


def count_parameters(sizes: Sequence[int]) -> int:
    """Weights and biases of a network of these sizes."""
    return sum(n_in * n_out + n_out for n_in, n_out in pairwise(sizes))


def view_parameters(sizes: Sequence[int], flat: Array) -> Parameters:
    """Lay `W` and `b` views over an existing vector of `count_parameters(sizes)` entries."""
    weights, biases, start = [], [], 0
    for n_in, n_out in pairwise(sizes):
        weights.append(flat[start : start + n_in * n_out].reshape(n_out, n_in))
        start += n_in * n_out
    for n_out in sizes[1:]:
        biases.append(flat[start : start + n_out])
        start += n_out
    return Parameters(tuple(sizes), flat, tuple(weights), tuple(biases))


def allocate_parameters(sizes: Sequence[int], dtype: DTypeLike = np.float32) -> Parameters:
    """Parameters of zeros."""
    return view_parameters(sizes, np.zeros(count_parameters(sizes), dtype))
