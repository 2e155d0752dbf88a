"""A sketch of numbers in several places is wrong by no more than it says, whatever the places and their order."""

import math
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data import column_sketch
from mlpcli.data.column_sketch import merge_sketches, sketch_column
from mlpcli.data.features.scaling import count_distinct, moments
from mlpcli.data.features.weighted_statistics import values_at_ranks, weights_below

numbers = st.one_of(
    st.floats(-3, 3).map(lambda x: round(x, 1)),
    st.floats(-1e9, 1e9).map(lambda x: round(x, 6)),
    st.just(0.0),
    st.just(math.nan),
)
places = st.lists(st.lists(numbers, max_size=40), min_size=1, max_size=5).filter(
    lambda lists: any(not math.isnan(value) for values in lists for value in values)
)


def sketched(lists, points):
    with mock.patch.multiple(column_sketch, MAX_POINTS=points, MAX_DISTINCT=2):
        return [sketch_column(np.asarray(values, np.float64)) for values in lists]


def known_of(lists):
    return np.sort([value for values in lists for value in values if not math.isnan(value)])


@given(places, st.integers(1, 12))
@settings(max_examples=300, deadline=None)
def test_rank_errors_are_bounded_and_all_other_statistics_are_exact(lists, points):
    sketch, present = merge_sketches(sketched(lists, points)), known_of(lists)
    counts = sketch.counts.astype(np.float64)
    for of_sketch, side in zip(weights_below(sketch.values, present, counts), ("left", "right"), strict=True):
        assert np.abs(of_sketch - np.searchsorted(present, present, side)).max() <= sketch.error
    ranks = np.arange(len(present))
    found = values_at_ranks(sketch.values, ranks, counts)
    assert (np.searchsorted(present, found, "left") - sketch.error <= ranks).all()
    assert (ranks < np.searchsorted(present, found, "right") + sketch.error).all()
    n_rows = sum(map(len, lists))
    assert (sketch.n_known, sketch.n_missing) == (len(present), n_rows - len(present))
    assert (sketch.values[0], sketch.values[-1]) == (present[0], present[-1])
    assert sketch.are_integers == (present == np.floor(present)).all()
    mean, deviation = moments(present)
    size = np.abs(present).max()
    np.testing.assert_allclose(sketch.moments, (mean, deviation), rtol=1e-9, atol=1e-12 * size)


@given(places, st.integers(1, 12), st.data())
@settings(max_examples=200, deadline=None)
def test_shards_are_merged_in_any_order_and_grouping(lists, points, data):
    sketches = sketched(lists, points)
    shuffled = data.draw(st.permutations(sketches))
    cut = data.draw(st.integers(0, len(shuffled)))
    groups = [merge_sketches(values) for values in (shuffled[:cut], shuffled[cut:]) if values]
    value, other = merge_sketches(sketches), merge_sketches(groups)
    assert value.values.tobytes() == other.values.tobytes()
    assert value.counts.tobytes() == other.counts.tobytes()
    assert (value.error, value.n_missing, value.are_integers) == (other.error, other.n_missing, other.are_integers)
    assert value.moments == other.moments


@given(places)
@settings(max_examples=100, deadline=None)
def test_shards_of_few_distinct_numbers_are_exact_however_they_are_cut(lists):
    many, value = (
        merge_sketches(sketched(lists, 40)),
        merge_sketches(sketched([[value for values in lists for value in values]], 1000)),
    )
    assert many.error == value.error == 0
    assert many.values.tobytes() == value.values.tobytes()
    assert many.counts.tobytes() == value.counts.tobytes()


def test_the_error_is_half_a_run_of_each_shard():
    rng = np.random.default_rng(0)
    lists = [rng.normal(size=n).tolist() for n in (2000, 1000, 10)]
    assert merge_sketches(sketched(lists, 100)).error == 10 + 5 + 0


def test_distinct_numbers_are_counted_up_to_the_cap_where_most_are_equal():
    rng = np.random.default_rng(0)
    for others in (rng.normal(size=20_000), np.repeat(rng.normal(size=300), 60)):
        present = np.concatenate([np.zeros(400_000), others])
        assert count_distinct(sketch_column(present).values) == count_distinct(np.sort(present))


def test_moments_of_huge_numbers_are_finite():
    sketches = sketched([[1e308, -1e308], [1.5e308]], 10)
    expected = moments(np.sort([1e308, -1e308, 1.5e308]))
    np.testing.assert_allclose(merge_sketches(sketches).moments, expected, rtol=1e-14)
