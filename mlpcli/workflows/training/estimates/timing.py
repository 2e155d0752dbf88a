"""Estimates the duration of a training by timing some of its steps."""

from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import Any

from mlpcli.training.fit import fit
from mlpcli.training.member import NonFiniteLoss, Trainer
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.preparing.networks.early_stopping import scored_epochs
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.training.engines import trainer_maker
from mlpcli.workflows.training.fitting import initial_report
from mlpcli.workflows.training.initial_state import initial_state

PROBE_SECONDS = 0.3


def expected_seconds(prepared: Prepared) -> float:
    """Estimated seconds for all epochs, their scores and the final scores; the timed steps train other weights."""
    return step_seconds(prepared) + scoring_seconds(prepared)


def scoring_seconds(prepared: Prepared) -> float:
    """Estimated seconds for scoring the scored epochs, and every split at the end; one scoring is timed."""
    if prepared.validation is None:
        return 0.0
    state = initial_state(prepared)
    with blas_threads(1):
        seconds = _seconds_of(lambda: initial_report(prepared, state))
        if seconds < PROBE_SECONDS:  # the first run is slower, as it allocates the buffers
            seconds = min(_seconds_of(lambda: initial_report(prepared, state)) for _ in range(3))
    scored = scored_epochs(prepared.loaded.config.training)
    n_scored = prepared.spec.epochs if scored is None else len(scored)
    n_rows = sum(len(split.truth) for split in prepared.splits)
    return seconds * (n_scored + n_rows / len(prepared.validation.truth))


def _seconds_of(act: Callable[[], object]) -> float:
    started = perf_counter()
    act()
    return perf_counter() - started


def step_seconds(prepared: Prepared) -> float:
    """Estimated seconds for the steps of all epochs, from as many steps as fit into PROBE_SECONDS."""
    spec, members = prepared.spec, prepared.members
    n_members, n_threads = len(members), prepared.n_threads
    make_untracked, trainers = trainer_maker(prepared.engine, n_members, n_threads), list[Trainer]()

    def make_trainer(*arguments: Any) -> Trainer:
        trainers.append(make_untracked(*arguments))
        return trainers[-1]

    def n_steps_taken() -> int:
        return sum(trainer.state.n_steps for trainer in trainers)

    started = perf_counter()
    first_steps, timed_since = 0, 0.0

    def is_enough() -> bool:
        nonlocal first_steps, timed_since
        if not timed_since and n_steps_taken():
            # The first steps are not timed: they load and allocate what the others reuse.
            first_steps, timed_since = n_steps_taken(), perf_counter()
        return n_steps_taken() > first_steps and perf_counter() - started > PROBE_SECONDS

    # If the first steps diverge, the training itself will report it; the steps before that have been timed.
    with blas_threads(1), suppress(NonFiniteLoss):
        for _ in fit(
            members, spec, prepared.train.samples, initial_state(prepared), must_stop=is_enough, n_threads=n_threads,
            make_trainer=make_trainer,
        ):  # fmt: skip
            if is_enough():
                break
    n_steps, start = n_steps_taken() - first_steps, timed_since or started
    per_step = (perf_counter() - start) / max(n_steps, 1)
    return per_step * sum(member.n_steps(spec) for member in members) * spec.epochs
