"""Temperatures of members, and scores extrapolated to the mean of more members."""

import numpy as np
import pytest

from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.targets.target import ClassTarget, NumberTarget
from mlpcli.evaluation.calibration import extrapolated, fit_members_temperature
from mlpcli.evaluation.metrics.scores import score
from mlpcli.workflows.scoring.scores import Criterion, mean_predictions

LABELS = ClassTarget(ColumnSchema("y", "category"), ("a", "b", "c"))


def test_the_squared_error_of_more_members_is_extrapolated_exactly():
    """Errors with a common and an individual component, so that all pairs of members are equally correlated."""
    rng = np.random.default_rng(0)
    n_members, n_rows = 8, 40
    own = np.linalg.qr(rng.normal(size=(n_rows, n_members + 1)))[0].T  # orthogonal, of equal length
    errors = 3.0 * own[-1] + own[:n_members]
    errors_of = [np.mean([np.square(errors[list(which)].mean(axis=0)).mean() for which in group]) for group in (
        [(m,) for m in range(8)], [(0, 1), (2, 3)], [(0, 1, 2)], [tuple(range(8))],
    )]  # fmt: skip
    alone, two, three, eight = errors_of
    assert extrapolated(alone, two, 2, 8) == pytest.approx(eight, rel=1e-12)
    assert extrapolated(alone, three, 3, 8) == pytest.approx(eight, rel=1e-12)
    assert extrapolated(alone, two, 2, 2) == two
    assert extrapolated(alone, alone, 1, 8) == alone


def random_case(n_networks=2, n_rows=400, seed=0, sharpness=4.0):
    """Classes, and outputs of networks that predict them with far too much confidence."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n_rows, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(3, p=row) for row in shares])
    each = sharpness * (logits + rng.normal(scale=0.5, size=(n_networks, n_rows, 3)))
    outputs = np.exp(each - each.max(axis=-1, keepdims=True))
    return outputs / outputs.sum(axis=-1, keepdims=True), truth


def log_loss_of(outputs, truth, temperature=None):
    state = {} if temperature is None else {"temperature": np.array([temperature])}
    return score("classification", "log_loss", truth, mean_predictions(LABELS, state, outputs), LABELS.labels)


def test_overconfident_members_get_a_temperature_that_lowers_the_log_loss():
    outputs, truth = random_case()
    criterion = Criterion("log_loss", LABELS, {}, truth, None, is_calibrated=True, n_members=2)
    temperature = criterion.members_temperature(outputs)
    assert 2.0 < temperature < 6.0
    assert log_loss_of(outputs, truth, temperature) < log_loss_of(outputs, truth) - 0.1
    others = [log_loss_of(outputs, truth, factor * temperature) for factor in (0.9, 1.1)]
    assert log_loss_of(outputs, truth, temperature) < min(others)


def test_more_members_lower_the_temperature_as_their_mean_is_less_confident():
    outputs, truth = random_case()
    criterion = Criterion("log_loss", LABELS, {}, truth, None, is_calibrated=True)
    temperatures = [criterion.members_temperature(outputs, n_members=n) for n in (2, 4, 16)]
    assert temperatures == sorted(temperatures, reverse=True)
    assert temperatures[0] > temperatures[-1]


def test_the_fitted_temperature_minimizes_the_log_loss():
    def loss(temperature, which):
        return abs(np.log(temperature) - np.log(0.3 if len(which) == 1 else 0.2))

    assert fit_members_temperature(loss, [1], 1) == pytest.approx(0.3, rel=0.01)
    assert fit_members_temperature(loss, [1] * 4, 4) == pytest.approx(0.2, rel=0.01)


def test_networks_are_weighted_by_their_counts_in_the_temperature():
    outputs, truth = random_case(n_networks=3)
    criterion = Criterion("log_loss", LABELS, {}, truth, None, is_calibrated=True, n_members=3)
    plain = criterion.members_temperature(outputs)
    assert criterion.members_temperature(outputs, counts=(4, 4, 4)) == plain
    alone = Criterion("log_loss", LABELS, {}, truth, None, True).members_temperature(outputs[:1])
    assert criterion.members_temperature(outputs, counts=(10**9, 1, 1)) == pytest.approx(alone, rel=0.01)


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_a_temperature_changes_no_ranking_of_two_classes_and_no_label(temperature):
    outputs, truth = random_case(n_networks=1, sharpness=1.0)
    two, state = ClassTarget(ColumnSchema("y", "category"), ("a", "b")), {"temperature": np.array([temperature])}
    halves = outputs[..., :2] / outputs[..., :2].sum(axis=-1, keepdims=True)
    codes = (truth == 1).astype(np.int64)
    plain, tempered = (mean_predictions(two, one, halves) for one in ({}, state))
    assert not np.allclose(plain, tempered)
    for metric in ("roc_auc", "average_precision", "accuracy"):
        scores = [score("classification", metric, codes, predictions, two.labels) for predictions in (plain, tempered)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-12), metric
    scores = [Criterion("roc_auc", two, {}, codes, None, is_calibrated)(halves) for is_calibrated in (False, True)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-12)
    of_three = [mean_predictions(LABELS, one, outputs).argmax(axis=1) for one in ({}, state)]
    np.testing.assert_array_equal(*of_three)


def test_an_overconfident_epoch_is_scored_with_its_temperature():
    outputs, truth = random_case(n_networks=1)
    sure, softer = (
        Criterion("log_loss", LABELS, {}, truth, None, is_calibrated)(outputs[0]) for is_calibrated in (0, 1)
    )
    assert softer < sure - 0.1
    again = random_case(n_networks=1, sharpness=1.0)[0]
    assert Criterion("log_loss", LABELS, {}, truth, None, is_calibrated=True)(again[0]) == pytest.approx(
        softer, rel=1e-4
    )


@pytest.mark.parametrize("is_calibrated", [False, True])
@pytest.mark.parametrize("metric", ["log_loss", "accuracy", "brier"])
def test_the_criterion_of_several_networks_is_extrapolated_to_all_members(metric, is_calibrated):
    """`extrapolated` from a network and the mean of both to eight members; for losses on the log scale."""
    outputs, truth = random_case()
    criterion = Criterion(metric, LABELS, {}, truth, None, is_calibrated, n_members=8)
    alone = np.mean([criterion(own) for own in outputs])
    two = Criterion(metric, LABELS, {}, truth, None, is_calibrated, n_members=2)(outputs)
    share = (1 - 1 / 8) / (1 - 1 / 2)
    expected = alone + (two - alone) * share if metric == "accuracy" else alone * (two / alone) ** share
    assert criterion(outputs) == pytest.approx(expected, rel=1e-12)
    assert criterion(outputs) > 0
    if not is_calibrated:
        together = score("classification", metric, truth, outputs.mean(axis=0), LABELS.labels)
        assert two == pytest.approx(together, rel=1e-12)


def test_numeric_outputs_are_averaged_before_decoding():
    target = NumberTarget((ColumnSchema("y", "number"),), "log", ())
    state = {"target_center": np.array([0.5]), "target_scale": np.array([2.0])}
    outputs = np.array([[[0.0], [1.0]], [[2.0], [-1.0]]])
    expected = np.expm1(np.array([[1.0], [0.0]]) * 2.0 + 0.5)
    np.testing.assert_allclose(mean_predictions(target, state, outputs), expected, rtol=1e-12)


def test_the_criterion_of_independent_members_is_the_squared_error_of_their_mean():
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(4000, 1))
    state = {"target_center": np.zeros(1), "target_scale": np.ones(1)}
    target = NumberTarget((ColumnSchema("y", "number"),), "none", ())
    each = truth + 0.5 * rng.normal(size=(1, 4000, 1)) + rng.normal(size=(8, 4000, 1))
    criterion = Criterion("r2", target, state, truth, None, n_members=8)  # a straight line in the squared error
    reached = 1.0 - np.square(each.mean(axis=0) - truth).mean() / truth.var()
    assert criterion(each) == pytest.approx(reached, rel=1e-9)
    assert criterion(each[:2]) == pytest.approx(reached, abs=0.05)
    assert reached - Criterion("r2", target, state, truth, None, n_members=2)(each[:2]) > 0.2
