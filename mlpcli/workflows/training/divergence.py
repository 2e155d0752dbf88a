"""Why a training diverged, and a learning rate that was tried before it is named."""

import math
from collections.abc import Callable
from dataclasses import replace
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

# Inputs that are scaled stay far below.
MAX_INPUT = 1e3
# Lower rates that are tried, as fractions of the one that diverged and of the optimizer's default; the time of each.
FRACTIONS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 1e-3, 1e-4, 1e-5)
TRIAL_SECONDS = 2.0
# A rate that survives must come this far beyond the epoch that diverged, as far as the time allows.
FURTHER_EPOCHS = 2
EVALUATION_ROWS = 4096


def explain_divergence(
    prepared: Prepared, state: TrainingState, fault: NonFiniteLoss, partial: str, must_stop: Callable[[], bool]
) -> str:
    """What happened, what is kept, the likely cause and what to try: the highest rate of some that did not diverge.

    `must_stop` is asked between steps, and ends the search.
    """
    text = f"training diverged at epoch {fault.epoch}: the {fault.where} loss is not finite. "
    if state.epoch:
        text += f"Best weights so far (epoch {state.best_epoch or state.epoch}) are in {partial}/. "
    samples = prepared.train.samples
    there = sharded_inputs(samples)
    largest = float(np.abs(samples.X).max(initial=0.0)) if there is None else there.largest
    if largest > MAX_INPUT:
        return text + (
            f"The inputs reach {largest:.3g}, far from 1. Try --set preprocess.numeric=standardize, "
            "or --set preprocess.numeric=robust if a few rows are outliers."
        )
    found = highest_stable_rate(prepared, fault.epoch, must_stop)
    if must_stop():
        return text + "The learning rate is likely too high."
    if found is None:
        lowest = format_rate(_lower_rates(prepared)[-1])
        return text + (
            f"No lower learning rate helps, down to {lowest}. Look for outliers in targets and weights: mlp check. "
            "Or try --set training.optimizer=adam --set training.gradient_clip=1"
        )
    rate, n_steps = found
    key = "training.optimizer.learning_rate"
    if any(one == key or key.startswith(f"{one}.") for of in prepared.drawn for one in of):
        return text + (
            f"The learning rate is too high: with {format_rate(rate)} for every member, {n_steps} steps did not "
            f"diverge. Lower the rates of model.members.draw."
        )
    return text + (
        f"The learning rate is too high: at {format_rate(rate)}, {n_steps} steps did not diverge. "
        f"Try --set {key}={format_rate(rate)}"
    )


def highest_stable_rate(prepared: Prepared, epoch: int, must_stop: Callable[[], bool]) -> tuple[float, int] | None:
    """The highest rate below the one that diverged at `epoch` with which training goes on, and the steps tried."""
    for lower in _lower_rates(prepared):
        n_steps = _stable_steps(prepared, lower, epoch + FURTHER_EPOCHS, must_stop)
        if n_steps:
            return lower, n_steps
    return None


def _lower_rates(prepared: Prepared) -> list[float]:
    """Rates below that of the training, of one digit each, the highest first."""
    specs = prepared.member_specs or (prepared.spec,)
    optimizer = max((spec.update.optimizer for spec in specs), key=lambda one: one.learning_rate)
    tops = (optimizer.learning_rate, type(optimizer)().learning_rate, 1e-3)
    rates = {float(f"{top * fraction:.0e}") for top in tops for fraction in FRACTIONS}
    return sorted((rate for rate in rates if 0.0 < rate < optimizer.learning_rate), reverse=True)


def _stable_steps(prepared: Prepared, rate: float, epochs: int, must_stop: Callable[[], bool]) -> int:
    """Steps taken from fresh weights at this rate, 0 if the loss is not finite or ends above that of the fresh weights.

    The course of the schedule is that of the whole training.
    """
    spec, members = _with_rate(prepared.spec, rate), [_member_with_rate(member, rate) for member in prepared.members]
    state = initial_state(prepared)
    evaluator = Evaluator(prepared.networks, spec.loss, prepared.train.first(EVALUATION_ROWS).samples)
    before = evaluator.run([member.flat for member in state.members])[0]
    end = perf_counter() + TRIAL_SECONDS
    try:
        with blas_threads(1):
            for report in fit(
                members, spec, prepared.train.samples, state, must_stop=lambda: must_stop() or perf_counter() > end,
                n_threads=prepared.n_threads, make_trainer=trainer_factory(prepared),
            ):  # fmt: skip
                if report.epoch >= epochs:
                    break
    except NonFiniteLoss:
        return 0
    after = evaluator.run([member.evaluated_flat for member in state.members])[0]
    is_sound = math.isfinite(after) and after <= before
    return max(member.n_steps for member in state.members) if is_sound else 0


def _member_with_rate(member: Member, rate: float) -> Member:
    return member if member.own_spec is None else replace(member, own_spec=_with_rate(member.own_spec, rate))


def _with_rate(spec: TrainingSpec, rate: float) -> TrainingSpec:
    return replace(spec, update=replace(spec.update, optimizer=replace(spec.update.optimizer, learning_rate=rate)))


def format_rate(number: float) -> str:
    """A rate as it is written in a config."""
    return f"{number:.{max(1, 1 - math.floor(math.log10(number)))}f}".rstrip("0") if number < 1 else f"{number:g}"
