"""Merge linear layers into the Dense above them, W (A x) = (W A) x: a network is saved as simple as it can be said."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.embeddings import CategoryEmbedding, ColumnMask, places
from mlpcli.nn.layers import Array, Dense, InputScale, Layer, Tensors
from mlpcli.nn.network import Network

Matrix = NDArray[np.float64]


def _input_scale(layer: InputScale, params: Tensors, W: Matrix, n_in: int) -> Matrix:
    merged: Matrix = W * params["scale"]
    return merged


def _column_mask(layer: ColumnMask, params: Tensors, W: Matrix, n_in: int) -> Matrix:
    merged = np.zeros((len(W), n_in))
    for own, source in places(layer.spans):
        merged[:, source] = W[:, own]
    return merged


def _category_embedding(layer: CategoryEmbedding, params: Tensors, W: Matrix, n_in: int) -> Matrix:
    merged = np.empty((len(W), n_in))
    for own, source in places(layer.other_spans(n_in)):
        merged[:, source] = W[:, own]
    for own, rows, (start, stop) in layer.embedded(n_in):
        merged[:, start:stop] = W[:, own] @ params["table"][rows].T
    return merged


# W A from W (n_out, width of the layer), A being what a layer does to its `n_in` inputs. By the very type: what derives
# from a linear layer may not be linear.
MERGES: dict[type[Layer], Callable[[Any, Tensors, Matrix, int], Matrix]] = {
    InputScale: _input_scale,
    ColumnMask: _column_mask,
    CategoryEmbedding: _category_embedding,
}


def merged(network: Network) -> Network:
    """The network as `merge_linear` leaves it."""
    gone = _merging(network)
    return Network(network.n_in, tuple(one for i, one in enumerate(network.layers) if i not in gone), network.output)


def merge_linear(network: Network, flat: Array) -> tuple[Network, Array]:
    """The same function with as few layers as say it, its parameters computed in float64; outputs agree up to rounding.

    An embedding stays where its table and the weights above it are fewer numbers than the weights of all levels.
    """
    params, gone, widths = list(network.bind(flat)), _merging(network), network.chain.widths(network.n_in)
    for place in gone:
        dense = next(above for above in range(place, len(params)) if above not in gone)
        W, layer = params[dense]["W"].astype(np.float64), network.layers[place]
        params[dense] = params[dense] | {"W": MERGES[type(layer)](layer, params[place], W, widths[place])}
    result = merged(network)
    vector = np.empty(result.n_parameters, flat.dtype)
    _copy(tuple(own for place, own in enumerate(params) if place not in gone), result.bind(vector))
    return result, vector


def _merging(network: Network) -> list[int]:
    """The places of the layers that go into the Dense above them, from the top down."""
    found, widths, dense = list[int](), network.chain.widths(network.n_in), None
    for place in range(len(network.layers) - 1, -1, -1):
        layer, n_in, n_out = network.layers[place], widths[place], widths[place + 1]
        if type(layer) is Dense:
            dense = layer
        elif dense is None or type(layer) not in MERGES or _would_grow(layer, dense, n_in, n_out):
            dense = None
        else:
            found.append(place)
    return found


def _would_grow(layer: Layer, dense: Dense, n_in: int, n_out: int) -> bool:
    """Whether an embedding and the Dense above it have fewer parameters than the Dense would have alone."""
    if not isinstance(layer, CategoryEmbedding):
        return False
    rows, size = layer.tensors(n_in)["table"].shape
    return dense.width * n_in > dense.width * n_out + rows * size


def scale_logits(network: Network, flat: Array, factor: float) -> None:
    """Multiply the logits, in place: p becomes p^factor, divided by the sum."""
    last = network.bind(flat)[-1]
    for tensor in last.values():
        tensor *= factor


def shift_logits(network: Network, flat: Array, shift: NDArray[np.float64]) -> None:
    """Add `shift` (n_out,) to the logits, in place."""
    network.bind(flat)[-1]["b"] += shift.astype(flat.dtype)


def _copy(source: Tensors, target: Tensors) -> None:
    """Write the tensors of layers into views of the same layers."""
    for old, new in zip(source, target, strict=True):
        if isinstance(new, tuple):
            _copy(old, new)
        else:
            for name, view in new.items():
                view[...] = old[name]
