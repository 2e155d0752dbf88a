"""The population stability index, and drift tests compared with those of SciPy."""

import numpy as np
import pytest
from scipy import special, stats

from mlpcli.evaluation.drift import (
    chi_squared,
    fisher_exact_greater,
    gamma_tail,
    kolmogorov_smirnov,
    level_bins,
    merge_neighbours,
    merge_rare,
    new_levels,
    psi,
    unseen_rate,
)


def counts(*values):
    return np.asarray(values, np.int64)


def test_psi_of_equal_fractions_is_zero_and_grows_with_the_difference():
    before = counts(1000, 1000, 1000, 1000)
    assert psi(before, counts(500, 500, 500, 500)) == pytest.approx(0.0, abs=1e-12)
    shifts = [psi(before, counts(500 - d, 500, 500, 500 + d)) for d in (50, 150, 300, 500)]
    assert shifts == sorted(shifts)
    assert np.isfinite(shifts).all()


def test_psi_is_the_textbook_formula_up_to_half_a_row():
    before, now = counts(40_000, 30_000, 30_000), counts(20_000, 30_000, 50_000)
    p, q = before / before.sum(), now / now.sum()
    assert psi(before, now) == pytest.approx(((q - p) * np.log(q / p)).sum(), rel=1e-4)
    assert psi(now, before) == pytest.approx(psi(before, now))


@pytest.mark.parametrize("seed", range(5))
def test_with_a_bin_per_value_the_kolmogorov_smirnov_test_agrees_with_scipy(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=300), rng.normal(0.1 * seed, size=200)
    edges = np.sort(np.concatenate([a, b]))
    bins = [np.bincount(np.searchsorted(edges, x), minlength=500).astype(np.int64) for x in (a, b)]
    distance, p = kolmogorov_smirnov(*bins)
    reference = stats.ks_2samp(a, b, method="asymp")
    assert distance == pytest.approx(reference.statistic)
    # Stephens' correction moves the asymptotic p-value a little towards the exact one.
    assert p == pytest.approx(reference.pvalue, rel=0.15, abs=0.01)


def test_chi_squared_agrees_with_scipy_and_ignores_empty_bins():
    before, now = counts(50, 30, 0, 20), counts(35, 45, 0, 30)
    kept = np.asarray([before, now])[:, [0, 1, 3]]
    reference = stats.chi2_contingency(kept, correction=False)
    assert chi_squared(before, now) == pytest.approx((reference.statistic, reference.pvalue))
    assert chi_squared(counts(5), counts(9)) == (0.0, 1.0)


@pytest.mark.parametrize("a", [0.5, 1.0, 3.5, 50.0, 500.0])
@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.5, 0.99, 1.0, 1.01, 1.5, 4.0])
def test_the_tail_of_the_gamma_distribution_agrees_with_scipy(a, ratio):
    assert gamma_tail(a, a * ratio) == pytest.approx(special.gammaincc(a, a * ratio), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize(
    ("k_before", "n_before", "k_now", "n_now"), [(2, 100, 9, 80), (0, 50, 3, 60), (30, 1000, 95, 2000), (1, 9, 9, 9)]
)
def test_fisher_exact_greater_agrees_with_scipy(k_before, n_before, k_now, n_now):
    table = [[k_now, n_now - k_now], [k_before, n_before - k_before]]
    expected = stats.fisher_exact(table, alternative="greater").pvalue
    assert fisher_exact_greater(k_before, n_before, k_now, n_now) == pytest.approx(expected, rel=1e-9)


def test_the_p_value_is_one_if_the_rate_is_not_higher():
    assert fisher_exact_greater(10, 100, 10, 100) == 1.0
    assert fisher_exact_greater(10, 100, 0, 100) == 1.0
    assert fisher_exact_greater(0, 100, 0, 100) == 1.0
    assert fisher_exact_greater(2, 10**7, 10**6, 10**7) < 1e-100


def test_merging_keeps_every_row_and_each_bin_has_enough():
    rng = np.random.default_rng(0)
    before, now = rng.integers(0, 40, 60), rng.integers(0, 40, 60)
    for merged in (merge_rare(before, now), merge_neighbours(before, now, 10)):
        assert [int(counts_.sum()) for counts_ in merged] == [int(before.sum()), int(now.sum())]
        assert len(merged[0]) == len(merged[1]) <= 60
    assert len(merge_neighbours(before, now, 10)[0]) == 10
    a, b = merge_rare(before, now)
    expected = (a + b) * min(a.sum(), b.sum()) / (a.sum() + b.sum())
    assert (expected[:-1] >= 5).all()
    assert expected[-1] >= 1


@pytest.mark.parametrize(
    ("before", "now", "merged"),
    [
        ((9, 9, 1, 0, 2, 7, 1), (9, 9, 2, 0, 1, 0, 4), ([9, 9, 10, 1], [9, 9, 3, 4])),
        ((9, 20, 1), (9, 20, 0), ([10, 20], [9, 20])),
        ((0, 0), (0, 0), ([], [])),
        ((1,), (1,), ([1], [1])),
        ((9, 0), (0, 0), ([9], [0])),
    ],
)
def test_rare_bins_are_merged_in_order_and_a_remainder_into_the_smallest(before, now, merged):
    assert tuple(bins.tolist() for bins in merge_rare(counts(*before), counts(*now))) == merged
    assert tuple(bins.tolist() for bins in merge_rare(counts(*now), counts(*before))) == merged[::-1]


@pytest.mark.parametrize("n_levels", [3, 40, 400])
def test_level_bins_count_every_row_once_and_frequent_levels_have_their_own_bin(n_levels):
    rng = np.random.default_rng(n_levels)
    bucket = rng.integers(0, 16, n_levels)
    before, now = (np.bincount(np.minimum(rng.geometric(0.05, 900), n_levels) - 1, minlength=n_levels) for _ in "ab")
    is_listed = before > 0
    in_buckets = [np.bincount(bucket, counts_, 16).astype(np.int64) for counts_ in (before, now)]
    a, b = level_bins(before[is_listed], now[is_listed], bucket[is_listed], *in_buckets)
    assert (a.sum(), b.sum()) == (900, 900)
    assert set(zip(before[:3].tolist(), now[:3].tolist(), strict=True)) <= set(zip(a.tolist(), b.tolist(), strict=True))


@pytest.mark.parametrize(
    "sizes",
    [[1] * 300, [3] * 100, [20] * 15, [1, 2, 3, 4, 5, 6] * 14, [200, 50, 25, 12, 6, 3, 2, 1, 1]],
    ids=["ids", "threes", "twenties", "mixed", "skewed"],
)
@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.9])
def test_new_levels_of_random_parts_of_one_table_are_rarely_significant(sizes, fraction):
    rng = np.random.default_rng(len(sizes))
    n_now, bounds = round(sum(sizes) * fraction), []
    for now in rng.multivariate_hypergeometric(sizes, n_now, 1000):
        n_new, bound = new_levels(np.asarray(sizes) - now, now)
        assert n_new == now[now == sizes].sum()
        bounds.append(bound)
    for level in (0.2, 0.05, 0.01):
        assert np.mean(np.asarray(bounds) <= level) <= level


def test_levels_that_are_not_new_by_chance_are_significant():
    frequent = counts(*[50] * 20)
    assert new_levels(np.append(frequent, 0), np.append(frequent, 12))[1] < 1e-3
    assert new_levels(np.append(frequent, [0] * 40), np.append(frequent, [1] * 40))[1] < 1e-9
    assert new_levels(counts(0, 0), counts(5, 5)) == (10, 1.0)  # without rows before
    assert new_levels(frequent, frequent) == (0, 1.0)
    assert new_levels(counts(5, 0), counts(0, 10**6))[1] < 1e-4 < new_levels(counts(5, 0), counts(0, 1))[1]


def test_one_large_new_level_is_significant_among_many_that_are_new_by_chance():
    seen_once = counts(*[1] * 400, *[0] * 400)
    once_more = counts(*[0] * 400, *[1] * 400)
    assert new_levels(seen_once, once_more)[1] == 1.0
    assert new_levels(np.append(seen_once, 0), np.append(once_more, 30))[1] < 1e-6


@pytest.mark.parametrize("rows_of_a_new_level", [1, 3])
def test_small_new_levels_are_significant_among_many_that_are_new_by_chance(rows_of_a_new_level):
    """Of the rows now a fifth have new levels, while two in five rows have new ones by chance anyway."""
    rng = np.random.default_rng(0)
    before, now = (np.bincount(rng.integers(0, 1000, n_rows), minlength=1000) for n_rows in (1000, 800))
    more = counts(*[rows_of_a_new_level] * (200 // rows_of_a_new_level))
    assert new_levels(before, now)[1] > 0.1
    assert new_levels(np.append(before, 0 * more), np.append(now, more))[1] < 1e-3


def test_the_rate_of_unseen_levels_is_the_fraction_of_singletons():
    assert unseen_rate(counts(1, 1, 3, 0, 5)) == 0.2
    assert unseen_rate(counts()) == 0.0


def test_a_bin_with_most_rows_is_not_merged_with_its_neighbours():
    merged, _ = merge_neighbours(counts(1, 1, 1, 94, 1, 1, 1), counts(1, 1, 1, 1, 1, 1, 1), 5)
    assert 94 in merged.tolist()
