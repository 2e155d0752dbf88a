"""The loop and ensembles: what an epoch reports and keeps, exact resuming, divergence, members as networks alone."""

from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from itertools import islice

import numpy as np
import pytest

from mlpcli.nn.averaging import ExponentialAverage, StochasticAverage
from mlpcli.nn.ensemble import Ensemble
from mlpcli.nn.layers import Dense
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, Poisson, SquaredError
from mlpcli.nn.network import Network, predict
from mlpcli.nn.optimizers import SGD, Adagrad, Adam, AdamW, Muon, RMSprop
from mlpcli.nn.schedules import Constant, Cosine, CosLog, FlatCos, OneCycle, Step
from mlpcli.nn.steps import StepValues, UpdateSpec
from mlpcli.training.dataset import Batch, Dataset
from mlpcli.training.ensemble import Evaluator
from mlpcli.training.fit import Monitor, fit, init_training
from mlpcli.training.member import Member, NonFiniteLoss, NumpyTrainer, step_values
from mlpcli.training.rows import assign_folds, member_rows
from tests.training.staging import SPEC, dataset, members, network

BY_LOSS = Monitor("loss", higher_is_better=False)
OPTIMIZERS = [
    SGD(momentum=0.9, nesterov=True, weight_decay=0.01),
    Adam(),
    AdamW(),
    RMSprop(momentum=0.5),
    Adagrad(),
    Muon(),
]


def train(some=None, spec=SPEC, data=None, dtype=np.float32, **more):
    """A whole training: its state and reports."""
    some = some or [Member(0, network(8, 6), 50)]
    state = init_training(some, spec, np.dtype(dtype))
    return state, list(fit(some, spec, data or dataset(dtype=dtype), state, **more))


def evaluator(some, data=None, loss=SPEC.loss, folds=None):
    return Evaluator([member.network for member in some], loss, data or dataset(20, seed=1), folds)


def bits(state):
    return [
        (
            member.flat.tobytes(),
            best.tobytes(),
            member.n_steps,
            *((name, a.tobytes()) for name, a in member.optimizer.items()),
        )
        for member, best in zip(state.members, state.best, strict=True)
    ] + [(state.epoch, state.best_epoch, state.best_score)]


@pytest.mark.parametrize(
    "schedule", [Cosine(warmup=1.5), OneCycle(), Step(every=2), FlatCos(), CosLog(cycles=2)], ids=lambda s: s.name
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.name)
def test_a_training_stopped_at_any_epoch_and_continued_ends_in_the_same_bits(optimizer, schedule):
    update = UpdateSpec(optimizer=optimizer, averaging=ExponentialAverage())
    spec, some = replace(SPEC, update=update, schedule=schedule, seed=3), members()
    whole, _ = train(some, spec, evaluator=evaluator(some), monitor=BY_LOSS)
    for stop in range(spec.epochs):
        state = init_training(some, spec, np.dtype("f4"))
        list(islice(fit(some, spec, dataset(), state, evaluator(some), BY_LOSS), stop))
        resumed = deepcopy(state)
        list(fit(some, spec, dataset(), resumed, evaluator(some), BY_LOSS))
        assert bits(resumed) == bits(whole)


@pytest.mark.parametrize("kind", ["all", "bootstrap", "folds"])
def test_an_ensemble_is_its_members_trained_alone_bit_for_bit_on_any_number_of_threads(kind):
    folds = assign_folds(3, None, 50, seed=0)
    rows = member_rows(kind, 3, 50, 0, folds)
    some = [replace(member, rows=own) for member, own in zip(members(), rows, strict=True)]
    together, _ = train(some)
    for n_threads in (2, 3):
        assert bits(train(some, n_threads=n_threads)[0]) == bits(together)
    for number, member in enumerate(some):
        alone, _ = train([member])
        assert bits(alone)[0] == bits(together)[number]


def test_members_differ_by_their_seeds():
    twins = [Member(number, network(8), 50) for number in range(2)]
    state, _ = train(twins)
    assert not (state.members[0].flat == state.members[1].flat).any()


def test_the_seed_decides_every_bit_and_another_seed_others():
    first, again, other = (train(spec=replace(SPEC, seed=seed))[0] for seed in (1, 1, 2))
    assert bits(first) == bits(again)
    assert not (first.members[0].flat == other.members[0].flat).any()


def test_every_row_is_seen_once_an_epoch_in_an_order_of_its_own(monkeypatch):
    seen = []
    real = Batch.gather
    monkeypatch.setattr(Batch, "gather", lambda self, rows: (seen.append(rows.copy()), real(self, rows))[1])
    train(spec=replace(SPEC, epochs=3))
    assert [len(rows) for rows in seen] == [16, 16, 16, 2] * 3
    epochs = [np.concatenate(seen[start : start + 4]) for start in (0, 4, 8)]
    for order in epochs:
        np.testing.assert_array_equal(np.sort(order), np.arange(50))
    assert len({tuple(order) for order in epochs}) == 3


def test_the_loss_of_an_epoch_is_the_mean_over_its_rows_before_each_step():
    spec = replace(SPEC, update=UpdateSpec(optimizer=SGD(learning_rate=1e-30)), epochs=1)
    some = [Member(0, network(8, dropout=0.0), 50)]
    state, (report,) = train(some, spec)
    assert report.train_loss == pytest.approx(evaluator(some, dataset()).run([state.members[0].flat])[0], rel=1e-5)


def test_without_a_monitor_the_last_epoch_is_kept_and_with_one_the_best():
    state, reports = train()
    assert (state.epoch, state.best_epoch) == (6, 6)
    np.testing.assert_array_equal(state.best[0], state.members[0].flat)
    assert all(report.is_best for report in reports)
    scores = iter([0.5, 0.7, 0.7, 0.6, float("nan"), 0.65])
    some = [Member(0, network(8), 50)]
    monitor = Monitor("scripted", higher_is_better=True, score=lambda _: next(scores))
    state, reports = train(some, evaluator=evaluator(some), monitor=monitor)
    assert [report.is_best for report in reports] == [True, True, False, False, False, False]
    assert (state.best_epoch, state.best_score, state.epochs_without_gain) == (2, 0.7, 4)
    assert not np.array_equal(state.best[0], state.members[0].flat)


@pytest.mark.parametrize(
    ("more", "scores", "best"),
    [
        ({"keeps_last_tie": True}, [0.5, 0.7, 0.7, 0.6], 3),
        ({"min_gain": 0.15}, [0.5, 0.6, 0.66, 0.7], 3),
        ({"scored_epochs": frozenset({2, 4})}, [0.5, 0.6], 4),
        ({"higher_is_better": False}, [0.5, 0.4, 0.4, 0.6], 2),
    ],
)
def test_what_counts_as_a_gain(more, scores, best):
    remaining, some = iter(scores), [Member(0, network(8), 50)]
    monitor = Monitor(**{"name": "scripted", "higher_is_better": True, "score": lambda _: next(remaining)} | more)
    state, _ = train(some, replace(SPEC, epochs=4), evaluator=evaluator(some), monitor=monitor)
    assert state.best_epoch == best


@pytest.mark.parametrize(
    "averaging", [ExponentialAverage(decay=0.9), StochasticAverage(start=0.5)], ids=lambda one: one.name
)
def test_averages_are_judged_and_kept_in_place_of_the_last_weights(averaging):
    spec = replace(SPEC, update=UpdateSpec(optimizer=SGD(), averaging=averaging))
    state, _ = train(spec=spec)
    (member,) = state.members
    assert not np.array_equal(member.evaluated_flat, member.flat)
    np.testing.assert_array_equal(state.best[0], member.evaluated_flat)


# Stopping


@pytest.mark.parametrize("n_asked", [4, 5, 6, 13, 22])
def test_a_training_told_to_stop_within_an_epoch_leaves_the_last_whole_one(n_asked):
    some, asked = [Member(0, network(8, 6), 50)], iter(range(n_asked))
    state = init_training(some, SPEC, np.dtype("f4"))
    reports = list(fit(some, SPEC, dataset(), state, must_stop=lambda: next(asked, None) is None))
    assert state.epoch == len(reports) == n_asked // 4
    whole = init_training(some, SPEC, np.dtype("f4"))
    list(islice(fit(some, SPEC, dataset(), whole), len(reports)))
    assert bits(state) == bits(whole)


def test_where_no_epoch_is_whole_the_last_step_is_kept():
    some, asked = [Member(0, network(8, 6), 50)], iter(range(2))
    state = init_training(some, SPEC, np.dtype("f4"))
    start = state.members[0].flat.copy()
    assert not list(fit(some, SPEC, dataset(), state, must_stop=lambda: next(asked, None) is None))
    assert (state.epoch, state.n_steps) == (0, 2)
    assert (state.members[0].flat != start).any()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_loss_that_is_not_finite_ends_the_training_with_the_epoch_before(n_threads):
    spec = replace(SPEC, update=UpdateSpec(optimizer=SGD(learning_rate=1e30)), schedule=Constant())
    some = [Member(number, network(8, activation="identity"), 50) for number in range(2)]
    with pytest.raises(NonFiniteLoss, match="training loss is not finite in epoch 1"):
        train(some, spec, n_threads=n_threads)


def test_a_validation_loss_that_is_not_finite_says_so():
    data = dataset(20, seed=1)
    some = [Member(0, network(8), 50)]
    broken = Dataset(np.full_like(data.X, np.nan), data.y, data.class_targets)
    with pytest.raises(NonFiniteLoss, match="validation loss"):
        train(some, evaluator=evaluator(some, broken), monitor=BY_LOSS)


@pytest.mark.parametrize("fault", ["score", "validation loss"])
def test_an_error_while_an_epoch_is_judged_leaves_the_state_of_the_epoch_before(fault):
    some, calls = members(), []

    class Failing(Evaluator):
        def run(self, flats):
            loss, outputs = super().run(flats)
            calls.append(loss)
            return (float("nan") if fault == "validation loss" and len(calls) == 3 else loss), outputs

    def score(outputs):
        if fault == "score" and len(calls) == 3:
            raise RuntimeError
        return float(len(calls))

    state = init_training(some, SPEC, np.dtype("f4"))
    judge = Failing([member.network for member in some], SPEC.loss, dataset(20, seed=1))
    whole = init_training(some, SPEC, np.dtype("f4"))
    list(islice(fit(some, SPEC, dataset(), whole), 2))
    with pytest.raises(RuntimeError if fault == "score" else NonFiniteLoss):
        list(fit(some, SPEC, dataset(), state, judge, Monitor("counted", True, score)))
    assert bits(state)[:-1] == bits(whole)[:-1]
    assert bits(state)[-1] == (2, 2, 2.0)


@pytest.mark.parametrize(("n_asked", "n_steps"), [(0, 0), (4, 0), (5, 1), (7, 3)])
def test_a_first_epoch_that_was_given_up_counts_the_steps_that_every_member_has_taken(n_asked, n_steps):
    some = members(2)  # of 4 steps each, in turn
    answers = iter([False] * n_asked)
    state = init_training(some, SPEC, np.dtype("f4"))
    before = bits(state)
    assert list(fit(some, SPEC, dataset(), state, must_stop=lambda: next(answers, True))) == []
    assert (state.epoch, state.n_steps) == (0, n_steps)
    assert (bits(state) == before) == (n_steps == 0)


# Schedules


def test_values_of_steps_go_by_the_middle_of_each_and_count_on_over_epochs():
    spec = replace(
        SPEC,
        schedule=Cosine(warmup=2.0),
        decay_schedule=FlatCos(),
        update=replace(SPEC.update, averaging=ExponentialAverage()),
    )
    first, later = (StepValues(*step_values(spec, epoch, 4).T) for epoch in (0, 3))
    np.testing.assert_allclose(first.learning_rate, 0.01 * np.array([0.125, 0.375, 0.625, 0.875]) / 2)
    np.testing.assert_allclose(first.average_weight, 9.0 / (np.array([1, 2, 3, 4]) + 9.0))
    np.testing.assert_allclose(later.average_weight, 9.0 / (np.array([13, 14, 15, 16]) + 9.0))
    assert (later.decay_factor < 1.0).all()
    np.testing.assert_array_equal(first.dropout_factor, 1.0)


def test_an_optimizer_whose_state_overflows_is_not_taken_for_one_that_has_converged():
    """Squares of gradients that are infinite in float32 would stop Adam's weights where they are."""
    data = dataset()
    data = replace(data, weights=data.weights * np.float32(1e25))
    some, spec = [Member(0, network(8, dropout=0.0), 50)], replace(SPEC, update=UpdateSpec(optimizer=Adam()))
    with pytest.raises(NonFiniteLoss):
        train(some, spec, data)


# Evaluators


def test_the_outputs_of_an_ensemble_are_the_mean_of_its_members():
    some, data = members(), dataset(30, seed=2)
    flats = [state.flat for state in init_training(some, SPEC, np.dtype("f4")).members]
    loss, outputs = evaluator(some, data).run(flats)
    expected = np.mean(
        [predict(member.network, flat, data.X) for member, flat in zip(some, flats, strict=True)], axis=0
    )
    np.testing.assert_allclose(outputs, expected, rtol=1e-5)
    np.testing.assert_allclose(
        Ensemble(tuple(member.network for member in some), tuple(flats)).outputs(data.X), expected, rtol=1e-5
    )
    losses = SPEC.loss.values(outputs, data.targets(slice(None))) * data.weights
    assert loss == pytest.approx(losses.mean(), rel=1e-5)


def exact(loss, logits, y):
    """The loss of a row at the mean output of several networks, in decimal numbers of many digits."""
    exps = [[Decimal(float(one)).exp() for one in z] for z in logits]
    if loss.name == "cross_entropy":
        means = [sum(column) / len(exps) for column in zip(*([e / sum(row) for e in row] for row in exps), strict=True)]
        return -sum(Decimal(float(t)) * p.ln() for t, p in zip(y, means, strict=True))
    if loss.name == "poisson":
        means = [sum(column) / len(exps) for column in zip(*exps, strict=True)]
        return sum(a - Decimal(float(t)) * a.ln() for t, a in zip(y, means, strict=True))
    pairs = [[(e / (1 + e), 1 / (1 + e)) for e in row] for row in exps]
    means = [[sum(one) / len(exps) for one in zip(*column, strict=True)] for column in zip(*pairs, strict=True)]
    return -sum(Decimal(float(t)) * p.ln() + Decimal(float(1 - t)) * q.ln() for t, (p, q) in zip(y, means, strict=True))


@pytest.mark.parametrize("loss", [CrossEntropy(), BinaryCrossEntropy(), Poisson()], ids=lambda loss: loss.name)
@pytest.mark.parametrize("size", [1.0, 30.0, 300.0])
def test_the_loss_of_an_ensemble_has_its_digits_however_wrong_all_members_are(loss, size):
    """Members with logits of some hundreds that all favour the wrong class have a loss of some hundreds."""
    rng, n = np.random.default_rng(int(size)), 20
    size = min(size, 80.0) if loss.name == "poisson" else size
    nets = [Network(4, (Dense(width=3, has_bias=False),), loss.canonical_activation)] * 3
    weights = [rng.normal(0.0, size, (3, 4)).astype("f4") for _ in nets]
    X, y = np.eye(4, dtype="f4")[rng.integers(4, size=n)], np.eye(3, dtype="f4")[rng.integers(3, size=n)]
    found, _ = Evaluator(nets, loss, Dataset(X, y)).run([W.ravel() for W in weights])
    losses = [exact(loss, [W @ x for W in weights], t) for x, t in zip(X, y, strict=True)]
    assert found == pytest.approx(float(sum(losses) / n), rel=1e-6)


def test_on_folds_each_row_is_judged_by_the_members_that_have_not_seen_it():
    some, data, folds = members(6, 30), dataset(30, seed=2), assign_folds(3, None, 30, seed=0)
    flats = [state.flat for state in init_training(some, SPEC, np.dtype("f4")).members]
    loss, outputs = evaluator(some, data, folds=folds).run(flats)
    assert outputs.shape == (2, 30, 2)
    for number, (member, flat) in enumerate(zip(some, flats, strict=True)):
        unseen = folds == number % 3
        np.testing.assert_allclose(
            outputs[number // 3, unseen], predict(member.network, flat, data.X[unseen]), rtol=1e-5
        )
    totals = [
        evaluator([member], Dataset(data.X[own], data.y[own], data.class_targets, data.weights[own])).run([flat])[0]
        * len(own)
        for number, (member, flat) in enumerate(zip(some, flats, strict=True))
        for own in [np.flatnonzero(folds == number % 3)]
    ]
    assert loss == pytest.approx(sum(totals) / 60, rel=1e-5)


def test_a_loss_that_is_no_partner_of_the_output_is_evaluated_on_outputs():
    some, data = [Member(0, network(4), 50)], dataset(30)
    flats = [state.flat for state in init_training(some, SPEC, np.dtype("f4")).members]
    loss, outputs = evaluator(some, data, SquaredError()).run(flats)
    losses = SquaredError().values(outputs, data.targets(slice(None))) * data.weights
    assert loss == pytest.approx(losses.mean(), rel=1e-5)


def test_it_learns():
    spec = replace(SPEC, epochs=40, update=UpdateSpec(optimizer=Adam(learning_rate=0.02)))
    some = members()
    state, reports = train(some, spec, evaluator=evaluator(some), monitor=BY_LOSS)
    assert reports[-1].train_loss < 0.3 < reports[0].train_loss
    outputs = Ensemble(tuple(member.network for member in some), tuple(state.best)).outputs(dataset(200, seed=9).X)
    assert (outputs.argmax(axis=1) == dataset(200, seed=9).y).mean() > 0.9


def test_a_trainer_is_made_of_plain_arguments():
    member = Member(0, network(8), 50)
    one, other = (member.init(SPEC, np.dtype("f4"), None) for _ in range(2))
    NumpyTrainer(member, dataset(), SPEC, one).run(0, lambda: False)
    NumpyTrainer(member, dataset(), SPEC, other).run(0, lambda: False)
    np.testing.assert_array_equal(one.flat, other.flat)
