"""What the rows of one shard add to the gradient of a batch."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.layers import Noise
from mlpcli.nn.network import LossAndGradient, Network
from mlpcli.training.dataset import Batch, Dataset, Rows
from mlpcli.training.member import TrainingSpec

Array = NDArray[np.floating[Any]]
# How many a batch has from a shard differs from step to step. Buffers are kept for so many sizes; between two of them
# rows of weight 0 fill a batch up.
SIZES = 16


class ShardSteps:
    """The batches of an epoch, as far as they lie in one shard."""

    def __init__(self, network: Network, spec: TrainingSpec, samples: Dataset) -> None:
        self._network, self._spec, self._samples = network, spec, samples
        dtype = samples.X.dtype
        self._unit = max(1, math.ceil(spec.batch_size / SIZES))
        most = math.ceil(spec.batch_size / self._unit) * self._unit
        self._batch = Batch(samples, most, dtype)
        self._weights = np.empty(most, dtype)
        self._flat = np.empty(network.n_parameters, dtype)
        self._gradient = np.empty_like(self._flat)
        self._cost = LossAndGradient(network, spec.loss, self._flat, self._gradient)
        self._rows, self._places = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def is_for(self, network: Network, spec: TrainingSpec, samples: Dataset) -> bool:
        """Whether these are the steps of such a training."""
        return samples is self._samples and (network, spec) == (self._network, self._spec)

    def begin(self, rows: Rows, places: Rows) -> None:
        """Take the rows of an epoch, in rising order of their places among all rows."""
        self._rows, self._places = rows, places

    def gradient(self, step: int, n_batch: int, key: int, dropout: float, flat: Array) -> tuple[float, Array]:
        """The shares of cost and gradient of batch `step`, which has `n_batch` rows in all shards together.

        Summed over the shards they are those of the whole batch.
        """
        self._flat[...] = flat
        first = step * self._spec.batch_size
        start, stop = np.searchsorted(self._places, (first, first + n_batch))
        if start == stop:
            return 0.0, np.zeros_like(self._gradient)
        with np.errstate(all="ignore"):
            noise = Noise(key, dropout, (self._places[start:stop] - first).astype(np.uint32))
            loss, n = self._of_rows(self._rows[start:stop], n_batch, noise)
            if n != n_batch:
                self._gradient *= n / n_batch
        return loss * n / n_batch, self._gradient

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
        assert noise.places is not None
        places = np.concatenate([noise.places, np.zeros(n - n_rows, np.uint32)])
        return self._cost(X, y, weights, replace(noise, places=places)), n
