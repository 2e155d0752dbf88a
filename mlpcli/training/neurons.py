"""The second half of a shared step: each thread makes the gradient of its neurons' weights and steps on them.

What one thread has written costs another one more to read than what it wrote itself, so of each layer the less is
exchanged: either entries and delta of the rows, of which the gradient of some neurons is made in one product, or the
gradients that each part of the rows gave, to be added up in their order. What is not a weight (biases, and the tensors
of other parts) is little work, the first thread's, and added up too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.nn.averaging import blend
from mlpcli.nn.blocks import Block, Stretch, lay_blocks
from mlpcli.nn.network import Network
from mlpcli.nn.parameters import Parameters, allocate_parameters
from mlpcli.nn.passes import Passes
from mlpcli.nn.rates import stretches
from mlpcli.training.crew import Crew
from mlpcli.training.engine import Factors, OptimizerState, Plan, clip

Array = NDArray[np.floating[Any]]
Cut = tuple[Stretch, int, int]  # a part of the flat vector: what it is a part of, start and stop

# Weights whose gradient is made at once: few enough to be in the cache still when the optimizer comes to them, and
# enough for BLAS to be at its best (measured with Adam: 3.1 ms against 3.4 with half and 3.2 with twice as many).
WEIGHTS_AT_ONCE = 262_144
# Numbers of a block at least: between two operations a thread needs Python's lock, for which it waits if the other has
# it (measured with Adam: 4.8 ms in place of 5.6 with a quarter as many).
FEWEST_IN_BLOCK = 131_072


@dataclass(frozen=True)
class Layers:
    """Entries (n_rows, n_in) and delta (n_rows, n_out) of every layer, for the rows of a batch."""

    entries: tuple[Array, ...]
    deltas: tuple[Array, ...]


@dataclass(frozen=True)
class _Piece:
    """Weights of some neurons of a layer, which are `place` in the vector.

    `gradient` (n_neurons, n_in) is where their gradient goes, `blocks` have an average each, if there is one.
    """

    layer: int
    neurons: slice
    place: slice
    gradient: Array
    blocks: tuple[tuple[Block, Array | None], ...]


def parts_of(n: int, n_parts: int) -> list[slice]:
    """`n` things in parts as equal as can be, in order; empty ones where there are too few."""
    return [slice(*ends) for ends in pairwise(n * part // n_parts for part in range(n_parts + 1))]


def adds_gradients(W: Array, n_rows: int) -> bool:
    """Whether exchanging gradients of these weights (n_out, n_in) is less than exchanging rows of their entries.

    All but one of the threads give a whole gradient away; all but one need the entries of all `n_rows` rows.
    """
    return len(W) < n_rows


class Neurons:
    """All parameters of a network, shared by threads, and the optimizer that moves them.

    A clipped gradient must be whole before anything moves. Without a clip there is none but that of the weights at
    hand.
    """

    def __init__(
        self, network: Network, plan: Plan, passes: Passes, batch_size: int, n_threads: int, dtype: DTypeLike
    ) -> None:
        self._plan, self._n_threads = plan, n_threads
        self._is_clipped = plan.gradient_clip is not None
        self._update, self._block_size = passes.update(plan.optimizer), max(passes.block_size, FEWEST_IN_BLOCK)
        self._stretches = stretches(network, plan.optimizer, plan.rates, plan.is_ntk)
        self._gradient = allocate_parameters(network, dtype)  # pages that nobody writes to take no memory
        self._n_weights = self._gradient.n_weights
        self.adds_gradients = tuple(adds_gradients(W, batch_size) for W in self._gradient.W)

    def lay(self, parameters: Parameters, optimizer_state: OptimizerState) -> None:
        """Get ready for steps on these vectors, in place."""
        self._count = optimizer_state["step"]
        self._pieces = [self._pieces_of(place, parameters, optimizer_state) for place in range(self._n_threads)]
        rest = list(_cuts(self._stretches, self._n_weights, parameters.flat.size, self._block_size))
        self._rest = self._blocks(rest, parameters, optimizer_state)

    def step(self, crew: Crew, layers: Layers, gradients: Sequence[Parameters], factors: Factors) -> None:
        """One step, from what the first half of it has left; `gradients` are those of the parts of the rows."""
        count = int(self._count) + 1
        self._count.fill(count)

        def make_gradient(place: int) -> None:
            if place == 0:
                rest = slice(self._n_weights, None)
                _add_up(gradients, rest, self._gradient.flat[rest])
            for piece in self._pieces[place]:
                if self.adds_gradients[piece.layer]:
                    _add_up(gradients, piece.place, piece.gradient.reshape(-1))
                else:
                    delta = layers.deltas[piece.layer].T[piece.neurons]
                    np.matmul(delta, layers.entries[piece.layer], out=piece.gradient)
                if not self._is_clipped:
                    self._move(piece.blocks, count, factors)
            if place == 0 and not self._is_clipped:
                self._move(self._rest, count, factors)

        def move(place: int) -> None:
            for piece in self._pieces[place]:
                self._move(piece.blocks, count, factors)
            if place == 0:
                self._move(self._rest, count, factors)

        crew.run(make_gradient)
        if self._plan.gradient_clip is not None:
            clip(self._gradient, 1, self._plan.gradient_clip)
            crew.run(move)

    def _move(self, blocks: Sequence[tuple[Block, Array | None]], count: int, factors: Factors) -> None:
        for block, average in blocks:
            self._update(block, factors.learning_rate, count, factors.decay)
            if average is not None:
                blend(average, block.flat, factors.averaged, block.scratch)

    def _pieces_of(self, place: int, parameters: Parameters, optimizer_state: OptimizerState) -> list[_Piece]:
        """One thread's neurons of each layer, in pieces."""
        found = list(self._neurons_of(place, parameters))
        all_cuts = [cut for _, _, cuts in found for cut in cuts]
        laid = iter(self._blocks(all_cuts, parameters, optimizer_state))
        largest = max((cuts[-1][2] - cuts[0][1] for _, _, cuts in found), default=0)
        at_hand = np.empty(0 if self._is_clipped else largest, parameters.flat.dtype)
        pieces = []
        for layer, neurons, cuts in found:
            first, last = cuts[0][1], cuts[-1][2]
            gradient = self._gradient.flat[first:last] if self._is_clipped else at_hand[: last - first]
            blocks = []
            for _, start, stop in cuts:
                block, average = next(laid)
                blocks.append((replace(block, grad=gradient[start - first : stop - first]), average))
            shaped = gradient.reshape(neurons.stop - neurons.start, -1)
            pieces.append(_Piece(layer, neurons, slice(first, last), shaped, tuple(blocks)))
        return pieces

    def _neurons_of(self, place: int, parameters: Parameters) -> Iterator[tuple[int, slice, list[Cut]]]:
        """Layer, neurons, and how their weights are cut into blocks, of each piece."""
        before = 0
        for layer, W in enumerate(parameters.W):
            n_out, n_in = W.shape
            own, at_once = parts_of(n_out, self._n_threads)[place], max(1, WEIGHTS_AT_ONCE // n_in)
            for first in range(own.start, own.stop, at_once):
                last = min(first + at_once, own.stop)
                ends = (before + first * n_in, before + last * n_in)
                yield layer, slice(first, last), list(_cuts(self._stretches, *ends, self._block_size))
            before += W.size

    def _blocks(
        self, cuts: Sequence[Cut], parameters: Parameters, optimizer_state: OptimizerState
    ) -> list[tuple[Block, Array | None]]:
        """Blocks of the vectors and of the average, if there is one."""
        average = optimizer_state.get("average")
        blocks = lay_blocks(parameters.flat, self._gradient.flat, optimizer_state, self._n_weights, cuts)
        return [
            (block, None if average is None else average[start:stop])
            for block, (_, start, stop) in zip(blocks, cuts, strict=True)
        ]


def _add_up(gradients: Sequence[Parameters], place: slice, out: Array) -> None:
    first, *others = (gradient.flat[place] for gradient in gradients)
    if not others:
        out[...] = first
    for number, other in enumerate(others):
        np.add(out if number else first, other, out=out)


def _cuts(stretches: Sequence[Stretch], start: int, stop: int, block_size: int) -> Iterator[Cut]:
    """The flat vector from `start` to `stop` in parts of one stretch and at most `block_size` numbers."""
    for stretch in stretches:
        end = min(stop, stretch.stop)
        for first in range(max(start, stretch.start), end, block_size):
            yield stretch, first, min(first + block_size, end)
