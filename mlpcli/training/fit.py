"""Stochastic gradient descent as a generator: one `EpochReport` per epoch; the caller prints, saves and stops.

Between two reports `state` is complete: a training that is dropped there and continued from a saved copy of the state
ends with bit-identical weights to one that never stopped.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median_low
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.training.dataset import Dataset
from mlpcli.training.ensemble import Evaluator, run_epoch
from mlpcli.training.member import EpochResult, Member, MemberState, NonFiniteLoss, NumpyTrainer, Trainer, TrainingSpec
from mlpcli.watching import is_watched, tell

Array = NDArray[np.floating[Any]]
MakeTrainer = Callable[[Member, Dataset, TrainingSpec, MemberState], Trainer]
Measure = Callable[[Sequence[Array], Array | None], Mapping[str, float]]


@dataclass
class TrainingState:
    """Where a training stands between two epochs: everything a checkpoint must hold to go on bit for bit.

    `best` are the parameters of each member at the best epoch so far. `epoch` counts completed epochs; `best_epoch` is
    0 and `best_score` None until one has been scored. Where the first epoch was given up, `n_steps` is how many of its
    steps every member has taken at least: if it is above 0 such a state is kept, but not gone on from.
    """

    members: list[MemberState]
    best: list[Array]
    epoch: int = 0
    best_epoch: int = 0
    best_score: float | None = None
    n_steps: int = 0

    def copy(self) -> "TrainingState":
        """The same in arrays of its own."""
        return replace(
            self, members=[member.copy() for member in self.members], best=[flat.copy() for flat in self.best]
        )

    @property
    def epochs_without_gain(self) -> int:
        """Completed epochs since the best one."""
        return self.epoch - self.best_epoch


@dataclass(frozen=True)
class Monitor:
    """What decides which epoch is best: a score of the validation outputs, or the validation loss.

    `score(outputs)` takes the outputs of an `Evaluator`; None means the validation loss. Of equally good epochs the
    first is the best, or the last. `judged` are the epochs (from 1) that are scored; None means every one.
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
    """What one epoch did. Losses are means over rows; `score` is the monitor's, None without validation rows.

    `learning_rate` is the last one, of members with rates of their own the median.
    `scores` is what `measure` says of a judged epoch.
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
    """The state before the first epoch; `x` and, of each member, `output_biases` as for `Member.init`."""
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

    Without `monitor` every epoch counts as the best so far: the last one is kept. With one there must be an
    `evaluator`. `measure` is given the weights and the validation outputs of each judged epoch. An epoch is judged
    before anything of it is kept: whatever is raised on the way, `state` is that of the epoch before. `must_stop` is
    asked before every step; once it says yes the epoch is given up and the generator ends, `state` being that of the
    last whole epoch or, without any, of the last step. Raises NonFiniteLoss.
    """
    working = [member.copy() for member in state.members]
    trainers = [
        make_trainer(member, train, member.spec_of(spec), own) for member, own in zip(members, working, strict=True)
    ]
    while state.epoch < spec.epochs:
        started = perf_counter()
        results = run_epoch(trainers, state.epoch, _telling(members, spec, working, must_stop), n_threads)
        is_whole = all(result.is_whole for result in results)
        if not is_whole and state.epoch:
            return
        if not all(own.is_finite for own in working):
            raise NonFiniteLoss(state.epoch + 1, "training")
        if not is_whole:
            state.n_steps = min(own.n_steps for own in working)
            if state.n_steps:
                _keep(state.members, working)
            return
        report = _judged(state, working, results, evaluator, monitor, measure, started)
        _keep(state.members, working)
        state.epoch = report.epoch
        if report.is_best:
            for best, own in zip(state.best, working, strict=True):
                best[...] = own.kept
            state.best_epoch, state.best_score = report.epoch, report.score
        yield report


def _telling(
    members: Sequence[Member], spec: TrainingSpec, working: Sequence[MemberState], must_stop: Callable[[], bool]
) -> Callable[[], bool]:
    """`must_stop`, which tells how many steps of the epoch are taken, of all members together."""
    if not is_watched():
        return must_stop
    total, before = sum(member.n_steps(spec) for member in members), sum(own.n_steps for own in working)

    def asked() -> bool:
        tell("steps", "", sum(own.n_steps for own in working) - before, total)
        return must_stop()

    return asked


def _keep(members: Sequence[MemberState], working: Sequence[MemberState]) -> None:
    for member, own in zip(members, working, strict=True):
        member.assign(own)


def _judged(
    state: TrainingState,
    working: Sequence[MemberState],
    results: Sequence[EpochResult],
    evaluator: Evaluator | None,
    monitor: Monitor | None,
    measure: Measure | None,
    started: float,
) -> EpochReport:
    """What the next epoch of `state`, after which the members are as in `working`, is worth."""
    epoch, validation_loss, outputs, score = state.epoch + 1, None, None, None
    kept, is_judged = [own.kept for own in working], monitor is None or monitor.judges(epoch)
    if evaluator is not None and is_judged:
        validation_loss, outputs = evaluator.run(kept)
        if not math.isfinite(validation_loss):
            raise NonFiniteLoss(epoch, "validation")
    if monitor is not None and outputs is not None:
        score = validation_loss if monitor.score is None else monitor.score(outputs)
    scores = measure(kept, outputs) if measure is not None and is_judged else {}
    is_best = monitor is None or (score is not None and monitor.is_gain(score, state.best_score))
    train_loss = sum(result.loss for result in results) / len(results)
    seconds = perf_counter() - started
    rate = median_low(result.learning_rate for result in results)
    return EpochReport(epoch, train_loss, validation_loss, score, is_best, rate, seconds, scores)
