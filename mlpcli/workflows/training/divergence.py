"""Explains why a training diverged, and finds a learning rate that does not diverge."""

import math
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from time import perf_counter

import numpy as np

from mlpcli.training.ensemble import Evaluator
from mlpcli.training.fit import TrainingState, fit
from mlpcli.training.member import Member, NonFiniteLoss, TrainingSpec
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.sharded.inputs import sharded_inputs
from mlpcli.workflows.training.fitting import trainer_factory
from mlpcli.workflows.training.initial_state import initial_state

# Scaled inputs stay far below this.
MAX_INPUT = 1e3
# The range of rates to try, as multiples of the optimizer's default: a few steps at a higher rate need not diverge, but
# learn nothing. Seconds for each trial.
LARGEST_MULTIPLE, LOWEST_MULTIPLE = 100.0, 1e-5
TRIAL_SECONDS = 2.0
# A rate is stable if it trains for this many epochs beyond the one that diverged, or until its time is over.
EXTRA_EPOCHS = 2
EVALUATION_ROWS = 4096


def explain_divergence(
    prepared: Prepared, state: TrainingState, fault: NonFiniteLoss, partial: str, must_stop: Callable[[], bool]
) -> str:
    """A message that says what happened, which weights are saved, the likely cause, and what to try.

    The recommended learning rate is the highest of several that trains without diverging. `must_stop` is polled between
    steps and ends the trials.
    """
    text = f"training diverged at epoch {fault.epoch}: the {fault.where} loss is not finite. "
    if state.epoch:
        text += f"Best weights so far (epoch {state.best_epoch or state.epoch}) are in {partial}/. "
    samples = prepared.train.samples
    on_cluster = sharded_inputs(samples)
    largest = float(np.abs(samples.X).max(initial=0.0)) if on_cluster is None else on_cluster.largest
    if largest > MAX_INPUT:
        return text + (
            f"The inputs reach {largest:.3g}, far from 1. Try --set preprocess.numeric=standardize, "
            "or --set preprocess.numeric=robust if a few rows are outliers."
        )
    stable = highest_stable_rate(prepared, fault.epoch, must_stop)
    if must_stop():
        return text + "The learning rate is likely too high."
    if stable is None:
        lowest = format_rate(_lower_rates(prepared)[-1])
        return text + (
            f"No lower learning rate helps, down to {lowest}. Look for outliers in targets and weights: mlp check. "
            "Or try --set training.optimizer=adam --set training.gradient_clip=1"
        )
    rate, n_steps = stable
    key = "training.optimizer.learning_rate"
    if any(drawn == key or key.startswith(f"{drawn}.") for values in prepared.drawn for drawn in values):
        return text + (
            f"The learning rate is too high: with {format_rate(rate)} for every member, {n_steps} steps did not "
            f"diverge. Lower the rates of model.members.draw."
        )
    return text + (
        f"The learning rate is too high: at {format_rate(rate)}, {n_steps} steps did not diverge. "
        f"Try --set {key}={format_rate(rate)}"
    )


def highest_stable_rate(prepared: Prepared, epoch: int, must_stop: Callable[[], bool]) -> tuple[float, int] | None:
    """The highest learning rate that is stable beyond `epoch`, where training diverged, and its number of steps.

    The rates tried are half and a fifth of the one that diverged (or of the largest one that can be useful), then
    decades down to a stable rate, then five times and twice that one. None if no rate is stable.
    """
    unstable, epochs = math.inf, epoch + EXTRA_EPOCHS
    for rate in _lower_rates(prepared):
        n_steps = _stable_steps(prepared, rate, epochs, must_stop)
        if n_steps:
            break
        unstable = rate
    else:
        return None
    for higher_rate in (5 * rate, 2 * rate):
        if higher_rate < unstable < math.inf and (more := _stable_steps(prepared, higher_rate, epochs, must_stop)):
            return higher_rate, more
    return rate, n_steps


def _lower_rates(prepared: Prepared) -> list[float]:
    """Learning rates below that of the training, rounded to one digit, in descending order."""
    specs = prepared.member_specs or (prepared.spec,)
    optimizer = max((spec.update.optimizer for spec in specs), key=attrgetter("learning_rate"))
    default = type(optimizer)().learning_rate
    rate = min(optimizer.learning_rate, LARGEST_MULTIPLE * default)
    lowest = LOWEST_MULTIPLE * min(rate, default, 1e-3)
    n_decades = math.ceil(math.log10(rate / lowest))
    fractions = (0.5, 0.2, *(10.0**-decade for decade in range(1, n_decades + 1)))
    return [float(f"{rate * fraction:.0e}") for fraction in fractions]


def _stable_steps(prepared: Prepared, rate: float, epochs: int, must_stop: Callable[[], bool]) -> int:
    """Number of steps from initial weights at this rate; 0 if the loss becomes non-finite or exceeds the initial loss.

    The schedule is that of the whole training.
    """
    spec, members = _with_rate(prepared.spec, rate), [_member_with_rate(member, rate) for member in prepared.members]
    state = initial_state(prepared)
    evaluator = Evaluator(prepared.networks, spec.loss, prepared.train.first(EVALUATION_ROWS).samples)
    initial_loss = evaluator.run([member.flat for member in state.members])[0]
    deadline = perf_counter() + TRIAL_SECONDS
    try:
        with blas_threads(1):
            for report in fit(
                members, spec, prepared.train.samples, state, n_threads=prepared.n_threads,
                must_stop=lambda: must_stop() or perf_counter() > deadline, make_trainer=trainer_factory(prepared),
            ):  # fmt: skip
                if report.epoch >= epochs:
                    break
    except NonFiniteLoss:
        return 0
    final_loss = evaluator.run([member.evaluated_flat for member in state.members])[0]
    is_sound = math.isfinite(final_loss) and final_loss <= initial_loss
    return max(member.n_steps for member in state.members) if is_sound else 0


def _member_with_rate(member: Member, rate: float) -> Member:
    return member if member.own_spec is None else replace(member, own_spec=_with_rate(member.own_spec, rate))


def _with_rate(spec: TrainingSpec, rate: float) -> TrainingSpec:
    return replace(spec, update=replace(spec.update, optimizer=replace(spec.update.optimizer, learning_rate=rate)))


def format_rate(number: float) -> str:
    """A learning rate as it is written in a config, without an exponent."""
    return f"{number:.{max(1, 1 - math.floor(math.log10(number)))}f}".rstrip("0") if number < 1 else f"{number:g}"
