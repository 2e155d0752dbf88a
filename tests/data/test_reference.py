"""What the training rows looked like, and other rows counted into the same bins."""

import numpy as np
import pandas as pd
import pytest

from mlpcli.data.features.bins import NoEncoding
from mlpcli.data.features.onehot import OneHot
from mlpcli.data.features.preprocessor import cast_inputs, fit_preprocessor
from mlpcli.data.features.scaling import MedianFill, Standardize
from mlpcli.data.level_sketch import N_BUCKETS, hash_levels
from mlpcli.data.reading.typed.frames import table_from_frame
from mlpcli.data.reference import (
    MAX_COLUMNS,
    MAX_LEVELS,
    MAX_UNSEEN_LEVELS,
    N_BINS,
    SAMPLE_ROWS,
    ReferenceProfile,
    build_profile,
    comparable_counts,
    count_rows,
    find_profile_fault,
    sample_rows,
    split_counts,
)
from tests.data.tables_by_hand import read_as


def fitted(frame, rows=None):
    """What was learnt of the inputs, their reference profile, and what the training rows hold by it."""
    table, schemas = read_as(table_from_frame(pd.DataFrame(frame)))
    fit, profile = fit_preprocessor(table, schemas, Standardize(), MedianFill(), OneHot(), NoEncoding(), rows)
    return fit, profile, count_rows(profile, fit.columns, table)


def counted(fit, profile, frame, rows=None):
    """What other rows hold by the profile."""
    table = cast_inputs(fit, table_from_frame(pd.DataFrame(frame)))
    return count_rows(profile, fit.columns, table, rows)


def some_rows(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=n_rows)
    numbers[::7] = np.nan
    return {
        "number": numbers,
        "whole": rng.poisson(2, n_rows),
        "letter": rng.choice(list("abc"), n_rows),
        "flag": rng.choice(["yes", "no"], n_rows),
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, n_rows), unit="D"),
    }


def test_the_training_rows_themselves_fall_into_the_bins_as_they_were_counted():
    fit, profile, histogram = fitted(some_rows(500))
    assert profile.n_rows == histogram.n_rows == 500
    for reference, counts in zip(profile.columns, split_counts(profile, histogram), strict=True):
        assert [one.tolist() for one in counts] == [list(reference.counts), list(reference.buckets)]
    assert histogram.n_missing.tolist() == [column.n_missing for column in fit.columns] == [72, 0, 0, 0, 0]
    assert not histogram.n_below.any()
    assert not histogram.n_above.any()
    assert histogram.unseen == {}


def test_every_cell_is_counted_once_whatever_the_chunks():
    fit, profile, _ = fitted(some_rows(500))
    new = some_rows(333, seed=1)
    total_counts = counted(fit, profile, new)
    chunks = [counted(fit, profile, new, np.arange(start, min(start + 100, 333))) for start in range(0, 333, 100)]
    total = chunks[0] + chunks[1] + chunks[2] + chunks[3]
    assert total.n_rows == 333
    for name in ("counts", "n_missing", "n_below", "n_above", "low", "high"):
        assert getattr(total, name).tolist() == getattr(total_counts, name).tolist()
    for (of_bins, of_buckets), n_missing in zip(
        split_counts(profile, total_counts), total_counts.n_missing, strict=True
    ):
        assert max(of_bins.sum(), of_buckets.sum()) + n_missing == 333


def test_only_the_training_rows_are_described():
    frame = {"x": [*range(100), *([10_000] * 50)], "t": ["a", "b"] * 50 + ["z"] * 50}
    _, profile, _ = fitted(frame, np.arange(100))
    assert profile.n_rows == 100
    assert max(profile.columns[0].edges) < 100
    assert profile.columns[1].levels == ("a", "b")


def test_edges_part_the_rows_evenly_and_never_lie_on_a_value():
    values = np.random.default_rng(0).normal(size=4000)
    _, profile, _ = fitted({"x": values})
    column = profile.columns[0]
    assert len(column.counts) == N_BINS
    assert min(column.counts) >= 199
    assert max(column.counts) <= 201
    assert not set(column.edges) & set(values.tolist())


def test_rounding_to_float32_moves_no_value_to_another_bin():
    values = np.random.default_rng(0).choice([0.1, 0.3, 0.7, 1.1, 5.7], 400)
    fit, profile, before = fitted({"x": values})
    histogram = counted(fit, profile, {"x": values.astype(np.float32).astype(np.float64)})
    assert histogram.counts.tolist() == before.counts.tolist()
    assert not histogram.n_below.any()
    assert not histogram.n_above.any()


@pytest.mark.parametrize("rare", [0.0, 9.0])
def test_a_value_of_nearly_all_rows_has_a_bin_of_its_own(rare):
    values = np.full(2000, 5.0)
    values[:60] = rare + np.linspace(0, 1, 60)
    _, profile, _ = fitted({"x": values})
    assert 1940 in profile.columns[0].counts


@pytest.mark.parametrize(
    "values",
    [[1.0] * 60, [-1.7e308, 1.7e308] * 30, [5e-324, 0.0] * 30, np.nextafter(1.0, [2.0, 0.0] * 30), [0.0, 1e-300] * 30],
)
def test_extreme_numbers_have_increasing_edges_and_all_rows_are_counted(values):
    fit, profile, histogram = fitted({"x": np.asarray(values), "y": np.arange(60.0)})
    assert find_profile_fault(profile, fit.columns) == ""
    counts, _ = split_counts(profile, histogram)[0]
    assert counts.tolist() == list(profile.columns[0].counts)
    assert counts.sum() == 60


def test_texts_of_numbers_and_words_for_yes_are_the_levels_they_mean():
    fit, profile, _ = fitted({"flag": ["yes", "no"] * 30, "letter": ["a", "b", "c"] * 20})
    histogram = counted(fit, profile, {"flag": ["YES", "1", "perhaps"], "letter": ["a", "q", None]})
    (flag, all_flags), (letter, all_letters) = split_counts(profile, histogram)
    assert (flag.tolist(), all_flags.sum()) == ([0, 2], 3)
    assert (letter.tolist(), all_letters.sum()) == ([1, 0, 0], 2)
    assert histogram.n_missing.tolist() == [0, 1]
    assert histogram.unseen == {"flag": {"perhaps": 1}, "letter": {"q": 1}}


def test_cells_beyond_the_range_are_counted_on_either_side():
    fit, profile, _ = fitted({"x": np.arange(100.0)})
    histogram = counted(fit, profile, {"x": [-1.0, 0.0, 99.0, 100.0, 1e9, np.nan]})
    assert (histogram.n_below.tolist(), histogram.n_above.tolist()) == ([1], [2])
    assert (histogram.low.tolist(), histogram.high.tolist()) == ([-1.0], [1e9])


def test_what_is_kept_is_bounded_whatever_the_table():
    texts = [f"{'x' * (i % 2 * 300)}{i % 3000}" for i in range(9000)]
    _, profile, _ = fitted({"t": texts, "x": np.arange(9000.0)})
    column = profile.columns[0]
    assert len(column.levels) == MAX_LEVELS
    assert max(map(len, column.levels)) < 200
    assert len(column.buckets) == N_BUCKETS
    assert sum(column.buckets) == 9000
    assert len(profile.columns[1].edges) < N_BINS
    assert build_profile(9000, profile.columns * MAX_COLUMNS) == ReferenceProfile()


def test_levels_are_kept_by_their_hash_whatever_their_counts():
    levels = [f"n{number}" for number in range(3000)]
    kept = []
    for exponent in (0.0, 1.0):
        counts = np.ceil(3000 * (1 + np.arange(3000)) ** -exponent).astype(int) if exponent else np.ones(3000, int)
        _, profile, _ = fitted({"t": np.repeat(levels, counts)})
        column = profile.columns[0]
        assert column.is_sample
        assert dict(zip(column.levels, column.counts, strict=True)) == {
            level: counts[int(level[1:])] for level in column.levels
        }
        kept.append(set(column.levels))
    assert kept[0] == kept[1] == {levels[place] for place in np.argsort(hash_levels(levels))[:MAX_LEVELS]}


def test_a_level_is_new_only_if_the_profile_would_have_named_it():
    levels = [f"n{number}" for number in range(3000)]
    fit, profile, _ = fitted({"t": levels})
    assert counted(fit, profile, {"t": levels}).unseen == {}
    new = [f"m{number}" for number in range(2000)] + ["x" * 300]
    found = counted(fit, profile, {"t": new}).unseen["t"]
    last = hash_levels(profile.columns[0].levels).max()
    assert set(found) == {text for text in new[:2000] if hash_levels([text])[0] <= last}
    assert 550 < len(found) < 780  # as many as levels that are named, but for chance


def test_the_same_levels_of_very_many_new_ones_are_kept_whatever_the_chunks():
    fit, profile, _ = fitted({"t": ["a", "b"] * 30})
    new = {"t": [f"m{number % 4000}" for number in range(8000)] + ["a"] * 10}
    total_counts = counted(fit, profile, new)
    chunks = [counted(fit, profile, new, np.arange(start, min(start + 900, 8010))) for start in range(0, 8010, 900)]
    total = chunks[0]
    for chunk in chunks[1:]:
        total = total + chunk
    assert total.unseen == total_counts.unseen
    assert set(total_counts.unseen["t"].values()) == {2}
    assert len(total_counts.unseen["t"]) == MAX_UNSEEN_LEVELS
    now, _ = split_counts(profile, total_counts)[0]
    before, after = comparable_counts(profile.columns[0], now, total_counts.unseen["t"])
    is_kept = hash_levels(["a", "b"]) <= hash_levels(total_counts.unseen["t"]).max()
    assert before.sum() == 30 * sum(is_kept)
    assert after.sum() == 2 * MAX_UNSEEN_LEVELS + 10 * is_kept[0]


def test_the_order_of_the_rows_does_not_matter():
    frame = pd.DataFrame(some_rows(400)).astype({"letter": object})
    _, profile, _ = fitted(frame)
    assert fitted(frame.sample(frac=1.0, random_state=1))[1] == profile


def test_rows_of_a_large_table_are_spread_over_it_each_once_and_keep_no_pace():
    rows = sample_rows(1_000_000, SAMPLE_ROWS)
    assert len(rows) == len(set(rows.tolist())) == SAMPLE_ROWS
    assert (np.diff(rows) > 0).all()
    assert rows[0] >= 0
    assert rows[-1] < 1_000_000
    shares = np.bincount(rows % 24, minlength=24) / len(rows)
    assert np.abs(shares - 1 / 24).max() < 0.002
    assert sample_rows(10, 20).tolist() == list(range(10))
