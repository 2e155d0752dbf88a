"""The loop: what an epoch reports and keeps, bit-exact resuming, divergence, seeds, and that it learns."""

import copy
import gc
import math
import tracemalloc
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from mlpcli.nn.initialization import initialize
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from mlpcli.nn.network import SCORING_ROWS, Dropout, Network, Workspace, backward, forward, mean_loss, predict
from mlpcli.nn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from mlpcli.nn.parameters import allocate_parameters, view_parameters
from mlpcli.nn.schedules import Constant, Cosine, CosLog, FlatCos, OneCycle, Step, schedule_factor
from mlpcli.training import engine, members
from mlpcli.training.engine import NonFiniteLoss, Plan
from mlpcli.training.loop import EpochReport, Monitor, fit
from mlpcli.training.samples import Samples
from mlpcli.training.state import start_state
from mlpcli.training.streams import stream

NETWORK = Network((3, 8, 6, 2), "relu", "softmax", dropout=0.3)
PLAN = Plan(CrossEntropy(), Adam(learning_rate=0.01), Cosine(warmup=1.5), batch_size=16, epochs=6, gradient_clip=0.5)


def make_samples(n_rows=50, seed=0, dtype=np.float32):
    """Two classes a line can part, with row weights; 50 rows leave a last batch of 2 after three of 16."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 3)).astype(dtype)
    codes, weights = (X.sum(axis=1) > 0).astype(np.int64), rng.uniform(0.2, 2.0, n_rows)
    return Samples(X, codes, np.eye(2, dtype=dtype), (weights / weights.mean()).astype(dtype))


def fresh(network, plan, dtype=np.float32):
    parameters = initialize(network, "auto", stream(plan.seed, "weights"), dtype)
    return start_state(parameters.flat, plan.optimizer.start(parameters.flat))


def train(network=NETWORK, plan=PLAN, samples=None, dtype=np.float32, **more):
    state = fresh(network, plan, dtype)
    reports = list(fit(network, plan, samples or make_samples(dtype=dtype), state, **more))
    return state, reports


def bits(state):
    arrays = {"flat": state.flat, "best_flat": state.best_flat, **state.optimizer}
    return {name: values.tobytes() for name, values in arrays.items()} | {
        "epoch": state.epoch, "best_epoch": state.best_epoch, "best_score": state.best_score
    }  # fmt: skip


def scripted(scores, **more):
    """A monitor that reads its scores from a list."""
    remaining = iter(scores)
    return Monitor("scripted", score=lambda outputs: next(remaining), **more)


def batches_of(monkeypatch, **more):
    """The input rows of every step of a training, in order."""
    seen = []

    def spy(parameters, X, workspace, dropout=None):
        seen.append(X.copy())
        return forward(parameters, X, workspace, dropout)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "forward", spy)
        train(**more)
    return seen


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "schedule",
    [Cosine(warmup=1.5), OneCycle(), Step(every=2, gamma=0.5), FlatCos(warmup=1.5), CosLog(cycles=2)],
    ids=lambda s: s.name,
)
@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(momentum=0.9, nesterov=True, weight_decay=0.01),
        Adam(),
        AdamW(),
        RMSprop(momentum=0.5),
        Adagrad(),
    ],
    ids=lambda optimizer: optimizer.name,
)
def test_a_training_stopped_at_any_epoch_and_continued_ends_in_the_same_bits(optimizer, schedule, dtype):
    plan = replace(PLAN, optimizer=optimizer, schedule=schedule, seed=3)
    samples, validation = make_samples(dtype=dtype), make_samples(20, seed=1, dtype=dtype)
    monitor = Monitor("loss", higher_is_better=False)
    whole, reports = train(NETWORK, plan, samples, dtype, validation=validation, monitor=monitor)
    for stop in range(plan.epochs):
        state = fresh(NETWORK, plan, dtype)
        first = list(islice(fit(NETWORK, plan, samples, state, validation, monitor), stop))
        continued = copy.deepcopy(state)
        second = list(fit(NETWORK, plan, samples, continued, validation, monitor))
        assert bits(continued) == bits(whole)
        timeless = [replace(report, seconds=0.0) for report in first + second]
        assert timeless == [replace(report, seconds=0.0) for report in reports]


@pytest.mark.parametrize("n_asked", [0, 4, 5, 6, 13, 22])
def test_a_training_told_to_stop_within_an_epoch_leaves_the_last_whole_one(n_asked):
    whole, _ = train()
    state, asked = fresh(NETWORK, PLAN), iter(range(n_asked))
    reports = list(fit(NETWORK, PLAN, make_samples(), state, must_stop=lambda: next(asked, None) is None))
    assert state.epoch == len(reports) < PLAN.epochs
    until_there = fresh(NETWORK, PLAN)
    list(islice(fit(NETWORK, PLAN, make_samples(), until_there), len(reports)))
    assert bits(state) == bits(until_there)
    list(fit(NETWORK, PLAN, make_samples(), state))
    assert bits(state) == bits(whole)


def test_where_no_epoch_is_whole_the_last_step_is_kept():
    state, asked = fresh(NETWORK, PLAN), iter(range(2))
    start = state.flat.copy()
    assert not list(fit(NETWORK, PLAN, make_samples(), state, must_stop=lambda: next(asked, None) is None))
    assert (state.epoch, state.n_steps, int(state.optimizer["step"])) == (0, 2, 2)
    assert (state.flat != start).any()


def test_a_finished_training_has_nothing_left_to_do():
    state, _ = train()
    before = bits(state)
    assert list(fit(NETWORK, PLAN, make_samples(), state)) == []
    assert bits(state) == before


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    first, again, other = (train(plan=replace(PLAN, seed=seed))[0] for seed in (1, 1, 2))
    assert bits(first) == bits(again)
    assert not (first.flat == other.flat).all()


@pytest.mark.parametrize("field", ["order", "dropout"])
def test_order_and_dropout_each_follow_the_seed(field, monkeypatch):
    """With the same first weights, the training changes when one of its two random choices does."""

    def shifted(seed, name, epoch=0, member=0):
        return stream(seed + (name == field), name, epoch, member)

    before, _ = train()
    for module in (engine, members):
        monkeypatch.setattr(module, "stream", shifted)
    assert not np.array_equal(before.flat, train()[0].flat)


def test_an_epoch_sees_every_row_once_in_batches_with_a_short_one_at_the_end(monkeypatch):
    samples = make_samples()
    seen = batches_of(monkeypatch, samples=samples)
    assert [len(X) for X in seen] == [16, 16, 16, 2] * PLAN.epochs
    for epoch in range(PLAN.epochs):
        rows = np.concatenate(seen[4 * epoch : 4 * epoch + 4])
        np.testing.assert_array_equal(np.sort(rows[:, 0]), np.sort(samples.X[:, 0]))
        assert not np.array_equal(rows, samples.X)
    assert not np.array_equal(seen[0], seen[4])


def test_the_order_of_rows_depends_on_neither_dropout_nor_optimizer(monkeypatch):
    seen = batches_of(monkeypatch)
    plan = replace(PLAN, optimizer=SGD(), schedule=Constant())
    others = batches_of(monkeypatch, network=replace(NETWORK, dropout=0.0), plan=plan)
    for ours, theirs in zip(seen, others, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_epoch_is_steps_over_a_fresh_order_with_fresh_dropout():
    """Three epochs of one step each, written out."""
    samples, plan = make_samples(), replace(PLAN, optimizer=SGD(), schedule=Constant(), gradient_clip=None)
    plan = replace(plan, batch_size=50, epochs=3, seed=4)
    parameters = view_parameters(NETWORK, fresh(NETWORK, plan).flat)
    workspace, gradient = Workspace(NETWORK, 50), allocate_parameters(NETWORK)
    for epoch in range(3):
        rows = stream(4, "order", epoch).permutation(50)
        X, y = samples.X[rows], samples.class_targets[samples.y[rows]]
        dropout = Dropout(NETWORK.dropout, (stream(4, "dropout", epoch),))
        forward(parameters, X, workspace, dropout)
        backward(parameters, gradient, X, y, plan.loss, workspace, samples.weights[rows], uses_dropout=True)
        parameters.flat[...] -= np.float32(0.05) * gradient.flat
    state, _ = train(plan=plan, samples=samples)
    np.testing.assert_allclose(state.flat, parameters.flat, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("batch_size", [50, 51, 1000])
def test_a_batch_as_large_as_the_table_is_one_step_per_epoch(batch_size, monkeypatch):
    seen = batches_of(monkeypatch, plan=replace(PLAN, batch_size=batch_size))
    assert [len(X) for X in seen] == [50] * PLAN.epochs


def test_one_row_can_be_trained_on():
    _, reports = train(samples=make_samples(1))
    assert [report.epoch for report in reports] == [1, 2, 3, 4, 5, 6]


def test_single_precision_stays_single():
    state, _ = train(plan=replace(PLAN, optimizer=SGD(momentum=0.9, weight_decay=0.1)))
    kinds = {values.dtype for name, values in state.optimizer.items() if name != "step"}
    assert kinds | {state.flat.dtype, state.best_flat.dtype} == {np.dtype(np.float32)}


def test_the_training_loss_of_a_single_batch_is_the_cost_before_the_step():
    network, samples = replace(NETWORK, dropout=0.0), make_samples()
    plan = replace(PLAN, batch_size=50, epochs=1)
    start = fresh(network, plan)
    workspace = Workspace(network, 50)
    z, a = forward(view_parameters(network, start.flat), samples.X, workspace)
    cost = mean_loss(network, plan.loss, z, a, samples.targets(slice(0, 50)), samples.weights)
    _, (report,) = train(network, plan, samples)
    assert report.train_loss == pytest.approx(cost, rel=1e-5)


def test_the_training_loss_is_a_mean_over_rows_not_over_batches():
    network = Network((1, 1), "relu", "identity")
    samples = Samples(np.zeros((3, 1), np.float32), np.array([[0.0], [0.0], [2.0]], np.float32))
    still = Plan(SquaredError(), SGD(learning_rate=1e-30), Constant(), batch_size=2, epochs=5)
    _, reports = train(network, still, samples)
    for report in reports:
        assert report.train_loss == pytest.approx(2.0 / 3, rel=1e-6)


def test_the_validation_loss_is_the_weighted_cost_of_the_weights_that_are_kept():
    validation = make_samples(SCORING_ROWS + 900, seed=5)
    state, reports = train(validation=validation)
    a = predict(NETWORK, view_parameters(NETWORK, state.flat), validation.X).astype(float)
    rows = -np.log(a[np.arange(validation.n_rows), validation.y])
    assert reports[-1].validation_loss == pytest.approx((rows * validation.weights).mean(), rel=1e-4)


def test_the_monitor_is_given_the_outputs_of_every_validation_row_without_dropout():
    validation, seen = make_samples(SCORING_ROWS + 7, seed=6), []
    monitor = Monitor("mine", higher_is_better=True, score=lambda outputs: float(seen.append(outputs.copy()) or 0))
    state, _ = train(validation=validation, monitor=monitor)
    assert len(seen) == PLAN.epochs
    expected = predict(NETWORK, view_parameters(NETWORK, state.flat), validation.X)
    np.testing.assert_array_equal(seen[-1], expected)


def test_without_validation_there_is_no_score_and_the_last_epoch_is_kept():
    state, reports = train()
    assert {(report.validation_loss, report.score, report.is_best) for report in reports} == {(None, None, True)}
    assert state.best_epoch == PLAN.epochs
    np.testing.assert_array_equal(state.best_flat, state.flat)


@pytest.mark.parametrize(
    ("scores", "options", "best"),
    [
        ([3.0, 2.0, 1.0, 1.5, 1.2, 1.1], {"higher_is_better": False}, 3),
        ([0.1, 0.9, 0.3, 0.8, 0.5, 0.2], {"higher_is_better": True}, 2),
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.5], {"higher_is_better": True}, 1),
        ([0.50, 0.55, 0.58, 0.65, 0.7, 0.74], {"higher_is_better": True, "min_gain": 0.1}, 4),
        ([0.5, 0.7, 0.6, 0.7, 0.7, 0.6], {"higher_is_better": True}, 2),
        ([0.5, 0.7, 0.6, 0.7, 0.7, 0.6], {"higher_is_better": True, "keeps_last_tie": True}, 5),
        ([3.0, 2.0, 2.0, 2.5, 2.0, math.nan], {"higher_is_better": False, "keeps_last_tie": True}, 5),
        ([0.50, 0.75, 0.75, 1.0, 1.0, 1.0], {"higher_is_better": True, "min_gain": 0.25, "keeps_last_tie": True}, 4),
        ([math.nan, 2.0, math.nan, 3.0, math.nan, 2.5], {"higher_is_better": False}, 2),
        ([math.inf, 2.0, 3.0, 3.0, 3.0, 3.0], {"higher_is_better": False}, 2),
    ],
)
def test_the_weights_of_the_best_epoch_are_kept(scores, options, best):
    state, snapshots, gains = fresh(NETWORK, PLAN), [], []
    monitor = scripted(scores, **options)
    for report in fit(NETWORK, PLAN, make_samples(), state, make_samples(20, seed=1), monitor):
        snapshots.append(state.flat.copy())
        gains.append(report.is_best)
    assert state.best_epoch == best == max(epoch for epoch, is_best in enumerate(gains, start=1) if is_best)
    assert state.best_score == scores[best - 1]
    assert state.epochs_without_gain == PLAN.epochs - best
    np.testing.assert_array_equal(state.best_flat, snapshots[best - 1])
    np.testing.assert_array_equal(state.flat, snapshots[-1])


def test_a_score_that_is_never_defined_names_no_best_epoch():
    state, reports = train(validation=make_samples(20, seed=1), monitor=scripted([math.nan] * 6, higher_is_better=True))
    assert (state.best_epoch, state.best_score) == (0, None)
    assert not any(report.is_best for report in reports)


def test_the_monitor_by_default_follows_the_validation_loss():
    _, reports = train(validation=make_samples(20, seed=1), monitor=Monitor("loss", higher_is_better=False))
    assert [report.score for report in reports] == [report.validation_loss for report in reports]


def test_a_report_names_the_rate_of_the_last_step():
    _, reports = train()
    expected = [0.01 * schedule_factor(PLAN.schedule, epoch + 3.5 / 4, 6) for epoch in range(6)]
    assert [report.learning_rate for report in reports] == pytest.approx(expected)
    assert all(report.seconds > 0 for report in reports)


def explosive(epochs=200, **more):
    """A straight line fitted with a far too large step: the error grows tenfold and more with each epoch."""
    network = Network((1, 1), "relu", "identity")
    X = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
    plan = Plan(SquaredError(), SGD(learning_rate=50.0, **more), Constant(), batch_size=8, epochs=epochs)
    return network, plan, Samples(X, 3 * X + 1)


@pytest.mark.parametrize("is_validated", [False, True])
def test_a_training_that_diverges_raises_and_leaves_the_epoch_before_as_it_was(is_validated):
    network, plan, samples = explosive(momentum=0.9)
    state = fresh(network, plan)
    validation = Samples(samples.X * 1e3, samples.y) if is_validated else None
    before, n_reports = bits(state), 0
    with pytest.raises(NonFiniteLoss) as fault:  # noqa: PT012  # the state between two reports is the point
        for report in fit(network, plan, samples, state, validation):
            assert isinstance(report, EpochReport)
            before, n_reports = bits(state), n_reports + 1
    assert n_reports > 3
    assert bits(state) == before
    assert state.epoch == n_reports == fault.value.epoch - 1
    assert fault.value.where == ("validation" if is_validated else "training")
    assert np.isfinite(state.flat).all()
    assert np.isfinite(state.best_flat).all()


def test_a_loss_that_is_not_finite_at_once_leaves_the_first_weights():
    network, plan, samples = explosive()
    state = fresh(network, plan)
    before = bits(state)
    with pytest.raises(NonFiniteLoss, match="training loss is not finite in epoch 1"):
        next(fit(network, plan, Samples(samples.X, samples.y * np.float32(1e30)), state))
    assert bits(state) == before


def test_weights_that_overflow_in_the_last_step_of_an_epoch_are_not_kept():
    network, plan, samples = explosive()
    plan = replace(plan, optimizer=SGD(learning_rate=1e39))
    state = fresh(network, plan)
    with pytest.raises(NonFiniteLoss):
        list(fit(network, plan, samples, state))
    assert np.isfinite(state.flat).all()
    assert np.isfinite(state.best_flat).all()


def test_the_last_epoch_cannot_end_in_weights_that_are_not_finite():
    network, plan, samples = explosive(epochs=1)
    with pytest.raises(NonFiniteLoss):
        train(network, replace(plan, optimizer=SGD(learning_rate=1e39)), samples)


def clipped_step(largest, target_scale):
    network, plan, samples = explosive(epochs=1)
    plan = replace(plan, optimizer=SGD(learning_rate=1.0), gradient_clip=largest)
    start = fresh(network, plan).flat
    state, _ = train(network, plan, Samples(samples.X, samples.y * np.float32(target_scale)))
    return state.flat.astype(float) - start


def test_a_long_gradient_is_scaled_down_to_the_given_norm_and_keeps_its_direction():
    free, clipped = clipped_step(None, 10.0), clipped_step(0.5, 10.0)
    assert np.linalg.norm(free) > 0.5
    assert np.linalg.norm(clipped) == pytest.approx(0.5, rel=1e-5)
    np.testing.assert_allclose(clipped / np.linalg.norm(clipped), free / np.linalg.norm(free), rtol=1e-5)


def test_a_short_gradient_is_not_clipped():
    np.testing.assert_array_equal(clipped_step(1e6, 1.0), clipped_step(None, 1.0))


def test_a_gradient_whose_square_overflows_is_still_clipped():
    gradient = view_parameters((1, 1), np.array([3e25, -4e25], np.float32))
    with np.errstate(over="ignore"):
        engine.clip(gradient, 1, 10.0)
    np.testing.assert_allclose(gradient.flat, [6.0, -8.0], rtol=1e-6)


def test_weights_count_rows_as_if_they_were_repeated():
    network = Network((1, 3, 1), "tanh", "identity")
    X = np.array([[-1.0], [0.0], [1.0]])
    y = np.array([[1.0], [0.0], [2.0]])
    plan = Plan(SquaredError(), SGD(learning_rate=0.1), Constant(), batch_size=10, epochs=20)
    weighted, _ = train(network, plan, Samples(X, y, weights=np.array([1.0, 2.0, 1.0]) * 3 / 4), np.float64)
    repeated, _ = train(network, plan, Samples(X[[0, 1, 1, 2]], y[[0, 1, 1, 2]]), np.float64)
    np.testing.assert_allclose(weighted.flat, repeated.flat, rtol=1e-10)


def test_class_codes_and_their_written_out_targets_train_alike():
    coded = make_samples()
    written = Samples(coded.X, coded.targets(slice(0, 50)), None, coded.weights)
    assert bits(train(samples=coded)[0]) == bits(train(samples=written)[0])


def test_memory_does_not_grow_from_epoch_to_epoch():
    plan = replace(PLAN, epochs=60, batch_size=7)
    state = fresh(NETWORK, plan)
    reports = fit(NETWORK, plan, make_samples(), state, make_samples(20, seed=1), Monitor("loss", False))
    for _ in islice(reports, 10):
        pass
    tracemalloc.start()
    try:
        next(reports)
        before, _ = tracemalloc.get_traced_memory()
        for _ in reports:
            pass
        gc.collect()  # what other tests have left is not this one's
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 10_000


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gelu"])
def test_xor_can_be_learnt(activation):
    network = Network((2, 8, 1), activation, "sigmoid")
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32) * 2 - 1
    y = np.array([[0], [1], [1], [0]], np.float32)
    plan = Plan(BinaryCrossEntropy(), Adam(learning_rate=0.05), Constant(), batch_size=4, epochs=400)
    state, reports = train(network, plan, Samples(X, y))
    outputs = predict(network, view_parameters(network, state.flat), X)
    np.testing.assert_array_equal(outputs > 0.5, y == 1)
    assert reports[-1].train_loss < 0.05


def test_a_sine_can_be_learnt():
    network = Network((1, 24, 24, 1), "tanh", "identity")
    X = np.linspace(-math.pi, math.pi, 200, dtype=np.float32)[:, None]
    plan = Plan(SquaredError(), Adam(learning_rate=0.01), Cosine(), batch_size=25, epochs=150)
    state, _ = train(network, plan, Samples(X, np.sin(X)))
    outputs = predict(network, view_parameters(network, state.flat), X)
    assert np.abs(outputs - np.sin(X)).max() < 0.05


def test_the_textbook_recipe_learns_sigmoid_outputs_with_squared_error():
    network = Network((3, 10, 2), "sigmoid", "sigmoid")
    samples = make_samples(200)
    plan = Plan(SquaredError(), SGD(learning_rate=3.0), Constant(), batch_size=10, epochs=30)
    state, _ = train(network, plan, replace(samples, weights=None))
    outputs = predict(network, view_parameters(network, state.flat), samples.X)
    assert (outputs.argmax(axis=1) == samples.y).mean() > 0.97
