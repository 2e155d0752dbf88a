"""Merge linear layers into the Dense above them: a network is saved as simple as it can be said."""

from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.embeddings import CategoryEmbedding, ColumnMask
from mlpcli.nn.layers import Array, Dense, InputScale, Layer, Tensors
from mlpcli.nn.network import Network

Matrix = NDArray[np.float64]


@singledispatch
def linear_map(layer: Layer, params: Tensors, n_in: int) -> Matrix | None:
    """The matrix (n_out, n_in) of a layer that is linear; None of any other."""
    return None


@linear_map.register
def _(layer: InputScale, params: Tensors, n_in: int) -> Matrix | None:
    return np.diag(params["scale"].astype(np.float64))


@linear_map.register
def _(layer: ColumnMask, params: Tensors, n_in: int) -> Matrix | None:
    return np.concatenate([np.eye(n_in)[start:stop] for start, stop in layer.spans])


@linear_map.register
def _(layer: CategoryEmbedding, params: Tensors, n_in: int) -> Matrix | None:
    buffers: dict[str, Any] = {"h": np.empty((n_in, layer.n_out(n_in)))}
    matrix = layer.forward(np.eye(n_in), {"table": params["table"].astype(np.float64)}, buffers).T
    return matrix.astype(np.float64, copy=False)


def merge_linear(network: Network, flat: Array) -> tuple[Network, Array]:
    """The same function with as few layers as say it, its parameters computed in double precision.

    W (A x) = (W A) x. Outputs agree up to rounding.
    """
    layers, params = list(network.layers), list(network.bind(flat))
    widths = network.chain.widths(network.n_in)
    for place in range(len(layers) - 2, -1, -1):
        if not isinstance(layers[place + 1], Dense):
            continue
        if (matrix := linear_map(layers[place], params[place], widths[place])) is not None:
            params[place + 1] = params[place + 1] | {"W": params[place + 1]["W"].astype(np.float64) @ matrix}
            del layers[place], params[place]
    merged = Network(network.n_in, tuple(layers), network.output)
    result = np.empty(merged.n_parameters, flat.dtype)
    _copy(tuple(params), merged.bind(result))
    return merged, result


def merged(network: Network) -> Network:
    """The network as `merge_linear` leaves it."""
    return merge_linear(network, np.zeros(network.n_parameters, np.float32))[0]


def scale_logits(network: Network, flat: Array, factor: float) -> None:
    """Multiply the logits, in place: p becomes p^factor, divided by the sum."""
    last = network.bind(flat)[-1]
    for tensor in last.values():
        tensor *= factor


def _copy(source: Tensors, target: Tensors) -> None:
    """Write the tensors of layers into views of the same layers."""
    for old, new in zip(source, target, strict=True):
        if isinstance(new, tuple):
            _copy(old, new)
        else:
            for name, view in new.items():
                view[...] = old[name]
