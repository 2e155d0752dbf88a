"""What stands before the first layer: numbers as learnt cosines, categories as learnt vectors, a factor for each entry.

The entries to the first layer are, in this order: the inputs that are kept as they are, `outputs` entries for each
number in `front.numbers`, `embedding` entries for each block of one-hot inputs. Arrays may have a leading axis of
members; inputs (n_rows, n_in) are then shared by all.
"""

from math import pi
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.nn.architecture import Network
from mlpcli.nn.parameters import Parameters

Array = NDArray[np.floating[Any]]


class FrontPass:
    """Forward and backward through the front for batches of one number of rows; what backward needs is kept."""

    def __init__(self, network: Network, n_rows: int, dtype: DTypeLike) -> None:
        front, leading = network.front, (network.members,) if network.members > 1 else ()
        kept = front.kept(network.sizes[0])
        self.front = front
        self._kept = _runs(kept)
        self._n_kept = len(kept)
        self._numbers = _as_slice(front.numbers)
        self.entries = np.empty((*leading, n_rows, network.widths[0]), dtype)
        self._unscaled = np.empty_like(self.entries) if front.is_scaled else self.entries
        self._is_periodic = front.has_cosines
        if front.periodic is not None and self._is_periodic:
            shape = (*leading, len(front.numbers), n_rows, front.periodic.frequencies)
            self._angles, self._cosines = np.empty(shape, dtype), np.empty(shape, dtype)

    def forward(self, parameters: Parameters, X: Array) -> Array:
        """The entries to the first layer (n_rows, widths[0]) for inputs `X` (n_rows, n_in)."""
        out = self._unscaled
        for entries, inputs in self._kept:
            out[..., entries] = X[..., inputs]
        if self._is_periodic:
            self._mix_cosines(parameters, X, out)
        for number, (start, stop) in enumerate(self.front.blocks):
            out[..., self._embedded(number)] = np.matmul(X[..., start:stop], parameters.tensors[f"table{number + 1}"])
        if self.front.is_scaled:
            np.multiply(out, parameters.tensors["scale"][..., None, :], out=self.entries)
        return self.entries

    def backward(self, parameters: Parameters, gradient: Parameters, X: Array, delta: Array) -> None:
        """Gradient of the front's tensors, from `delta` = d cost / d entries, which is used up."""
        if self.front.is_scaled:
            np.einsum("...ij,...ij->...j", delta, self._unscaled, out=gradient.tensors["scale"])
            delta *= parameters.tensors["scale"][..., None, :]
        if self._is_periodic:
            self._unmix_cosines(parameters, gradient, X, delta)
        for number, (start, stop) in enumerate(self.front.blocks):
            levels = X[..., start:stop].swapaxes(-1, -2)
            np.matmul(levels, delta[..., self._embedded(number)], out=gradient.tensors[f"table{number + 1}"])

    def _embedded(self, number: int) -> slice:
        """Where the embedding of a block lies among the entries; they come last."""
        size = self.front.embedding
        start = self.entries.shape[-1] - (len(self.front.blocks) - number) * size
        return slice(start, start + size)

    def _mixed(self, entries: Array) -> Array:
        """The entries made of cosines, as a view (..., n_numbers, n_rows, n_outputs)."""
        assert self.front.periodic is not None
        n, width = len(self.front.numbers), self.front.periodic.outputs
        part = entries[..., self._n_kept : self._n_kept + n * width]
        return part.reshape(*part.shape[:-1], n, width).swapaxes(-3, -2)

    def _mix_cosines(self, parameters: Parameters, X: Array, out: Array) -> None:
        """cos(2 pi x frequency + phase), mixed down: (..., n_numbers, n_rows, n_frequencies) at its largest."""
        tensors = parameters.tensors
        x = X[..., self._numbers].swapaxes(-1, -2)
        np.multiply(x[..., None], (2.0 * pi) * tensors["frequency"][..., None, :], out=self._angles)
        self._angles += tensors["phase"][..., None, :]
        np.cos(self._angles, out=self._cosines)
        np.add(np.matmul(self._cosines, tensors["mixing"]), tensors["offset"][..., None, :], out=self._mixed(out))

    def _unmix_cosines(self, parameters: Parameters, gradient: Parameters, X: Array, delta: Array) -> None:
        mixed = np.ascontiguousarray(self._mixed(delta))
        np.matmul(self._cosines.swapaxes(-1, -2), mixed, out=gradient.tensors["mixing"])
        np.einsum("...ij->...j", mixed, out=gradient.tensors["offset"])
        np.sin(self._angles, out=self._angles)
        np.matmul(mixed, parameters.tensors["mixing"].swapaxes(-1, -2), out=self._cosines)
        self._cosines *= self._angles
        np.negative(self._cosines, out=self._cosines)
        np.einsum("...ij->...j", self._cosines, out=gradient.tensors["phase"])
        x = X[..., self._numbers].swapaxes(-1, -2)
        np.einsum("...ij,...i->...j", self._cosines, x, out=gradient.tensors["frequency"])
        gradient.tensors["frequency"][...] *= 2.0 * pi


def _runs(kept: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Which entries are which inputs, a pair of slices for each run of neighbours: a slice copies quickest."""
    runs: list[tuple[slice, slice]] = []
    for place, index in enumerate(kept):
        if runs and runs[-1][1].stop == index:
            entries, inputs = runs.pop()
            runs.append((slice(entries.start, place + 1), slice(inputs.start, index + 1)))
        else:
            runs.append((slice(place, place + 1), slice(index, index + 1)))
    return runs


def _as_slice(indexes: tuple[int, ...]) -> Any:
    """Consecutive indexes as a slice, which copies nothing."""
    if indexes and indexes == tuple(range(indexes[0], indexes[-1] + 1)):
        return slice(indexes[0], indexes[-1] + 1)
    return np.array(indexes, np.intp)
