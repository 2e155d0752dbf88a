"""Batches put together: the same columns however the rows are cut, in memory or on disk, in order or in buckets."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.data.reading import building
from mlpcli.data.reading.building import BuiltColumns, ColumnBuilder, StoreOptions, draw_order
from mlpcli.data.table import CategoricalColumn, NumericColumn
from tests.data.tables_by_hand import cells_of

NUMBERS = st.sampled_from([0, 1, 255, -128, 70_000, 2**40, 0.1, -0.0, 1e300, np.nan])
TEXTS = st.sampled_from(["a", "b", "c", "ü", None])
rows = st.lists(st.tuples(NUMBERS, TEXTS), min_size=1, max_size=40)
cuts = st.lists(st.integers(0, 40), max_size=4)


def text_column(cells):
    levels = tuple(dict.fromkeys(cell for cell in cells if cell is not None))
    return CategoricalColumn(levels, np.asarray([-1 if c is None else levels.index(c) for c in cells], np.int8))


def batches(rows, cuts):
    """The rows as columns, cut at some places."""
    bounds = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    for start, end in pairwise(bounds):
        numbers, texts = zip(*rows[start:end], strict=True)
        yield {"n": NumericColumn(np.asarray(numbers)), "t": text_column(texts)}, end - start


def built(rows, cuts, options=None, n_buckets=1, seed=0):
    builder = ColumnBuilder(options)
    for columns, n_rows in batches(rows, cuts):
        builder.add(columns, n_rows)
    assert builder.mixed == set()
    order = draw_order(len(rows), n_buckets, seed)
    return builder.build(order), order


def expected(rows):
    numbers, texts = zip(*rows, strict=True)
    return {"n": [None if number != number else number for number in numbers], "t": list(texts)}


# The sizes above which columns go to disk, and above which rows are written there before all are read.
SIZES = {"in memory": (1 << 24, 1 << 23), "at the end": (-1_000_000, 1 << 23), "batch by batch": (-1_000_000, -1)}


def set_sizes(patch, when):
    for name, size in zip(("MEMORY_LIMIT", "FLUSH_SIZE"), SIZES[when], strict=True):
        patch.setattr(building, name, size)


@pytest.mark.parametrize("when", SIZES)
@given(rows=rows, cuts=cuts)
def test_columns_are_the_same_however_the_rows_are_cut_and_wherever_they_lie(when, rows, cuts):
    with pytest.MonkeyPatch.context() as patch:
        set_sizes(patch, when)
        columns, order = built(rows, cuts, StoreOptions())
    assert order is None
    assert {name: cells_of(column) for name, column in columns.items()} == expected(rows)


@pytest.mark.parametrize("when", SIZES)
@given(rows=rows, cuts=cuts, n_buckets=st.integers(2, 5), seed=st.integers(0, 99))
def test_rows_in_buckets_are_all_the_rows_each_once_with_its_number(when, rows, cuts, n_buckets, seed):
    with pytest.MonkeyPatch.context() as patch:
        set_sizes(patch, when)
        columns, order = built(rows, cuts, StoreOptions(), n_buckets, seed)
        again, same = built(rows, [], StoreOptions(), n_buckets, seed)
    assert sorted(order.tolist()) == list(range(len(rows)))
    assert order.tolist() == same.tolist()  # whatever the batches
    for name, cells in expected(rows).items():
        assert cells_of(columns[name]) == cells_of(again[name]) == [cells[row] for row in order.tolist()]


@pytest.mark.parametrize("when", SIZES)
@given(rows=rows, cuts=cuts)
def test_a_column_can_be_looked_at_before_all_are_built(when, rows, cuts):
    with pytest.MonkeyPatch.context() as patch:
        set_sizes(patch, when)
        builder = ColumnBuilder(StoreOptions())
        for columns, n_rows in batches(rows, cuts):
            builder.add(columns, n_rows)
        columns = BuiltColumns([builder])
        first_read = {name: cells_of(column) for name, column in columns.items()}
        assert builder.n_texts == {"n": 0, "t": len({text for _, text in rows} - {None})}
        assert first_read == expected(rows) == {name: cells_of(column) for name, column in builder.build().items()}


@given(rows=rows, cuts=cuts)
def test_levels_stand_in_the_order_in_which_they_occur_and_codes_are_small(rows, cuts):
    columns, _ = built(rows, cuts)
    assert columns["t"].levels == tuple(dict.fromkeys(text for _, text in rows if text is not None))
    assert columns["t"].codes.dtype == np.int8


def test_a_column_of_numbers_here_and_texts_there_must_be_read_again():
    builder = ColumnBuilder()
    builder.add({"x": NumericColumn(np.ones(2)), "y": NumericColumn(np.ones(2))}, 2)
    builder.add({"x": text_column(["a", "1"]), "y": NumericColumn(np.ones(2))}, 2)
    assert builder.mixed == {"x"}
    assert list(builder.build()) == ["y"]
