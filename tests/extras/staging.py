"""Trainings with one engine and another, side by side."""

import numpy as np
import pytest

from mlpcli.nn.initialization import initialize_members
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, Poisson
from mlpcli.training.engine import start_optimizer
from mlpcli.training.loop import fit
from mlpcli.training.samples import Samples
from mlpcli.training.state import start_state
from mlpcli.training.streams import stream

# Room for the rounding of sums taken in another order, over a few epochs.
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}


def make_samples(loss, n_rows=150, n_outputs=3, dtype="float64", is_weighted=False):
    """150 rows leave a last batch of 6 after nine of 16."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n_rows, 3)).astype(dtype)
    score = X @ rng.normal(size=(3, n_outputs)) + 0.3 * rng.normal(size=(n_rows, n_outputs))
    weights = rng.uniform(0.2, 2.0, n_rows) if is_weighted else None
    weights = None if weights is None else (weights / weights.mean()).astype(dtype)
    if isinstance(loss, CrossEntropy):
        smoothed = np.eye(n_outputs, dtype=dtype) * 0.9 + 0.1 / n_outputs
        return Samples(X, score.argmax(axis=1), smoothed.astype(dtype), weights)
    y = (score > 0) if isinstance(loss, BinaryCrossEntropy | Poisson) else score
    return Samples(X, y.astype(dtype), None, weights)


def train(engine, network, plan, samples, state=None, epochs=None):
    dtype = samples.X.dtype
    if state is None:
        rngs = [stream(member, "weights") for member in range(network.members)]
        flat = initialize_members(network, "auto", rngs, dtype).flat
        state = start_state(flat, start_optimizer(plan, flat))
    reports = []
    for report in fit(network, plan, samples, state, engine=engine(network, plan, samples)):
        reports.append(report)
        if report.epoch == epochs:
            break
    return state, reports


def arrays(state):
    return {"flat": state.flat, "best_flat": state.best_flat, **state.optimizer}


def assert_same(ours, theirs, dtype):
    (state, reports), (expected, expected_reports) = ours, theirs
    assert state.optimizer.keys() == expected.optimizer.keys()
    assert state.optimizer["step"] == expected.optimizer["step"]
    for name, values in arrays(expected).items():
        assert arrays(state)[name].dtype == values.dtype
        largest = float(np.abs(values).max(initial=0.0))
        np.testing.assert_allclose(arrays(state)[name], values, rtol=0, atol=TOLERANCE[dtype] * largest, err_msg=name)
    for one, other in zip(reports, expected_reports, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=TOLERANCE[dtype], abs=1e-12)
        assert one.learning_rate == other.learning_rate
