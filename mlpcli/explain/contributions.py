"""The contribution of each input to a prediction: integrated gradients (Sundararajan, Taly and Yan 2017).

The gradient of the prediction is integrated along the straight line from a baseline to the row. The contributions of a
row sum to its prediction minus that of the baseline.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.ensemble import Ensemble
from mlpcli.nn.layers import Activation, Allocator, Softmax
from mlpcli.nn.network import Network

Inputs = NDArray[np.floating[Any]]
Values = NDArray[np.float64]
# From outputs (n_rows, n_out) to the prediction that is explained (n_rows,).
Decode = Callable[[Values], Values]

STEPS = 64
# Relative step of the central difference of a prediction with respect to an output, in float64.
STEP = 1e-6


def contributions(ensemble: Ensemble, decode: Decode, X: Inputs, baseline: Inputs, steps: int = STEPS) -> Values:
    """The contribution of each input (n_rows, n_in), from `baseline` (n_in,) to the rows `X` (n_rows, n_in).

    The integral is a midpoint sum with `steps` steps. The remaining error is distributed over the inputs in proportion
    to their contributions, so that the sum is exact.
    """
    members = [_Gradient(network, flat.astype(np.float64), len(X)) for network, flat in _members(ensemble)]
    start = np.asarray(baseline, np.float64)
    weights = np.array(ensemble.member_counts) / sum(ensemble.member_counts)
    way = np.asarray(X, np.float64) - start
    total = np.zeros_like(way)
    for step in range(steps):
        x = start + (step + 0.5) / steps * way
        slopes = _slopes(decode, _mean(members, weights, x))
        for member, weight in zip(members, weights, strict=True):
            total += member.backward(slopes * weight)
    total *= way / steps
    after, before = (decode(_mean(members, weights, end)) for end in (start + way, start + 0.0 * way))
    return _completed(total, after - before)


def _members(ensemble: Ensemble) -> list[tuple[Network, Inputs]]:
    return list(zip(ensemble.networks, ensemble.flats, strict=True))


def _mean(members: "list[_Gradient]", weights: Values, x: Values) -> Values:
    return np.asarray(np.tensordot(weights, np.stack([member.outputs(x) for member in members]), axes=1))


def _slopes(decode: Decode, outputs: Values) -> Values:
    """The derivative of the prediction of each row with respect to each output (n_rows, n_out)."""
    slopes = np.empty_like(outputs)
    for place in range(outputs.shape[1]):
        size = STEP * np.maximum(np.abs(outputs[:, place]), STEP)
        above, below = outputs.copy(), outputs.copy()
        above[:, place] += size
        below[:, place] -= size
        slopes[:, place] = (decode(above) - decode(below)) / (2.0 * size)
    return slopes


def _completed(parts: Values, whole: Values) -> Values:
    """The parts (n_rows, n_in), corrected so that they sum to `whole` (n_rows,)."""
    rest = whole - parts.sum(axis=1)
    size = np.abs(parts)
    total = size.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, size / np.where(total > 0, total, 1.0), 1.0 / parts.shape[1])
    return np.asarray(parts + rest[:, None] * shares)


class _Gradient:
    """A network with gradients of its outputs with respect to its inputs, for batches of `n_rows`."""

    def __init__(self, network: Network, flat: Values, n_rows: int) -> None:
        self.n_rows, self._chain = n_rows, network.chain
        self._params, self._spare = network.unflatten(flat), network.unflatten(np.empty_like(flat))
        new = Allocator(n_rows, np.dtype(np.float64), True)
        self._buffers = self._chain.buffers(network.n_in, new, needs_dx=True)
        self._output = Softmax() if network.output == "softmax" else Activation(function=network.output)
        self._kept = self._output.buffers(network.n_out, new, needs_dx=True)

    def outputs(self, x: Values) -> Values:
        """The outputs (n_rows, n_out); the next call of `backward` differentiates them."""
        z = self._chain.forward(x, self._params, self._buffers)
        return np.array(self._output.forward(z, {}, self._kept))

    def backward(self, slopes: Values) -> Values:
        """The gradient with respect to the inputs (n_rows, n_in), from that of the outputs `slopes` (n_rows, n_out)."""
        delta = self._output.backward(slopes.copy(), {}, {}, self._kept)
        assert delta is not None
        dx = self._chain.backward(delta, self._params, self._spare, self._buffers)
        assert dx is not None
        return np.asarray(dx)
