import datetime
import io
import sys
from contextlib import closing
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.typed import columns as typed
from mlpcli.data.reading.typed.arrow import ArrowReader
from mlpcli.data.reading.typed.frames import frame_columns
from mlpcli.data.table import NumericColumn
from mlpcli.errors import DataError

from .columns_by_hand import TEXTS, cells, damaged, opened, whole

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
feather = pytest.importorskip("pyarrow.feather")

STAMP = datetime.datetime(2024, 2, 29, 13, 5, 6, 500_000)
NOON = datetime.datetime(1969, 12, 31, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))


def write_stream(table, path):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


WRITERS = {"parquet": pq.write_table, "feather": feather.write_feather, "stream": write_stream}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    def written(columns):
        path = tmp_path / f"t.{request.param}"
        WRITERS[request.param](columns if isinstance(columns, pa.Table) else pa.table(columns), path)
        return path

    return written


def column(path, request=Request()):  # noqa: B008
    with closing(opened(ArrowReader, path)) as reader:
        return next(iter(reader.batches(request)))().columns["x"]


TYPED = [
    (pa.array([1, -2], pa.int8()), None, [1, -2], ["1", "-2"]),
    (pa.array([1, None], pa.uint64()), None, [1.0, None], ["1", None]),
    (pa.array([10**15 - 1, 0]), None, [10**15 - 1, 0], ["999999999999999", "0"]),
    (pa.array([10**15, None]), None, ["1000000000000000", None], ["1000000000000000", None]),
    (pa.array([2**64 - 1, 3], pa.uint64()), None, [str(2**64 - 1), "3"], [str(2**64 - 1), "3"]),
    (pa.array([-(2**63), 3]), None, [str(-(2**63)), "3"], [str(-(2**63)), "3"]),
    (pa.array([0.1, None]), None, [0.1, None], ["0.1", None]),
    (pa.array([0.1, 3.0], pa.float32()), None, [0.1, 3.0], ["0.1", "3"]),
    (pa.array([0.5, None], pa.float16()), None, [0.5, None], ["0.5", None]),
    (pa.array([Decimal("1.10"), None]), None, [1.1, None], ["1.1", None]),
    (pa.array([Decimal(10**20), None], pa.decimal128(30, 0)), None, [str(10**20), None], [str(10**20), None]),
    (pa.array([True, None]), "boolean", ["True", None], ["True", None]),
    (pa.array([datetime.date(2024, 2, 29), None]), "date", [19782.0, None], ["2024-02-29", None]),
    (pa.array([STAMP], pa.timestamp("us")), "date", [19782 + 47_106_500 / 86_400_000], ["2024-02-29T13:05:06.5"]),
    (pa.array([STAMP], pa.timestamp("ns")), "date", [19782 + 47_106_500 / 86_400_000], ["2024-02-29T13:05:06.5"]),
    (pa.array([NOON, None], pa.timestamp("s", "Asia/Tokyo")), "date", [-14 / 24, None], ["1969-12-31T10:00:00Z", None]),
    (pa.array([" a", "a ", "", None, "e\u0301"]), None, ["a", "a", None, None, "\xe9"], ["a", "a", None, None, "\xe9"]),
    (pa.array(["b", None], pa.large_string()), None, ["b", None], ["b", None]),
    (pa.array(["b", None], pa.string_view()), None, ["b", None], ["b", None]),
    (pa.array(["b", "a", None]).dictionary_encode(), "category", ["b", "a", None], ["b", "a", None]),
    (pa.array([2.0, 10.5, None]).dictionary_encode(), "category", ["2", "10.5", None], ["2", "10.5", None]),
    (pa.array([None, None]), None, [None, None], [None, None]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("array", "role", "expected", "texts"), TYPED, ids=lambda value: str(getattr(value, "type", ""))
)
def test_each_type_is_what_it_says_and_its_texts_are_those_of_a_csv_file(array, role, expected, texts, tmp_path):
    for ending, writes in WRITERS.items():
        path = tmp_path / ending
        try:
            writes(pa.table({"x": array}), path)
        except (pa.ArrowNotImplementedError, pa.ArrowTypeError):
            continue  # not every type fits every format
        if ending == "parquet" and role == "category" and texts[0] == "2":
            continue  # Parquet keeps dictionaries of texts only
        converted = column(path)
        assert (converted.role, cells(converted)) == (role, expected)
        assert cells(column(path, TEXTS)) == texts


def test_whole_numbers_stay_whole_and_float32_stays_float32(write):
    path = write({"x": pa.array([1, 2], pa.int16())})
    assert column(path).values.dtype == np.int16
    path = write({"x": pa.array([1, None], pa.float32())})
    assert column(path).values.dtype == np.float32


def test_levels_that_no_row_has_are_none(write):
    array = pa.DictionaryArray.from_arrays(pa.array([1, 1, None]), pa.array(["a", "b"]))
    assert column(write({"x": array})).levels == ("b",)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@given(seconds=st.integers(-(10**9), 10**9))
@settings(max_examples=20)
def test_a_moment_is_the_same_day_number_in_every_unit(unit, seconds):
    stamps = np.asarray([seconds], "datetime64[s]").astype(f"datetime64[{unit}]")
    assert typed.date_column(stamps, False).values[0] == seconds * 1_000_000 / 86_400_000_000


UNREADABLE = {
    "list<": pa.array([[1], [2]]),
    "struct<": pa.array([{"a": 1}, {"a": 2}]),
    "time64": pa.array([datetime.time(1), datetime.time(2)]),
    "duration": pa.array([datetime.timedelta(1)] * 2),
    "binary": pa.array([b"a", b"b"]),
}


@pytest.mark.parametrize(("name", "array"), UNREADABLE.items(), ids=UNREADABLE)
def test_a_type_that_is_no_cell_is_refused_only_where_it_is_wanted(name, array, write):
    path = write({"x": array, "y": [1, 2]})
    with pytest.raises(DataError, match=rf"t\.\w+: column x: cells of type {name}.* cannot be read\. Write them as"):
        column(path)
    assert whole(opened(ArrowReader, path), Request(frozenset("y"))) == {"y": (None, [1, 2])}


def test_locations_projection_and_index_columns(write):
    path = write({"x": [1, 2, 3], "__index_level_0__": [5, 6, 7]})
    reader = opened(ArrowReader, path)
    assert reader.names == ("x",)
    for wanted in (["x"], ["nothing"]):
        table = next(iter(reader.batches(Request(frozenset(wanted)))))()
        assert (table.n_rows, table.names) == (3, tuple(name for name in wanted if name == "x"))
    assert table.where(1) == reader.locate(1) == f"{path}: row 2"
    reader.close()
    assert reader.locate(2) == f"{path}: row 3"


def test_columns_with_dotted_names_are_distinguished(write):
    assert whole(opened(ArrowReader, write({"a": [1], "a.b": [2]}))) == {"a": (None, [1]), "a.b": (None, [2])}


def test_two_columns_of_equal_name_and_no_columns_are_errors(write):
    path = write(pa.table([pa.array([1]), pa.array([2])], names=["x", "x "]))
    with pytest.raises(DataError, match=r"columns 1 and 2 are both named 'x'\. Rename one of them\."):
        opened(ArrowReader, path)


def test_no_rows_are_no_batches(write):
    with closing(opened(ArrowReader, write({"x": pa.array([], pa.int64())}))) as reader:
        assert list(reader.batches(Request())) == []


@pytest.mark.parametrize("size", [1, 3, 7])
def test_batches_of_any_size_make_the_same_column(size, write, monkeypatch):
    rng = np.random.default_rng(0)
    floats = np.where(rng.random(20) < 0.3, np.nan, rng.random(20))
    texts = pa.array(rng.choice(["a", "b", "c", None], 20).tolist())
    path = write({"f": floats, "s": texts, "d": texts.dictionary_encode(), "i": pa.array([1, None] * 10)})
    expected = whole(opened(ArrowReader, path))
    assert expected["f"][1] == [None if number != number else number for number in floats.tolist()]
    monkeypatch.setattr(typed, "BATCH_ROWS", size)
    assert whole(opened(ArrowReader, path)) == expected
    with closing(opened(ArrowReader, path)) as reader:
        assert len(list(reader.batches(Request()))) == -(-20 // size)


def test_one_long_number_makes_texts_of_the_whole_column(write, monkeypatch):
    monkeypatch.setattr(typed, "BATCH_ROWS", 2)
    reader = opened(ArrowReader, write({"x": [1, 2, 10**17, 4]}))
    assert isinstance(next(iter(reader.batches(Request())))().columns["x"], NumericColumn)
    assert whole(reader) == {"x": (None, ["1", "2", "100000000000000000", "4"])}


def test_a_pipe_is_read_like_a_file(write, monkeypatch):
    content = write({"x": [1, 2]}).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert whole(opened(ArrowReader, "-")) == {"x": (None, [1, 2])}


def test_a_stream_that_was_cut_between_two_batches_is_refused(tmp_path):
    path = tmp_path / "t.arrow"
    write_stream(pa.table({"x": [1, 2]}), path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"truncated, or not a Parquet or Arrow file \(the stream has no end marker\)"):
        column(path)


def test_damaged_files_are_data_errors_or_read(write, tmp_path):
    table = {"x": list(range(50)), "s": ["a", "bb", None, "c", "d"] * 10, "f": [0.5] * 50}
    content = write({**table, "d": pa.array(table["s"]).dictionary_encode()}).read_bytes()
    path, n_refused = tmp_path / "damaged", 0
    for data in damaged(content, 0, 250):
        path.write_bytes(data)
        try:
            reader = opened(ArrowReader, path)
            try:
                whole(reader)
            finally:
                reader.close()
        except DataError as error:
            n_refused += 1
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)  # noqa: PT017, PT018
    assert n_refused > 100


def test_without_pyarrow_it_is_said_what_to_install(write, monkeypatch):
    path = write({"x": [1]})
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(
        DataError, match=r't.* needs the package pyarrow\. Install it with: pip install "mlp-train\[arrow\]"'
    ):
        opened(ArrowReader, path)


def test_categories_are_categories_in_a_frame_a_parquet_and_a_feather_file(tmp_path):
    frame = pd.DataFrame(
        {
            "whole": pd.Categorical([3, 1, None]),
            "number": pd.Categorical([0.5, 1.0, None]),
            "flag": pd.Categorical([True, False, None]),
            "day": pd.Categorical(pd.to_datetime(["2024-01-01", "2024-01-02", None])),
            "text": pd.Categorical(["b", "a", None]),
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_feather(tmp_path / "t.feather")
    from_frame = frame_columns(frame, Request())
    expected = {name: (column.role, cells(column)) for name, column in from_frame.items()}
    assert {role for role, _ in expected.values()} == {"category"}
    for name in ("t.parquet", "t.feather"):
        assert whole(opened(ArrowReader, tmp_path / name)) == expected


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_an_index_without_a_name_is_left_out_and_columns_without_one_are_named_with_a_note(tmp_path, ending):
    table = pa.table({"x": [1, 2], "": ["a", "b"], "__index_level_0__": [5, 7], "z": [3, 4]})
    path = tmp_path / f"t.{ending}"
    pq.write_table(table, path) if ending == "parquet" else feather.write_feather(table, path)
    reader = opened(ArrowReader, path)
    assert reader.names == ("x", "Unnamed: 1", "z")
    assert [note.removeprefix(f"{path}: ") for note in reader.notes] == [
        "columns without a name: named Unnamed: 1.",
        "__index_level_0__: the index of a pandas data frame, left out.",
    ]
    assert whole(reader)["z"] == (None, [3, 4])


def test_metadata_of_pandas_that_make_no_sense_are_left_alone(tmp_path):
    for text in (b"no json", b"[]", b'{"columns": [{"pandas_type": "categorical"}]}', b'{"columns": 1}'):
        table = pa.table({"x": [1, 2]}).replace_schema_metadata({b"pandas": text})
        pq.write_table(table, tmp_path / "t.parquet")
        assert whole(opened(ArrowReader, tmp_path / "t.parquet")) == {"x": (None, [1, 2])}
