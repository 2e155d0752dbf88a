"""The buffers that forward and backward pass work in, made once for a training."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.architecture import Network
from mlpcli.nn.front import FrontPass
from mlpcli.nn.passes import NUMPY, Passes

Array = NDArray[np.floating[Any]]


class Buffers:
    """What a batch of `n_rows` rows needs, layer by layer; all (n_rows, widths[layer + 1]), behind the members' axis.

    `h` is what the next layer sees: a, or what slopes, dropout and the layer's input make of it. A name with an `s`
    behind it holds the same arrays as the passes want them: of a hidden layer the neurons of all members side by side,
    of the last layer those of each member, for a softmax ends at its member.
    """

    def __init__(self, network: Network, n_rows: int, take: Callable[[str, tuple[int, ...]], Array]) -> None:
        leading = (network.members,) if network.members > 1 else ()
        last, widths = network.n_layers - 1, network.widths[1:]

        def layers(name: str, first: int, until: int) -> tuple[Array, ...]:
            return tuple(
                take(f"{name}{layer}", (*leading, widths[layer], n_rows)).swapaxes(-1, -2)
                for layer in range(first, until)
            )

        self.a = layers("a", 0, last + 1)
        # The output keeps its z for the losses on logits; a hidden layer only where a derivative needs it.
        keeps_z = network.learns_slopes or ACTIVATIONS[network.activation].needs_z
        self.z = (*(layers("z", 0, last) if keeps_z else self.a[:last]), *layers("z", last, last + 1))
        has_own_h = network.dropout or network.is_residual or network.learns_slopes
        self.h = layers("h", 0, last) if has_own_h else self.a[:last]
        self.kept = layers("kept", 0, last) if network.dropout else ()
        self.delta = layers("delta", 0, last + 1)
        scratch = layers("scratch", 0, last + 1)
        self.zs, self.as_, self.deltas, self.scratches = (
            (*map(_side_by_side, arrays[:last]), by_member(arrays[last], 2))
            for arrays in (self.z, self.a, self.delta, scratch)
        )
        self.hs, self.kepts = (tuple(map(_side_by_side, arrays)) for arrays in (self.h, self.kept))
        self.excess = layers("excess", 0, last) if network.learns_slopes else ()
        self.normal = layers("normal", 0, last) if network.is_normalized else ()
        self.spread = tuple(np.empty((*leading, n_rows, 1), a.dtype) for a in self.normal)
        self.passed = layers("passed", 0, last) if network.is_residual else ()
        self.ones = np.ones(n_rows, self.a[0].dtype)  # ones @ delta sums the rows faster than delta.sum(axis=0)
        self.front = None if network.front.is_empty else FrontPass(network, n_rows, self.a[0].dtype)


class Workspace:
    """Preallocated buffers for batches of up to `max_rows` rows (of each member), and who makes the passes over them.

    A buffer is an (n_rows, width) view of contiguous memory in the order (width, n_rows): BLAS then works on W @ h.T in
    place of h @ W.T, which it does up to a third quicker, and the values of one neuron lie side by side.
    """

    def __init__(self, network: Network, max_rows: int, dtype: DTypeLike = np.float32, passes: Passes = NUMPY) -> None:
        self.network = network
        self.max_rows = max_rows
        self.passes = passes
        self.activations = tuple(network.activation_of(layer) for layer in range(network.n_layers))
        self.adds_input = tuple(network.adds_input(layer) for layer in range(network.n_layers))
        self._dtype = dtype
        self._pool: dict[str, Array] = {}
        self._by_rows = {max_rows: Buffers(network, max_rows, self._take)}

    def rows(self, n_rows: int) -> Buffers:
        """Buffers for a batch of `n_rows` <= `max_rows`; made once for each size seen, on the same memory."""
        if n_rows not in self._by_rows:
            self._by_rows[n_rows] = Buffers(self.network, n_rows, self._take)
        return self._by_rows[n_rows]

    def entries(self, layer: int, X: Array) -> Array:
        """What layer `layer` has seen of the batch `X` that `forward` has just gone through, without dropout."""
        buffers = self.rows(X.shape[-2])
        if layer:
            return self.seen_above(buffers, layer - 1, uses_dropout=False)
        return X if buffers.front is None else buffers.front.entries

    def seen_above(self, buffers: Buffers, layer: int, uses_dropout: bool) -> Array:
        """What the layer above hidden layer `layer` has seen."""
        has_own = uses_dropout or self.network.learns_slopes or self.adds_input[layer]
        return (buffers.h if has_own else buffers.a)[layer]

    def _take(self, name: str, shape: tuple[int, ...]) -> Array:
        """The leading part of the buffer of that name; the largest batch, which comes first, makes it."""
        size = prod(shape)
        if name not in self._pool:
            self._pool[name] = np.empty(size, self._dtype)
        return self._pool[name][:size].reshape(shape)


def by_member(array: Any, ndim: int, n_members: int = 1) -> Any:
    """An array as a tuple with one of `ndim` axes for each member; for None as many of these."""
    if array is None:
        return (None,) * n_members
    return (array,) if array.ndim == ndim else tuple(array)


def _side_by_side(array: Array) -> tuple[Array]:
    """The one array (n_rows, members x width) of a buffer (members, n_rows, width), on the same memory."""
    lines = array.swapaxes(-1, -2)
    return (lines.reshape(prod(lines.shape[:-1]), lines.shape[-1]).T,)
