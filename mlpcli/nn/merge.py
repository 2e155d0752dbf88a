"""Merge linear input layers into the next Dense, W (A x) = (W A) x: models are saved with as few layers as possible.

A column mask is not merged: weights of the columns that it leaves out would be zeros, and trained by a warm start.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.embeddings import CategoryEmbedding, span_slices
from mlpcli.nn.layers import Array, Dense, InputScale, Layer, Tensors
from mlpcli.nn.network import Network

Matrix = NDArray[np.float64]


def _input_scale(layer: InputScale, params: Tensors, W: Matrix, n_in: int) -> Matrix:
    merged: Matrix = W * params["scale"]
    return merged


def _category_embedding(layer: CategoryEmbedding, params: Tensors, W: Matrix, n_in: int) -> Matrix:
    merged = np.empty((len(W), n_in))
    for target, source in span_slices(layer.passthrough_spans(n_in)):
        merged[:, source] = W[:, target]
    for target, rows, (start, stop) in layer.embedding_slices(n_in):
        merged[:, start:stop] = W[:, target] @ params["table"][rows].T
    return merged


# For each linear layer y = A x with `n_in` inputs: W A, from W (n_out, width of y). Looked up by exact type: a subclass
# of a linear layer may not be linear.
MERGES: dict[type[Layer], Callable[[Any, Tensors, Matrix, int], Matrix]] = {
    InputScale: _input_scale,
    CategoryEmbedding: _category_embedding,
}


def merged(network: Network) -> Network:
    """The network that `merge_linear` returns."""
    indices = _mergeable(network)
    layers = tuple(layer for i, layer in enumerate(network.layers) if i not in indices)
    return Network(network.n_in, layers, network.output)


def merge_linear(network: Network, flat: Array) -> tuple[Network, Array]:
    """The network without its mergeable layers, and its parameters; outputs agree up to rounding.

    Products are computed in float64. An embedding is kept if table and weights have fewer numbers than their product.
    """
    params, indices, widths = network.unflatten(flat), _mergeable(network), network.chain.widths(network.n_in)
    weights = dict[str, Matrix]()  # those that change, by key
    for i in indices:
        dense, layer = next(above for above in range(i, len(params)) if above not in indices), network.layers[i]
        key = f"{dense}.W"
        W = weights[key] if key in weights else params[dense]["W"].astype(np.float64)
        weights[key] = MERGES[type(layer)](layer, params[i], W, widths[i])
    result = merged(network)
    vector = np.empty(result.n_parameters, flat.dtype)
    unmerged = (item for item in network.tensors if int(item.key.partition(".")[0]) not in indices)
    for item, new in zip(unmerged, result.tensors, strict=True):
        vector[new.span] = weights[item.key].ravel() if item.key in weights else flat[item.span]
    return result, vector


def _mergeable(network: Network) -> list[int]:
    """Indices of the layers that are merged into a Dense, from the last to the first."""
    indices, widths, dense = list[int](), network.chain.widths(network.n_in), None
    for i in range(len(network.layers) - 1, -1, -1):
        layer, n_in, n_out = network.layers[i], widths[i], widths[i + 1]
        if type(layer) is Dense:
            dense = layer
        elif dense is None or type(layer) not in MERGES or _would_grow(layer, dense, n_in, n_out):
            dense = None
        else:
            indices.append(i)
    return indices


def _would_grow(layer: Layer, dense: Dense, n_in: int, n_out: int) -> bool:
    """Whether the merged Dense would have more parameters than an embedding and its Dense have."""
    if not isinstance(layer, CategoryEmbedding):
        return False
    rows, size = layer.tensors(n_in)["table"].shape
    return dense.width * n_in > dense.width * n_out + rows * size


def scale_logits(network: Network, flat: Array, factor: float) -> None:
    """Multiply the logits by `factor`, in place (temperature 1 / factor)."""
    last = network.unflatten(flat)[-1]
    for tensor in last.values():
        tensor *= factor


def shift_logits(network: Network, flat: Array, shift: NDArray[np.float64]) -> None:
    """Add `shift` (n_out,) to the logits, in place."""
    network.unflatten(flat)[-1]["b"] += shift.astype(flat.dtype)
