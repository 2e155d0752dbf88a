"""Steps of a single network shared by threads: each has a part of the rows, then a part of the neurons.

A step has two halves, and all threads are through with the first before the second begins:

1. Each thread gathers its rows of the batch and goes forward and backward through the layers with them. Of a layer it
   leaves the gradient that its rows give; or the entries and the delta, where those of the whole batch lie in order.
2. Each thread makes of these the gradient of its neurons' weights and takes the optimizer's step on them, piece after
   piece, each of which is still in the cache then (`neurons.py`).

BLAS has one thread: nobody waits by spinning. For a given number of threads the result is always the same to the bit;
another number rounds in another way.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.nn.network import Dropout, Network, Workspace, backward, batch_losses, draw, forward
from mlpcli.nn.parameters import Parameters, allocate_parameters
from mlpcli.nn.passes import NUMPY, Draws, Passes
from mlpcli.training.crew import Crew
from mlpcli.training.engine import EpochResult, Factors, NonFiniteLoss, OptimizerState, Plan, factors_at
from mlpcli.training.members import EpochRows, Rows
from mlpcli.training.neurons import Layers, Neurons, parts_of
from mlpcli.training.samples import Batch, Samples
from mlpcli.training.streams import stream

Array = NDArray[np.floating[Any]]


class ShardedEngine:
    """The engine for one network on `plan.n_threads` threads; arguments as of `NumpyEngine`."""

    def __init__(self, network: Network, plan: Plan, train: Samples, rows: EpochRows, passes: Passes = NUMPY) -> None:
        dtype = train.X.dtype
        self.network, self.plan, self.rows = network, plan, rows
        self.batch_size = min(plan.batch_size, rows.n_rows)
        self.n_threads = min(plan.n_threads, self.batch_size)
        self.n_steps, self.steps_taken = math.ceil(rows.n_rows / self.batch_size), 0
        self._whole = _WholeBatch(network, train, self.batch_size)
        self._neurons = Neurons(network, plan, passes, self.batch_size, self.n_threads, dtype)
        most, adds = -(-self.batch_size // self.n_threads), self._neurons.adds_gradients
        self._shards = [_Shard(network, plan, adds, most, dtype, passes) for _ in range(self.n_threads)]

    def run(
        self, parameters: Parameters, optimizer_state: OptimizerState, epoch: int, must_stop: Callable[[], bool]
    ) -> EpochResult | None:
        """One pass over all rows; see `Engine`."""
        plan, n_steps = self.plan, self.n_steps
        order = self.rows.order(plan.seed, epoch)
        dropout_rng = stream(plan.seed, "dropout", epoch, self.rows.members[0])
        self._neurons.lay(parameters, optimizer_state)
        total, learning_rate = 0.0, 0.0
        with Crew(self.n_threads) as crew:
            for step in range(n_steps):
                if must_stop():
                    return None
                rows = order[step * self.batch_size : (step + 1) * self.batch_size]
                factors = factors_at(plan, epoch, step, n_steps)
                loss = self._pass_rows(crew, parameters, rows, factors, dropout_rng)
                if not math.isfinite(loss):
                    raise NonFiniteLoss(epoch + 1, "training")
                total += loss * len(rows)
                learning_rate = factors.learning_rate
                gradients = [shard.gradient for shard in self._shards if shard.n_rows]
                self._neurons.step(crew, self._whole.layers(len(rows)), gradients, factors)
                self.steps_taken += 1
        return EpochResult((total / self.rows.n_rows,), learning_rate)

    def _pass_rows(
        self, crew: Crew, parameters: Parameters, rows: Rows, factors: Factors, rng: np.random.Generator
    ) -> float:
        """The first half of a step; returns the batch's cost."""
        parts = parts_of(len(rows), self.n_threads)
        dropouts: list[Dropout | None] = [None] * self.n_threads
        if self.network.dropout:
            share = self.network.dropout * factors.dropout
            dropouts = [Dropout(share, (rng,), drawn) for drawn in _draw_parts(self.network, rng, parts)]

        def pass_part(place: int) -> None:
            self._shards[place].run(parameters, self._whole, rows, parts[place], dropouts[place])

        crew.run(pass_part)
        return sum(shard.loss * shard.n_rows for shard in self._shards) / len(rows)


class _WholeBatch:
    """Where the threads lay the inputs, entries and deltas of their rows side by side."""

    def __init__(self, network: Network, train: Samples, max_rows: int) -> None:
        dtype, widths = train.X.dtype, network.widths
        self.samples = Batch(train, max_rows, dtype)
        self._max_rows = max_rows
        # The inputs are the entries of the first layer, unless something stands in front of it.
        self._first = None if network.front.is_empty else np.empty((max_rows, widths[0]), dtype)
        self._entries = [np.empty(width * max_rows, dtype) for width in widths[1:-1]]
        self._deltas = [np.empty(width * max_rows, dtype) for width in widths[1:]]
        self._by_rows: dict[int, Layers] = {}
        self._by_part: dict[tuple[int, int, int], Layers] = {}

    def layers(self, n_rows: int) -> Layers:
        """Those of a batch of `n_rows`, laid out as `Workspace` does."""
        if n_rows not in self._by_rows:
            first = self.samples.inputs(n_rows) if self._first is None else self._first[:n_rows]
            entries, deltas = (
                tuple(flat[: flat.size // self._max_rows * n_rows].reshape(-1, n_rows).T for flat in arrays)
                for arrays in (self._entries, self._deltas)
            )
            self._by_rows[n_rows] = Layers((first, *entries), deltas)
        return self._by_rows[n_rows]

    def part(self, n_rows: int, own: slice) -> Layers:
        """Some rows of these."""
        place = (n_rows, own.start, own.stop)
        if place not in self._by_part:
            whole = self.layers(n_rows)
            parts = (tuple(array[own] for array in arrays) for arrays in (whole.entries, whole.deltas))
            self._by_part[place] = Layers(*parts)
        return self._by_part[place]


class _Shard:
    """One thread's part of the rows: its buffers, its mean loss, its gradient but for what the whole batch gives."""

    def __init__(
        self,
        network: Network,
        plan: Plan,
        adds_gradients: tuple[bool, ...],
        max_rows: int,
        dtype: DTypeLike,
        passes: Passes,
    ) -> None:
        self.gradient = allocate_parameters(network, dtype)
        self.loss, self.n_rows = 0.0, 0
        self._loss, self._has_front, self._adds_gradients = plan.loss, not network.front.is_empty, adds_gradients
        self._workspace = Workspace(network, max_rows, dtype, passes)

    def run(self, parameters: Parameters, whole: _WholeBatch, rows: Rows, own: slice, dropout: Dropout | None) -> None:
        """Forward and backward with those of the batch's `rows` that are its `own`; none in a very short batch."""
        self.loss, self.n_rows = 0.0, own.stop - own.start
        if not self.n_rows:
            return
        kept, workspace = whole.part(len(rows), own), self._workspace

        def keep(layer: int, delta: Array, entries: Array) -> None:
            if self._adds_gradients[layer]:
                np.matmul(delta.T, entries, out=self.gradient.W[layer])
                return
            kept.deltas[layer][...] = delta
            if layer or self._has_front:
                kept.entries[layer][...] = entries

        X, y, weights = whole.samples.gather(rows[own], own.start)
        forward(parameters, X, workspace, dropout)
        self.loss = batch_losses(workspace, self._loss, y, weights)[0]
        backward(
            parameters, self.gradient, X, y, self._loss, workspace, weights, dropout is not None,
            self.n_rows / len(rows), keep,
        )  # fmt: skip


def _draw_parts(network: Network, rng: np.random.Generator, parts: list[slice]) -> list[tuple[Draws, ...]]:
    """What dropout draws for a batch, the same as without parts: for each part, those of every hidden layer."""
    n_rows = parts[-1].stop
    whole = [np.concatenate([draws.T for _, draws in draw(rng, n_rows, width)]) for width in network.widths[1:-1]]
    return [tuple(np.ascontiguousarray(layer[:, own]).T for layer in whole) for own in parts]
