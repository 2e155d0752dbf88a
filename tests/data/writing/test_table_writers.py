import gzip
import io
import json
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.reading.csv.reader import CsvReader
from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.typed.arrow import ArrowReader
from mlpcli.data.reading.typed.jsonl import JsonLinesReader
from mlpcli.data.writing.csv import Labels, format_header, format_rows
from mlpcli.data.writing.table_writers import writer_for
from mlpcli.errors import OutputError
from tests.data.reading.columns_by_hand import opened, whole

NAMES = ["x", "label", "id"]
READERS = {
    "csv": CsvReader,
    "tsv": CsvReader,
    "csv.gz": CsvReader,
    "jsonl": JsonLinesReader,
    "ndjson.gz": JsonLinesReader,
    "parquet": ArrowReader,
    "feather": ArrowReader,
    "arrow": ArrowReader,
}


def written(path, chunks, names=NAMES, **options):
    if str(path).endswith((".parquet", ".feather", ".arrow")):
        pytest.importorskip("pyarrow")
    file = io.BytesIO()
    writer = writer_for(str(path))
    with closing(writer):
        writer.begin(file.write, names, **options)
        for chunk in chunks:
            writer.write(writer.encode(names, chunk))
        writer.end()
    return file.getvalue()  # which fails if the file is closed


def chunk(*rows):
    x, codes, numbers = zip(*rows, strict=True) if rows else ((), (), ())
    return [
        np.asarray(x, np.float32),
        Labels(["a,b", 'q"%s'], np.asarray(codes, np.int8)),
        np.asarray(numbers, np.int64),
    ]


ROWS = st.tuples(st.floats(width=32, allow_infinity=False), st.integers(-1, 1), st.integers(-9, 9))


@pytest.mark.parametrize("ending", READERS)
@given(chunks=st.lists(st.lists(ROWS, max_size=4), min_size=1, max_size=3).filter(any))
@settings(max_examples=15)
def test_what_is_written_reads_back(ending, chunks, tmp_path_factory):
    path = tmp_path_factory.mktemp("t") / f"t.{ending}"
    path.write_bytes(written(path, [chunk(*rows) for rows in chunks]))
    read_back = whole(opened(READERS[ending], path, header=True), Request(texts=frozenset(["label"])))
    rows = [row for rows in chunks for row in rows]
    numbers = np.asarray([np.nan if cell is None else float(cell) for cell in read_back["x"][1]]).astype(np.float32)
    np.testing.assert_array_equal(numbers, np.asarray([row[0] for row in rows], np.float32))
    assert read_back["label"][1] == [["a,b", 'q"%s', None][row[1]] for row in rows]
    assert read_back["id"][1] == [row[2] for row in rows]


@pytest.mark.parametrize("path", ["out", "-", "a.b/out", "OUT.CSV", "/dev/stdout"])
def test_without_an_ending_and_with_its_own_it_is_csv(path):
    columns = chunk((0.5, 0, 1), (np.nan, 1, 2))
    assert written(path, [columns, columns]) == format_header(NAMES).encode() + format_rows(columns).encode() * 2


def test_the_header_of_csv_may_be_left_out():
    columns = chunk((0.5, 0, 1))
    assert written("t.csv", [columns], has_header=False) == format_rows(columns).encode()
    assert written("t.tsv", [columns]) == b"x\tlabel\tid\n0.5\ta,b\t1\n"


def test_equal_tables_are_equal_files():
    assert written("t.csv.gz", [chunk((0.5, 0, 1))]) == written("u.csv.gz", [chunk((0.5, 0, 1))])
    assert gzip.decompress(written("t.csv.gz", [])) == b"x,label,id\n"


def test_json_lines_have_numbers_texts_and_null():
    objects = [*chunk((1.0, 0, 7), (np.nan, -1, 8), (np.inf, 1, 9)), np.asarray([True, False, True])]
    mixed = np.asarray([None, "\xe9", 2.5], object)
    lines = written("t.jsonl", [[*objects, mixed]], names=[*NAMES, 'b"%', "m"]).decode().splitlines()
    assert lines[0] == '{"x":1.0,"label":"a,b","id":7,"b\\"%":true,"m":null}'
    assert json.loads(lines[1]) == {"x": None, "label": None, "id": 8, 'b"%': False, "m": "\xe9"}
    assert json.loads(lines[2]) == {"x": None, "label": 'q"%s', "id": 9, 'b"%': True, "m": 2.5}


def test_parquet_has_a_row_group_per_chunk_and_null_for_missing_cells():
    parquet = pytest.importorskip("pyarrow.parquet")
    content = written("t.parquet", [chunk((1.0, 0, 7)), chunk((np.nan, -1, 8), (2.0, 1, 9))])
    file = parquet.ParquetFile(io.BytesIO(content))
    assert file.num_row_groups == 2
    assert file.read().to_pydict() == {"x": [1.0, None, 2.0], "label": ["a,b", None, 'q"%s'], "id": [7, 8, 9]}
    assert list(map(str, file.schema_arrow.types)) == ["float", "string", "int64"]


def test_columns_of_objects_are_texts_in_parquet():
    parquet = pytest.importorskip("pyarrow.parquet")
    content = written("t.parquet", [[np.asarray([1, None, "a"], object)]], names=["m"])
    assert parquet.read_table(io.BytesIO(content)).to_pydict() == {"m": ["1", None, "a"]}


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_no_chunks_make_a_table_without_rows(ending, tmp_path):
    path = tmp_path / f"t.{ending}"
    path.write_bytes(written(path, []))
    reader = opened(ArrowReader, path)
    assert reader.names == tuple(NAMES)
    reader.close()


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_a_column_that_changes_its_type_is_refused(ending):
    x, labels, numbers = chunk((1.0, 0, 1))
    with pytest.raises(
        OutputError, match=rf"-o t\.{ending}: column id is of type int64 in the first rows and double in"
    ):
        written(f"t.{ending}", [[x, labels, numbers], [x, labels, numbers.astype(float)]])


@pytest.mark.parametrize("path", ["out.xlsx", "out.parquet.gz", "out.txt", "out.csv.zip"])
def test_an_ending_that_cannot_be_written_is_refused(path):
    ending = path[path.rindex(".") :]
    with pytest.raises(OutputError, match=rf"^-o {path}: cannot write {ending}; use \.csv, \.jsonl or \.parquet \("):
        writer_for(path)


def of_lists(cells):
    """What is kept of a source without declared types, chunk by chunk."""
    parquet = pytest.importorskip("pyarrow.parquet")
    read_back = parquet.read_table(io.BytesIO(written("t.parquet", [[chunk] for chunk in cells], names=["m"])))
    return str(read_back.schema.types[0]), read_back["m"].to_pylist()


@pytest.mark.parametrize(
    ("chunks", "type_and_cells"),
    [
        ([[None], [1, None], [2]], ("int64", [None, 1, None, 2])),
        ([[1], [2.5], [None]], ("double", [1.0, 2.5, None])),
        ([[2**53 + 1], [2.5]], ("string", ["9007199254740993", "2.5"])),
        ([[1, "a"], [True]], ("string", ["1", "a", "True"])),
        ([[True], [None, False]], ("bool", [True, None, False])),
        ([["", "a"], [None]], ("string", [None, "a", None])),
        ([[2**70], [1]], ("string", [str(2**70), "1"])),
        ([[None], [None]], ("string", [None, None])),
    ],
)
def test_cells_without_a_declared_type_get_the_one_that_fits_all_chunks(chunks, type_and_cells):
    assert of_lists(chunks) == type_and_cells
