"""An ensemble of networks with averaged outputs; a single network is an ensemble of one."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import iadd
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
        return {
            prefix + name: tensor
            for prefix, network, flat in self._members()
            for name, tensor in network.named_views(flat).items()
        }

    def outputs(self, X: Array) -> Array:
        """The mean outputs (n_rows, n_out) for inputs `X` (n_rows, n_in)."""
        if len(self.networks) == 1:
            return predict(self.first, self.flats[0], X)
        total: Array = reduce(iadd, (self._weighted_outputs(member, X) for member in range(len(self.networks))))
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
        return {
            f"{prefix}h{number}": a
            for prefix, network, flat in self._members()
            for number, a in enumerate(hidden_activations(network, flat, X), start=1)
        }

    def merged(self) -> "Ensemble":
        """A copy with linear layers merged."""
        networks, flats = zip(*(merge_linear(network, flat) for _, network, flat in self._members()), strict=True)
        return Ensemble(networks, flats, self.counts)

    def _members(self) -> Iterator[tuple[str, Network, Array]]:
        """The prefix of the names, the network and the flat vector of each member."""
        return zip(member_prefixes(len(self.networks)), self.networks, self.flats, strict=True)
