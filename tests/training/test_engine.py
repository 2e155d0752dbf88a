"""Several members in one training, averages, and schedules of dropout and decay: what an epoch does with them."""

import copy
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
import pytest

from mlpcli.nn.architecture import Front, Network
from mlpcli.nn.averaging import ExponentialAverage, StochasticAverage
from mlpcli.nn.groups import member_of
from mlpcli.nn.initialization import initialize_members
from mlpcli.nn.losses import CrossEntropy, SquaredError
from mlpcli.nn.network import Workspace, backward, forward, predict
from mlpcli.nn.optimizers import SGD, Adam, AdamW
from mlpcli.nn.parameters import allocate_parameters, count_parameters, view_parameters
from mlpcli.nn.rates import Rates
from mlpcli.nn.schedules import Constant, Cosine, CosLog, FlatCos, Step
from mlpcli.training import engine, members
from mlpcli.training.engine import Plan, start_optimizer
from mlpcli.training.loop import Monitor, fit
from mlpcli.training.members import draw_folds
from mlpcli.training.samples import Samples
from mlpcli.training.state import start_state
from mlpcli.training.streams import stream

NETWORK = Network((3, 8, 2), "tanh", "softmax", members=4)
PLAN = Plan(CrossEntropy(), Adam(learning_rate=0.02), Constant(), batch_size=16, epochs=4)


def make_samples(n_rows=50, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 3)).astype(dtype)
    weights = rng.uniform(0.2, 2.0, n_rows)
    codes = (X.sum(axis=1) > 0).astype(np.int64)
    return Samples(X, codes, np.eye(2, dtype=dtype), (weights / weights.mean()).astype(dtype))


def fresh(network, plan, dtype=np.float64):
    rngs = [stream(plan.seed, "weights", member=member) for member in range(network.members)]
    parameters = initialize_members(network, "auto", rngs, dtype)
    return start_state(parameters.flat, start_optimizer(plan, parameters.flat))


def train(network=NETWORK, plan=PLAN, samples=None, **more):
    state = fresh(network, plan)
    reports = list(fit(network, plan, samples or make_samples(), state, **more))
    return state, reports


def vectors_of_steps(monkeypatch, network, plan, samples=None, **more):
    """The parameters after every step of a training."""
    found, bind = [], engine.bind

    def spy(optimizer, flat, *rest):
        take_step = bind(optimizer, flat, *rest)

        def noted(*factors):
            take_step(*factors)
            found.append(flat.copy())

        return noted

    with monkeypatch.context() as patch:
        patch.setattr(engine, "bind", spy)
        state, reports = train(network, plan, samples, **more)
    return np.array(found), state, reports


def member_flat(network, flat, number):
    return member_of(network, view_parameters(network, flat), number).flat


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("optimizer", [SGD(momentum=0.9), AdamW()], ids=lambda optimizer: optimizer.name)
def test_the_first_member_trains_as_a_single_network_does(optimizer, clip):
    plan = replace(PLAN, optimizer=optimizer, gradient_clip=clip)
    together, _ = train(NETWORK, plan)
    alone, _ = train(replace(NETWORK, members=1), plan)
    first = member_flat(NETWORK, together.flat, 0)
    np.testing.assert_allclose(first, alone.flat, rtol=1e-9, atol=1e-12)
    assert not np.allclose(member_flat(NETWORK, together.flat, 1), alone.flat, atol=1e-3)


def test_the_reported_loss_is_the_mean_over_the_members():
    _, together = train()
    alone = []
    for member in range(4):
        single, plan = replace(NETWORK, members=1), replace(PLAN, epochs=1, batch_size=50)
        flat = member_flat(NETWORK, fresh(NETWORK, PLAN).flat, member)
        state = start_state(flat, start_optimizer(plan, flat))
        alone += [report.train_loss for report in fit(single, plan, make_samples(), state)]
    _, (report,) = train(plan=replace(PLAN, epochs=1, batch_size=50))
    assert report.train_loss == pytest.approx(np.mean(alone), rel=1e-12)
    assert together[-1].train_loss < together[0].train_loss


def test_each_member_is_clipped_by_the_norm_of_its_own_gradient():
    """One step of SGD from zero loss slope: a member far off moves as far as the bound, one nearby by its gradient."""
    network = Network((2, 1), "identity", "identity", members=2)
    flat = np.array([10.0, 10.0, 0.1, 0.0, 0.0, 0.0])
    samples = Samples(np.array([[3.0, 4.0]]), np.array([[0.0]]))
    plan = Plan(SquaredError(), SGD(learning_rate=1.0, momentum=0.0), Constant(), 1, 1, gradient_clip=2.0)
    state = start_state(flat.copy(), start_optimizer(plan, flat))
    list(fit(network, plan, samples, state))
    moved = view_parameters(network, state.flat - flat)
    far, near = (member_of(network, moved, member).flat for member in range(2))
    assert np.linalg.norm(far) == pytest.approx(2.0, rel=1e-12)
    # z = 0.3, so the gradient is 0.3 (3, 4, 1), shorter than 2.
    np.testing.assert_allclose(near, [-0.9, -1.2, -0.3], rtol=1e-12)


def test_no_member_learns_from_its_fold():
    """Labels at random: what was learnt by heart is known, what was left out is guessed."""
    rng = np.random.default_rng(0)
    samples = Samples(rng.normal(size=(160, 8)), rng.integers(2, size=160), np.eye(2))
    network = Network((8, 64, 2), "relu", "softmax", members=4)
    folds = draw_folds(4, samples.y, 160, seed=0)
    plan = Plan(
        CrossEntropy(), Adam(learning_rate=0.01), Constant(), batch_size=40, epochs=120, member_rows="folds"
    )  # fmt: skip
    state, reports = train(network, plan, samples, validation=samples, folds=folds)
    parameters = view_parameters(network, state.flat)
    for member in range(4):
        own = member_of(network, parameters, member)
        is_right = predict(network.member(member), own, samples.X).argmax(axis=1) == samples.y
        assert is_right[folds != member].mean() > 0.98
        assert 0.2 < is_right[folds == member].mean() < 0.8
    assert reports[-1].train_loss < 0.1
    assert reports[-1].validation_loss > 0.69


@pytest.mark.parametrize("kind", ["all", "bootstrap"])
def test_the_rows_of_a_step_are_the_members_own(kind, monkeypatch):
    seen = []
    real = forward

    def spy(parameters, X, workspace, dropout=None):
        seen.append(X.copy())
        return real(parameters, X, workspace, dropout)

    monkeypatch.setattr(engine, "forward", spy)
    samples = make_samples()
    train(plan=replace(PLAN, member_rows=kind, epochs=1), samples=samples)
    for member in range(4):
        rows = np.sort(np.concatenate([X[member, :, 0] for X in seen]))
        if kind == "all":
            np.testing.assert_array_equal(rows, np.sort(samples.X[:, 0]))
        else:
            assert len(rows) == 50
            assert len(np.unique(rows)) < 45
    assert not np.array_equal(seen[0][0], seen[0][1])


@pytest.mark.parametrize("averaging", [ExponentialAverage(decay=0.9), StochasticAverage(start=0.4)])
@pytest.mark.parametrize("members", [1, 4])
def test_the_average_over_the_steps_is_what_is_scored_and_kept(averaging, members, monkeypatch):
    network, plan = replace(NETWORK, members=members), replace(PLAN, averaging=averaging)
    validation, outputs = make_samples(20, seed=7), []
    monitor = Monitor("mine", higher_is_better=False, score=lambda found: float(outputs.append(found.copy()) or 0.0))
    steps, state, _ = vectors_of_steps(monkeypatch, network, plan, validation=validation, monitor=monitor)
    assert len(steps) == 16
    average, kept = fresh(network, plan).flat, []
    for step, flat in enumerate(steps, start=1):
        average += averaging.share(step, 16) * (flat - average)
        kept.append(average.copy())
    for epoch, found in enumerate(outputs):
        expected = predict(network, view_parameters(network, kept[4 * epoch + 3]), validation.X)
        np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(state.best_flat, kept[3], rtol=1e-10)  # of equal scores the first epoch is kept
    np.testing.assert_allclose(state.optimizer["average"], kept[-1], rtol=1e-10)
    np.testing.assert_array_equal(state.flat, steps[-1])
    assert not np.allclose(state.flat, kept[-1])


def test_averaging_leaves_the_steps_alone(monkeypatch):
    plain, *_ = vectors_of_steps(monkeypatch, NETWORK, PLAN)
    averaged, *_ = vectors_of_steps(monkeypatch, NETWORK, replace(PLAN, averaging=StochasticAverage()))
    np.testing.assert_array_equal(plain, averaged)


@pytest.mark.parametrize("averaging", [None, ExponentialAverage(decay=0.95), StochasticAverage(start=0.3)])
@pytest.mark.parametrize("rows", ["all", "bootstrap", "folds"])
def test_members_stopped_at_any_epoch_and_continued_end_in_the_same_bits(rows, averaging):
    network = replace(NETWORK, dropout=0.3, front=Front(is_scaled=True), learns_slopes=True)
    plan = replace(
        PLAN, optimizer=AdamW(weight_decay=0.1), schedule=CosLog(cycles=2), member_rows=rows, averaging=averaging,
        dropout_schedule=FlatCos(), decay_schedule=Cosine(), rates=Rates(biases=0.1), is_ntk=True, epochs=5,
    )  # fmt: skip
    samples = make_samples(dtype=np.float32)
    folds = draw_folds(2, samples.y, samples.n_rows, seed=1) if rows == "folds" else None
    validation = samples if rows == "folds" else make_samples(20, seed=1, dtype=np.float32)
    monitor = Monitor("loss", higher_is_better=False, judged=frozenset({2, 3, 5}))

    def going_on(state):
        return fit(network, plan, samples, state, validation, monitor, folds=folds)

    whole = fresh(network, plan, np.float32)
    list(going_on(whole))
    for stop in range(plan.epochs):
        state = fresh(network, plan, np.float32)
        list(islice(going_on(state), stop))
        continued = copy.deepcopy(state)
        list(going_on(continued))
        np.testing.assert_array_equal(continued.flat, whole.flat)
        np.testing.assert_array_equal(continued.best_flat, whole.best_flat)
        assert (continued.best_epoch, continued.best_score) == (whole.best_epoch, whole.best_score)
        assert continued.optimizer.keys() == whole.optimizer.keys()
        for name, values in whole.optimizer.items():
            np.testing.assert_array_equal(continued.optimizer[name], values)


def test_only_the_judged_epochs_are_scored_and_one_of_them_is_kept():
    falling = iter([3.0, 2.0, 1.0])
    monitor = Monitor("mine", higher_is_better=True, judged=frozenset({2, 4, 6}), score=lambda outputs: next(falling))
    state, reports = train(plan=replace(PLAN, epochs=6), validation=make_samples(20, seed=2), monitor=monitor)
    assert list(falling) == []
    assert [report.epoch for report in reports if report.score is not None] == [2, 4, 6]
    assert [report.epoch for report in reports if report.validation_loss is not None] == [2, 4, 6]
    assert [report.epoch for report in reports if report.is_best] == [2]
    assert state.best_epoch == 2


def shares_of(monkeypatch, plan, network):
    """The share of dropout and the factor of decay of every step."""
    dropouts, decays, bind, real = [], [], engine.bind, forward

    def spy(parameters, X, workspace, dropout=None):
        dropouts.append(None if dropout is None else dropout.share)
        return real(parameters, X, workspace, dropout)

    def spy_bind(*arguments):
        take_step = bind(*arguments)

        def noted(learning_rate, decay):
            decays.append(decay)
            take_step(learning_rate, decay)

        return noted

    monkeypatch.setattr(engine, "forward", spy)
    monkeypatch.setattr(engine, "bind", spy_bind)
    train(network, plan)
    return dropouts, decays


def test_dropout_and_decay_follow_schedules_of_their_own(monkeypatch):
    plan = replace(PLAN, dropout_schedule=FlatCos(flat=0.5), decay_schedule=Step(every=2, gamma=0.5))
    dropouts, decays = shares_of(monkeypatch, plan, replace(NETWORK, dropout=0.4))
    times = (np.arange(16) + 0.5) / 4
    expected = [0.4 if t < 2 else 0.4 * 0.5 * (1 + np.cos(np.pi * (t - 2) / 2)) for t in times]
    assert dropouts == pytest.approx(expected)
    assert decays == pytest.approx([0.5 ** (t >= 2) for t in times])


def test_dropout_that_has_ended_is_a_step_without_dropout():
    network, samples = replace(NETWORK, members=1, dropout=0.5), make_samples()
    plain = replace(network, dropout=0.0)
    off = replace(PLAN, dropout_schedule=Step(every=1, gamma=1e-300), epochs=3, batch_size=50)
    state = fresh(network, off)
    first = next(iter(fit(network, off, samples, state)))
    assert first.epoch == 1
    before = view_parameters(network, state.flat.copy())
    gradient, workspace = allocate_parameters(plain, np.float64), Workspace(plain, 50, np.float64)
    forward(before, samples.X, workspace)
    y = samples.targets(np.arange(50))
    backward(before, gradient, samples.X, y, off.loss, workspace, samples.weights)
    sgd = replace(off, optimizer=SGD(learning_rate=0.1))
    state.optimizer = start_optimizer(sgd, state.flat)
    next(iter(fit(network, sgd, samples, state)))
    np.testing.assert_allclose(state.flat, before.flat - 0.1 * gradient.flat, rtol=1e-9, atol=1e-12)


def test_a_plan_is_plain_as_long_as_nothing_but_one_rate_changes():
    assert PLAN.is_plain
    for change in (
        {"rates": Rates(biases=0.5)}, {"is_ntk": True}, {"averaging": ExponentialAverage()},
        {"dropout_schedule": Cosine()}, {"decay_schedule": Constant(warmup=1.0)},
    ):  # fmt: skip
        assert not replace(PLAN, **change).is_plain


def test_the_vector_of_members_is_as_long_as_their_own_together():
    assert count_parameters(NETWORK) == 4 * count_parameters(replace(NETWORK, members=1))


@pytest.mark.parametrize("network", [replace(NETWORK, members=1), NETWORK], ids=["one", "four"])
def test_an_order_in_short_integers_gives_the_same_weights(network, monkeypatch):
    long, _ = train(network)
    monkeypatch.setattr(members, "shuffled", partial(members.shuffled, few=0))
    short, _ = train(network)
    assert long.flat.tobytes() == short.flat.tobytes()
