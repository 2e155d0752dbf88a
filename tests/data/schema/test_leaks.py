import numpy as np
import pytest
from sklearn import datasets

from mlpcli.data.schema.leaks import is_linear_copy, levels_determine_classes, number_determines_classes

rng = np.random.default_rng(0)


def codes_of(values):
    distinct, codes = np.unique(values, return_inverse=True)
    return distinct.astype(np.float64), codes.astype(np.int64)


def test_a_renamed_copy_of_the_classes_leaks_them():
    y = rng.integers(0, 3, 200)
    assert levels_determine_classes((y + 1) % 3, y)


def test_a_refinement_of_the_classes_leaks_them():
    y = rng.integers(0, 3, 600)
    assert levels_determine_classes(y * 10 + rng.integers(0, 10, 600), y)


def test_one_row_that_disagrees_is_enough_to_clear_a_column():
    y = rng.integers(0, 3, 200)
    levels = y.copy()
    levels[0] = (levels[0] + 1) % 3
    assert not levels_determine_classes(levels, y)


def test_few_rows_and_fine_levels_prove_nothing():
    y = rng.integers(0, 2, 40)
    assert not levels_determine_classes(y, y)
    y = rng.integers(0, 2, 400)
    assert not levels_determine_classes(np.arange(400), y)


def test_rare_positives_in_single_rows_prove_nothing():
    y = np.zeros(100, np.int64)
    y[97:] = 1
    levels = np.concatenate([np.zeros(60, np.int64), np.arange(1, 41)])
    assert not levels_determine_classes(levels, y)


def test_rows_without_a_target_do_not_count():
    y = rng.integers(0, 2, 200)
    levels = y.copy()
    y[:20] = -1
    levels[:20] = rng.integers(0, 2, 20)
    assert levels_determine_classes(levels, y)


def test_a_number_leaks_the_classes_if_thresholds_separate_them_perfectly():
    values = rng.normal(size=300)
    assert number_determines_classes(*codes_of(values), (values > 0.3).astype(np.int64))


def test_codes_of_the_classes_leak_them_in_any_order():
    y = rng.integers(0, 4, 200)
    assert number_determines_classes(*codes_of(np.array([3, 0, 2, 1])[y]), y)


def test_a_number_that_is_missing_except_in_one_class_leaks_the_classes():
    y = rng.integers(0, 2, 200)
    distinct, codes = codes_of(rng.normal(size=200))
    assert number_determines_classes(distinct, np.where(y == 1, -1, codes), y)


def test_an_honest_number_does_not():
    y = rng.integers(0, 2, 300)
    assert not number_determines_classes(*codes_of(y + rng.normal(size=300) / 3), y)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
def test_no_column_of_the_textbook_samples_is_accused(name):
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    assert not any(number_determines_classes(*codes_of(column), y) for column in X.T)


def test_setosa_against_the_rest_is_easy_but_no_leak():
    X, y = datasets.load_iris(return_X_y=True)
    assert not any(number_determines_classes(*codes_of(column), (y == 0).astype(np.int64)) for column in X.T)


def test_a_target_in_other_units_is_a_copy():
    y = rng.normal(20, 5, 100)
    assert is_linear_copy(y * 1.8 + 32, y)
    assert is_linear_copy(-y, y)
    gaps = np.where(np.arange(100) % 10 == 0, np.nan, y)
    assert is_linear_copy(gaps, y)


def test_a_good_predictor_is_no_copy():
    y = rng.normal(20, 5, 100)
    assert not is_linear_copy(y + rng.normal(size=100) / 10, y)
    assert not is_linear_copy(np.ones(100), y)
    assert not is_linear_copy(y[:20], y[:20])


@pytest.mark.parametrize("unit", [1e300, 1e-300])
def test_numbers_whose_squares_overflow_are_compared_too(unit):
    y = rng.normal(size=100)
    assert is_linear_copy(unit * y, 3 * y + 1)
    assert is_linear_copy(3 * y + 1, unit * y)
    assert not is_linear_copy(unit * rng.normal(size=100), y)
