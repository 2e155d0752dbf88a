import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlpcli.data.features.bins import NoEncoding, PiecewiseLinear, bin_names, write_bins

columns = arrays(np.float64, st.integers(1, 40), elements=st.floats(allow_nan=False, allow_infinity=False))


def encoded(values, edges, dtype=np.float64):
    out = np.full((len(values), len(edges) - 1), np.nan, dtype)
    write_bins(out, np.asarray(values, np.float64), np.asarray(edges, np.float64))
    return out


def test_inputs_of_bins_reach_1_in_ascending_order():
    assert encoded([-1, 0, 1, 2, 5, 8, 9], [0, 2, 8]).tolist() == [
        [0, 0], [0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1], [1, 1],
    ]  # fmt: skip


@given(values=columns, others=columns, bins=st.integers(2, 9))
def test_a_bin_input_is_from_0_to_1_and_positive_only_if_the_previous_one_is_1(values, others, bins):
    edges = PiecewiseLinear(bins=bins).find_edges(values)
    if not len(edges):
        return
    inputs = encoded(np.sort(np.concatenate([values, others])), edges)
    assert ((inputs >= 0) & (inputs <= 1)).all()
    assert ((inputs[:, 1:] == 0) | (inputs[:, :-1] == 1)).all()
    assert (np.diff(inputs, axis=0) >= 0).all()
    assert encoded(edges, edges).tolist() == np.tri(len(edges), len(edges) - 1, -1).tolist()


def test_the_value_can_be_had_back_from_its_bins():
    values = np.random.default_rng(0).exponential(size=500)
    edges = PiecewiseLinear().find_edges(values)
    assert edges[0] + encoded(values, edges) @ np.diff(edges) == pytest.approx(values, rel=1e-12)


@given(values=columns, bins=st.integers(2, 9))
def test_edges_are_training_values_that_rise_and_bound_at_least_two_bins(values, bins):
    edges = PiecewiseLinear(bins=bins).find_edges(values)
    assert len(edges) == 0 or 3 <= len(edges) <= bins + 1
    assert np.isin(edges, values).all()
    assert (np.diff(edges / 2) > 0).all()
    if len(edges):
        assert edges[0] == values.min()
        assert edges[-1] == pytest.approx(values.max(), abs=1e-299)  # nearer ones are one to a slope


def test_bins_hold_equal_shares_of_the_rows():
    values = np.random.default_rng(0).normal(size=1601)
    edges = PiecewiseLinear(bins=16).find_edges(values)
    counts, _ = np.histogram(values, edges)
    assert counts.tolist() == [100] * 15 + [101]


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([4, 1, 2, 1, 1, 1, 1, 1, 1, 1], [1, 2, 4]),  # an edge at each of a few values, however rare
        ([1, 2, 2, 2], []),  # one bin would repeat the value
        ([7, 7], []),
        ([0] * 99 + list(range(1, 9)), [0, 2, 4, 6, 8]),  # all quantiles of the rows but the last are the same
    ],
)
def test_fewer_values_make_fewer_bins(values, edges):
    assert PiecewiseLinear(bins=4).find_edges(np.asarray(values, np.float64)).tolist() == edges


def test_without_encoding_there_are_no_edges():
    assert NoEncoding().find_edges(np.arange(9.0)).tolist() == []


def test_bins_are_named_with_the_digits_that_tell_them_apart():
    assert bin_names(np.array([0.1, 22.0, 37.5]), is_date=False) == ["0.1..22", "22..37.5"]
    assert bin_names(np.array([0.0, 1 / 3, 1.0]), is_date=False) == ["0..0.3333", "0.3333..1"]
    assert bin_names(np.array([100001.0, 100002.0, 100003.0]), is_date=False) == ["100001..100002", "100002..100003"]
    assert bin_names(np.array([0.0, 0.25, 31.0]), is_date=True) == [
        "1970-01-01T00:00..1970-01-01T06:00",
        "1970-01-01T06:00..1970-02-01T00:00",
    ]
