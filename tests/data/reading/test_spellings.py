"""Texts of numbers that may be labels or keys: known beside the numbers, which are what they are without."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpcli.data.grouping import notes_on_groups
from mlpcli.data.reading import building
from mlpcli.data.reading.read import read_table
from mlpcli.data.reading.reader import Request
from mlpcli.data.schema.column import ColumnOptions, cast_table
from mlpcli.data.schema.findings import find_equivalent_spellings
from mlpcli.data.schema.roles import TextFormat, infer_schema
from mlpcli.data.schema.task import infer_targets
from mlpcli.data.table import DEFAULT_MISSING, NumericColumn, TableFormat
from tests.data.tables_by_hand import cells_of

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-300, 300).map(str),
    st.sampled_from(["1.10", "1.1", "1e3", "+5", "-0.0", "NA", "", ".5", "007", "x"]),
)


def write(path, cells):
    path.write_text("v,y\n" + "".join(f"{cell},{row % 3}\n" for row, cell in enumerate(cells)))
    return str(path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_a_column_is_the_same_whether_its_spellings_are_requested_or_not(tmp_path, cells):
    name = write(tmp_path / "t.csv", cells)
    plain, spelled = (
        read_table(name, TableFormat(header=True), request=Request(spelled=names)).columns["v"]
        for names in ((), ("v",))
    )
    assert type(plain) is type(spelled)
    assert cells_of(plain) == cells_of(spelled)
    if isinstance(plain, NumericColumn):
        assert plain.values.dtype == spelled.values.dtype
        np.testing.assert_array_equal(np.signbit(plain.values), np.signbit(spelled.values))


def test_of_very_many_numbers_no_more_texts_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "MAX_SPELLINGS", 3)
    builder = building.ColumnBuilder()
    for batch in (("1", "2"), ("2", "3"), ("4",), ("5",)):
        builder.add({}, 0, {"v": batch})
    assert builder.spellings == {"v": ("1", "2", "3", "4")}


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (["1.1", "1.10", "1.2", "1.20"], "column v: '1.1' and '1.10' are the same number, and one {}"),
        (["1E3", "1000", "2"], "column v: '1000' and '1E3' are the same number, and one {}"),
        (["1", "1.0", "2.0"], "column v: '1' and '1.0' are the same number, and one {}"),
        (["1.0", "2.0", "2.0"], ""),
        (["1.1", "1.10", "a"], "column v: '1.1' and '1.10' are the same number, and one {}"),
    ],
)
def test_two_spellings_that_become_one_label_level_or_group_are_a_note(cells, note, tmp_path):
    name = write(tmp_path / "t.csv", cells * 30)
    labels = infer_targets(read_table(name, request=Request(spelled=["v"])), ["v"], "classification").findings
    levels = infer_schema(read_table(name, request=Request(written=["v"])), "v", ColumnOptions(role="category"))[1]
    groups = notes_on_groups(read_table(name, request=Request(spelled=["v"])), ["v"])
    assert [finding.text for finding in labels] == [note.format("class")] * bool(note)
    assert [finding.text for finding in levels] == [note.format("level")] * bool(note)
    assert groups == [f"{name}: {note.format('group')}"] * bool(note)


def test_many_keys_with_more_digits_than_a_float_are_compared_too(tmp_path):
    keys = [f"0.1{number:03}45678901234567" for number in range(100)] + ["0.145678901234567891", "0.145678901234567892"]
    table = read_table(write(tmp_path / "t.csv", keys), request=Request(spelled=["v"]))
    (note,) = find_equivalent_spellings(table, infer_schema(table, "v")[0], "fold")
    assert "'0.145678901234567891' and '0.145678901234567892' are the same number, and one fold" in note.text


def test_long_integers_that_are_one_float_are_noted_when_read_as_numbers(tmp_path):
    name = write(tmp_path / "t.csv", ["9007199254740993.0", "9007199254740992.0", "9007199254740990.0"])
    schema, (finding,) = infer_schema(read_table(name), "v")
    message = "column v: 9007199254740992 and 9007199254740993 are read as the same number"
    assert (schema.role, finding.text.startswith(message)) == ("number", True)
    assert infer_schema(read_table(write(tmp_path / "t.csv", ["9007199254740992.0", "1e20"])), "v")[1] == []


def test_spellings_with_a_decimal_comma_are_noted_too(tmp_path):
    (tmp_path / "t.csv").write_text("v;y\n" + "1,1;a\n1,10;b\n2,5;a\n" * 9)
    format = TableFormat(decimal=",")
    table = read_table(str(tmp_path / "t.csv"), format, request=Request(spelled=["v"]))
    (finding,) = infer_targets(table, ["v"], "classification", text_format=TextFormat(decimal=",")).findings
    assert finding.text == "column v: '1,1' and '1,10' are the same number, and one class"


def test_spellings_of_missing_cells_are_no_labels(tmp_path):
    name = write(tmp_path / "t.csv", ["-99", "-99.0", "1", "2"] * 9)
    table = read_table(name, TableFormat(missing=(*DEFAULT_MISSING, "-99")), request=Request(spelled=["v"]))
    assert infer_targets(table, ["v"], "classification").findings == ()


@pytest.mark.parametrize("code", ["00501", "123456789012345678"])
@pytest.mark.parametrize("number", ["94107.0", "123456789012345679.0"])
def test_floats_in_one_file_and_codes_in_the_next_are_codes(number, code, tmp_path):
    names = [write(tmp_path / "a.csv", [number] * 3), write(tmp_path / "b.csv", [code] * 3)]
    for source in (names, names[::-1]):
        table = read_table(source)
        schema, (finding, *_) = infer_schema(table, "v")
        assert (schema.role, "read as codes" in finding.text) == ("category", True)
        assert set(cells_of(cast_table(table, [schema]).columns["v"])) == {number.removesuffix(".0"), code}
