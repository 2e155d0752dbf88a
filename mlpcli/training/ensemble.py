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
        """The loss of the mean outputs, of their logits if possible.

        These are log a, or log a - log(1 - a): logarithms are added up by `logaddexp`, which small probabilities do not
        underflow.
        """
        first, (outputs,), n, total = self.networks[0], self._outputs, len(self.networks), 0.0
        is_canonical = first.output == self.loss.canonical_activation
        n_logs = {"softmax": 1, "exp": 1, "sigmoid": 2}.get(first.output, 0) if is_canonical else 0
        logs = np.full((n_logs, *outputs.shape), -np.inf)
        outputs[...] = 0.0
        for network, flat in zip(self.networks, flats, strict=True):
            for rows, z in self._logits(network, flat):
                outputs[rows] += network.outputs(z)
                if n_logs:
                    logs[:, rows] = np.logaddexp(logs[:, rows], _log_outputs(first.output, z))
        outputs /= n
        for rows in _batches(len(outputs)):
            if n_logs:
                total += self._total_loss(first, logs[0, rows] - (logs[1, rows] if n_logs == 2 else np.log(n)), rows)
            else:
                total += self._weighted_sum(self.loss.values(outputs[rows], self.dataset.targets(rows)), rows)
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


def _log_outputs(output: str, z: Array) -> Array:
    """log a (1, n, n_out) of a softmax or exp, or log a and log(1 - a) (2, n, n_out) of a sigmoid, in float64."""
    z = z.astype(np.float64)
    if output == "sigmoid":
        return np.stack([-np.logaddexp(0.0, -z), -np.logaddexp(0.0, z)])
    if output == "softmax":
        z -= z.max(axis=1, keepdims=True)
        z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
    return z[None]
