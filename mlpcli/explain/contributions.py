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
    path = np.asarray(X, np.float64) - start
    total = np.zeros_like(path)
    for step in range(steps):
        x = start + (step + 0.5) / steps * path
        output_gradients = _output_gradients(decode, _mean_outputs(members, weights, x))
        for member, weight in zip(members, weights, strict=True):
            total += member.backward(output_gradients * weight)
    total *= path / steps
    end_value, start_value = (
        decode(_mean_outputs(members, weights, point)) for point in (start + path, start + 0.0 * path)
    )
    return _rescaled_to_sum(total, end_value - start_value)


def _members(ensemble: Ensemble) -> list[tuple[Network, Inputs]]:
    return list(zip(ensemble.networks, ensemble.flats, strict=True))


def _mean_outputs(members: "list[_Gradient]", weights: Values, x: Values) -> Values:
    return np.asarray(np.tensordot(weights, np.stack([member.outputs(x) for member in members]), axes=1))


def _output_gradients(decode: Decode, outputs: Values) -> Values:
    """The derivative of the prediction of each row with respect to each output (n_rows, n_out)."""
    gradients = np.empty_like(outputs)
    for output in range(outputs.shape[1]):
        step = STEP * np.maximum(np.abs(outputs[:, output]), STEP)
        above, below = outputs.copy(), outputs.copy()
        above[:, output] += step
        below[:, output] -= step
        gradients[:, output] = (decode(above) - decode(below)) / (2.0 * step)
    return gradients


def _rescaled_to_sum(contributions: Values, total: Values) -> Values:
    """Contributions (n_rows, n_in), corrected so that they sum to `total` (n_rows,)."""
    residual = total - contributions.sum(axis=1)
    size = np.abs(contributions)
    size_sum = size.sum(axis=1, keepdims=True)
    fractions = np.where(size_sum > 0, size / np.where(size_sum > 0, size_sum, 1.0), 1.0 / contributions.shape[1])
    return np.asarray(contributions + residual[:, None] * fractions)


class _Gradient:
    """A network with gradients of its outputs with respect to its inputs, for batches of `n_rows`."""

    def __init__(self, network: Network, flat: Values, n_rows: int) -> None:
        self.n_rows, self._chain = n_rows, network.chain
        self._params, self._unused_gradient = network.unflatten(flat), network.unflatten(np.empty_like(flat))
        new = Allocator(n_rows, np.dtype(np.float64), True)
        self._buffers = self._chain.buffers(network.n_in, new, needs_dx=True)
        self._output = Softmax() if network.output == "softmax" else Activation(function=network.output)
        self._output_buffers = self._output.buffers(network.n_out, new, needs_dx=True)

    def outputs(self, x: Values) -> Values:
        """The outputs (n_rows, n_out); the next call of `backward` differentiates them."""
        z = self._chain.forward(x, self._params, self._buffers)
        return np.array(self._output.forward(z, {}, self._output_buffers))

    def backward(self, output_gradients: Values) -> Values:
        """The gradient with respect to the inputs (n_rows, n_in), given `output_gradients` (n_rows, n_out)."""
        delta = self._output.backward(output_gradients.copy(), {}, {}, self._output_buffers)
        assert delta is not None
        dx = self._chain.backward(delta, self._params, self._unused_gradient, self._buffers)
        assert dx is not None
        return np.asarray(dx)
