"""A sketch of the training rows knows them again, and few others."""

import numpy as np
import pytest

from mlpcli.data.row_hashes import row_hashes
from mlpcli.data.row_sketch import MAX_HASHES, RowSketch, count_trained_rows, exceeds_expected, sketch_rows
from mlpcli.data.table import CategoricalColumn, NumericColumn, Table

RNG = np.random.default_rng(0)
NAMES = ("a", "b", "k")


def table_of(columns):
    n_rows = len(next(iter(columns.values())))
    return Table(columns, n_rows, "t.csv", tuple(columns))


def table(n_rows, seed, n_levels=10**9):
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, n_levels, n_rows).astype(float) for _ in range(2))
    return table_of({"a": NumericColumn(a), "b": NumericColumn(b), "k": texts(rng.integers(0, 2, n_rows))})


def texts(codes, levels=("no", "yes")):
    return CategoricalColumn(levels, np.asarray(codes))


def every(some):
    return np.arange(some.n_rows)


@pytest.mark.parametrize("n_rows", [50, 20_000])
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.8, 1.0])
def test_the_fraction_of_training_rows_is_estimated_in_any_order(n_rows, fraction):
    trained, fresh = table(n_rows, 1), table(n_rows, 2)
    sketch = sketch_rows(trained, NAMES, every(trained))
    assert sketch.is_sample == (n_rows > MAX_HASHES)
    n = round(fraction * n_rows)
    rows = RNG.permutation(n_rows)[:n]
    columns = {name: mixed_column(trained.columns[name], fresh.columns[name], rows, n_rows - n) for name in NAMES}
    counts = count_trained_rows(sketch, table_of(columns), NAMES, np.arange(n_rows))
    assert counts.fraction == pytest.approx(fraction, abs=0.05)
    assert exceeds_expected(counts, sketch) == (fraction > 0)


def mixed_column(trained, fresh, rows, n_fresh):
    if isinstance(trained, NumericColumn):
        return NumericColumn(np.concatenate([fresh.values[:n_fresh], trained.values[rows]]))
    return texts(np.concatenate([fresh.codes[:n_fresh], trained.codes[rows]]))


def test_rows_of_few_values_are_expected_to_be_there_again():
    trained = table(3000, 1, n_levels=20)
    sketch = sketch_rows(trained, NAMES, every(trained))
    assert sketch.repeated > 0.9
    for seed in range(2, 12):
        fresh = table(3000, seed, n_levels=20)
        assert not exceeds_expected(count_trained_rows(sketch, fresh, NAMES, every(fresh)), sketch)


def test_new_rows_are_rarely_mistaken_for_training_rows():
    trained = table(2000, 1, n_levels=300)
    sketch = sketch_rows(trained, NAMES, every(trained))
    counts = [
        count_trained_rows(sketch, fresh, NAMES, every(fresh)) for fresh in (table(300, s, 300) for s in range(2, 102))
    ]
    assert not any(exceeds_expected(one, sketch) for one in counts)


def test_a_hash_depends_on_the_cell_and_not_on_its_storage():
    wide = table_of({"n": NumericColumn(np.array([0.0, 1.0, 2.5, np.nan])), "k": texts([0, 1, 1, -1])})
    other = table_of(
        {
            "n": NumericColumn(np.array([-0.0, 1, 2.5, np.nan], np.float32)),
            "k": texts([2, 0, 0, -1], ("yes", "x", "no")),
        }
    )
    np.testing.assert_array_equal(row_hashes(wide, ("n", "k")), row_hashes(other, ("n", "k")))
    assert len(np.unique(row_hashes(wide, ("n", "k")))) == 4
    swapped = table_of({"n": NumericColumn(np.array([1.0, 2.0])), "m": NumericColumn(np.array([2.0, 1.0]))})
    first, second = row_hashes(swapped, ("n", "m"))
    assert first != second


@pytest.mark.parametrize(
    "sketch",
    [RowSketch("abc"), RowSketch("0000000g"), RowSketch("0000000200000001"), RowSketch("", False, 1.5)],
)
def test_an_invalid_sketch_is_detected(sketch):
    assert sketch.fault


def test_without_a_sketch_no_rows_are_comparable():
    some = table(10, 1)
    assert RowSketch().fault == ""
    assert not exceeds_expected(count_trained_rows(RowSketch(), some, NAMES, every(some)), RowSketch())
