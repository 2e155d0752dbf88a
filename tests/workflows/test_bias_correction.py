"""Bias correction: after a transform of the target the mean prediction of held-out rows is that of their targets."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.targets.target import NumberTarget, decode_outputs
from mlpcli.data.targets.transforms import fit_transform, transform_targets
from mlpcli.errors import ConfigError
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state
from mlpcli.workflows.training.member_selection import average_rounds, out_of_fold_outputs
from mlpcli.workflows.training.postprocessing import fit_bias_correction
from tests.workflows.staging import loaded

FOLDS = {"members": {"count": 4, "rows": "folds", "folds": 2}}


def prices(n_rows=400, seed=0):
    """Prices with multiplicative noise: the mean is exp(0.32) = 1.38 times the inverse of the mean logarithm."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n_rows))
    return pd.DataFrame({"x": x, "z": z, "price": np.exp(5 + 0.5 * x + 0.8 * rng.normal(size=n_rows))})


def config(folder, transform="log", model=FOLDS, postprocess=None, data=None, **training):
    prices().to_csv(folder / "prices.csv", index=False)
    return loaded(
        data={"train": str(folder / "prices.csv"), "target": "price", "validation": None, **(data or {})},
        preprocess={"target": transform}, model={"layers": ["auto", 16, "auto"], **model},
        training={"epochs": 8, "batch_size": 32, "early_stopping": None, **training},
        postprocess={"bias_correction": True, **(postprocess or {})},
    )  # fmt: skip


def trained(config):
    prepared = prepare(config)
    state = initial_state(prepared)
    for _ in epochs(prepared, state, lambda: False):
        pass
    return prepared, finalize(prepared, state).model


def held_out_predictions(prepared, model):
    if prepared.folds is None:
        outputs = model.ensemble.outputs(prepared.validation.samples.X)
    else:
        rounds = out_of_fold_outputs(prepared, prepared.validation, prepared.folds, model.ensemble)
        outputs = average_rounds(rounds, model.ensemble, int(prepared.folds.max()) + 1)
    return decode_outputs(model.target, dict(model.target_state), outputs)


def target_of(transform, y):
    state, n_quantiles = fit_transform(list(y.T), transform)
    schemas = tuple(ColumnSchema(f"y{index}", "number") for index in range(y.shape[1]))
    return NumberTarget(schemas, transform, n_quantiles), state


@given(st.integers(0, 2**32 - 1), st.sampled_from(["log", "quantile"]), st.integers(1, 3), st.booleans())
@settings(deadline=None, max_examples=60)
def test_the_weighted_mean_of_corrected_predictions_is_that_of_the_targets(seed, transform, n_targets, is_weighted):
    rng = np.random.default_rng(seed)
    y = np.exp(rng.normal(0, 1, (60, n_targets)) * rng.uniform(0.1, 3)).round(2)
    y[:2] = [[0.0], [1.0]]
    weights = rng.uniform(0.1, 3, 60) if is_weighted else None
    target, state = target_of(transform, y)
    outputs = transform_targets(y, transform, target.n_quantiles, state) + rng.normal(size=y.shape) + 0.3
    shift = fit_bias_correction(target, state, outputs, y, weights)
    clamped = state | {"target_low": y.min(axis=0), "target_high": y.max(axis=0)}
    corrected = decode_outputs(target, clamped, outputs + shift)
    np.testing.assert_allclose(np.average(corrected, axis=0, weights=weights), np.average(y, axis=0, weights=weights))


def test_perfect_predictions_are_left_as_they_are():
    y = np.random.default_rng(0).lognormal(size=(200, 2))
    target, state = target_of("log", y)
    outputs = transform_targets(y, "log", (), state)
    np.testing.assert_allclose(fit_bias_correction(target, state, outputs, y), 0.0, atol=1e-9)


def test_the_factor_of_log_normal_noise_is_that_of_its_mean():
    rng = np.random.default_rng(0)
    logs = rng.normal(6, 1, (20_000, 1))
    y = np.expm1(logs + 0.6 * rng.normal(size=logs.shape))
    target, state = target_of("log", y)
    outputs = (logs - state["target_center"]) / state["target_scale"]
    shift = fit_bias_correction(target, state, outputs, y) * state["target_scale"]
    assert np.exp(shift).item() == pytest.approx(np.exp(0.6**2 / 2), rel=0.03)


def test_a_single_extreme_prediction_does_not_lower_all_others():
    y = np.random.default_rng(0).lognormal(3, 1, (500, 1))
    target, state = target_of("log", y)
    outputs = transform_targets(y, "log", (), state)
    outputs[7] = 60.0  # e^60 standard deviations
    assert abs(fit_bias_correction(target, state, outputs, y).item()) < 0.05


@pytest.mark.parametrize("transform", ["log", "quantile"])
@pytest.mark.parametrize("data", [{}, {"validation": 0.3}])
def test_a_trained_model_predicts_the_mean_of_its_held_out_rows(tmp_path, transform, data):
    model = {} if data else FOLDS
    prepared, corrected = trained(config(tmp_path, transform, model, {"clamp": True}, data))
    truth = prepared.validation.truth.mean()
    assert held_out_predictions(prepared, corrected).mean() == pytest.approx(truth, rel=1e-5)
    plain = trained(config(tmp_path, transform, model, {"clamp": True, "bias_correction": False}, data))[1]
    assert held_out_predictions(prepared, plain).mean() < 0.95 * truth
    assert corrected.record["chosen"] == {"validation": ["bias correction"]}


def test_the_correction_is_one_constant_for_all_outputs_so_that_predictions_keep_their_order(tmp_path):
    prepared, corrected = trained(config(tmp_path))
    plain = trained(config(tmp_path, postprocess={"bias_correction": False}))[1]
    X = prepared.train.samples.X
    difference = corrected.ensemble.outputs(X) - plain.ensemble.outputs(X)
    assert difference.min() == pytest.approx(difference.max(), abs=1e-5)
    assert difference.min() > 0.1
    assert corrected.target_state.keys() == plain.target_state.keys()


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"transform": "standardize"}, "applies to preprocess.target: log and quantile"),
        ({"loss": "absolute_error"}, "needs loss: squared_error"),
        ({"model": {}}, "is fitted on validation rows"),
        ({"model": {**FOLDS, "output_activation": "relu"}}, "output_activation: identity"),
    ],
)
def test_a_correction_that_has_nothing_to_correct_is_refused(tmp_path, changed, complaint):
    with pytest.raises(ConfigError, match=rf"postprocess.bias_correction: .*{complaint}"):
        prepare(config(tmp_path, **changed))


def test_a_correction_of_classes_is_refused_with_the_task(tmp_path):
    prices().assign(size=lambda table: np.where(table["x"] > 0, "large", "small")).to_csv(tmp_path / "sizes.csv")
    sizes = {"train": str(tmp_path / "sizes.csv"), "target": "size"}
    with pytest.raises(ConfigError, match="bias_correction: applies to regression only; the task is classification"):
        prepare(config(tmp_path, "auto", data=sizes))
