"""Parts that are linear in the inputs become plain weights: a network is saved as simple as it can be said."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.architecture import Front, Network
from mlpcli.nn.groups import member_of
from mlpcli.nn.parameters import Parameters, allocate_parameters

Array = NDArray[np.floating[Any]]


def folded(network: Network) -> Network:
    """The network that `fold` makes."""
    front = network.front
    if not (front.is_scaled or front.blocks or front.sees_cosines):
        return network
    return replace(
        network, front=Front(periodic=front.periodic, numbers=front.numbers) if front.has_cosines else Front()
    )


def fold(network: Network, parameters: Parameters) -> tuple[Network, Parameters]:
    """The same function with the factors of the inputs and the embeddings of categories in W1.

    An embedding of one-hot inputs is a matrix product, and so is a factor: W1 takes both in, with zeros for what a
    member does not see. Cosines stay. Outputs agree up to rounding.
    """
    plain = folded(network)
    if plain is network:
        return network, parameters
    result = allocate_parameters(plain, parameters.flat.dtype)
    for name, tensor in result.tensors.items():
        if name != "W1":
            tensor[...] = parameters.tensors[name]
    each = [_first_weights(network, parameters, member) for member in range(network.members)]
    result.tensors["W1"][...] = each if network.members > 1 else each[0]
    return plain, result


def has_logits(network: Network) -> bool:
    """Whether the outputs are probabilities of logits, as a temperature wants them."""
    return network.output_activation in ("softmax", "sigmoid")


def scale_logits(parameters: Parameters, factor: float) -> None:
    """Multiply the z of the last layer, in place: p becomes p^factor, divided by the sum."""
    last = len(parameters.W)
    for name in (f"W{last}", f"b{last}"):
        np.multiply(parameters.tensors[name], factor, out=parameters.tensors[name])


def _first_weights(network: Network, parameters: Parameters, member: int) -> Array:
    """W1 (N, n_inputs + entries made of cosines) of a member, in double precision; zeros for what it does not see."""
    own, tensors = network.member(member).front, member_of(network, parameters, member).tensors
    n_inputs, n_periodic = network.sizes[0], own.n_periodic
    W = tensors["W1"].astype(np.float64)
    if own.is_scaled:
        W *= tensors["scale"]
    kept = own.kept(n_inputs)
    merged = np.zeros((len(W), n_inputs + network.front.n_periodic))
    merged[:, list(kept)] = W[:, : len(kept)]
    merged[:, n_inputs : n_inputs + n_periodic] = W[:, len(kept) : len(kept) + n_periodic]
    for number, (start, stop) in enumerate(own.blocks):
        first = len(kept) + n_periodic + number * own.embedding
        merged[:, start:stop] = W[:, first : first + own.embedding] @ tensors[f"table{number + 1}"].astype(np.float64).T
    return merged
