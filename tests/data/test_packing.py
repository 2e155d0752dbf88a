import numpy as np
import pandas as pd
import pytest

from mlpcli.data import encoding, lookahead, packing, parsing, reading
from mlpcli.data.categorical import OneHot
from mlpcli.data.numeric import MedianFill, RefuseMissing, Standardize
from mlpcli.data.packing import PackedNumbers
from mlpcli.data.piecewise import NoEncoding, PiecewiseLinear
from mlpcli.data.preprocessor import fit_preprocessor, transform, transform_and_drain
from mlpcli.data.tables import iter_tables, read_table
from mlpcli.errors import DataError

MEDIAN = MedianFill()
NO_ENCODING = NoEncoding()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch, tmp_path):
    monkeypatch.setattr(reading, "FEWEST_PACKED_CELLS", 100)
    monkeypatch.setattr(packing, "BLOCK_CELLS", 64)
    monkeypatch.chdir(tmp_path)


def packed(**columns):
    frame = pd.DataFrame(columns)
    numbers = PackedNumbers(list(frame.columns))
    for start in range(0, len(frame), 7):
        part = numbers.part(frame.iloc[start : start + 7])
        assert part is not None
        numbers.add(part)
    numbers.end()
    return numbers


def write(text_rows, header="a,b,word,y"):
    lines = [header, *text_rows]
    with open("t.csv", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def mixed_rows(n_rows=200):
    rng = np.random.default_rng(0)
    return [
        f"{1.7e9 + 86400 * row + rng.random()!r},{'' if row % 9 == 4 else rng.integers(50)},{'xyz'[row % 3]},{row % 2}"
        for row in range(n_rows)
    ]


def fitted(table, missing=MEDIAN, rows=None, encoding=NO_ENCODING):
    return fit_preprocessor(table, ["a", "b", "word"], {}, Standardize(), missing, OneHot(), encoding, rows)


def test_numbers_that_float32_holds_come_back_as_they_were():
    columns = {"whole": np.arange(50), "halves": np.arange(50) / 2, "gaps": np.where(np.arange(50) % 3, 1.5, np.nan)}
    numbers = packed(**columns)
    for name, values in columns.items():
        assert np.array_equal(numbers.column(name), np.asarray(values, float), equal_nan=True)


@pytest.mark.parametrize("rows", [[], [0], [3, 4, 20, 49], range(50)])
def test_some_rows_of_a_column_are_taken_from_their_blocks(rows):
    numbers = packed(x=np.random.default_rng(5).random(50), y=np.arange(50))
    rows = np.asarray(rows, np.int32)
    assert np.array_equal(numbers.column("x", rows), numbers.column("x")[rows])


@pytest.mark.parametrize("names", ["abc", "ca", "b", ""])
@pytest.mark.parametrize("rows", [None, [0, 3, 4, 20, 49], range(50)])
def test_columns_one_after_the_other_are_those_asked_for_one_by_one(names, rows):
    rng = np.random.default_rng(7)
    numbers = packed(a=rng.random(50), b=np.arange(50), c=-rng.random(50))
    rows = None if rows is None else np.asarray(rows)
    found = list(numbers.columns(list(names), rows))
    assert len(found) == len(names)
    for name, values in zip(names, found, strict=True):
        np.testing.assert_array_equal(values, numbers.column(name, rows))


def test_zero_is_zero_whatever_its_sign():
    zeros = packed(x=np.asarray([-0.0, 0.0, 1.0])).column("x")
    assert not np.signbit(zeros).any()


def test_whole_numbers_near_each_other_come_back_however_large():
    values = 10**12 + np.arange(50) * 3
    assert np.array_equal(packed(x=values).column("x"), values)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 0.1, 1e30, 1e300])
def test_other_numbers_are_off_by_less_than_a_part_in_ten_million_of_their_spread(scale):
    values = np.random.default_rng(1).standard_normal(60) * scale
    assert np.abs(packed(x=values).column("x") - values).max() < 1e-7 * np.ptp(values)


def test_an_outlier_does_not_blur_the_others():
    values = np.append(np.random.default_rng(2).random(6), 1e12)
    assert np.abs(packed(x=values).column("x")[:-1] - values[:-1]).max() < 1e-7


def test_the_ends_of_the_range_of_float64_can_be_packed():
    values = np.asarray([1.7e308, -1.7e308, 3.3e307])
    assert np.allclose(packed(x=values).column("x"), values, rtol=1e-6)


def test_infinite_numbers_are_not_packed():
    numbers = PackedNumbers(["x"])
    assert numbers.part(pd.DataFrame({"x": [1.0, np.inf]})) is None


@pytest.mark.parametrize("n_rows", [1, 9, 70])  # parts that are few rows, many in a block, a block each
def test_parts_of_any_length_make_the_same_columns(n_rows):
    frame = pd.DataFrame({"x": np.random.default_rng(6).random(200), "gaps": np.where(np.arange(200) % 3, 1.5, np.nan)})
    numbers = PackedNumbers(list(frame.columns))
    for start in range(0, len(frame), n_rows):
        part = numbers.part(frame.iloc[start : start + n_rows])
        assert part is not None
        numbers.add(part)
    numbers.end()
    assert numbers.n_rows == 200
    np.testing.assert_allclose(numbers.column("x"), frame["x"], rtol=0, atol=1e-7)
    np.testing.assert_array_equal(numbers.column("gaps"), frame["gaps"])


@pytest.mark.parametrize("n_rows", [1, 5, 62, 63, 64, 126, 127, 300])
@pytest.mark.parametrize("at_once", [1, 500, 1 << 16])
def test_a_column_among_others_is_packed_as_if_it_were_alone(monkeypatch, n_rows, at_once):
    monkeypatch.setattr(packing, "CELLS_AT_ONCE", at_once)
    monkeypatch.setattr(packing, "BLOCK_CELLS", 1 << 20)  # one block of rows, however many columns
    rng = np.random.default_rng(7)
    columns = {f"x{place}": rng.normal(size=n_rows) * 10.0 ** rng.integers(-300, 300) for place in range(9)}
    columns |= {"small": np.full(n_rows, 1e-60), "missing": np.full(n_rows, np.nan)}
    columns["far"] = 1.7e308 * rng.choice([-1, 1], n_rows)
    columns["gaps"] = np.where(np.arange(n_rows) % 2, 0.1, np.nan)
    together = packed(**columns)
    for name, values in columns.items():
        alone = packed(**{name: values}).column(name)
        assert together.column(name).tobytes() == alone.tobytes(), name


def test_drained_blocks_are_gone():
    numbers = packed(x=np.arange(200.0))
    assert [block.first_row for block in numbers.drain()] == [0, 70, 140]
    assert not numbers.blocks


def test_the_numbers_of_a_large_table_are_packed_and_its_texts_are_not():
    write(mixed_rows())
    table = read_table("t.csv", text_columns=["y"], packs=True)
    assert table.packed is not None
    assert table.packed.names == ("a", "b")
    assert list(table.coded) == ["word", "y"]
    assert list(table.frame.columns) == []
    assert table.read_names == table.column_names == ("a", "b", "word", "y")
    plain = read_table("t.csv", text_columns=["y"])
    assert plain.packed is None
    assert (plain.sha256, plain.notes, plain.where(17)) == (table.sha256, table.notes, table.where(17))
    pd.testing.assert_series_equal(table.column("word"), plain.column("word"))


def test_columns_that_must_be_exact_are_not_packed():
    write(mixed_rows())
    table = read_table("t.csv", packs=True, exact_columns=["b"])
    assert table.packed is not None
    assert "b" not in table.packed


@pytest.mark.parametrize("cell", ["oops", "-", "True"])
def test_a_table_whose_numbers_are_not_plain_throughout_is_read_as_ever(cell, monkeypatch):
    monkeypatch.setattr(encoding, "BLOCK_SIZE", 512)
    rows = mixed_rows()
    rows[150] = f"1.5,{cell},x,0"
    write(rows)
    plain, table = read_table("t.csv"), read_table("t.csv", packs=True)
    assert table.packed is None
    pd.testing.assert_frame_equal(table.frame, plain.frame)
    assert table.sha256 == plain.sha256


def test_an_infinite_number_in_a_large_table_is_an_error_with_its_line():
    rows = mixed_rows()
    rows[150] = "1.5,inf,x,0"
    write(rows)
    with pytest.raises(DataError, match=r"t\.csv:152: .*infinite"):
        read_table("t.csv", packs=True)


def test_a_faulty_row_of_a_large_table_is_told_as_ever():
    write([*mixed_rows(), "1,2,x"])
    with pytest.raises(DataError, match=r"t\.csv:202: "):
        read_table("t.csv", packs=True)


@pytest.mark.parametrize("encoding", [NoEncoding(), PiecewiseLinear(), PiecewiseLinear(span=0.3)])
def test_inputs_of_a_packed_table_are_those_of_the_table_within_the_rounding_of_float32(encoding):
    write(mixed_rows())
    rows = [np.arange(0, 200, 2), np.setdiff1d(np.arange(200), np.arange(0, 200, 2))[5:]]
    plain = read_table("t.csv", text_columns=["y"])
    expected = fitted(plain, rows=rows[0], encoding=encoding)
    table = read_table("t.csv", text_columns=["y"], packs=True)
    preprocessor = fitted(table, rows=rows[0], encoding=encoding)
    assert preprocessor.feature_names == expected.feature_names
    for key, values in expected.state.items():
        np.testing.assert_allclose(preprocessor.state[key], values, rtol=1e-7)
    for found, some in zip(transform_and_drain(preprocessor, table, np.float32, rows), rows, strict=True):
        np.testing.assert_allclose(found, transform(expected, plain, np.float32, some)[0], atol=1e-6)
        assert found.flags.c_contiguous
    assert table.packed is not None
    assert not table.packed.blocks


def test_a_missing_cell_of_a_packed_table_is_refused_with_its_line():
    write(mixed_rows())
    table = read_table("t.csv", text_columns=["y"], packs=True)
    known = np.asarray([row for row in range(200) if row % 9 != 4])
    preprocessor = fitted(table, RefuseMissing(), known)
    with pytest.raises(DataError, match=r"t\.csv:6: column b is missing"):
        transform_and_drain(preprocessor, table, np.float32, [known, np.arange(200)])


def test_a_number_of_a_packed_table_that_is_too_large_is_an_error_with_its_line():
    rows = mixed_rows()
    rows[199] = "1e300,1,x,0"
    write(rows)
    table = read_table("t.csv", text_columns=["y"], packs=True)
    preprocessor = fitted(table, rows=np.arange(100))
    with pytest.raises(DataError, match=r"t\.csv:201: column a: 1e\+300 is too large"):
        transform_and_drain(preprocessor, table, np.float32, [np.arange(100), np.arange(100, 200)])


def test_a_table_of_many_columns_is_parsed_several_blocks_at_a_time_and_is_the_same(monkeypatch):
    monkeypatch.setattr(encoding, "BLOCK_SIZE", 256)
    rows = mixed_rows()
    write(rows)
    tables = []
    for many in (2, 100):
        monkeypatch.setattr(parsing, "MANY_COLUMNS", many)
        tables.append(read_table("t.csv", packs=True))
    for name in ("a", "b", "word", "y"):
        np.testing.assert_array_equal(tables[0].text_cells(name).codes, tables[1].text_cells(name).codes)
    write([*rows[:150], "1,2,x", *rows[150:]])
    monkeypatch.setattr(parsing, "MANY_COLUMNS", 2)
    with pytest.raises(DataError, match=r"t\.csv:152: "):
        list(iter_tables("t.csv", number_columns=["a", "b"]))


@pytest.mark.parametrize(
    "rows", [mixed_rows(3000), [f"{row % 7},{row % 256},{row % 3},{row % 2}" for row in range(3000)]]
)
def test_a_packed_table_is_the_same_to_the_bit_whatever_the_number_of_threads(rows, monkeypatch):
    monkeypatch.setattr(encoding, "BLOCK_SIZE", 512)
    write(rows)
    tables = []
    for n_cores in (1, 2, 4):
        monkeypatch.setattr(lookahead, "available_cores", lambda n_cores=n_cores: n_cores)
        tables.append(read_table("t.csv", text_columns=["y"], packs=True))
    for table in tables[1:]:
        assert (table.sha256, table.packed.names) == (tables[0].sha256, tables[0].packed.names)
        assert [block.first_row for block in table.packed.blocks] == [
            block.first_row for block in tables[0].packed.blocks
        ]
        for name in table.packed.names:
            assert table.packed.column(name).tobytes() == tables[0].packed.column(name).tobytes()
        pd.testing.assert_frame_equal(table.frame, tables[0].frame)


@pytest.mark.parametrize("rows", [np.arange(200), np.arange(0, 200, 3), np.arange(50, 150)])
def test_inputs_of_a_packed_table_do_not_depend_on_the_number_of_threads(rows, monkeypatch):
    write(mixed_rows())
    found = []
    for n_cores in (1, 3):
        monkeypatch.setattr(lookahead, "available_cores", lambda n_cores=n_cores: n_cores)
        table = read_table("t.csv", text_columns=["y"], packs=True)
        others = np.setdiff1d(np.arange(200), rows)
        found.append(transform_and_drain(fitted(table, rows=rows), table, np.float32, [rows, others]))
    for one, other in zip(*found, strict=True):
        assert one.tobytes() == other.tobytes()
