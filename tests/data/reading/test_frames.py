import datetime
import json
import unicodedata
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.reading.csv.reader import CsvReader
from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.typed.arrow import ArrowReader
from mlpcli.data.reading.typed.excel import WorkbookReader
from mlpcli.data.reading.typed.frames import frame_columns, table_from_frame
from mlpcli.data.reading.typed.jsonl import JsonLinesReader
from mlpcli.data.table import NumericColumn
from mlpcli.data.writing.csv import Labels, format_header, format_rows
from mlpcli.errors import DataError

from .columns_by_hand import TEXTS, cells, opened, whole

DAY = datetime.date(2024, 2, 29)
NOON = pd.Timestamp("2024-02-29 12:00")

MIXED = ["1", "True", "1", "x", "2024-02-29", "2024-02-29T12:00:00"]
SERIES = [
    (pd.Series([1, 2], dtype="uint8"), None, [1, 2]),
    (pd.Series([10**16, 2]), None, [str(10**16), "2"]),
    (pd.Series([0.5, np.nan], dtype="float32"), None, [0.5, None]),
    (pd.Series([1, None], dtype="Int64"), None, [1.0, None]),
    (pd.Series([10**16 + 1, None], dtype="Int64"), None, [str(10**16 + 1), None]),
    (pd.Series([0.5, None], dtype="Float32"), None, [0.5, None]),
    (pd.Series([True, False]), "boolean", ["True", "False"]),
    (pd.Series([True, None], dtype="boolean"), "boolean", ["True", None]),
    (pd.Series([True, None, np.nan], dtype=object), "boolean", ["True", None, None]),
    (pd.Series(["b", " a", None], dtype="category"), "category", ["b", "a", None]),
    (pd.Series([2.0, 1.5, None], dtype="category"), "category", ["2", "1.5", None]),
    (pd.Series([NOON, pd.NaT]), "date", [19782.5, None]),
    (pd.Series([NOON.tz_localize("Asia/Tokyo"), pd.NaT]), "date", [19782.5 - 9 / 24, None]),
    (pd.Series([DAY, None], dtype=object), "date", [19782.0, None]),
    (pd.Series(["a ", None, "e\u0301", ""], dtype="string"), None, ["a", None, "\xe9", None]),
    (pd.Series(["a ", None, "e\u0301", ""]), None, ["a", None, "\xe9", None]),
    (pd.Series(["a ", np.nan, pd.NA, pd.NaT, ""], dtype=object), None, ["a", None, None, None, None]),
    (pd.Series([1, True, 1.0, "x", DAY, NOON], dtype=object), None, MIXED),
    (pd.Series([1, None, 2.5], dtype=object), None, [1.0, None, 2.5]),
    (pd.Series([np.int8(1), 2], dtype=object), None, [1, 2]),
    (pd.Series([10**20, 1], dtype=object), None, [str(10**20), "1"]),
    (pd.Series([Decimal("1.10"), None], dtype=object), None, [1.1, None]),
    (pd.Series([None, np.nan], dtype=object), None, [None, None]),
    (pd.Series([0, 0, 5], dtype=pd.SparseDtype("int64")), None, [0, 0, 5]),
]  # fmt: skip


@pytest.mark.parametrize(("series", "role", "expected"), SERIES, ids=lambda value: str(getattr(value, "dtype", "")))
def test_each_dtype_is_what_it_says(series, role, expected):
    column = frame_columns(pd.DataFrame({"x": series}), Request())["x"]
    assert (column.role, cells(column)) == (role, expected)


@pytest.mark.parametrize("dtype", ["int64[pyarrow]", "string[pyarrow]", "double[pyarrow]"])
def test_columns_of_pyarrow_are_like_others(dtype):
    pytest.importorskip("pyarrow")
    column = frame_columns(pd.DataFrame({"x": pd.Series([1, None, 3], dtype=dtype)}), Request())["x"]
    assert cells(column) == (["1", None, "3"] if dtype.startswith("string") else [1.0, None, 3.0])


UNREADABLE = {
    "timedelta64": pd.Series([datetime.timedelta(1)]),
    "complex128": pd.Series([1j]),
    "period": pd.Series(pd.period_range("2024", periods=1)),
    "interval": pd.Series([pd.Interval(0, 1)]),
    "list": pd.Series([[1]]),
    "bytes": pd.Series([b"a"], dtype=object),
    "complex": pd.Series([1j, "a"], dtype=object),
}


@pytest.mark.parametrize(("name", "series"), UNREADABLE.items(), ids=UNREADABLE)
def test_a_type_that_is_no_cell_is_refused(name, series):
    with pytest.raises(DataError, match=rf"the data frame: column x: cells of type {name}.* cannot be read\. Write"):
        table_from_frame(pd.DataFrame({"x": series}))


def test_a_frame_is_a_table_without_lines():
    table = table_from_frame(pd.DataFrame({0: [1, 2], "y": ["a", None]}, index=[5, 6]))
    assert (table.column_names, table.n_rows, table.is_file) == (("0", "y"), 2, False)
    assert table.where(1) == "the data frame: row 1"
    assert cells(table.columns["0"]) == [1, 2]


def test_the_hash_is_of_names_and_cells_and_not_of_the_index():
    frame = pd.DataFrame({"x": [1, 2], "s": ["a", "b"]})
    same = table_from_frame(frame.set_index(pd.Index([7, 8]))).sha256
    assert table_from_frame(frame).sha256 == same != ""
    for changed in (frame.rename(columns={"x": "y"}), frame.assign(x=[1, 3]), frame.iloc[::-1]):
        assert table_from_frame(changed).sha256 != same


def test_what_is_no_frame_and_equal_names_are_refused():
    with pytest.raises(DataError, match="the data frame: must be a pandas DataFrame, got list"):
        table_from_frame([1])
    with pytest.raises(DataError, match="columns 1 and 2 are both named '1'"):
        table_from_frame(pd.DataFrame([[1, 2]], columns=[1, "1"]))


def test_only_wanted_columns_are_read():
    frame = pd.DataFrame({"x": [1], "y": [[1]]})
    assert list(frame_columns(frame, Request(frozenset("x")))) == ["x"]


WORDS = st.text("abZ1.- \xe9\u0301", max_size=4)
INTEGERS = st.integers(-(10**9), 10**9)
# Fewer digits than a float64 has: openpyxl does not write all of them.
FLOATS = st.floats(-1e9, 1e9).map(lambda number: float(f"{number:.12g}"))
DAYS = st.dates(datetime.date(1901, 1, 1), datetime.date(2200, 1, 1))
SECONDS = st.integers(-(10**9), 10**9).map(lambda second: datetime.datetime(1970, 1, 1) + datetime.timedelta(0, second))
MAKERS = {
    "ints": (INTEGERS, lambda values: pd.Series(values, dtype="int64")),
    "nullable": (st.none() | INTEGERS, lambda values: pd.Series(values, dtype="Int64")),
    "floats": (st.none() | FLOATS, lambda values: pd.Series(values, dtype="float64")),
    "flags": (st.none() | st.booleans(), lambda values: pd.Series(values, dtype="boolean")),
    "words": (st.none() | WORDS, lambda values: pd.Series(values, dtype=object)),
    "levels": (st.none() | st.sampled_from(["a", "b"]), lambda values: pd.Series(values, dtype="category")),
    "days": (st.none() | DAYS, lambda values: pd.Series(values, dtype=object)),
    "moments": (st.none() | SECONDS, lambda values: pd.Series(pd.to_datetime(pd.Series(values, dtype=object)))),
}


@st.composite
def frames(draw):
    n_rows = draw(st.integers(1, 8))
    columns = {
        name: make(draw(st.lists(cell, min_size=n_rows, max_size=n_rows))) for name, (cell, make) in MAKERS.items()
    }
    return pd.DataFrame(columns)


def plain(cell):
    """A cell as JSON and workbooks take it."""
    return None if cell is None or pd.isna(cell) else cell.item() if hasattr(cell, "item") else cell


def write_all(frame, folder):
    """The same frame in every format, with its reader."""
    pa = pytest.importorskip("pyarrow")
    texts = frame_columns(frame, TEXTS)
    csv = format_rows([Labels(column.levels, column.codes) for column in texts.values()]).encode()
    (folder / "t.csv").write_bytes(format_header(list(frame)).encode() + csv)
    rows = [{name: plain(cell) for name, cell in row.items()} for row in frame.astype(object).to_dict("records")]
    text = "".join(
        json.dumps(row, default=lambda day: day.isoformat().removesuffix("T00:00:00")) + "\n" for row in rows
    )
    (folder / "t.jsonl").write_text(text)
    table = pa.Table.from_pandas(frame)
    pytest.importorskip("pyarrow.parquet").write_table(table, folder / "t.parquet")
    pytest.importorskip("pyarrow.feather").write_feather(table, str(folder / "t.feather"))
    book = pytest.importorskip("openpyxl").Workbook()
    for row in [list(frame), *(list(row.values()) for row in rows)]:
        book.active.append([str(cell) if cell.__class__ is str else cell for cell in row])
    book.save(folder / "t.xlsx")
    readers = [CsvReader, JsonLinesReader, ArrowReader, ArrowReader, WorkbookReader]
    return dict(zip(["csv", "jsonl", "parquet", "feather", "xlsx"], readers, strict=True))


@given(frame=frames())
@settings(max_examples=25)
def test_every_format_has_the_same_cells(frame, tmp_path_factory):
    folder = tmp_path_factory.mktemp("t")
    as_texts = {name: cells(column) for name, column in frame_columns(frame, TEXTS).items()}
    as_typed = {name: (column.role, cells(column)) for name, column in frame_columns(frame, Request()).items()}
    for ending, reader_type in write_all(frame, folder).items():
        path = folder / f"t.{ending}"
        columns = whole(opened(reader_type, path, header=True), TEXTS)
        assert {name: column[1] for name, column in columns.items()} == as_texts, ending
        typed = whole(opened(reader_type, path, header=True))
        exact = {"parquet": MAKERS, "feather": MAKERS, "xlsx": ["ints", "floats", "flags", "words"], "csv": ["ints"]}
        for name in exact.get(ending, ["ints", "nullable", "floats"]):
            if any(cell is not None for cell in as_texts[name]):
                assert typed[name] == as_typed[name], (ending, name)


def test_words_are_normalized_and_numbers_keep_their_type():
    frame = pd.DataFrame({"s": ["e\u0301", "\xe9"], "x": np.asarray([1, 2], np.int8)})
    columns = frame_columns(frame, Request())
    assert columns["s"].levels == (unicodedata.normalize("NFC", "e\u0301"),)
    assert isinstance(columns["x"], NumericColumn)
    assert columns["x"].values.dtype == np.int8
