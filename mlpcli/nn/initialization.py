"""Fresh parameters: every tensor of a network as it stands before the first step."""

from dataclasses import replace
from math import pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.architecture import Network
from mlpcli.nn.groups import join_members
from mlpcli.nn.initializers import DataDriven, Initializer, draw_layer, draw_on_data
from mlpcli.nn.network import Workspace, forward
from mlpcli.nn.parameters import Parameters, allocate_parameters

Array = NDArray[np.floating[Any]]


def initialize(
    network: Network,
    initializer: str | Initializer,
    rng: np.random.Generator,
    dtype: DTypeLike = np.float32,
    X: Array | None = None,
) -> Parameters:
    """Fresh parameters of one member; `initializer` "auto" takes each layer's from its activation.

    `X` (n_rows, n_in) are the rows that a data-driven start looks at; it needs some, the others none.
    """
    assert network.members == 1, "each member has a generator of its own: see initialize_members"
    parameters = allocate_parameters(network, dtype)
    _fill_other_parts(network, parameters, rng)
    for layer, (W, b) in enumerate(zip(parameters.W, parameters.b, strict=True)):
        if isinstance(initializer, DataDriven):
            assert X is not None, "a data-driven start needs rows"
            draw_on_data(initializer, W, b, _entries(network, parameters, X, layer), rng)
            continue
        chosen = ACTIVATIONS[network.activation_of(layer)].initializer if initializer == "auto" else initializer
        draw_layer(chosen, W, b, rng, is_last=layer == network.n_layers - 1)
    return parameters


def initialize_members(
    network: Network,
    initializer: str | Initializer,
    rngs: list[np.random.Generator],
    dtype: DTypeLike = np.float32,
    X: Array | None = None,
) -> Parameters:
    """Fresh parameters of every member, each from its own generator; as `initialize`."""
    members = [initialize(network.member(number), initializer, rng, dtype, X) for number, rng in enumerate(rngs)]
    return members[0] if network.members == 1 else join_members(network, members)


def _fill_other_parts(network: Network, parameters: Parameters, rng: np.random.Generator) -> None:
    """Tensors beside weights and biases: factors and slopes 1, shifts 0, embeddings at random."""
    periodic, tensors = network.front.periodic, parameters.tensors
    for name, tensor in tensors.items():
        if name == "scale" or name.startswith(("slope", "gain")):
            tensor[...] = 1.0
        elif name.startswith("table"):
            tensor[...] = rng.normal(size=tensor.shape)
    if periodic is not None and "frequency" in tensors:
        edge = 1.0 / sqrt(periodic.frequencies)
        tensors["frequency"][...] = rng.normal(0.0, periodic.sigma, tensors["frequency"].shape)
        tensors["phase"][...] = rng.uniform(-pi, pi, tensors["phase"].shape)
        tensors["mixing"][...] = rng.uniform(-edge, edge, tensors["mixing"].shape)
        tensors["offset"][...] = rng.uniform(-edge, edge, tensors["offset"].shape)


def _entries(network: Network, parameters: Parameters, X: Array, layer: int) -> Array:
    """What layer `layer` sees of the rows, the layers below it being ready (n_rows, widths[layer])."""
    if layer == 0 and network.front.is_empty:
        return X
    workspace = Workspace(replace(network, dropout=0.0), len(X), X.dtype)
    forward(parameters, X, workspace)
    return workspace.entries(layer, X)
