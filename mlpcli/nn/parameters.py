"""All that is fitted, in one flat vector: W1, W2, ... first, then b1, b2, ..., then the tensors of other parts."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.dataclass import dataclass
from mlpcli.nn.architecture import Network, tensors

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Parameters:
    """The fitted numbers of a network.

    `flat` is (n_parameters,). `W[l]` is (N, n) with n = `widths[l]` entries and N = `widths[l+1]` neurons, `b[l]` is
    (N,); `tensors` holds every array by its name in `architecture.tensors`. All are views of `flat`; with several
    members each has a leading axis (members, ...).
    """

    flat: Array
    tensors: Mapping[str, Array]
    W: tuple[Array, ...]
    b: tuple[Array, ...]

    @property
    def n_weights(self) -> int:
        """How many leading entries of `flat` are weights; what follows is biases and other tensors."""
        return sum(W.size for W in self.W)


def count_parameters(network: Network | Sequence[int]) -> int:
    """Fitted numbers of a network, or of the plain network of these sizes."""
    network = _network(network)
    return network.members * sum(prod(tensor.shape) for tensor in tensors(network))


def view_parameters(network: Network | Sequence[int], flat: Array) -> Parameters:
    """Lay views over an existing vector of `count_parameters(network)` entries."""
    network = _network(network)
    leading = (network.members,) if network.members > 1 else ()
    views, start = {}, 0
    for tensor in tensors(network):
        size = network.members * prod(tensor.shape)
        views[tensor.name] = flat[start : start + size].reshape(leading + tensor.shape)
        start += size
    layers = range(1, network.n_layers + 1)
    return Parameters(
        flat, views, tuple(views[f"W{layer}"] for layer in layers), tuple(views[f"b{layer}"] for layer in layers)
    )


def allocate_parameters(network: Network | Sequence[int], dtype: DTypeLike = np.float32) -> Parameters:
    """Parameters of zeros."""
    return view_parameters(network, np.zeros(count_parameters(network), dtype))


def _network(network: Network | Sequence[int]) -> Network:
    return network if isinstance(network, Network) else Network(tuple(network), "identity", "identity")
