"""Computes the contribution of one shard to the gradient of a batch, and local steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.layers import Noise
from mlpcli.nn.network import LossAndGradient, Network
from mlpcli.nn.steps import StepValues, init_state, make_step
from mlpcli.training.dataset import Batch, Dataset, Rows
from mlpcli.training.member import TrainingSpec

Array = NDArray[np.floating[Any]]
# The number of rows of a batch in a shard varies. Buffers exist for this number of sizes, and rows of weight 0 pad a
# batch to the next size.
BUFFER_SIZES = 16
TIMED_RUNS = 3  # repetitions of a timing, after a first run that allocates buffers


@dataclass(frozen=True)
class LocalBatch:
    """A batch that has `n_rows` rows in all shards together; `step` counts in the epoch from 0.

    `key` seeds the dropout of the step, and `count` is the number of the step in the training, from 1.
    """

    step: int
    n_rows: int
    key: int
    count: int
    values: StepValues


class ShardSteps:
    """The steps of an epoch with the rows of one shard."""

    def __init__(self, network: Network, spec: TrainingSpec, samples: Dataset) -> None:
        self._network, self._spec, self._samples = network, spec, samples
        dtype = samples.X.dtype
        self._row_step = max(1, math.ceil(spec.batch_size / BUFFER_SIZES))
        max_rows = math.ceil(spec.batch_size / self._row_step) * self._row_step
        self._batch = Batch(samples, max_rows, dtype)
        self._weights = np.empty(max_rows, dtype)
        self._flat = np.empty(network.n_parameters, dtype)
        self._gradient = np.empty_like(self._flat)
        self._cost = LossAndGradient(network, spec.loss, self._flat, self._gradient)
        self._rows, self._positions = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._state = init_state(spec.update, self._flat)
        self._step = make_step(network, spec.update, self._flat, self._gradient, self._state)

    def is_for(self, network: Network, spec: TrainingSpec, samples: Dataset) -> bool:
        """Whether this object was made for this network, spec and dataset."""
        return samples is self._samples and (network, spec) == (self._network, self._spec)

    def begin(self, rows: Rows, positions: Rows) -> None:
        """Set the rows of an epoch, and their positions (ascending) in the order of all rows."""
        self._rows, self._positions = rows, positions

    def gradient(self, step: int, n_batch: int, key: int, dropout: float, flat: Array) -> tuple[float, Array]:
        """Contributions to cost and gradient of batch `step`, which has `n_batch` rows in all shards together.

        Their sums over the shards are the cost and the gradient (n_parameters,) of the batch.
        """
        self._flat[...] = flat
        cost = self._batch_gradient(step, n_batch, key, dropout)
        return (0.0, np.zeros_like(self._gradient)) if cost is None else (cost, self._gradient)

    def local_steps(self, batches: Sequence[LocalBatch], flat: Array, *state: Array) -> tuple[Any, ...]:
        """Take a step for each batch with the rows of this shard alone, from these parameters and optimizer state.

        Returns the sum of the losses, the parameters (n_parameters,) and the arrays of the optimizer state after the
        last step. Batches without rows in this shard are skipped.
        """
        self._flat[...] = flat
        for buffer, values in zip(self._state.values(), state, strict=True):
            buffer[...] = values
        total = 0.0
        for batch in batches:
            n_own = self.count_rows(batch.step, batch.n_rows)
            loss = self._batch_gradient(batch.step, batch.n_rows, batch.key, batch.values.dropout_factor)
            if loss is None:
                continue
            total += loss * batch.n_rows
            with np.errstate(all="ignore"):
                if n_own != batch.n_rows:
                    self._gradient *= batch.n_rows / n_own  # the mean over the rows of this shard
                self._step(batch.count, batch.values)
        return total, self._flat, *self._state.values()

    def time_gradient(self, n_rows: int, flat: Array) -> float:
        """Shortest of several times of a gradient of `n_rows` rows, in seconds; the rows of this shard are repeated."""
        self._flat[...] = flat
        rows, positions = np.resize(self._rows, n_rows), np.arange(n_rows, dtype=np.uint32)
        seconds = []
        for _ in range(TIMED_RUNS + 1):  # the first run, which allocates buffers, is not counted
            started = perf_counter()
            with np.errstate(all="ignore"):
                self._rows_gradient(rows, n_rows, Noise(0, 1.0, positions))
            seconds.append(perf_counter() - started)
        return min(seconds[1:])

    def count_rows(self, step: int, n_batch: int) -> int:
        """Number of rows of a batch in this shard."""
        start, stop = self._slice_of(step, n_batch)
        return stop - start

    def _slice_of(self, step: int, n_batch: int) -> tuple[int, int]:
        first = step * self._spec.batch_size
        start, stop = np.searchsorted(self._positions, (first, first + n_batch)).tolist()
        return start, stop

    def _batch_gradient(self, step: int, n_batch: int, key: int, dropout: float) -> float | None:
        """Write the contribution to the gradient into its buffer; returns that to the cost, None without rows."""
        start, stop = self._slice_of(step, n_batch)
        if start == stop:
            return None
        positions = (self._positions[start:stop] - step * self._spec.batch_size).astype(np.uint32)
        with np.errstate(all="ignore"):
            loss, n_padded = self._rows_gradient(self._rows[start:stop], n_batch, Noise(key, dropout, positions))
            if n_padded != n_batch:
                self._gradient *= n_padded / n_batch
        return loss * n_padded / n_batch

    def _rows_gradient(self, rows: Rows, n_batch: int, noise: Noise) -> tuple[float, int]:
        """Compute the gradient of the mean cost of rows; returns the mean and its denominator, which counts padding."""
        n_rows = len(rows)
        n_padded = n_rows if n_rows == n_batch else math.ceil(n_rows / self._row_step) * self._row_step
        padded_rows = np.concatenate([rows, np.repeat(rows[:1], n_padded - n_rows)])
        X, y, weights = self._batch.gather(padded_rows)
        if n_padded > n_rows:
            padded_weights = self._weights[:n_padded]
            padded_weights[:n_rows] = 1.0 if weights is None else weights[:n_rows]
            padded_weights[n_rows:] = 0.0
            weights = padded_weights
        assert noise.positions is not None
        positions = np.concatenate([noise.positions, np.zeros(n_padded - n_rows, np.uint32)])
        return self._cost(X, y, weights, replace(noise, positions=positions)), n_padded
