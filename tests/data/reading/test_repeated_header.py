"""The header once more: found in every format, wherever it stands and whatever columns are wanted."""

import json

import openpyxl
import pandas as pd
import pytest

from mlpcli.data.reading.read import read_table
from mlpcli.data.reading.reader import Request
from mlpcli.data.table import TableFormat
from mlpcli.errors import DataError
from tests.data.tables_by_hand import iter_tables

NAMED = TableFormat(header=True)
MESSAGE = "the header is repeated; were two files joined"
TABLES = {
    "all words": (["a", "y"], [["x", "p"], ["z", "q"]]),
    "pixels": (["0", "1", "2", "label"], [["7", "8", "9", "p"], ["0", "1", "2", "q"]]),
    "a number among words": (["p0", "0", "1", "label"], [["5", "8", "9", "p"], ["4", "1", "2", "q"]]),
    "an index": (["", "x", "y"], [["0", "5", "p"], ["1", "6", "q"]]),
    "pandas' numbers": (["0", "1", "2", "3", "4"], [["1", "2", "3", "4", "5"], ["2", "3", "4", "5", "6.5"]]),
    "a missing marker": (["NA", "x"], [["1", "p"], ["2", "q"]]),
}


def as_csv(path, names, rows, mark=""):
    path.write_text(mark + "\n".join(",".join(row) for row in [names, *rows]) + "\n", "utf-8")


def as_jsonl(path, names, rows):
    path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))


def as_parquet(path, names, rows):
    pd.DataFrame(rows, columns=names).to_parquet(path, index=False)


def as_workbook(path, names, rows):
    book = openpyxl.Workbook()
    for row in [names, *rows]:
        book.active.append(row)
    book.save(path)


WRITERS = {"t.csv": as_csv, "t.jsonl": as_jsonl, "t.parquet": as_parquet, "t.xlsx": as_workbook}


def wanted_of(names, which):
    return {"all": None, "first": [names[0] or "Unnamed: 0"], "last": [names[-1]]}[which]


@pytest.mark.parametrize("which", ["all", "first", "last"])
@pytest.mark.parametrize("file", WRITERS)
@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_repeats_all_names_is_an_error_in_every_format(table, file, which, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names, rows = TABLES[table]
    WRITERS[file](tmp_path / file, names, [*rows, names, *rows])
    for take in (read_table, lambda *args, **kwargs: list(iter_tables(*args, **kwargs))):
        with pytest.raises(DataError, match=MESSAGE):
            take(file, NAMED, request=Request(wanted=wanted_of(names, which)))


@pytest.mark.parametrize("which", ["all", "first", "last"])
@pytest.mark.parametrize("file", WRITERS)
@pytest.mark.parametrize("table", TABLES)
def test_a_row_with_all_names_but_one_is_a_row(table, file, which, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names, rows = TABLES[table]
    others = [[*names[:-1], rows[0][-1]], [rows[0][0], *names[1:]]]
    WRITERS[file](tmp_path / file, names, [*rows, *others, *rows])
    assert read_table(file, NAMED, request=Request(wanted=wanted_of(names, which))).n_rows == 6
    assert sum(chunk.n_rows for chunk in iter_tables(file, NAMED, request=Request(wanted=wanted_of(names, which)))) == 6


def test_few_numbers_that_are_also_names_are_a_row(tmp_path):
    as_csv(tmp_path / "t.csv", ["a", "1"], [["0", "1"]] * 3)
    assert read_table(str(tmp_path / "t.csv")).n_rows == 3
    (tmp_path / "n.csv").write_text("0,1\n0,1\n1,0\n")
    assert read_table(str(tmp_path / "n.csv"), NAMED).n_rows == 2


@pytest.mark.parametrize("first", ["x", '"x"', "0"])
def test_a_repeated_header_with_a_byte_order_mark_is_detected(first, tmp_path):
    text = f"\ufeff{first},label\n1,p\n2,q\n"
    (tmp_path / "t.csv").write_text(text * 2, "utf-8")
    with pytest.raises(DataError, match=rf"t\.csv:4: {MESSAGE}"):
        read_table(str(tmp_path / "t.csv"), configured=["label"])


def test_a_repeated_header_is_detected_in_a_later_batch(tmp_path, monkeypatch):
    names, rows = ["w", "x", "y"], [[f"{i % 7}a", "b", str(i)] for i in range(100_000)]
    as_parquet(tmp_path / "t.parquet", names, [*rows, names])
    for wanted in (None, ["x"], ["y"]):
        with pytest.raises(DataError, match="row 100001: the header is repeated"):
            read_table(str(tmp_path / "t.parquet"), request=Request(wanted=wanted))


@pytest.mark.parametrize("take", [read_table, lambda *args: list(iter_tables(*args))])
def test_names_in_a_file_after_one_without_a_header_are_an_error(take, tmp_path):
    (tmp_path / "a.csv").write_text("1,p\n2,q\n3,p\n")
    (tmp_path / "b.csv").write_text("x,label\n1,p\n2,q\n")
    message = r"b\.csv: the first line holds names, and .*a\.csv has no header\."
    with pytest.raises(DataError, match=message):
        take([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")])


def test_words_in_the_first_line_of_a_table_without_header_are_a_note(tmp_path):
    (tmp_path / "a.csv").write_text("r,p\ns,q\nr,q\n")
    (tmp_path / "b.csv").write_text("color,label\nr,p\ns,q\n")
    table = read_table([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")])
    assert any("b.csv:1: the first line looks like names: read as a row" in note for note in table.notes)
