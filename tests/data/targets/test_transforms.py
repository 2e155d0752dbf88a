"""Bent targets: there and back again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlpcli.data.targets import encode
from mlpcli.data.targets.target import decode_outputs
from mlpcli.data.targets.transforms import fit_transform, inverse_transform, transform_targets
from mlpcli.errors import DataError
from tests.data.tables_by_hand import hand_table, read_as


def fitted(table, rows=None, transform="standardize"):
    """The table with its columns read as numbers, the target of all of them and its state."""
    read, schemas = read_as(table, dict.fromkeys(table.names, "number"))
    rows = np.arange(table.n_rows) if rows is None else rows
    return read, *encode.fit_target(read, schemas, "regression", rows, transform)


amounts = arrays(np.float64, st.integers(2, 40), elements=st.floats(0, 1e6, width=32)).filter(
    lambda values: values.max() - values.min() > 1e-3
)


@given(amounts, st.sampled_from(["none", "standardize", "log", "quantile", "scale"]))
def test_every_transform_makes_the_round_trip(values, transform):
    state, n_quantiles = fit_transform([values], transform)
    there = transform_targets(values[:, None], transform, n_quantiles, state)
    back = inverse_transform(there, transform, n_quantiles, state)
    np.testing.assert_allclose(back[:, 0], values, rtol=1e-9, atol=1e-9)
    if transform == "scale":
        np.testing.assert_allclose(np.abs(there).mean(), 1)
    elif transform != "none":
        np.testing.assert_allclose(there.mean(), 0, atol=1e-6)
        np.testing.assert_allclose(there.std(), 1, atol=1e-6)


@given(amounts, st.sampled_from(["log", "quantile"]))
def test_the_order_of_amounts_is_kept(values, transform):
    state, n_quantiles = fit_transform([values], transform)
    there = transform_targets(np.sort(values)[:, None], transform, n_quantiles, state)
    assert (np.diff(there[:, 0]) >= 0).all()


def test_normal_scores_of_a_skewed_target_are_normal():
    values = np.exp(np.random.default_rng(0).normal(0, 2, 5000))
    state, n_quantiles = fit_transform([values], "quantile")
    there = transform_targets(values[:, None], "quantile", n_quantiles, state)[:, 0]
    assert n_quantiles == (1000,)
    np.testing.assert_allclose(np.quantile(there, [0.023, 0.159, 0.5, 0.841, 0.977]), [-2, -1, 0, 1, 2], atol=0.02)


def test_of_many_rows_the_ends_are_kept_and_values_between_the_knots_come_back():
    values = np.random.default_rng(1).gamma(1.0, 3.0, 5000)
    state, n_quantiles = fit_transform([values], "quantile")
    there = transform_targets(values[:, None], "quantile", n_quantiles, state)
    np.testing.assert_allclose(inverse_transform(there, "quantile", n_quantiles, state)[:, 0], values, rtol=1e-9)
    far = inverse_transform(np.array([[-50.0], [50.0]]), "quantile", n_quantiles, state)
    assert far[:, 0].tolist() == [values.min(), values.max()]


def test_equal_values_share_the_middle_of_their_ranks():
    state, n_quantiles = fit_transform([np.array([0.0, 0.0, 0.0, 5.0])], "quantile")
    assert n_quantiles == (2,)
    assert state["target_quantiles"].tolist() == [0.0, 5.0]
    np.testing.assert_allclose(state["target_scores"], [-0.3186393639643752, 1.1503493803760079])  # of 3/8 and 7/8


def test_several_targets_have_knots_of_their_own():
    table = hand_table(a=["1", "2", "3", "4"], b=["0", "0", "10", "100"])
    table, target, state = fitted(table, transform="quantile")
    assert (target.names, target.transform, target.n_quantiles) == (("a", "b"), "quantile", (4, 3))
    y = encode.encode_target(target, state, table)
    np.testing.assert_allclose(decode_outputs(target, state, y), encode.true_values(target, table), atol=1e-12)


def test_outputs_beyond_every_number_are_still_numbers():
    state, n_quantiles = fit_transform([np.array([1.0, 2.0, 1e300])], "log")
    assert np.isfinite(inverse_transform(np.array([[1e30], [-1e30]]), "log", n_quantiles, state)).all()


def test_a_wide_target_has_finite_knots():
    values = np.array([-1e308, 0.0, 1e308])
    state, n_quantiles = fit_transform([values], "quantile")
    there = transform_targets(values[:, None], "quantile", n_quantiles, state)
    np.testing.assert_allclose(inverse_transform(there, "quantile", n_quantiles, state)[:, 0], values, atol=1e295)


def test_a_negative_amount_has_no_logarithm_in_training_rows_and_in_any_other():
    message = r"^new\.csv:\d: the target y is -2: preprocess\.target: log needs 0 or more"
    table = hand_table(y=["1", "2", "-2"])
    with pytest.raises(DataError, match=message):
        fitted(table, transform="log")
    table, target, state = fitted(table, np.array([0, 1]), "log")
    with pytest.raises(DataError, match=message):
        encode.encode_target(target, state, table)
    assert encode.true_values(target, table).tolist() == [[1.0], [2.0], [-2.0]]


def test_clipped_numbers_never_leave_their_range():
    _, target, state = fitted(hand_table(y=["1", "3"]))
    clamped_state = state | {"target_low": np.array([1.0]), "target_high": np.array([3.0])}
    outputs = np.array([[-9.0], [0.5], [9.0]])
    assert decode_outputs(target, clamped_state, outputs)[:, 0].tolist() == [1.0, 2.5, 3.0]
    assert decode_outputs(target, state, outputs)[:, 0].tolist() == [-7.0, 2.5, 11.0]
