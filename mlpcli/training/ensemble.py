"""An epoch of an ensemble: members are trained independently, and evaluated together."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.ensemble import MeanLogits
from mlpcli.nn.losses import Loss
from mlpcli.nn.network import Network, Predictor
from mlpcli.training.dataset import Dataset
from mlpcli.training.member import EpochResult, Trainer
from mlpcli.training.rows import held_out_rows

Array = NDArray[np.floating[Any]]

# Rows per batch of evaluation: enough for BLAS, few enough for the cache.
EVALUATION_ROWS = 4096


def run_epoch(
    trainers: Sequence[Trainer], epoch: int, must_stop: Callable[[], bool], n_threads: int = 1
) -> list[EpochResult]:
    """Run an epoch of every member, in turn or on threads, with bit-identical results: members share no state.

    Raises NonFiniteLoss if a member does; the others then stop early.
    """
    must_end = Event()

    def run(trainer: Trainer) -> EpochResult:
        with np.errstate(all="ignore"):  # errstate is thread-local
            return trainer.run(epoch, lambda: must_end.is_set() or must_stop())

    if min(n_threads, len(trainers)) == 1:
        return [run(trainer) for trainer in trainers]
    with ThreadPoolExecutor(min(n_threads, len(trainers)), "member") as threads:
        futures = [threads.submit(run, trainer) for trainer in trainers]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:  # after a failure or an interrupt, the other members stop
            must_end.set()
    return [future.result() for future in futures]


class Evaluator:
    """Computes loss and outputs of an ensemble on the rows of a dataset, in buffers that are reused.

    Outputs (n_rows, n_out) are the mean over the members. With `folds` (see `held_out_rows`) outputs are out of fold,
    (n_rounds, n_rows, n_out): of each round of members, one for each fold.
    """

    def __init__(
        self, networks: Sequence[Network], loss: Loss, dataset: Dataset, folds: NDArray[np.int64] | None = None
    ) -> None:
        self.networks, self.loss, self.dataset = networks, loss, dataset
        self._n_folds, self._held_out, leading = 0, list[NDArray[np.int64]](), list[int]()
        if folds is not None:
            self._n_folds = int(folds.max()) + 1
            n_different = self._n_folds if folds.ndim == 1 else len(networks)
            self._held_out = [np.flatnonzero(held_out_rows(folds, member)) for member in range(n_different)]
            leading = [len(networks) // self._n_folds]
        self._outputs = np.zeros((*leading, dataset.n_rows, networks[0].n_out), dataset.X.dtype)

    def run(self, flats: Sequence[Array]) -> tuple[float, Array]:
        """Mean loss for the parameters `flats`, and outputs in an array that the next call overwrites."""
        with np.errstate(all="ignore"):
            if self._held_out:
                return self._evaluate_held_out(flats), self._outputs
            if len(self.networks) == 1:
                return self._evaluate_single(flats[0]), self._outputs
            return self._evaluate_mean(flats), self._outputs

    def _evaluate_single(self, flat: Array) -> float:
        network, total = self.networks[0], 0.0
        for rows, z in self._logits(network, flat, self.dataset.X):
            self._outputs[rows] = network.outputs(z)
            total += self._total(rows, self._losses(network, z, rows))
        return total / self.dataset.n_rows

    def _evaluate_mean(self, flats: Sequence[Array]) -> float:
        first, n_rows, total = self.networks[0], self.dataset.n_rows, 0.0
        has_logits = first.output == self.loss.canonical_activation and first.output in MeanLogits.OUTPUTS
        means = MeanLogits(first.output, n_rows, first.n_out) if has_logits else None
        self._outputs[...] = 0.0
        for network, flat in zip(self.networks, flats, strict=True):
            for rows, z in self._logits(network, flat, self.dataset.X):
                self._outputs[rows] += network.outputs(z)
                if means is not None:
                    means.add(rows, z)
        self._outputs /= len(self.networks)
        for start in range(0, n_rows, EVALUATION_ROWS):
            rows = slice(start, start + EVALUATION_ROWS)
            if means is None:
                losses = self.loss.values(self._outputs[rows], self._y(rows))
            else:
                losses = self._losses(first, means.mean(rows, len(self.networks)), rows)
            total += self._total(rows, losses)
        return total / n_rows

    def _evaluate_held_out(self, flats: Sequence[Array]) -> float:
        total = count = 0.0
        for number, (network, flat) in enumerate(zip(self.networks, flats, strict=True)):
            held_out = self._held_out[number % len(self._held_out)]
            for block, z in self._logits(network, flat, self.dataset.X[held_out]):
                rows = held_out[block]
                self._outputs[number // self._n_folds, rows] = network.outputs(z)
                total += self._total(rows, self._losses(network, z, rows))
                count += len(rows)
        return total / count

    def _logits(self, network: Network, flat: Array, X: Array) -> Iterator[tuple[slice, Array]]:
        return Predictor(network, flat, min(EVALUATION_ROWS, max(len(X), 1))).batches(X)

    def _y(self, rows: Any) -> Array:
        return self.dataset.targets(rows)

    def _losses(self, network: Network, z: Array, rows: Any) -> Array:
        y = self._y(rows)
        if network.output == self.loss.canonical_activation:
            return self.loss.losses_and_delta(z, y, np.empty_like(z))
        return self.loss.values(network.outputs(z), y)

    def _total(self, rows: Any, losses: Array) -> float:
        weights = self.dataset.weights
        return float((losses if weights is None else losses * weights[rows]).sum())
