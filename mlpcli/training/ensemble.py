"""An epoch of an ensemble: members are trained independently, and evaluated together."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    """Computes loss and outputs of an ensemble on the rows of a dataset.

    Outputs (n_rows, n_out) are the mean over the members. With `folds` (see `held_out_rows`) outputs are out of fold,
    (n_rounds, n_rows, n_out): of each round of members, one for each fold.
    """

    def __init__(
        self, networks: Sequence[Network], loss: Loss, dataset: Dataset, folds: NDArray[np.int64] | None = None
    ) -> None:
        self.networks, self.loss, self.dataset = networks, loss, dataset
        self._is_mean, self._has_rounds = folds is None and len(networks) > 1, folds is not None
        # Without a mean each network has rows of its own, None for all.
        self._n_folds, self._own_rows = 1, list[NDArray[np.int64] | None]([None])
        if folds is not None:
            self._n_folds = int(folds.max()) + 1
            n_different = self._n_folds if folds.ndim == 1 else len(networks)
            self._own_rows = [np.flatnonzero(held_out_rows(folds, member)) for member in range(n_different)]
        n_rounds = 1 if self._is_mean else len(networks) // self._n_folds
        self._outputs = np.zeros((n_rounds, dataset.n_rows, networks[0].n_out), dataset.X.dtype)

    def run(self, flats: Sequence[Array]) -> tuple[float, Array]:
        """Mean loss for the parameters `flats`, and outputs in an array that the next call overwrites."""
        with np.errstate(all="ignore"):
            loss = self._evaluate_mean(flats) if self._is_mean else self._evaluate_separately(flats)
        return loss, self._outputs if self._has_rounds else self._outputs[0]

    def _evaluate_separately(self, flats: Sequence[Array]) -> float:
        total = count = 0.0
        for number, (network, flat) in enumerate(zip(self.networks, flats, strict=True)):
            for rows, z in self._logits(network, flat, self._own_rows[number % len(self._own_rows)]):
                self._outputs[number // self._n_folds, rows] = network.outputs(z)
                total += self._total_loss(network, z, rows)
                count += len(z)
        return total / count

    def _evaluate_mean(self, flats: Sequence[Array]) -> float:
        first, (outputs,), total = self.networks[0], self._outputs, 0.0
        has_logits = first.output == self.loss.canonical_activation and first.output in MeanLogits.OUTPUTS
        means = MeanLogits(first.output, *outputs.shape) if has_logits else None
        outputs[...] = 0.0
        for network, flat in zip(self.networks, flats, strict=True):
            for rows, z in self._logits(network, flat):
                outputs[rows] += network.outputs(z)
                if means is not None:
                    means.add(rows, z)
        outputs /= len(self.networks)
        for rows in _batches(len(outputs)):
            if means is None:
                total += self._weighted_sum(self.loss.values(outputs[rows], self.dataset.targets(rows)), rows)
            else:
                total += self._total_loss(first, means.mean(rows, len(self.networks)), rows)
        return total / len(outputs)

    def _logits(
        self, network: Network, flat: Array, own: NDArray[np.int64] | None = None
    ) -> Iterator[tuple[Any, Array]]:
        """Batches of the rows `own` (all if None), with their logits in an array that the next batch overwrites."""
        predictor = Predictor(network, flat)
        for batch in _batches(self.dataset.n_rows if own is None else len(own)):
            rows = batch if own is None else own[batch]
            yield rows, predictor.logits(self.dataset.X[rows])

    def _total_loss(self, network: Network, z: Array, rows: Any) -> float:
        y = self.dataset.targets(rows)
        if network.output == self.loss.canonical_activation:
            return self._weighted_sum(self.loss.losses_and_delta(z, y, np.empty_like(z)), rows)
        return self._weighted_sum(self.loss.values(network.outputs(z), y), rows)

    def _weighted_sum(self, losses: Array, rows: Any) -> float:
        weights = self.dataset.weights
        return float((losses if weights is None else losses * weights[rows]).sum())


def _batches(n_rows: int) -> Iterator[slice]:
    for start in range(0, n_rows, EVALUATION_ROWS):
        yield slice(start, min(start + EVALUATION_ROWS, n_rows))


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
