"""The estimators are scikit-learn's in all that its own checks ask, and the command line's in what they save."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from mlpcli.estimators import MLPClassifier, MLPRegressor
from tests.program import DATA, done

QUICK = {"hidden_layer_sizes": (16,), "max_iter": 60, "learning_rate_init": 0.01, "random_state": 0}
PENGUINS = pd.read_csv(DATA / "penguins.csv")
X, y = PENGUINS.drop(columns="species"), PENGUINS["species"]


@pytest.mark.parametrize("estimator", [MLPRegressor(**QUICK), MLPClassifier(**QUICK)], ids=["regressor", "classifier"])
def test_every_check_of_scikit_learn_passes(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_skip=None, on_fail=None)
    found = [(one["check_name"], one["exception"]) for one in results if one["status"] not in ("passed", "skipped")]
    assert found == []
    assert len(results) > 55


def test_a_frame_of_texts_numbers_and_missing_cells_needs_no_pipeline():
    model = MLPClassifier(**QUICK).fit(X, y)
    assert model.score(X, y) > 0.97
    assert model.predict_proba(X).shape == (344, 3)
    assert list(model.classes_) == ["Adelie", "Chinstrap", "Gentoo"]
    np.testing.assert_array_equal(model.predict(X), model.classes_[model.predict_proba(X).argmax(axis=1)])
    assert [W.shape for W in model.coefs_] == [(model.coefs_[0].shape[0], 16), (16, 3)]
    assert [b.shape for b in model.intercepts_] == [(16,), (3,)]


def test_what_is_saved_is_a_model_file_of_the_command_line(folder):
    model = MLPClassifier(**QUICK).fit(X, y)
    model.save("weights.npz")
    X.to_csv("rows.csv", index=False)
    rows = done("predict", "weights.npz", "rows.csv").rows
    assert [row["y"] for row in rows] == list(model.predict(X))
    again = MLPClassifier.load("weights.npz")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    with pytest.raises(ValueError, match="a model of classification"):
        MLPRegressor.load("weights.npz")


@pytest.mark.parametrize("recipe", ["fast", "textbook"])
def test_a_recipe_is_what_mlp_init_writes(recipe):
    rows = slice(None, None, 3)
    more = {"training": {"epochs": 3}}
    model = MLPClassifier(recipe=recipe, config=more, random_state=0).fit(X[rows], y[rows])
    assert model.score(X, y) > 0.4
    assert clone(model).get_params()["recipe"] == recipe
    with pytest.raises(ValueError, match="recipe"):
        MLPClassifier(recipe="fastest").fit(X, y)


def test_it_goes_through_pipelines_searches_and_calibration():
    numbers, label = X[["bill_length_mm", "bill_depth_mm"]].fillna(40.0).to_numpy(), (y == "Adelie").to_numpy()
    few = MLPClassifier(**QUICK | {"max_iter": 5})
    search = GridSearchCV(few, {"hidden_layer_sizes": [(4,), (8,)]}, cv=2).fit(numbers, label)
    assert search.best_params_["hidden_layer_sizes"] in [(4,), (8,)]
    assert len(cross_val_score(make_pipeline(StandardScaler(), few), numbers, label, cv=3)) == 3
    calibrated = CalibratedClassifierCV(few, cv=2).fit(numbers, label)
    assert calibrated.predict_proba(numbers).shape == (344, 2)


def test_pickled_and_cloned_estimators_answer_alike():
    model = MLPRegressor(**QUICK).fit(X.drop(columns="body_mass_g"), X["body_mass_g"].fillna(4000.0))
    rows = X.drop(columns="body_mass_g")
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))
    fitted = clone(model).fit(rows, X["body_mass_g"].fillna(4000.0))
    np.testing.assert_array_equal(fitted.predict(rows), model.predict(rows))
    assert model.score(rows, X["body_mass_g"].fillna(4000.0)) > 0.5


def test_several_numbers_and_several_yes_no_columns():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 3))
    numbers = MLPRegressor(**QUICK).fit(rows, rows[:, :2] * [1.0, 100.0])
    assert numbers.predict(rows).shape == (200, 2)
    assert numbers.score(rows, rows[:, :2] * [1.0, 100.0]) > 0.8
    flags = (rows[:, :2] > 0).astype(int)
    several = MLPClassifier(**QUICK).fit(rows, flags)
    assert several.predict(rows).shape == several.predict_proba(rows).shape == (200, 2)
    assert several.score(rows, flags) > 0.8


def test_a_weight_of_two_is_a_row_twice():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 2))
    labels = (rows[:, 0] > 0).astype(int)
    weights = rng.integers(0, 3, 60)
    repeated = np.repeat(np.arange(60), weights)
    whole = {"batch_size": 200}
    weighted = MLPClassifier(**QUICK, **whole).fit(rows, labels, sample_weight=weights)
    copies = MLPClassifier(**QUICK, **whole).fit(rows[repeated], labels[repeated])
    np.testing.assert_allclose(weighted.predict_proba(rows), copies.predict_proba(rows), atol=1e-6)


def test_labels_keep_their_type_and_their_texts():
    rows = np.arange(40.0).reshape(-1, 1)
    for labels in ([7, -3], [1.0, 2.0], ["NA", "?"], ["007", "7"], [True, False]):
        truth = np.asarray(labels)[(rows[:, 0] > 20).astype(int)]
        model = MLPClassifier(**QUICK).fit(rows, truth)
        assert model.predict(rows).dtype == truth.dtype
        assert set(model.predict(rows)) <= set(truth.tolist())
        assert model.score(rows, truth) > 0.8
