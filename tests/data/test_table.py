import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.data import table as tables
from mlpcli.data.table import CategoricalColumn, NumericColumn, code_dtype, count_codes, downcast_integers
from tests.data.tables_by_hand import cells_of, hand_table

LEVELS = ("b", "a", "1", "1.0")
some_codes = st.lists(st.integers(-1, 3), max_size=40).map(lambda codes: np.asarray(codes, np.int8))


@pytest.fixture(autouse=True, scope="module")
def few_codes_at_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "CODES_PER_CHUNK", 7)
        yield


@pytest.mark.parametrize(
    ("n_codes", "dtype"), [(0, np.int8), (127, np.int8), (128, np.int16), (32_767, np.int16), (32_768, np.int32)]
)
def test_codes_have_the_smallest_type_with_room_for_one_more(n_codes, dtype):
    assert code_dtype(n_codes) == dtype
    assert np.iinfo(code_dtype(n_codes)).max >= n_codes


@given(some_codes)
def test_codes_are_counted_and_looked_up_however_many_at_once(codes):
    column = CategoricalColumn(LEVELS, codes)
    assert column.counts.tolist() == [np.count_nonzero(codes == code) for code in range(4)]
    assert count_codes(codes, 9).tolist() == [*column.counts.tolist(), 0, 0, 0, 0, 0]
    values = column.translate(np.array([5.0, 6.0, 7.0, 8.0]), np.nan)
    expected = [np.nan if code < 0 else 5.0 + code for code in codes]
    np.testing.assert_array_equal(values, expected)


@given(some_codes, st.lists(st.sampled_from(["x", "y", "z", "", None]), min_size=4, max_size=4))
def test_levels_under_other_names_are_distinct_and_in_order_and_give_the_cells(codes, names):
    column = CategoricalColumn(LEVELS, codes)
    relabelled = column.relabel(names)
    assert cells_of(relabelled) == [names[code] or None if code >= 0 else None for code in codes]
    assert relabelled.levels == tuple(sorted({name for name in names if name}))


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=9), st.integers(0, 62))
def test_whole_numbers_stay_themselves_in_the_smallest_type(numbers, shift):
    values = np.asarray(numbers, np.int64) >> shift
    small = downcast_integers(values)
    assert small.tolist() == values.tolist()
    assert small.dtype.itemsize <= values.dtype.itemsize
    if len(values) and values.min() >= 0 and values.max() < 256:
        assert small.dtype.itemsize == 1


def test_chosen_rows_keep_their_places_and_their_cells():
    table = hand_table(x=[1.0, None, 3.0], t=["a", "b", None])
    selected = table.take(np.array([2, 0]))
    assert (selected.n_rows, selected.names) == (2, ("x", "t"))
    assert {name: cells_of(column) for name, column in selected.columns.items()} == {"x": [3.0, 1.0], "t": [None, "a"]}
    assert [selected.where(0), selected.where(1)] == ["new.csv:4", "new.csv:2"]
    assert selected.take(slice(1, 2)).where(0) == "new.csv:2"


def test_columns_stand_in_the_order_of_the_source_whoever_asks():
    table = hand_table(b=[1], a=[2])
    assert table.with_columns({"a": NumericColumn(np.ones(1)), "b": NumericColumn(np.ones(1))}).names == ("b", "a")
