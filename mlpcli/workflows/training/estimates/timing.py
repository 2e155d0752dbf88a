"""How long a training will take, from real steps of it."""

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
    """Seconds for all epochs, their scores and those at the end; timed on throwaway weights."""
    return step_seconds(prepared) + scoring_seconds(prepared)


def scoring_seconds(prepared: Prepared) -> float:
    """Seconds for the scores of the epochs that are judged, and of every part at the end; one epoch's are timed."""
    if prepared.validation is None:
        return 0.0
    state = initial_state(prepared)
    with blas_threads(1):
        once = _seconds_of(lambda: initial_report(prepared, state))
        if once < PROBE_SECONDS:  # the first time pays for what is allocated once
            once = min(_seconds_of(lambda: initial_report(prepared, state)) for _ in range(3))
    judged = scored_epochs(prepared.loaded.config.training)
    n_judged = prepared.spec.epochs if judged is None else len(judged)
    n_rows = sum(len(part.truth) for part in prepared.splits)
    return once * (n_judged + n_rows / len(prepared.validation.truth))


def _seconds_of(act: Callable[[], object]) -> float:
    started = perf_counter()
    act()
    return perf_counter() - started


def step_seconds(prepared: Prepared) -> float:
    """Seconds for the steps of all epochs, from as many of them as fit into PROBE_SECONDS."""
    spec, members = prepared.spec, prepared.members
    n_members, n_threads = len(members), prepared.n_threads
    make, made = trainer_maker(prepared.engine, n_members, n_threads), list[Trainer]()

    def make_trainer(*arguments: Any) -> Trainer:
        made.append(make(*arguments))
        return made[-1]

    def n_taken() -> int:
        return sum(trainer.state.n_steps for trainer in made)

    started = perf_counter()
    first_steps, first = 0, 0.0

    def is_enough() -> bool:
        nonlocal first_steps, first
        if not first and n_taken():
            first_steps, first = n_taken(), perf_counter()  # they pay for what is loaded and allocated once
        return n_taken() > first_steps and perf_counter() - started > PROBE_SECONDS

    # A rate so high that the first steps diverge is for the training to report; a few steps were timed all the same.
    with blas_threads(1), suppress(NonFiniteLoss):
        for _ in fit(
            members, spec, prepared.train.samples, initial_state(prepared), must_stop=is_enough, n_threads=n_threads,
            make_trainer=make_trainer,
        ):  # fmt: skip
            if is_enough():
                break
    n_steps, since = n_taken() - first_steps, first or started
    per_step = (perf_counter() - since) / max(n_steps, 1)
    return per_step * sum(member.n_steps(spec) for member in members) * spec.epochs
