"""Stochastic gradient descent as a generator: one `EpochReport` per epoch; the caller prints, saves and stops.

Between two reports `state` is complete: a training that is dropped there and continued from a saved copy of the state
ends in the same bits as one that never stopped.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.network import Network
from mlpcli.nn.parameters import view_parameters
from mlpcli.training.engine import Engine, NonFiniteLoss, Plan
from mlpcli.training.groups import numpy_engine
from mlpcli.training.samples import Samples
from mlpcli.training.scorer import Scorer
from mlpcli.training.state import TrainingState

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Monitor:
    """What decides which epoch is best: a score of the validation outputs, or the validation loss.

    `score(outputs)` takes (n_rows, n_out) network outputs on the validation rows; None means the validation loss. Of
    equally good epochs the first is the best, or the last. `judged` are the epochs (from 1) that are scored; None means
    every one.
    """

    name: str
    higher_is_better: bool
    score: Callable[[Array], float] | None = None
    min_gain: float = 0.0
    keeps_last_tie: bool = False
    judged: frozenset[int] | None = None

    def judges(self, epoch: int) -> bool:
        """Whether this epoch is scored."""
        return self.judged is None or epoch in self.judged

    def is_gain(self, score: float, best: float | None) -> bool:
        """Whether `score` beats the best so far by more than `min_gain`, or by just that in a tie; NaN never does."""
        if best is None:
            return not math.isnan(score)
        bound = best + self.min_gain if self.higher_is_better else best - self.min_gain
        if score == bound:
            return self.keeps_last_tie
        return score > bound if self.higher_is_better else score < bound


@dataclass(frozen=True)
class EpochReport:
    """What one epoch did. Losses are means over rows; `score` is the monitor's, None without validation rows."""

    epoch: int
    train_loss: float
    validation_loss: float | None
    score: float | None
    is_best: bool
    learning_rate: float
    seconds: float


def fit(
    network: Network,
    plan: Plan,
    train: Samples,
    state: TrainingState,
    validation: Samples | None = None,
    monitor: Monitor | None = None,
    must_stop: Callable[[], bool] = lambda: False,
    engine: Engine | None = None,
    folds: NDArray[np.int64] | None = None,
) -> Iterator[EpochReport]:
    """Train from `state.epoch` to `plan.epochs`, reporting each epoch; `state` is updated in place.

    Without `monitor` every epoch counts as the best so far: the last one is kept. With one there must be `validation`
    rows to score. `must_stop` is asked before every step; once it says yes the epoch is given up and the generator
    ends, `state` being that of the last whole epoch or, without any, of the last step. `engine` runs the epochs,
    NumPy's if none is given. With `folds` (n_rows,) the validation rows are the training rows, each scored by the
    members that do not train on its fold.
    Raises NonFiniteLoss.
    """
    engine = engine or numpy_engine(network, plan, train, folds)
    scorer = None if validation is None else Scorer(network, plan.loss, validation, folds)
    parameters = view_parameters(network, state.flat.copy())
    working = {name: np.empty_like(values) for name, values in state.optimizer.items()}
    keeps_the_last = monitor is None and plan.averaging is None
    if keeps_the_last:
        state.best_flat = state.flat
    while state.epoch < plan.epochs:
        started = perf_counter()
        epoch = state.epoch + 1
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            for name, values in state.optimizer.items():
                working[name][...] = values
            result = engine.run(parameters, working, state.epoch, must_stop)
            if result is None:
                if not state.epoch:
                    _keep_steps(state, parameters.flat, working, engine.steps_taken)
                return
            if not np.isfinite(parameters.flat).all():
                raise NonFiniteLoss(epoch, "training")
            scored = parameters if plan.averaging is None else view_parameters(network, working["average"])
            is_judged = monitor is None or monitor.judges(epoch)
            validation_loss, outputs = scorer.run(scored) if scorer is not None and is_judged else (None, None)
        if validation_loss is not None and not math.isfinite(validation_loss):
            raise NonFiniteLoss(epoch, "validation")
        score = _monitored(monitor, validation_loss, outputs)
        is_best = monitor is None or (score is not None and monitor.is_gain(score, state.best_score))
        state.flat[...] = parameters.flat
        state.optimizer, working = working, state.optimizer
        state.epoch = epoch
        if is_best:
            if not keeps_the_last:
                state.best_flat[...] = scored.flat
            state.best_epoch, state.best_score = epoch, score
        seconds = perf_counter() - started
        yield EpochReport(epoch, result.train_loss, validation_loss, score, is_best, result.learning_rate, seconds)


def _keep_steps(state: TrainingState, flat: Array, optimizer: dict[str, NDArray[Any]], n_steps: int) -> None:
    if not np.isfinite(flat).all():
        raise NonFiniteLoss(1, "training")
    state.flat[...] = flat
    state.optimizer, state.n_steps = optimizer, n_steps


def _monitored(monitor: Monitor | None, validation_loss: float | None, outputs: Array | None) -> float | None:
    if monitor is None or outputs is None:
        return None
    return validation_loss if monitor.score is None else monitor.score(outputs)
