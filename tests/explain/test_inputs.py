"""The inputs of each column, and groups of correlated columns."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from mlpcli.data.features.feature import Feature
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.explain.inputs import correlated_columns, inputs_by_column


def number(name, **options):
    return Feature(ColumnSchema(name, "number"), **options)


def category(name, levels):
    return Feature(ColumnSchema(name, "category"), levels=levels)


def test_every_input_belongs_to_one_column():
    features = [number("a", flag_of="a", n_bins=3), category("c", ("x", "y", "z")), number("b", flag_of="a")]
    found = inputs_by_column(features)
    assert list(found) == ["a", "c", "b"]
    every = np.concatenate(list(found.values()))
    assert sorted(every.tolist()) == list(range(sum(feature.n_inputs for feature in features)))
    assert found["a"].tolist() == [0, 2, 3, 4, 5]  # the number, its bins, its missing indicator


def test_the_correlation_is_that_of_ranks():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    X[:, 1] += X[:, 0]
    (found,) = correlated_columns(np.round(X, 1), [number("a"), number("b")], 0.1)
    assert found.columns == ("a", "b")
    assert found.correlation == pytest.approx(abs(spearmanr(*np.round(X, 1).T).statistic))


def test_columns_are_grouped_by_single_linkage():
    rng = np.random.default_rng(1)
    a, free = rng.normal(size=(2, 500))
    b, c = a + 0.3 * rng.normal(size=500), a + 0.6 * rng.normal(size=500)
    found = correlated_columns(np.column_stack([b, free, a, c]), [number(name) for name in "bfac"], 0.8)
    assert [one.columns for one in found] == [("b", "a", "c")]


def test_a_categorical_column_is_correlated_with_the_number_that_determines_it():
    rng = np.random.default_rng(2)
    a = rng.normal(size=400)
    X = np.column_stack([a, a < 0, a >= 0])
    found = correlated_columns(X, [number("a"), category("sign", ("low", "high"))], 0.7)
    assert [one.columns for one in found] == [("a", "sign")]


def test_a_constant_column_is_correlated_with_nothing():
    X = np.column_stack([np.ones(50), np.arange(50.0)])
    assert correlated_columns(X, [number("a"), number("b")], 0.5) == []
