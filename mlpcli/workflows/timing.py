"""How long a training will take, from real steps of it."""

from contextlib import suppress
from time import perf_counter

from mlpcli.training.engine import NonFiniteLoss
from mlpcli.training.loop import fit
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.engines import make_engine
from mlpcli.workflows.fitting import fresh_state
from mlpcli.workflows.preparation import Prepared

PROBE_SECONDS = 0.3


def expected_seconds(prepared: Prepared) -> float:
    """Seconds for all epochs, from as many steps on throwaway weights as fit into PROBE_SECONDS."""
    state, samples, plan = fresh_state(prepared), prepared.train.samples, prepared.plan
    engine = make_engine(prepared.engine, prepared.network, plan, samples, prepared.folds)
    started = perf_counter()
    first_steps, first = 0, 0.0

    def is_enough() -> bool:
        nonlocal first_steps, first
        if not first and engine.steps_taken:
            first_steps, first = engine.steps_taken, perf_counter()  # they pay for what is loaded and allocated once
        return engine.steps_taken > first_steps and perf_counter() - started > PROBE_SECONDS

    # A rate so high that the first steps diverge is for the training to report; a few steps were timed all the same.
    with blas_threads(1), suppress(NonFiniteLoss):
        for _ in fit(prepared.network, plan, samples, state, must_stop=is_enough, engine=engine):
            if is_enough():
                break
    n_steps, since = engine.steps_taken - first_steps, first or started
    per_step = (perf_counter() - since) / max(n_steps, 1)
    return per_step * engine.n_steps * plan.epochs
