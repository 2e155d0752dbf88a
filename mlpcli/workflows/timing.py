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
    n_steps, started, first = 0, perf_counter(), 0.0

    def is_enough() -> bool:
        nonlocal n_steps, first
        n_steps += 1
        if n_steps == 2:
            first = perf_counter()  # the first step pays for what is allocated once
        return n_steps > 2 and perf_counter() - started > PROBE_SECONDS

    # A rate so high that the first steps diverge is for the training to report; a few steps were timed all the same.
    with blas_threads(prepared.n_threads), suppress(NonFiniteLoss):
        for _ in fit(prepared.network, plan, samples, state, must_stop=is_enough, engine=engine):
            if perf_counter() - started > PROBE_SECONDS:
                break
    per_step = (perf_counter() - first) / max(n_steps - 2, 1) if first else perf_counter() - started
    n_folds = 0 if prepared.folds is None else int(prepared.folds.max()) + 1
    n_trained = samples.n_rows * (n_folds - 1) // n_folds if n_folds else samples.n_rows
    return per_step * -(-n_trained // plan.batch_size) * plan.epochs
