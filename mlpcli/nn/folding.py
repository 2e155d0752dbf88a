"""Parts that are linear in the inputs become plain weights: a network is saved as simple as it can be said."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.architecture import Network
from mlpcli.nn.parameters import Parameters, allocate_parameters

Array = NDArray[np.floating[Any]]


def fold(network: Network, parameters: Parameters) -> tuple[Network, Parameters]:
    """The same function with the factors of the inputs and the embeddings of categories in W1.

    An embedding of one-hot inputs is a matrix product, and so is a factor: W1 takes both in, with zeros for what a
    member does not see. Cosines stay. Outputs agree up to rounding.
    """
    front = network.front
    if not (front.is_scaled or front.blocks or front.sees_cosines):
        return network, parameters
    plain = replace(front, is_scaled=False, blocks=(), embedding=0, bins=(0, 0), sees_cosines=())
    folded = replace(network, front=plain)
    result = allocate_parameters(folded, parameters.flat.dtype)
    for name, tensor in result.tensors.items():
        if name != "W1":
            tensor[...] = parameters.tensors[name]
    result.tensors["W1"][...] = _first_weights(network, parameters)
    return folded, result


def has_logits(network: Network) -> bool:
    """Whether the outputs are probabilities of logits, as a temperature wants them."""
    return network.output_activation in ("softmax", "sigmoid")


def scale_logits(parameters: Parameters, factor: float) -> None:
    """Multiply the z of the last layer, in place: p becomes p^factor, divided by the sum."""
    last = len(parameters.W)
    for name in (f"W{last}", f"b{last}"):
        np.multiply(parameters.tensors[name], factor, out=parameters.tensors[name])


def _first_weights(network: Network, parameters: Parameters) -> Array:
    """W1 (..., N, n_inputs + entries made of cosines), in double precision."""
    front, n_inputs = network.front, network.sizes[0]
    W = parameters.tensors["W1"].astype(np.float64)
    if front.is_scaled:
        W *= parameters.tensors["scale"][..., None, :]
    for member, own in enumerate(W if network.members > 1 else W[None]):
        own[:, front.hidden_from(member, n_inputs)] = 0.0
    kept = front.kept(n_inputs)
    n_periodic = front.width(n_inputs) - len(kept) - len(front.blocks) * front.embedding
    folded = np.empty((*W.shape[:-1], n_inputs + n_periodic))
    folded[..., list(kept)] = W[..., : len(kept)]
    folded[..., n_inputs:] = W[..., len(kept) : len(kept) + n_periodic]
    for number, (start, stop) in enumerate(front.blocks):
        first = len(kept) + n_periodic + number * front.embedding
        table = parameters.tensors[f"table{number + 1}"].astype(np.float64)
        folded[..., start:stop] = W[..., first : first + front.embedding] @ table.swapaxes(-1, -2)
    return folded
