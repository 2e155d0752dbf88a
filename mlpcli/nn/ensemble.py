"""An ensemble of networks with averaged outputs; a single network is an ensemble of one."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpcli.nn.layers import Array
from mlpcli.nn.merge import merge_linear
from mlpcli.nn.network import Network, hidden_activations, predict


def member_prefixes(n_members: int) -> list[str]:
    """Prefix of the tensor names of each member: "" for a single one, else `m1.`, `m2.`, ..."""
    return [""] if n_members == 1 else [f"m{number}." for number in range(1, n_members + 1)]


@dataclass(frozen=True)
class Ensemble:
    """Networks, their flat vectors, and their counts in the mean of outputs; () means 1 each."""

    networks: tuple[Network, ...]
    flats: tuple[Array, ...]
    counts: tuple[int, ...] = ()

    @property
    def dtype(self) -> "np.dtype[Any]":
        """Dtype of the parameters."""
        return self.flats[0].dtype

    @property
    def n_parameters(self) -> int:
        """Number of parameters of all members."""
        return sum(flat.size for flat in self.flats)

    @property
    def member_counts(self) -> tuple[int, ...]:
        """The count of each member."""
        return self.counts or (1,) * len(self.networks)

    def repeat_counts(self, n_folds: int) -> tuple[int, ...]:
        """The count of each repeat of the cross-validation, which has a member per fold."""
        return self.member_counts[::n_folds]

    @property
    def first(self) -> Network:
        """The first member."""
        return self.networks[0]

    def tensors(self) -> dict[str, Array]:
        """Every tensor by its name in files: W1, b1, W2; with several members m1.W1."""
        prefixes = member_prefixes(len(self.networks))
        return {
            prefix + name: tensor
            for prefix, network, flat in zip(prefixes, self.networks, self.flats, strict=True)
            for name, tensor in network.named_views(flat).items()
        }

    def outputs(self, X: Array) -> Array:
        """The mean outputs (n_rows, n_out) for inputs `X` (n_rows, n_in)."""
        if len(self.networks) == 1:
            return predict(self.first, self.flats[0], X)
        total = self._weighted_outputs(0, X)
        for member in range(1, len(self.networks)):
            total += self._weighted_outputs(member, X)
        total /= sum(self.member_counts)
        return total

    def _weighted_outputs(self, member: int, X: Array) -> Array:
        """The outputs of a member, times its count."""
        outputs = predict(self.networks[member], self.flats[member], X)
        if self.member_counts[member] > 1:
            outputs *= self.member_counts[member]
        return outputs

    def fold_outputs(self, X: Array, n_folds: int) -> tuple[Array, Array]:
        """The mean outputs (n_rows, n_out) of all members, bit-identical to `outputs`, and those of each fold.

        The latter (n_folds, n_rows, n_out) are means over the members that hold out the fold: member m holds out fold
        m modulo n_folds.
        """
        fold_totals: list[Array] = []
        total = np.full((len(X), self.first.n_out), -0.0, self.dtype)  # neutral also for -0.0
        for member in range(len(self.networks)):
            outputs = self._weighted_outputs(member, X)
            total += outputs
            if member < n_folds:
                fold_totals.append(outputs)
            else:
                fold_totals[member % n_folds] += outputs
        fold_counts = np.array([sum(self.member_counts[fold::n_folds]) for fold in range(n_folds)], self.dtype)
        return total / sum(self.member_counts), np.stack(fold_totals) / fold_counts[:, None, None]

    def hidden_activations(self, X: Array) -> dict[str, Array]:
        """Activations (n_rows, width) of hidden layers for `X` (n_rows, n_in): h1, h2; m1.h1 with several members."""
        prefixes = member_prefixes(len(self.networks))
        return {
            f"{prefix}h{number}": a
            for prefix, network, flat in zip(prefixes, self.networks, self.flats, strict=True)
            for number, a in enumerate(hidden_activations(network, flat, X), start=1)
        }

    def merged(self) -> "Ensemble":
        """A copy with linear layers merged."""
        pairs = [merge_linear(network, flat) for network, flat in zip(self.networks, self.flats, strict=True)]
        return Ensemble(tuple(network for network, _ in pairs), tuple(flat for _, flat in pairs), self.counts)


class MeanLogits:
    """Logits of the mean output of several networks: the inverse of the output activation at the mean, in float64.

    Accumulates logarithms by `logaddexp`, which small probabilities do not underflow.
    """

    OUTPUTS = ("softmax", "sigmoid", "exp")

    def __init__(self, output: str, n_rows: int, n_out: int) -> None:
        self._output = output
        self._logs = np.full((2 if output == "sigmoid" else 1, n_rows, n_out), -np.inf)

    def add(self, rows: Any, z: Array) -> None:
        """Add the logits `z` (n, n_out) of a network for these rows."""
        z = z.astype(np.float64)
        if self._output == "softmax":
            z -= z.max(axis=1, keepdims=True)
            logs = [z - np.log(np.exp(z).sum(axis=1, keepdims=True))]
        elif self._output == "sigmoid":
            logs = [-np.logaddexp(0.0, -z), -np.logaddexp(0.0, z)]  # of p and 1 - p
        else:
            logs = [z]
        for total, log in zip(self._logs, logs, strict=True):
            total[rows] = np.logaddexp(total[rows], log)

    def mean(self, rows: Any, n_networks: int) -> Array:
        """The logits (n, n_out) of the mean for these rows, after `n_networks` calls of `add` for them."""
        below = self._logs[1, rows] if self._output == "sigmoid" else np.log(n_networks)
        z: Array = self._logs[0, rows] - below
        return z
