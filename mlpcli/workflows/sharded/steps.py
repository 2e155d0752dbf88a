"""What the rows of one shard add to the gradient of a batch."""

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
# How many a batch has from a shard differs from step to step. Buffers are kept for so many sizes; between two of them
# rows of weight 0 fill a batch up.
BUFFER_SIZES = 16
TIMED_RUNS = 3  # times that something is done to see how long it takes


@dataclass(frozen=True)
class LocalBatch:
    """A batch of `n_rows` in all shards together; `count` is the number of its step in the training, from 1."""

    step: int
    n_rows: int
    key: int
    count: int
    values: StepValues


class ShardSteps:
    """The batches of an epoch, as far as they lie in one shard."""

    def __init__(self, network: Network, spec: TrainingSpec, samples: Dataset) -> None:
        self._network, self._spec, self._samples = network, spec, samples
        dtype = samples.X.dtype
        self._unit = max(1, math.ceil(spec.batch_size / BUFFER_SIZES))
        most = math.ceil(spec.batch_size / self._unit) * self._unit
        self._batch = Batch(samples, most, dtype)
        self._weights = np.empty(most, dtype)
        self._flat = np.empty(network.n_parameters, dtype)
        self._gradient = np.empty_like(self._flat)
        self._cost = LossAndGradient(network, spec.loss, self._flat, self._gradient)
        self._rows, self._positions = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._state = init_state(spec.update, self._flat)
        self._step = make_step(network, spec.update, self._flat, self._gradient, self._state)

    def is_for(self, network: Network, spec: TrainingSpec, samples: Dataset) -> bool:
        """Whether these are the steps of such a training."""
        return samples is self._samples and (network, spec) == (self._network, self._spec)

    def begin(self, rows: Rows, positions: Rows) -> None:
        """Take the rows of an epoch, in rising order of their places among all rows."""
        self._rows, self._positions = rows, positions

    def gradient(self, step: int, n_batch: int, key: int, dropout: float, flat: Array) -> tuple[float, Array]:
        """The shares of cost and gradient of batch `step`, which has `n_batch` rows in all shards together.

        Summed over the shards they are those of the whole batch.
        """
        self._flat[...] = flat
        found = self._of_batch(step, n_batch, key, dropout)
        return (0.0, np.zeros_like(self._gradient)) if found is None else (found, self._gradient)

    def local_steps(self, batches: Sequence[LocalBatch], flat: Array, *state: Array) -> tuple[Any, ...]:
        """Step through some batches with the own rows of each alone, from these parameters and optimizer state.

        Gives the sum of the losses, and parameters and state after the last step. A batch without own rows is left out.
        """
        self._flat[...] = flat
        for own, given in zip(self._state.values(), state, strict=True):
            own[...] = given
        total = 0.0
        for batch in batches:
            n_own = self.n_rows_of(batch.step, batch.n_rows)
            loss = self._of_batch(batch.step, batch.n_rows, batch.key, batch.values.dropout_factor)
            if loss is None:
                continue
            total += loss * batch.n_rows
            with np.errstate(all="ignore"):
                if n_own != batch.n_rows:
                    self._gradient *= batch.n_rows / n_own  # the mean over the own rows
                self._step(batch.count, batch.values)
        return total, self._flat, *self._state.values()

    def seconds_of(self, n_rows: int, flat: Array) -> float:
        """How long the gradient of so many rows takes, at least: of own rows, some of them more than once."""
        self._flat[...] = flat
        rows, positions = np.resize(self._rows, n_rows), np.arange(n_rows, dtype=np.uint32)
        found = []
        for _ in range(TIMED_RUNS + 1):  # the first time pays for what is allocated once
            started = perf_counter()
            with np.errstate(all="ignore"):
                self._of_rows(rows, n_rows, Noise(0, 1.0, positions))
            found.append(perf_counter() - started)
        return min(found[1:])

    def n_rows_of(self, step: int, n_batch: int) -> int:
        """How many rows of a batch are here."""
        start, stop = self._span(step, n_batch)
        return stop - start

    def _span(self, step: int, n_batch: int) -> tuple[int, int]:
        first = step * self._spec.batch_size
        start, stop = np.searchsorted(self._positions, (first, first + n_batch)).tolist()
        return start, stop

    def _of_batch(self, step: int, n_batch: int, key: int, dropout: float) -> float | None:
        """The share of the cost of a batch; that of the gradient is left behind. None where no row is here."""
        start, stop = self._span(step, n_batch)
        if start == stop:
            return None
        positions = (self._positions[start:stop] - step * self._spec.batch_size).astype(np.uint32)
        with np.errstate(all="ignore"):
            loss, n = self._of_rows(self._rows[start:stop], n_batch, Noise(key, dropout, positions))
            if n != n_batch:
                self._gradient *= n / n_batch
        return loss * n / n_batch

    def _of_rows(self, rows: Rows, n_batch: int, noise: Noise) -> tuple[float, int]:
        """The mean cost over the rows, and over how many; the gradient of it."""
        n_rows = len(rows)
        n = n_rows if n_rows == n_batch else math.ceil(n_rows / self._unit) * self._unit
        whole = np.concatenate([rows, np.repeat(rows[:1], n - n_rows)])
        X, y, weights = self._batch.gather(whole)
        if n > n_rows:
            own = self._weights[:n]
            own[:n_rows] = 1.0 if weights is None else weights[:n_rows]
            own[n_rows:] = 0.0
            weights = own
        assert noise.positions is not None
        positions = np.concatenate([noise.positions, np.zeros(n - n_rows, np.uint32)])
        return self._cost(X, y, weights, replace(noise, positions=positions)), n
