"""The training loop as a generator of one `EpochReport` per epoch; the caller prints, saves and stops.

Between two reports `state` is complete: a training that is resumed from a copy of it ends with bit-identical weights.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median_low
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.progress import has_listeners, report_progress
from mlpcli.training.dataset import Dataset
from mlpcli.training.ensemble import Evaluator, run_epoch
from mlpcli.training.member import EpochResult, Member, MemberState, NonFiniteLoss, NumpyTrainer, Trainer, TrainingSpec

Array = NDArray[np.floating[Any]]
MakeTrainer = Callable[[Member, Dataset, TrainingSpec, MemberState], Trainer]
Measure = Callable[[Sequence[Array], Array | None], Mapping[str, float]]


@dataclass
class TrainingState:
    """State of a training between two epochs: everything that a checkpoint needs for bit-identical resuming.

    `best` are the parameters of each member at the best epoch so far. `epoch` counts completed epochs; `best_epoch` is
    0 and `best_score` None until one has been scored. If the first epoch was stopped, `n_steps` is the smallest number
    of steps of a member; a state with `n_steps` above 0 cannot be resumed.
    """

    members: list[MemberState]
    best: list[Array]
    epoch: int = 0
    best_epoch: int = 0
    best_score: float | None = None
    n_steps: int = 0

    def copy(self) -> "TrainingState":
        """A deep copy."""
        return replace(
            self, members=[member.copy() for member in self.members], best=[flat.copy() for flat in self.best]
        )

    @property
    def epochs_without_gain(self) -> int:
        """Completed epochs since the best one."""
        return self.epoch - self.best_epoch


@dataclass(frozen=True)
class Monitor:
    """The criterion of the best epoch: a score of the validation outputs, or the validation loss.

    `score(outputs)` takes the outputs of an `Evaluator`; None means the validation loss. In a tie the first epoch is
    the best, or with `keeps_last_tie` the last. `scored_epochs` (from 1) are evaluated; None means all.
    """

    name: str
    higher_is_better: bool
    score: Callable[[Array], float] | None = None
    min_gain: float = 0.0
    keeps_last_tie: bool = False
    scored_epochs: frozenset[int] | None = None

    def scores_epoch(self, epoch: int) -> bool:
        """Whether this epoch (from 1) is evaluated."""
        return self.scored_epochs is None or epoch in self.scored_epochs

    def is_gain(self, score: float, best: float | None) -> bool:
        """Whether `score` is better than `best` by more than `min_gain`, or ties if `keeps_last_tie`; NaN never is."""
        if best is None:
            return not math.isnan(score)
        bound = best + self.min_gain if self.higher_is_better else best - self.min_gain
        if score == bound:
            return self.keeps_last_tie
        return score > bound if self.higher_is_better else score < bound


@dataclass(frozen=True)
class EpochReport:
    """The results of an epoch. Losses are means over rows; `score` is the monitor's, None without validation rows.

    `learning_rate` is that of the last step, the median over members. `scores` is the result of `measure`, empty for
    epochs that are not scored.
    """

    epoch: int
    train_loss: float
    validation_loss: float | None
    score: float | None
    is_best: bool
    learning_rate: float
    seconds: float
    scores: Mapping[str, float] = field(default_factory=dict)


def init_training(
    members: Sequence[Member],
    spec: TrainingSpec,
    dtype: "np.dtype[Any]",
    x: Array | None = None,
    output_biases: Sequence[Array] | None = None,
) -> TrainingState:
    """The state before the first epoch; `x` and `output_biases`, one per member, as for `Member.init`."""
    biases = [None] * len(members) if output_biases is None else output_biases
    states = [member.init(spec, dtype, x, bias) for member, bias in zip(members, biases, strict=True)]
    return TrainingState(states, [state.flat.copy() for state in states])


def fit(
    members: Sequence[Member],
    spec: TrainingSpec,
    train: Dataset,
    state: TrainingState,
    evaluator: Evaluator | None = None,
    monitor: Monitor | None = None,
    must_stop: Callable[[], bool] = lambda: False,
    n_threads: int = 1,
    make_trainer: MakeTrainer = NumpyTrainer,
    measure: Measure | None = None,
) -> Iterator[EpochReport]:
    """Train from `state.epoch` to `spec.epochs`, reporting each epoch; `state` is updated in place.

    Without `monitor` every epoch is the best so far, so the last one is kept; `monitor` requires an `evaluator`.
    `measure(flats, outputs)` gets the parameters and validation outputs of each scored epoch. An epoch is evaluated
    before `state` is updated: after an exception, `state` is that of the epoch before. `must_stop` is called before
    every step; when it returns True the generator ends with the `state` of the last complete epoch or, without any, of
    the last step. Raises NonFiniteLoss.
    """
    working = [member.copy() for member in state.members]
    trainers = [
        make_trainer(member, train, member.effective_spec(spec), own)
        for member, own in zip(members, working, strict=True)
    ]
    while state.epoch < spec.epochs:
        started = perf_counter()
        results = run_epoch(trainers, state.epoch, _reporting_steps(members, spec, working, must_stop), n_threads)
        is_complete = all(result.is_complete for result in results)
        if not is_complete and state.epoch:
            return
        if not all(own.is_finite for own in working):
            raise NonFiniteLoss(state.epoch + 1, "training")
        if not is_complete:
            state.n_steps = min(own.n_steps for own in working)
            if state.n_steps:
                _commit(state.members, working)
            return
        report = _evaluate_epoch(state, working, results, evaluator, monitor, measure, started)
        _commit(state.members, working)
        state.epoch = report.epoch
        if report.is_best:
            for best, own in zip(state.best, working, strict=True):
                best[...] = own.evaluated_flat
            state.best_epoch, state.best_score = report.epoch, report.score
        yield report


def _reporting_steps(
    members: Sequence[Member], spec: TrainingSpec, working: Sequence[MemberState], must_stop: Callable[[], bool]
) -> Callable[[], bool]:
    """`must_stop`, wrapped to report the steps of the epoch, summed over members, to listeners."""
    if not has_listeners():
        return must_stop
    total, before = sum(member.n_steps(spec) for member in members), sum(own.n_steps for own in working)

    def report_and_ask() -> bool:
        report_progress("steps", "", sum(own.n_steps for own in working) - before, total)
        return must_stop()

    return report_and_ask


def _commit(members: Sequence[MemberState], working: Sequence[MemberState]) -> None:
    for member, own in zip(members, working, strict=True):
        member.assign(own)


def _evaluate_epoch(
    state: TrainingState,
    working: Sequence[MemberState],
    results: Sequence[EpochResult],
    evaluator: Evaluator | None,
    monitor: Monitor | None,
    measure: Measure | None,
    started: float,
) -> EpochReport:
    """The report of the next epoch of `state`, after which the members are as in `working`."""
    epoch, validation_loss, outputs, score = state.epoch + 1, None, None, None
    flats, is_scored = [member.evaluated_flat for member in working], monitor is None or monitor.scores_epoch(epoch)
    if evaluator is not None and is_scored:
        validation_loss, outputs = evaluator.run(flats)
        if not math.isfinite(validation_loss):
            raise NonFiniteLoss(epoch, "validation")
    if monitor is not None and outputs is not None:
        score = validation_loss if monitor.score is None else monitor.score(outputs)
    scores = measure(flats, outputs) if measure is not None and is_scored else {}
    is_best = monitor is None or (score is not None and monitor.is_gain(score, state.best_score))
    train_loss = sum(result.loss for result in results) / len(results)
    seconds = perf_counter() - started
    rate = median_low(result.learning_rate for result in results)
    return EpochReport(epoch, train_loss, validation_loss, score, is_best, rate, seconds, scores)
