"""An ensemble of networks, whose outputs are averaged; a single network is one of one."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpcli.nn.layers import Array
from mlpcli.nn.merge import merge_linear
from mlpcli.nn.network import Network, hidden_layers, predict


def member_prefixes(n_members: int) -> list[str]:
    """What stands before the names of each member's tensors: nothing for one alone, `m1.`, `m2.` for several."""
    return [""] if n_members == 1 else [f"m{number}." for number in range(1, n_members + 1)]


@dataclass(frozen=True)
class Ensemble:
    """Networks, the flat vector of each, and how many times it counts in the mean; () is once each."""

    networks: tuple[Network, ...]
    flats: tuple[Array, ...]
    counts: tuple[int, ...] = ()

    @property
    def dtype(self) -> "np.dtype[Any]":
        """Precision of the parameters."""
        return self.flats[0].dtype

    @property
    def n_parameters(self) -> int:
        """Parameters of all members."""
        return sum(flat.size for flat in self.flats)

    @property
    def times(self) -> tuple[int, ...]:
        """How many times each member counts."""
        return self.counts or (1,) * len(self.networks)

    def counts_of_rounds(self, n_folds: int) -> tuple[int, ...]:
        """How many times each round of members counts, one of which leaves out each of so many folds."""
        return self.times[::n_folds]

    @property
    def first(self) -> Network:
        """The first member."""
        return self.networks[0]

    def tensors(self) -> dict[str, Array]:
        """Every tensor by its name in files: W1, b1, W2; of several members with a prefix, m1.W1."""
        prefixes = member_prefixes(len(self.networks))
        return {
            prefix + name: tensor
            for prefix, network, flat in zip(prefixes, self.networks, self.flats, strict=True)
            for name, tensor in network.views(flat).items()
        }

    def outputs(self, X: Array) -> Array:
        """The mean outputs (n_rows, n_out) for inputs `X` (n_rows, n_in)."""
        if len(self.networks) == 1:
            return predict(self.first, self.flats[0], X)
        total = self._counted(0, X)
        for number in range(1, len(self.networks)):
            total += self._counted(number, X)
        total /= sum(self.times)
        return total

    def _counted(self, number: int, X: Array) -> Array:
        """The outputs of a member, times its count."""
        own = predict(self.networks[number], self.flats[number], X)
        if self.times[number] > 1:
            own *= self.times[number]
        return own

    def fold_outputs(self, X: Array, n_folds: int) -> tuple[Array, Array]:
        """The mean outputs of all members, the same bits as `outputs`, and of those that leave out each fold.

        (n_rows, n_out) and (n_folds, n_rows, n_out); member m leaves out fold m, counted in a circle.
        """
        of_folds: list[Array] = []
        total = np.full((len(X), self.first.n_out), -0.0, self.dtype)  # adding to it leaves all bits, signs of 0 too
        for number in range(len(self.networks)):
            own = self._counted(number, X)
            total += own
            if number < n_folds:
                of_folds.append(own)
            else:
                of_folds[number % n_folds] += own
        of_fold = np.array([sum(self.times[fold::n_folds]) for fold in range(n_folds)], self.dtype)
        return total / sum(self.times), np.stack(of_folds) / of_fold[:, None, None]

    def hidden_layers(self, X: Array) -> dict[str, Array]:
        """What each hidden layer makes of `X` (n_rows, n_in): h1, h2 (n_rows, width), with several members m1.h1."""
        prefixes = member_prefixes(len(self.networks))
        return {
            f"{prefix}h{number}": a
            for prefix, network, flat in zip(prefixes, self.networks, self.flats, strict=True)
            for number, a in enumerate(hidden_layers(network, flat, X), start=1)
        }

    def merged(self) -> "Ensemble":
        """The same functions with linear layers merged, in vectors of their own."""
        pairs = [merge_linear(network, flat) for network, flat in zip(self.networks, self.flats, strict=True)]
        return Ensemble(tuple(network for network, _ in pairs), tuple(flat for _, flat in pairs), self.counts)


class MeanLogits:
    """Logits of the mean output of several networks, the inverse of their output activation at that mean, in float64.

    Sums are kept as logarithms: of small probabilities more is left than a mean of outputs shows.
    """

    OUTPUTS = ("softmax", "sigmoid", "exp")

    def __init__(self, output: str, n_rows: int, n_out: int) -> None:
        self._output = output
        self._logs = np.full((2 if output == "sigmoid" else 1, n_rows, n_out), -np.inf)

    def add(self, rows: Any, z: Array) -> None:
        """Count in the logits `z` (n, n_out) that a network has for these rows."""
        z = z.astype(np.float64)
        if self._output == "softmax":
            z -= z.max(axis=1, keepdims=True)
            logs = [z - np.log(np.exp(z).sum(axis=1, keepdims=True))]
        elif self._output == "sigmoid":
            logs = [-np.logaddexp(0.0, -z), -np.logaddexp(0.0, z)]  # of p and 1 - p
        else:
            logs = [z]
        for total, own in zip(self._logs, logs, strict=True):
            total[rows] = np.logaddexp(total[rows], own)

    def of(self, rows: Any, n_networks: int) -> Array:
        """The logits (n, n_out) of these rows, after each of so many networks was counted in."""
        below = self._logs[1, rows] if self._output == "sigmoid" else np.log(n_networks)
        z: Array = self._logs[0, rows] - below
        return z
