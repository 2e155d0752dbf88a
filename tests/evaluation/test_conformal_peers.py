"""Conformal intervals and sets agree with those of MAPIE and crepes."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, QuantileRegressor
from sklearn.model_selection import KFold

from mlpcli.evaluation.conformal.ends import intervals_of, keep, sets_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    mapie = pytest.importorskip("mapie.regression", reason="MAPIE is not installed (extra dev)")
    crepes = pytest.importorskip("crepes", reason="crepes is not installed (extra dev)")

LEVELS = [0.6, 0.8, 0.9, 0.95]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(260, 3))
    return X, X @ np.array([1.0, -2.0, 0.5]) + rng.standard_t(3, size=260)


@pytest.mark.parametrize("level", LEVELS)
def test_split_intervals_are_those_of_mapie_and_crepes(rows, level):
    X, y = rows
    model = LinearRegression().fit(X[:100], y[:100])
    predictions = model.predict(X)
    low, high = intervals_of("absolute", [keep(np.abs(y - predictions)[100:200])], level)(predictions[None, 200:])
    peer = mapie.SplitConformalRegressor(model, confidence_level=level, prefit=True).conformalize(
        X[100:200], y[100:200]
    )
    ends = peer.predict_interval(X[200:])[1][:, :, 0]
    np.testing.assert_allclose(np.column_stack([low, high]), ends, rtol=1e-12)
    other = crepes.ConformalRegressor().fit((y - predictions)[100:200])
    np.testing.assert_allclose(np.column_stack([low, high]), other.predict_int(predictions[200:], confidence=level))


@pytest.mark.parametrize("level", LEVELS)
def test_intervals_of_two_quantiles_are_those_of_mapie(rows, level):
    X, y = rows
    models = [QuantileRegressor(quantile=q, alpha=0).fit(X[:100], y[:100]) for q in ((1 - level) / 2, (1 + level) / 2)]
    lower, upper = (model.predict(X) for model in models)
    median = QuantileRegressor(quantile=0.5, alpha=0).fit(X[:100], y[:100])
    scores = np.maximum(lower - y, y - upper)[100:200]
    low, high = intervals_of("quantiles", [keep(scores)], level)(lower[None, 200:], upper[None, 200:])
    peer = mapie.ConformalizedQuantileRegressor([*models, median], confidence_level=level, prefit=True)
    ends = peer.conformalize(X[100:200], y[100:200]).predict_interval(X[200:], symmetric_correction=True)[1][:, :, 0]
    np.testing.assert_allclose(np.column_stack([low, high]), ends, rtol=1e-9)


@pytest.mark.parametrize("level", LEVELS)
def test_intervals_of_folds_are_the_cv_plus_of_mapie(rows, level):
    X, y = rows
    cut = KFold(5)
    peer = mapie.CrossConformalRegressor(LinearRegression(), confidence_level=level, method="plus", cv=cut)
    ends = peer.fit_conformalize(X[:200], y[:200]).predict_interval(X[200:])[1][:, :, 0]
    members = [(LinearRegression().fit(X[train], y[train]), held_out) for train, held_out in cut.split(X[:200])]
    scores = [keep(np.abs(y[own] - model.predict(X[own])), 5) for model, own in members]
    low, high = intervals_of("absolute", scores, level)(np.stack([model.predict(X[200:]) for model, _ in members]))
    np.testing.assert_allclose(np.column_stack([low, high]), ends, rtol=1e-12)


@pytest.mark.parametrize("level", LEVELS)
def test_sets_of_labels_are_those_of_crepes(level):
    rng = np.random.default_rng(6)
    probabilities = rng.dirichlet(np.ones(4), size=300)
    truth = np.array([rng.choice(4, p=p) for p in probabilities])
    calibration_scores = -probabilities[np.arange(200), truth[:200]]
    in_set = sets_of([keep(calibration_scores)], level)
    sets = np.stack([in_set(-probabilities[None, 200:, label]) for label in range(4)], axis=1)
    peer = crepes.ConformalClassifier().fit(calibration_scores, seed=0)
    expected = peer.predict_set(-probabilities[200:], confidence=level, smoothing=False)
    np.testing.assert_array_equal(sets, np.asarray(expected, np.bool_))
