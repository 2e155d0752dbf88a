"""Temperature, threshold and clamp: properties on the rows they are fitted on, and invalid options."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.config.schema.sections import PostprocessConfig
from mlpcli.data.reading.read import read_table
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.targets.target import BooleanTarget, ClassTarget
from mlpcli.errors import ConfigError, DataError
from mlpcli.evaluation.calibration import fit_temperature, smoothed_log_loss
from mlpcli.evaluation.metrics.scores import score, score_classes
from mlpcli.evaluation.thresholds import choose_threshold
from mlpcli.probabilities import tempered
from mlpcli.storage.model.model_file import encode_model, load_model
from mlpcli.workflows.preparing.postprocess_options import threshold_metrics
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.preparing.rows.tables import read_training_table
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state
from mlpcli.workflows.training.postprocessing import fitted_state
from tests.program import DATA, write_csv
from tests.workflows.staging import IRIS, loaded

DIABETES = {"train": str(DATA / "diabetes.csv"), "target": "progression"}
TWO = ClassTarget(ColumnSchema("y", "category"), ("a", "b"))
COLUMNS = BooleanTarget(
    tuple(ColumnSchema(name, "boolean", levels=("no", "yes")) for name in "uv"), ("text",) * len("uv")
)
seeds = st.integers(0, 2**32 - 1)


def drawn(seed, n_classes=3, n_rows=300, temperature=2.0):
    """Overconfident probabilities: the truth is drawn from those with logits divided by `temperature`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (n_rows, n_classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    honest = tempered(probabilities, temperature)
    y = (rng.random((n_rows, 1)) > honest.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return probabilities, y.astype(np.int64), rng.integers(0, 4, n_rows).astype(np.float64)


def fitted(config):
    prepared = prepare(config)
    state = initial_state(prepared)
    for _ in epochs(prepared, state, lambda: False):
        pass
    return finalize(prepared, state)


@given(seeds, st.integers(2, 5), st.floats(0.02, 50), st.booleans())
@settings(deadline=None, max_examples=50)
def test_the_temperature_never_worsens_the_log_loss_it_is_fitted_on(seed, n_classes, true_temperature, is_weighted):
    probabilities, y, weights = drawn(seed, n_classes, 60, true_temperature)
    weights = weights if is_weighted else None
    temperature = fit_temperature(probabilities, y, weights)
    assert 0.05 <= temperature <= 20
    counts = np.ones(len(y)) if weights is None else weights
    is_all_right = (probabilities.argmax(axis=1) == y)[counts > 0].all()  # then a lower temperature is always better

    def loss(other):
        return score("classification", "log_loss", y, tempered(probabilities, other), (), weights)

    def smoothed(other):
        return smoothed_log_loss(loss(other), tempered(probabilities, other))

    assert loss(temperature) <= loss(1.0) + 1e-9
    if temperature != 1.0 and weights is None:
        for other in (temperature / 1.1, temperature * 1.1):
            assert smoothed(temperature) <= smoothed(other) + 1e-9 or not 0.05 <= other <= 20
    assert not is_all_right or temperature == 1.0


def test_few_rows_that_are_nearly_all_correct_do_not_push_the_temperature_to_its_bound():
    codes = np.arange(60) % 3
    probabilities = np.full((60, 3), 0.04)
    probabilities[np.arange(60), codes] = 0.92
    probabilities[0] = [0.35, 0.4, 0.25]  # nearly correct, so confidence in the other rows hardly affects it
    right = tempered(probabilities, fit_temperature(probabilities, codes))[1:]
    assert 0.002 < 1 - right.max(axis=1).min() < 0.04


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 5.0])
def test_the_temperature_of_an_overconfident_model_is_recovered(temperature):
    probabilities, y, _ = drawn(1, n_rows=20_000, temperature=temperature)
    assert fit_temperature(probabilities, y) == pytest.approx(temperature, rel=0.05)
    calibrated = tempered(probabilities, fit_temperature(probabilities, y))
    assert score_classes(y, calibrated, ("a", "b", "c"))["ece"] < 0.015


def test_a_weight_counts_like_copies_of_the_row():
    probabilities, y, weights = drawn(5)
    copies = np.repeat(np.arange(len(y)), weights.astype(int))
    weighted = fit_temperature(probabilities, y, weights)
    assert weighted == pytest.approx(fit_temperature(probabilities[copies], y[copies]))


def test_boolean_columns_share_a_temperature_as_rows_of_one_column_would():
    probabilities, y, _ = drawn(3, n_classes=2)
    together = fit_temperature(probabilities[:, 1].reshape(-1, 2), y.reshape(-1, 2))
    assert together == pytest.approx(fit_temperature(probabilities, y))


def test_if_every_row_is_correct_the_temperature_is_one():
    probabilities, _, _ = drawn(0)
    assert fit_temperature(probabilities, probabilities.argmax(axis=1)) == 1.0


def test_probabilities_of_0_and_1_neither_break_nor_dominate_the_fit():
    probabilities, y, _ = drawn(7, n_classes=2)
    sure = np.vstack([probabilities, [[1.0, 0.0], [0.0, 1.0]]])
    temperature = fit_temperature(sure, np.append(y, [1, 1]))
    assert temperature == pytest.approx(fit_temperature(probabilities, y), rel=0.01)
    assert fit_temperature(np.eye(2), np.array([1, 0])) == 1.0


@given(
    seeds, st.sampled_from(["accuracy", "balanced_accuracy", "f1", "f1[a]", "mcc", "precision_macro"]), st.booleans()
)
@settings(deadline=None, max_examples=40)
def test_the_chosen_threshold_is_at_least_as_good_as_one_half(seed, metric, is_weighted):
    probabilities, y, weights = drawn(seed, n_classes=2, n_rows=50)
    weights = weights if is_weighted else None
    threshold = choose_threshold("classification", TWO.labels, metric, probabilities, y, weights)
    assert threshold.shape == (1,)
    assert 0 < threshold[0] < 1
    chosen, half, none = (
        score("classification", metric, y, probabilities, TWO.labels, weights, one)
        for one in (threshold, np.array([0.5]), None)
    )
    assert chosen >= max(half, none)


@given(seeds, st.sampled_from(["accuracy", "f1", "f1_macro", "f1_micro", "hamming_loss", "subset_accuracy"]))
@settings(deadline=None, max_examples=30)
def test_each_boolean_column_gets_a_threshold_and_the_overall_score_is_not_worse(seed, metric):
    probabilities, y, _ = drawn(seed, n_classes=2, n_rows=80)
    predictions, truth = probabilities[:, 1].reshape(-1, 2), y.reshape(-1, 2)
    threshold = choose_threshold("multilabel", COLUMNS.names, metric, predictions, truth)
    assert threshold.shape == (2,)
    keys = [metric] if "_" in metric else [f"{metric}[u]", f"{metric}[v]"]
    sign = -1 if metric == "hamming_loss" else 1
    chosen, half = (
        sign * sum(score("multilabel", key, truth, predictions, ("u", "v"), None, one) for key in keys)
        for one in (threshold, np.array([0.5, 0.5]))
    )
    assert chosen >= half


def test_the_best_threshold_is_chosen_and_on_ties_the_one_nearest_to_one_half():
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.8, 0.9])
    predictions = np.column_stack([1 - p, p])
    y = np.array([0, 0, 1, 1, 1, 1])
    assert choose_threshold("classification", TWO.labels, "accuracy", predictions, y).tolist() == [0.25]
    assert choose_threshold(
        "classification", TWO.labels, "accuracy", predictions, np.array([0, 0, 0, 0, 1, 1])
    ).tolist() == [0.5]


def test_many_rows_are_scored_at_a_bounded_number_of_thresholds():
    probabilities, y, _ = drawn(2, n_classes=2, n_rows=20_000, temperature=1.0)
    threshold = choose_threshold("classification", TWO.labels, "accuracy", probabilities, y)
    assert threshold[0] == pytest.approx(0.5, abs=0.1)


def test_a_metric_of_probabilities_needs_no_threshold_and_is_not_offered():
    assert {"accuracy", "f1", "f1[a]", "mcc"} <= set(threshold_metrics(TWO))
    assert {"accuracy", "f1", "f1_micro"} <= set(threshold_metrics(COLUMNS))
    for target in (TWO, COLUMNS):
        assert not {"log_loss", "roc_auc", "average_precision", "brier", "ece"} & set(threshold_metrics(target))


def test_the_threshold_is_chosen_on_calibrated_probabilities():
    probabilities, y, _ = drawn(11, n_classes=2)
    options = PostprocessConfig(calibration="temperature", threshold="balanced_accuracy")
    state = fitted_state(options, TWO, {}, probabilities, y, None)
    calibrated = tempered(probabilities, float(state["temperature"][0]))
    assert (
        state["threshold"].tolist()
        == choose_threshold("classification", TWO.labels, "balanced_accuracy", calibrated, y).tolist()
    )


@pytest.mark.parametrize(
    ("data", "postprocess", "message"),
    [
        (IRIS, {"clamp": True}, "postprocess.clamp: applies to regression only; the task is classification"),
        (
            IRIS,
            {"threshold": "accuracy"},
            "postprocess.threshold: applies to two classes or boolean columns; there are 3",
        ),
        (IRIS, {"threshold": 0.3}, "postprocess.threshold: applies to two classes or boolean columns; there are 3"),
        (
            IRIS | {"validation": None},
            {"calibration": "temperature"},
            ("postprocess.calibration: is fitted on validation rows"),
        ),
        (
            IRIS | {"validation": 0.0},
            {"calibration": "temperature"},
            ("postprocess.calibration: is fitted on validation rows"),
        ),
        (
            DIABETES,
            {"calibration": "temperature"},
            "postprocess.calibration: applies to probabilities; the task is regr",
        ),
        (DIABETES, {"threshold": 0.5}, "postprocess.threshold: applies to probabilities; the task is regression"),
    ],
)
def test_an_option_that_does_not_apply_to_the_target_is_an_error_that_names_the_key(data, postprocess, message):
    with pytest.raises(ConfigError) as caught:
        prepare(loaded(data, postprocess=postprocess))
    assert str(caught.value).startswith(f"config: {message}")


@pytest.fixture
def late(folder):
    """Two overlapping classes, one of them rare, and a boolean column."""
    rng = np.random.default_rng(0)
    late = rng.random(400) < 0.15
    x = rng.normal(late * 1.0, 1.0)
    write_csv(folder / "t.csv", ["x", "late", "also"], [(x[i], "ny"[int(late[i])], int(x[i] > 1)) for i in range(400)])
    return {"train": "t.csv", "target": "late", "drop": ["also"]}


def test_an_unknown_metric_for_the_threshold_is_an_error_with_the_nearest(late):
    with pytest.raises(ConfigError, match=r"postprocess\.threshold: unknown metric 'log_loss'"):
        prepare(loaded(late, postprocess={"threshold": "log_loss"}))
    with pytest.raises(ConfigError, match="Did you mean balanced_accuracy"):
        prepare(loaded(late, postprocess={"threshold": "balanced_acuracy"}))
    with pytest.raises(ConfigError, match=r"postprocess\.threshold: is fitted on validation rows"):
        prepare(loaded(late | {"validation": None}, postprocess={"threshold": "f1"}))


@pytest.mark.parametrize("value", [0.0, 1.0, 1, True, -0.5])
def test_a_threshold_outside_of_0_to_1_is_refused_when_the_config_is_read(value):
    with pytest.raises(ConfigError, match=r"postprocess\.threshold"):
        loaded(postprocess={"threshold": value})


def test_a_given_threshold_needs_no_validation_rows_and_leaves_probabilities_as_they_are(late):
    data = late | {"validation": None}
    plain, low = fitted(loaded(data)), fitted(loaded(data, postprocess={"threshold": 0.1}))
    assert low.model.threshold.tolist() == [0.1]
    for metric in ("log_loss", "roc_auc", "average_precision", "ece"):
        assert low.scores["train"][metric] == plain.scores["train"][metric]
    assert low.scores["train"]["recall"] > plain.scores["train"]["recall"]


def test_every_label_is_decided_by_the_threshold(late):
    outcome = fitted(loaded(late, {"epochs": 5}, postprocess={"threshold": "balanced_accuracy"}))
    predictions, _ = outcome.model.predict(read_training_table(loaded(late)))
    labels = outcome.model.columns(predictions)["late"]
    assert (labels == "y").tolist() == (predictions[:, 1] > outcome.model.threshold[0]).tolist()
    assert (labels == "y").sum() > (predictions[:, 1] > 0.5).sum()


def test_calibration_changes_no_epoch_and_no_label(late):
    plain = fitted(loaded(late, {"epochs": 30}))
    calibrated = fitted(loaded(late, {"epochs": 30}, postprocess={"calibration": "temperature"}))
    assert plain.best_epoch == calibrated.best_epoch
    np.testing.assert_array_equal(plain.model.ensemble.flats[0], calibrated.model.ensemble.flats[0])
    assert calibrated.scores["validation"]["log_loss"] <= plain.scores["validation"]["log_loss"]
    for metric in ("accuracy", "roc_auc", "balanced_accuracy"):
        assert calibrated.scores["validation"][metric] == pytest.approx(plain.scores["validation"][metric])


def test_a_clamped_model_stays_in_the_range_of_the_training_targets(folder):
    x = np.linspace(0, 1, 50)
    write_csv(folder / "t.csv", ["x", "y"], [(x[i], 3 * x[i]) for i in range(50)])
    write_csv(folder / "far.csv", ["x"], [(-100,), (0.5,), (100,)])
    data = {"train": "t.csv", "target": "y", "validation": None}
    plain, clamped = (fitted(loaded(data, postprocess={"clamp": clamp})).model for clamp in (False, True))
    table = read_table("far.csv", plain.reading)
    free, held = plain.predict(table)[0], clamped.predict(table)[0]
    assert free.min() < 0 or free.max() > 3
    assert held.min() >= 0
    assert held.max() <= 3
    np.testing.assert_array_equal(held, np.clip(free, 0, 3))


@pytest.mark.parametrize("transform", ["log", "quantile"])
def test_scores_of_a_transformed_target_are_in_original_units(transform):
    outcome = fitted(loaded(DIABETES, {"epochs": 20}, preprocess={"target": transform}))
    assert outcome.scores["validation"]["rmse"] == pytest.approx(outcome.best_score)
    assert 40 < outcome.scores["validation"]["rmse"] < outcome.scores["constant"]["rmse"]


@pytest.mark.parametrize(("loss", "metric"), [("squared_error", "rmse"), ("absolute_error", "mae"), ("huber", "mae")])
def test_the_best_epoch_of_a_transformed_target_is_chosen_in_original_units(loss, metric):
    assert prepare(loaded(DIABETES, {"loss": loss}, preprocess={"target": "log"})).metric == metric


def test_counts_are_not_transformed_for_a_poisson_loss():
    with pytest.raises(ConfigError, match=r"preprocess\.target: poisson needs counts, which (log|quantile)"):
        prepare(loaded(DIABETES, {"loss": "poisson"}, preprocess={"target": "log"}))


def test_a_target_without_a_logarithm_is_an_error_with_its_line(folder):
    write_csv(folder / "t.csv", ["x", "y"], [(i, i - 3) for i in range(20)])
    with pytest.raises(DataError, match=r"t\.csv:2: the target y is -3: preprocess\.target: log needs 0 or more"):
        prepare(loaded({"train": "t.csv", "target": "y", "validation": None}, preprocess={"target": "log"}))


def test_postprocessing_is_saved_with_the_model(late, tmp_path):
    cases = [
        (late, {"calibration": "temperature", "threshold": "f1"}, {}),
        (late | {"target": ["late", "also"], "drop": []}, {"calibration": "temperature", "threshold": "f1"}, {}),
        (DIABETES, {"clamp": True}, {"target": "quantile"}),
        (DIABETES, {"clamp": True}, {"target": "log"}),
    ]
    for data, postprocess, preprocess in cases:
        model = fitted(loaded(data, {"epochs": 3}, postprocess=postprocess, preprocess=preprocess)).model
        (tmp_path / "w.npz").write_bytes(encode_model(model))
        again = load_model(str(tmp_path / "w.npz"))
        assert encode_model(again) == encode_model(model)
        assert again.target == model.target
        for name, values in model.target_state.items():
            np.testing.assert_array_equal(again.target_state[name], values)
