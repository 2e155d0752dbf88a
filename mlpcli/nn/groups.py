"""Some members of a network as a network of their own, and the way of their parameters there and back.

Members never look at each other, so any group of them can be trained or scored apart from the rest. A group whose
members all see the numbers in one way has nothing in front of its layers that none of them sees: its first layer is
narrower than that of the whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.architecture import Network
from mlpcli.nn.parameters import Parameters, allocate_parameters, count_parameters, view_parameters

Array = NDArray[np.floating[Any]]

# Tensors with an axis, the last one, of the entries to the first layer.
BY_ENTRY = ("W1", "scale")


@dataclass(frozen=True)
class Group:
    """The members `members` of `whole`; `network` is these alone."""

    whole: Network
    members: tuple[int, ...]

    @cached_property
    def network(self) -> Network:
        """The members as a network of their own."""
        return self.whole.part(self.members)

    @cached_property
    def _columns(self) -> NDArray[np.int64] | slice:
        """Which entries to the first layer of the whole are those of the group."""
        n_inputs, whole, own = self.whole.sizes[0], self.whole.front, self.network.front
        if self.network.widths[0] == self.whole.widths[0]:
            return slice(None)
        kept = whole.kept(n_inputs)
        places = {index: place for place, index in enumerate(kept)}
        columns = [places[index] for index in own.kept(n_inputs)]
        columns += range(len(kept), len(kept) + own.n_periodic)
        columns += range(len(kept) + whole.n_periodic, self.whole.widths[0])
        return np.array(columns)

    def take(self, vector: Array) -> Array:
        """The group's part of a vector that is laid out like the parameters of the whole, as a copy."""
        own = np.empty(count_parameters(self.network), vector.dtype)
        for of_whole, of_group, columns in self._pairs(vector, own):
            of_group[...] = of_whole[..., columns]
        return own

    def put(self, own: Array, vector: Array) -> None:
        """Write a vector of the group's where `take` finds it."""
        for of_whole, of_group, columns in self._pairs(vector, own):
            of_whole[..., columns] = of_group

    def of(self, parameters: Parameters) -> Parameters:
        """The group's part of the parameters of the whole: these themselves where it has all members, else a copy."""
        if len(self.members) == self.whole.members:
            return parameters
        return view_parameters(self.network, self.take(parameters.flat))

    def _pairs(self, vector: Array, own: Array) -> Iterator[tuple[Array, Array, Any]]:
        """Each tensor of each member in the whole and in the group, and the columns of the one that are the other."""
        whole, part = view_parameters(self.whole, vector).tensors, view_parameters(self.network, own).tensors
        for name, tensor in part.items():
            for place, member in enumerate(self.members):
                of_whole = whole[name][member] if self.whole.members > 1 else whole[name]
                of_group = tensor[place] if len(self.members) > 1 else tensor
                yield of_whole, of_group, self._columns if name in BY_ENTRY else slice(None)


def split_members(network: Network, n_parts: int = 1) -> tuple[Group, ...]:
    """All members in groups that see alike, each kind in up to `n_parts` of nearly equal size."""
    views = network.front.sees_cosines or (True,) * network.members
    kinds = [[member for member, sees in enumerate(views) if sees is kind] for kind in (True, False)]
    return tuple(
        Group(network, tuple(int(member) for member in part))
        for kind in kinds
        if kind
        for part in np.array_split(kind, min(n_parts, len(kind)))
    )


def join_members(network: Network, members: Sequence[Parameters]) -> Parameters:
    """One vector of the parameters of several members; zeros for what a member does not see."""
    joined = allocate_parameters(network, members[0].flat.dtype)
    for number, member in enumerate(members):
        Group(network, (number,)).put(member.flat, joined.flat)
    return joined


def member_of(network: Network, parameters: Parameters, number: int) -> Parameters:
    """The parameters of one member, as a network of its own."""
    return Group(network, (number,)).of(parameters)
