import datetime
import io
import re
import sys
import zipfile
from contextlib import closing

import pytest
import yaml

from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.typed import excel
from mlpcli.data.reading.typed.excel import FORMULA_WITHOUT_VALUE, WorkbookReader
from mlpcli.errors import DataError

from .columns_by_hand import TEXTS, damaged, opened, whole

pytest.importorskip("python_calamine")
openpyxl = pytest.importorskip("openpyxl")

DAY = datetime.date(2024, 2, 29)
MOMENT = datetime.datetime(2024, 2, 29, 18, 0)


@pytest.fixture
def write(tmp_path):
    def written(sheets, name="book.xlsx"):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for title, rows in (sheets if isinstance(sheets, dict) else {"Sheet1": sheets}).items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
        path = tmp_path / name
        book.save(path)
        return path

    return written


def read(path, request=Request(), **format):  # noqa: B008
    return whole(opened(WorkbookReader, path, **format), request)


def test_cells_are_what_their_types_say(write):
    path = write(
        [
            ["n", "b", "d", "s", "mixed", "none"],
            [1, True, DAY, " a", 1, None],
            [2.5, None, MOMENT, "e\u0301", DAY, " "],
            [None, False, None, None, "x", None],
        ]
    )
    assert read(path) == {
        "n": (None, [1.0, 2.5, None]),
        "b": ("boolean", ["True", None, "False"]),
        "d": ("date", [19782.0, 19782.75, None]),
        "s": (None, ["a", "\xe9", None]),
        "mixed": (None, ["1", "2024-02-29", "x"]),
        "none": (None, [None, None, None]),
    }
    assert read(path, TEXTS)["d"] == (None, ["2024-02-29", "2024-02-29T18:00:00", None])


def test_errors_come_as_their_texts(write):
    rows = [["e", "n"], ["#DIV/0!", 1], [2, "#N/A"]]
    assert read(write(rows)) == {
        "e": (None, ["#DIV/0!", "2"]),
        "n": (None, ["1", "#N/A"]),
    }


def test_a_formula_without_its_value_is_a_fault_of_a_wanted_column(write):
    path = write([["x", "y", "z"], [1, "=A2*2", 5], [2, "=A3*2", 6], [3, None, 7]])
    with pytest.raises(
        DataError, match=r"!Sheet1!B2: a formula without a stored value \(and 1 more\)\. Open the workbook"
    ):
        read(path)
    assert read(path, Request(frozenset("xz")))["z"] == (None, [5, 6, 7])


def test_a_formula_whose_value_is_an_empty_text_is_a_missing_cell():
    valued = b'<c r="B2" t="str"><f>IF(A2,"","")</f><v></v></c><c r="B3"><f>A3</f><v>4</v></c>'
    assert FORMULA_WITHOUT_VALUE.findall(valued) == []
    without = b'<c r="B2"><f>A2</f><v></v></c><c r="B3" s="1"><f t="shared" si="0"/><v /></c><c r="C3"><f>A3</f></c>'
    assert FORMULA_WITHOUT_VALUE.findall(without) == [b"B2", b"B3", b"C3"]


def test_the_table_may_stand_anywhere_and_empty_cells_around_it_are_dropped(write):
    rows = [[], [None, None, "x", "y", None], [None, None, 1, "a"], [None, None, 2, "b", " "], [None, None, " "], []]
    path = write(rows)
    assert read(path) == {"x": (None, [1.0, 2.0]), "y": (None, ["a", "b"])}
    with closing(opened(WorkbookReader, path)) as reader:
        table = next(iter(reader.batches(Request())))()
    assert table.where(1) == reader.locate(1) == f"{path}!Sheet1!row 4"


def test_a_sheet_is_named_or_the_first_is_taken_with_a_note(write):
    path = write({"One": [["x"], [1]], "Two": [["x"], [2]]})
    assert read(path, sheet="Two") == {"x": (None, [2.0])}
    reader = opened(WorkbookReader, path)
    assert whole(reader) == {"x": (None, [1.0])}
    assert reader.notes == [f"{path}: the first of 2 sheets is read (One, Two); see data.sheet."]
    with pytest.raises(DataError, match=r"there is no sheet 'two' \(data\.sheet\)\. Did you mean Two\?"):
        opened(WorkbookReader, path, sheet="two")
    assert opened(WorkbookReader, write([["x"], [1]])).notes == []


HEADER_AND_ROWS = [["size", "price"], [1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("sheets", "location", "settings"),
    [
        ({"Info": [["read me"]], "Jan 24": HEADER_AND_ROWS}, "Jan 24!row 1", {"sheet": "Jan 24"}),
        ({"A": [["a", "b"], *HEADER_AND_ROWS]}, "A!row 2", {"skip_rows": 1}),
        ({"A": [["a"], [1]], "B": [["Prices"], *HEADER_AND_ROWS]}, "B!row 2", {"sheet": "B", "skip_rows": 1}),
    ],
)
def test_an_error_tells_which_sheet_and_row_has_the_configured_columns(sheets, location, settings, write):
    path = write(sheets)
    with pytest.raises(DataError) as caught:
        opened(WorkbookReader, path, ["price", "x"])
    assert f"book.xlsx!{location}: this row has price, but" in str(caught.value)
    advice = {key: yaml.safe_load(value) for key, value in re.findall(r'data\.(\w+): ("[^"]+"|\w+)', str(caught.value))}
    assert advice == settings
    assert list(whole(opened(WorkbookReader, path, ["price"], **advice), Request())) == ["size", "price"]


def test_an_empty_first_sheet_names_the_others(write):
    with pytest.raises(DataError, match=r"the sheet is empty.* Other sheets are B: data\.sheet\."):
        opened(WorkbookReader, write({"A": [], "B": HEADER_AND_ROWS}))


def test_rows_can_be_skipped_and_a_sheet_can_be_without_names(write):
    path = write([["A title"], ["x", "y"], [1, 2]])
    assert read(path, skip_rows=1) == {"x": (None, [1.0]), "y": (None, [2.0])}
    assert read(path, skip_rows=2, header=False) == {"c1": (None, [1.0]), "c2": (None, [2.0])}


def test_a_column_without_a_name_is_named_by_its_position(write):
    reader = opened(WorkbookReader, write([[None, "x"], [0, 5], [1, 6]]))
    assert reader.names == ("Unnamed: 0", "x")
    assert reader.notes[0].endswith("book.xlsx!Sheet1!row 1: columns without a name: named Unnamed: 0.")


FAULTS = {
    "book.xlsx!Sheet1: the sheet is empty. It needs a row of column names": [],
    "book.xlsx!Sheet1!row 3: a blank row inside the data. Delete it, or write": [["x"], [1], [], [2]],
    "book.xlsx!Sheet1!D3: a cell to the right of the last column name. Name": [
        ["x", "y"],
        [1, 2],
        [3, 4, None, "note"],
    ],
    "book.xlsx!Sheet1!row 1: columns 1 and 3 are both named 'x'. Rename": [["x", "y", "x"], [1, 2, 3]],
}


@pytest.mark.parametrize(("message", "rows"), FAULTS.items())
def test_each_error_has_its_location(message, rows, write):
    with pytest.raises(DataError) as error:
        read(write(rows))
    assert message in str(error.value)


def test_columns_have_letters():
    letters = [excel._column_letters(number) for number in (1, 26, 27, 52, 703, 16384)]
    assert letters == ["A", "Z", "AA", "AZ", "AAA", "XFD"]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_batches_of_any_size_make_the_same_columns(size, write, monkeypatch):
    rows = [[number, number % 3 == 0 or None, DAY, "a" * (number % 4) or number] for number in range(20)]
    path = write([["n", "b", "d", "m"], *rows])
    expected = read(path)
    monkeypatch.setattr(excel, "BATCH_ROWS", size)
    assert read(path) == expected


def test_open_document_sheets_are_read(tmp_path):
    document = pytest.importorskip("odf.opendocument")
    table = pytest.importorskip("odf.table")
    text = pytest.importorskip("odf.text")
    book = document.OpenDocumentSpreadsheet()
    sheet = table.Table(name="S")
    cells = [{"valuetype": "string", "shown": "x"}, {"valuetype": "float", "value": "1.5", "shown": "1.5"}]
    cells.append({"valuetype": "float", "value": "2", "shown": "2"})
    for options in cells:
        row, cell = table.TableRow(), table.TableCell(**{key: options[key] for key in options if key != "shown"})
        cell.addElement(text.P(text=options["shown"]))
        row.addElement(cell)
        sheet.addElement(row)
    book.spreadsheet.addElement(sheet)
    path = tmp_path / "book.ods"
    book.save(str(path))
    assert read(path) == {"x": (None, [1.5, 2.0])}


def test_an_office_file_that_is_no_open_workbook_is_one_sentence(tmp_path):
    path = tmp_path / "book.xls"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    with pytest.raises(DataError, match=r"book\.xls: the workbook is damaged or truncated \(.*\)\. Save it again\."):
        opened(WorkbookReader, path)


def test_damaged_files_are_data_errors_or_read(write, capfd):
    path = write([["x", "s"], *([number, "abc"] for number in range(10))])
    content = path.read_bytes()
    # A zip file tells most damages; of its members it does not.
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    n_refused = 0
    for number, data in enumerate(damaged(content, 0, 100)):
        n_refused += _is_refused(path, data)
        name = ("xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/styles.xml")[number % 3]
        for inner in damaged(members[name], number, 1):
            n_refused += _is_refused(path, _zipped({**members, name: inner}))
    assert n_refused > 50
    capfd.readouterr()  # a panic of calamine writes to stderr


def _zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _is_refused(path, data):
    path.write_bytes(data)
    try:
        read(path)
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return True
    return False


def test_without_calamine_it_is_said_what_to_install(write, monkeypatch):
    path = write([["x"], [1]])
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(DataError, match=r"needs the package python-calamine.*mlp-train\[excel\]"):
        opened(WorkbookReader, path)


def test_a_locked_workbook_is_one_sentence(write, monkeypatch):
    calamine = pytest.importorskip("python_calamine")

    class Locked:
        @staticmethod
        def from_filelike(file):
            raise calamine.PasswordError("locked")

    path = write([["x"], [1]])
    monkeypatch.setattr(calamine, "CalamineWorkbook", Locked)
    with pytest.raises(DataError, match=r"book\.xlsx: locked with a password\. Save a copy without one\."):
        opened(WorkbookReader, path)


def test_whole_numbers_of_16_digits_are_codes_as_in_other_formats(write):
    path = write([["id", "x"], [1234567890123456, 1e20], [2, 0.5]])
    assert read(path) == {
        "id": (None, ["1234567890123456", "2"]),
        "x": (None, ["100000000000000000000", "0.5"]),
    }


@pytest.mark.parametrize(
    ("cell", "kind"), [(datetime.timedelta(hours=30, minutes=1), "duration"), (datetime.time(12, 30), "time")]
)
def test_a_duration_or_a_time_of_day_is_an_error_with_its_cell(write, cell, kind):
    path = write([["a", "b"], [1, 2], [1, cell]])
    with pytest.raises(DataError, match=rf"!B3: column b: cells of type {kind} cannot be read"):
        read(path)
    assert read(path, Request(frozenset(["a"])))["a"] == (None, [1.0, 1.0])


def test_integers_of_which_a_workbook_does_not_keep_all_digits_are_noted(write):
    path = write([["x", "id"], [1, None], [2, 1234567890123456789], [3, 1234567890123456788], [4, 1e14]])
    with closing(opened(WorkbookReader, path)) as reader:
        columns = whole(reader)
        assert columns["id"] == (None, [None, "1234567890123457024", "1234567890123457024", "100000000000000"])
        (note,) = reader.notes
    assert note.startswith(f"{path}!Sheet1!B3: column id: 1234567890123457024: ")
    assert read(write([["id"], ["1234567890123456789"]])) == {"id": (None, ["1234567890123456789"])}
