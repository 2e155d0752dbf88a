"""Correlation within groups and between neighbouring rows, and duplicates."""

import numpy as np
import pytest

from mlpcli.data.row_hashes import cell_hashes, combine_hashes
from mlpcli.data.table import NumericColumn
from mlpcli.evaluation.row_correlation import (
    are_duplicates,
    count_equal_pairs,
    intraclass_correlation,
    neighbour_correlation,
)

RNG = np.random.default_rng(0)


def cells(values):
    """Hashes of cells, different for equal values of different columns."""
    columns = [cell_hashes(NumericColumn(column)) for column in np.asarray(values, float).T]
    return np.stack(
        [combine_hashes(np.full(len(hashes), j, np.uint64), hashes) for j, hashes in enumerate(columns)], axis=1
    )


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.9])
def test_the_intraclass_correlation_is_the_fraction_of_the_variance_between_groups(fraction):
    groups = np.repeat(np.arange(2000), 5)
    values = np.sqrt(fraction) * RNG.normal(size=2000)[groups] + np.sqrt(1 - fraction) * RNG.normal(size=10_000)
    correlation, z_score = intraclass_correlation(groups, values[:, None])
    assert correlation == pytest.approx(fraction, abs=0.03)
    assert (z_score > 6) == (fraction > 0)


def test_independent_rows_rarely_have_a_z_score_above_four():
    groups = np.repeat(np.arange(60), 7)
    z_scores = [intraclass_correlation(groups, RNG.normal(size=(420, 2)))[1] for _ in range(200)]
    assert max(z_scores) < 4.0
    z_scores = [neighbour_correlation(RNG.normal(size=(420, 2)))[1] for _ in range(200)]
    assert max(z_scores) < 4.0


def test_the_neighbour_correlation_is_the_autocorrelation_at_lag_one():
    x = np.zeros(20_000)
    for i, step in enumerate(RNG.normal(size=len(x) - 1)):
        x[i + 1] = 0.7 * x[i] + step
    assert neighbour_correlation(x[:, None])[0] == pytest.approx(np.corrcoef(x[1:], x[:-1])[0, 1], abs=0.01)


def test_constant_values_have_no_correlation():
    assert intraclass_correlation(np.array([0, 0, 1]), np.ones((3, 1))) == (0.0, 0.0)
    assert neighbour_correlation(np.ones((3, 1))) == (0.0, 0.0)


def test_equal_pairs_are_counted_as_by_comparing_all_pairs():
    left, right = RNG.integers(0, 30, 200), RNG.integers(0, 40, 300)
    assert count_equal_pairs(left, right) == int((left[:, None] == right[None]).sum())
    assert count_equal_pairs(left, right[:0]) == 0


@pytest.mark.parametrize("n_levels", [2, 3, 8])
def test_rows_of_columns_with_few_values_agree_by_chance_and_are_no_duplicates(n_levels):
    rows = RNG.integers(0, n_levels, size=(1500, 6))
    latent = RNG.normal(size=(1500, 1))
    alike = np.clip(np.round(latent + 0.5 * RNG.normal(size=(1500, 8))), -2, 2) + 2
    for table in (rows, alike):
        assert not are_duplicates(cells(table[:300]), cells(table[300:]))


@pytest.mark.parametrize("n_columns", [3, 6, 50])
def test_equal_rows_of_columns_with_many_values_are_duplicates(n_columns):
    rows = RNG.integers(0, 1000, size=(1000, n_columns))
    rows[:, 0] = RNG.integers(0, 2, 1000)
    rows[:200] = rows[500:700]
    assert are_duplicates(cells(rows[:300]), cells(rows[300:]))
