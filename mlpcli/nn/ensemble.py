"""An ensemble of networks, whose outputs are averaged; a single network is one of one."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpcli.nn.layers import Array
from mlpcli.nn.merge import merge_linear
from mlpcli.nn.network import Network, predict


@dataclass(frozen=True)
class Ensemble:
    """Networks and the flat vector of each."""

    networks: tuple[Network, ...]
    flats: tuple[Array, ...]

    @property
    def dtype(self) -> "np.dtype[Any]":
        """Precision of the parameters."""
        return self.flats[0].dtype

    @property
    def n_parameters(self) -> int:
        """Parameters of all members."""
        return sum(flat.size for flat in self.flats)

    @property
    def first(self) -> Network:
        """The first member."""
        return self.networks[0]

    def tensors(self) -> dict[str, Array]:
        """Every tensor by its name in files: W1, b1, W2; of several members with a prefix, m1.W1."""
        prefixes = [""] if len(self.networks) == 1 else [f"m{number}." for number in range(1, len(self.networks) + 1)]
        return {
            prefix + name: tensor
            for prefix, network, flat in zip(prefixes, self.networks, self.flats, strict=True)
            for name, tensor in network.views(flat).items()
        }

    def outputs(self, X: Array) -> Array:
        """The mean outputs (n_rows, n_out) for inputs `X` (n_rows, n_in)."""
        total = predict(self.first, self.flats[0], X)
        for network, flat in zip(self.networks[1:], self.flats[1:], strict=True):
            total += predict(network, flat, X)
        if len(self.networks) > 1:
            total /= len(self.networks)
        return total

    def merged(self) -> "Ensemble":
        """The same functions with linear layers merged, in vectors of their own."""
        pairs = [merge_linear(network, flat) for network, flat in zip(self.networks, self.flats, strict=True)]
        return Ensemble(tuple(network for network, _ in pairs), tuple(flat for _, flat in pairs))
