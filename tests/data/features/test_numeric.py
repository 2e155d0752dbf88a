import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlpcli.data.features.bins import NoEncoding, PiecewiseLinear
from mlpcli.data.features.feature import Feature
from mlpcli.data.features.numeric import fit_numeric, pack_numeric, scale, unpack_numeric
from mlpcli.data.features.scaling import MedianFill, MinMax, Quantile, Robust
from mlpcli.data.schema.column import ColumnSchema

NUMBER = ColumnSchema("x", "number")
everything = st.floats(allow_nan=False, allow_infinity=False)
columns = arrays(np.float64, st.integers(1, 30), elements=everything)


def test_the_smooth_clip_of_a_few_numbers():
    # The values of RealMLP's clip at 3 (Holzmueller, Grinsztajn and Steinwart 2024).
    z = np.array([1.0, 2.0, 3.0, 10.0])
    expected = [0.948683, 1.664101, 2.121320, 2.873479]
    assert scale(z, 0.0, 1.0, 3.0) == pytest.approx(expected, abs=5e-7)
    assert scale(-z, 0.0, 1.0, 3.0) == pytest.approx([-number for number in expected], abs=5e-7)


@given(values=columns, clip=st.floats(1e-3, 1e3))
def test_the_smooth_clip_keeps_the_order_and_the_bound_of_any_numbers(values, clip):
    values = np.sort(values)
    clipped = scale(values, 0.0, 1.0, clip)
    assert (np.abs(clipped) <= clip * (1 + 1e-12)).all()
    assert (np.diff(clipped) >= -1e-12 * clip).all()
    assert (np.abs(clipped) * (1 - 1e-12) <= np.abs(values) + 1e-300).all()


def test_a_missing_number_stays_missing_when_scaled():
    values = np.array([np.nan, 1.0])
    assert np.isnan(scale(values, 0.0, 1.0, 3.0)).tolist() == [True, False]
    fit, _ = fit_numeric(NUMBER, np.array([1.0, 2.0]), Quantile(), MedianFill(), NoEncoding())
    assert np.isnan(fit.scaled(values)).tolist() == [True, False]


@given(values=columns, others=columns, points=st.integers(2, 9))
def test_normal_scores_are_monotonic_and_bounded_by_those_of_the_first_and_last_knot(values, others, points):
    fit, _ = fit_numeric(NUMBER, values, Quantile(points=points), MedianFill(), NoEncoding())
    scores = fit.scaled(np.sort(np.concatenate([values, others])))
    assert np.isfinite(scores).all()
    assert (np.diff(scores) >= -1e-9).all()
    assert scores.min() >= fit.scores[0] - 1e-9
    assert scores.max() <= fit.scores[-1] + 1e-9
    assert fit.scaled(fit.quantiles) == pytest.approx(fit.scores)


def test_a_value_between_two_knots_is_on_the_line_between_them():
    fit, _ = fit_numeric(NUMBER, np.array([0.0, 4.0]), Quantile(), MedianFill(), NoEncoding())
    low, high = fit.scores
    assert fit.scaled(np.array([-5.0, 1.0, 99.0])) == pytest.approx([low, low + (high - low) / 4, high])


@pytest.mark.parametrize("scaler", [MinMax(), Robust(clip=2.0), Quantile(points=4)], ids=lambda scaler: scaler.name)
@pytest.mark.parametrize("encoding", [NoEncoding(), PiecewiseLinear(bins=3), PiecewiseLinear(span=0.5)], ids=str)
def test_fitted_columns_are_restored_from_the_flat_state(scaler, encoding):
    rng = np.random.default_rng(0)
    tables = {"a": rng.normal(size=20), "b": np.array([0.0, 1.0]), "c": rng.normal(size=9)}
    fits, features = {}, [Feature(ColumnSchema("text", "category"))]
    for name, values in tables.items():
        fits[name], feature = fit_numeric(ColumnSchema(name, "number"), values, scaler, MedianFill(), encoding)
        features.append(feature)
    back = unpack_numeric(features, pack_numeric(list(fits.values())))
    assert list(back) == list(fits)
    for name, fit in fits.items():
        for key, value in vars(fit).items():
            assert np.array_equal(getattr(back[name], key), value) or value is getattr(back[name], key) is None
