"""The estimators are scikit-learn's in all that its own checks ask, and the command line's in what they save."""

import importlib
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

IRIS_ROWS = pd.read_csv(DATA / "iris.csv").drop(columns="species")
QUICK = {"hidden_layer_sizes": (16,), "max_iter": 60, "learning_rate_init": 0.01, "random_state": 0}
PENGUINS = pd.read_csv(DATA / "penguins.csv")
X, y = PENGUINS.drop(columns="species"), PENGUINS["species"]
NUMBERS = PENGUINS.select_dtypes("number").dropna()


BRIEF = QUICK | {"max_iter": 20, "learning_rate_init": 0.03}


@pytest.mark.parametrize("estimator", [MLPRegressor(**BRIEF), MLPClassifier(**BRIEF)], ids=["regressor", "classifier"])
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
    assert [row["species"] for row in rows] == list(model.predict(X))
    PENGUINS.to_csv("known.csv", index=False)
    scores = done("eval", "weights.npz", "known.csv", "--json").document["scores"]
    assert scores["accuracy"] == pytest.approx(model.score(X, y))
    again = MLPClassifier.load("weights.npz")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.set_params(**QUICK).partial_fit(X, y).model_.targets == ("species",)
    with pytest.raises(ValueError, match="a model of classification"):
        MLPRegressor.load("weights.npz")


@pytest.mark.parametrize("rows", [IRIS_ROWS, IRIS_ROWS.to_numpy()], ids=["frame", "array"])
@pytest.mark.parametrize("model", [{}, {"layers": ["auto", 7, "auto"], "members": 2, "activation": "tanh"}])
def test_a_loaded_model_of_numbers_predicts_and_goes_on_without_its_parameters_being_given(model, rows, folder):
    labels = np.repeat(["a", "b", "c"], 50)
    first = MLPClassifier(max_iter=2, random_state=0, config={"model": model}).fit(rows, labels)
    first.save("weights.npz")
    again = MLPClassifier.load("weights.npz")
    np.testing.assert_array_equal(again.predict_proba(rows), first.predict_proba(rows))
    for _ in range(40):
        again.partial_fit(rows, labels)
    assert again.model_.layers == first.model_.layers
    assert again.score(rows, labels) > first.score(rows, labels) + 0.1
    with pytest.raises(
        ValueError, match=r"model\.layers: the model was trained with .*, the config says \[auto, 3, auto\]"
    ):
        again.set_params(hidden_layer_sizes=(3,)).partial_fit(rows, labels)


@pytest.mark.parametrize(
    ("target", "names"),
    [
        (NUMBERS["body_mass_g"], ("body_mass_g",)),
        (NUMBERS[["body_mass_g", "flipper_length_mm"]], ("body_mass_g", "flipper_length_mm")),
        (NUMBERS["body_mass_g"].rename(" cafe\u0301 "), ("caf\xe9",)),
        (NUMBERS["body_mass_g"].rename("bill_depth_mm"), ("bill_depth_mm_",)),
        (NUMBERS["body_mass_g"].rename(0), ("y",)),
        (NUMBERS["body_mass_g"].rename(" "), ("y",)),
        (NUMBERS["body_mass_g"].to_numpy(), ("y",)),
        (NUMBERS[["body_mass_g", "flipper_length_mm"]].set_axis([0, 1], axis="columns"), ("y0", "y1")),
    ],
)
def test_the_target_keeps_the_name_it_has_in_y_through_every_batch(target, names):
    rows = NUMBERS[["bill_length_mm", "bill_depth_mm"]]
    model = MLPRegressor(**QUICK | {"max_iter": 1}).fit(rows, target)
    assert model.model_.targets == names
    model = MLPRegressor(**QUICK).partial_fit(rows, target)
    assert model.partial_fit(rows, np.asarray(target)).model_.targets == names


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


def parts_of(n_rows, n_parts=4):
    return [np.arange(n_rows)[first::n_parts] for first in range(n_parts)]


def test_a_training_in_parts_learns_what_a_training_on_all_rows_learns():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3))
    labels, numbers = np.where(rows[:, 0] > 0, "up", "down"), 100 * rows[:, 1] + 7
    classifier, regressor = MLPClassifier(**QUICK), MLPRegressor(**QUICK)
    for _ in range(10):
        for part in parts_of(400):
            classifier.partial_fit(rows[part], labels[part], classes=["down", "up"])
            regressor.partial_fit(rows[part], numbers[part])
    assert classifier.score(rows, labels) > 0.95
    assert regressor.score(rows, numbers) > 0.9
    assert classifier.n_iter_ == regressor.n_iter_ == 40


def test_parts_that_are_all_rows_are_the_epochs_of_a_fit():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(300, 3))
    numbers = rows[:, 1] ** 2
    for solver in ("adam", "sgd"):
        for config in (None, {"model": {"members": 2, "scale_inputs": True}}):
            same = QUICK | {"max_iter": 5, "solver": solver, "config": config}
            whole, parts = MLPRegressor(**same).fit(rows, numbers, np.ones(300)), MLPRegressor(**same)
            for _ in range(5):
                parts.partial_fit(rows, numbers)
            np.testing.assert_allclose(parts.predict(rows), whole.predict(rows), atol=1e-12)


def test_a_class_that_no_row_has_yet_is_known_and_learnt_later():
    rows = np.linspace(-1.0, 1.0, 90).reshape(-1, 1)
    labels = np.repeat(["a", "b", "c"], 30)
    model = MLPClassifier(**QUICK).partial_fit(rows[:60], labels[:60], classes=["c", "b", "a"])
    assert list(model.classes_) == ["a", "b", "c"]
    assert model.predict_proba(rows).shape == (90, 3)
    assert model.predict_proba(rows)[:, 2].mean() > 0.05, "nothing says that it is rare"
    alone = MLPClassifier(**QUICK).fit(rows[:60], labels[:60]).model_._model.preprocessor.state
    known = model.model_._model.preprocessor.state
    for name in alone:  # of a median the two rows in the middle count
        np.testing.assert_allclose(known[name], alone[name], atol=2 / 89 if name == "fill" else 1e-9)
    for _ in range(40):
        model.partial_fit(rows, labels)
    assert model.score(rows, labels) > 0.9
    with pytest.raises(ValueError, match=r"not in `classes`: \['d'\]"):
        model.partial_fit(rows[:2], ["a", "d"])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        MLPClassifier(**QUICK).partial_fit(rows, labels)


@pytest.mark.filterwarnings("ignore:.* missing cells")  # which the first part has not
def test_parts_of_frames_several_targets_and_weights_and_a_pickle_in_between():
    few = X.drop(columns="body_mass_g")
    model = MLPClassifier(**QUICK)
    for _ in range(10):
        for part in parts_of(344):
            model.partial_fit(few.iloc[part], y.iloc[part], classes=y.unique(), sample_weight=np.full(len(part), 2.0))
        model = pickle.loads(pickle.dumps(model))
    assert model.score(few, y) > 0.95
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 2))
    flags = (rows > 0).astype(int)
    several = MLPClassifier(**QUICK).partial_fit(rows[:5], np.ones((5, 2), int))
    for _ in range(40):
        several.partial_fit(rows, flags)
    assert several.score(rows, flags) > 0.8


def test_a_training_goes_on_in_parts_behind_a_fit_and_a_fit_begins_anew():
    rows = np.linspace(-1.0, 1.0, 200).reshape(-1, 1)
    model = MLPRegressor(**QUICK | {"max_iter": 2}).fit(rows, rows[:, 0] ** 2)
    before = model.score(rows, rows[:, 0] ** 2)
    for _ in range(30):
        model.partial_fit(rows, rows[:, 0] ** 2)
    assert model.score(rows, rows[:, 0] ** 2) > before + 0.2
    again = model.fit(rows, rows[:, 0] ** 2).score(rows, rows[:, 0] ** 2)
    assert again == before
    with pytest.raises(ValueError, match="was trained with"):
        model.set_params(hidden_layer_sizes=(3,)).partial_fit(rows, rows[:, 0])


@pytest.mark.parametrize(("given", "named"), [({"recipe": "fast"}, "recipe"), ({"early_stopping": True}, "early_stop")])
def test_what_needs_all_rows_is_refused_in_parts(given, named):
    with pytest.raises(ValueError, match=f"partial_fit: {named}.* works with fit only, which sees all rows"):
        MLPRegressor(**QUICK, **given).partial_fit([[0.0], [1.0]], [0.0, 1.0])


def test_a_class_whose_rows_all_weigh_nothing_is_improbable():
    rows = np.linspace(-1.0, 1.0, 90).reshape(-1, 1)
    labels = np.repeat([0, 1, 2], 30)
    model = MLPClassifier(**QUICK).fit(rows, labels, sample_weight=(labels != 1).astype(float))
    found = model.predict_proba(rows)
    assert found.shape == (90, 3)
    np.testing.assert_array_equal(found[:, 1], 0.0)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def adapted(estimator):
    """The estimator as scikit-learn's tests call it, which name parameters that say nothing here."""

    class Adapted(estimator):
        def __new__(cls, *args, tol=None, shuffle=True, learning_rate="constant", **given):
            return estimator(*args, **given)

    return Adapted


# Those of scikit-learn's tests of its own perceptrons that ask nothing of lbfgs, warm starts, tolerances or attributes.
THEIRS = (
    "test_alpha",
    "test_early_stopping",
    "test_mlp_classifier_dtypes_casting",
    "test_mlp_param_dtypes",
    "test_mlp_partial_fit_after_fit",
    "test_mlp_regressor_dtypes_casting",
    "test_mlp_sample_weight_with_early_stopping",
    "test_partial_fit_classes_error",
    "test_partial_fit_unseen_classes",
    "test_predict_proba_binary",
    "test_predict_proba_multiclass",
    "test_preserve_feature_names",
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", THEIRS)
def test_tests_of_scikit_learn_pass(name, monkeypatch):
    theirs = importlib.import_module("sklearn.neural_network.tests.test_mlp")
    monkeypatch.setattr(theirs, "MLPClassifier", adapted(MLPClassifier))
    monkeypatch.setattr(theirs, "MLPRegressor", adapted(MLPRegressor))
    test = getattr(theirs, name)
    calls = [{}]
    for mark in (mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"):
        names = [one.strip() for one in mark.args[0].split(",")]
        values = [one if len(names) > 1 else (one,) for one in mark.args[1]]
        calls = [call | dict(zip(names, each, strict=True)) for call in calls for each in values]
    for call in calls:
        test(**call)
