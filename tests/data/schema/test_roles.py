"""Which role a column has, whatever the order of its rows; and how it is read ever after."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.reading.typed.frames import table_from_frame
from mlpcli.data.schema.column import ColumnOptions, cast_table
from mlpcli.data.schema.findings import raise_faults
from mlpcli.data.schema.roles import INFER, TextFormat, infer_schema
from mlpcli.data.table import TableFormat
from mlpcli.errors import DataError
from tests.data.tables_by_hand import cells_of, frame_table, hand_table


def decided(cells, options=INFER, writing=TextFormat()):  # noqa: B008
    return infer_schema(hand_table(x=cells), "x", options, writing)


def read(cells, options=INFER, writing=TextFormat(), later=None):  # noqa: B008
    """The cells as they are read, or those of a later table."""
    schema, findings = decided(cells, options, writing)
    raise_faults(findings)
    table = hand_table(x=cells if later is None else later)
    return cells_of(cast_table(table, [schema]).columns["x"])


@pytest.mark.parametrize(
    ("cells", "role"),
    [
        ([1.5, 2.5, np.nan], "number"),
        ([1, 2, 3], "number"),
        ([0, 1, 1], "number"),
        ([0.0, 1.0, np.nan], "number"),
        ([0, 0, 0], "number"),
        ([np.nan, np.nan], "number"),
        ([True, False], "boolean"),
        (["yes", "No", "YES", np.nan], "boolean"),
        (["t", "f"], "boolean"),
        (["y", "no"], "category"),
        (["yes", "yes"], "category"),
        (["yes", "no", "maybe"], "category"),
        (["1.5", "", "2"], "number"),
        (["19.5", "None", "20"], "number"),
        (["01", "02", "10"], "category"),
        (["0.5", "0", "-0.25"], "number"),
        (["12345678901234567890", "12345678901234567891"], "category"),
        (["a", "b"], "category"),
        (["None", "-"], "category"),
        (["2020-01-01", np.nan], "date"),
        (["24.12.2020", "1.1.2021"], "date"),
        (["2020-01-01", "later"], "category"),
    ],
)
def test_the_role_of_a_column_is_inferred(cells, role):
    schema, findings = decided(cells)
    assert schema.role == role
    assert schema.reason
    assert not any(finding.is_fault for finding in findings)


def test_types_of_the_source_speak_for_themselves():
    frame = pd.DataFrame(
        {
            "day": pd.to_datetime(["2020-01-01", None, "2020-02-03"]),
            "category": pd.Series([1, 2, 3], dtype="category"),
            "whole": pd.Series([1, 2, None], dtype="Int64"),
            "boolean": pd.Series([True, None, False], dtype="boolean"),
            "text": pd.Series(["a", "b", "c"], dtype="string"),
        }
    )
    table = table_from_frame(frame)
    roles = {name: infer_schema(table, name)[0].role for name in frame.columns}
    assert roles == {"day": "date", "category": "category", "whole": "number", "boolean": "boolean", "text": "category"}


@pytest.mark.parametrize(
    ("frame", "later"),
    [
        ({"x": pd.to_datetime(["2020-01-01", "2020-02-03"])}, ["2020-02-03", "2020-01-01 12:00"]),
        ({"x": [True, False]}, ["FALSE", "true"]),
        ({"x": pd.Series([1, 20], dtype="category")}, ["20.0", "1"]),
        ({"x": [1.5, 2.5]}, ["2.50", "15e-1"]),
    ],
)
def test_what_was_typed_in_training_may_come_as_texts_later(frame, later):
    table = table_from_frame(pd.DataFrame(frame))
    schema, _ = infer_schema(table, "x")
    column, texts = (cast_table(one, [schema]).columns["x"] for one in (table, hand_table(x=later)))
    assert type(column) is type(texts)
    assert cells_of(texts)[0] == cells_of(column)[1]


COLUMNS = st.sampled_from(
    [
        ["1", "2.5", "", "-3"],
        ["1", "2", "007"],
        ["1", "2", "123456789012345678"],
        ["03/04/2024", "05/06/2024", "25/12/2024"],
        ["2024-01-01", "2024-02-30", "2024-03-04"],
        ["$1,200.50", "$13", "$1.25", ""],
        ["yes", "No", "YES"],
        ["a", "b", "A", "1", "1.0"],
        ["1", "2", "oops"],
        ["NA", ""],
    ]
)


@settings(max_examples=100)
@given(COLUMNS, st.integers(1, 60), st.randoms())
def test_the_order_of_the_rows_changes_neither_the_role_nor_what_is_said(texts, repeats, random):
    cells = texts[:1] * repeats + texts
    schema, findings = decided(cells)
    random.shuffle(cells)
    again, others = decided(cells)
    assert dataclasses.replace(again, reason="") == dataclasses.replace(schema, reason="")
    assert [finding.is_fault for finding in others] == [finding.is_fault for finding in findings]
    assert [finding.number for finding in others] == [finding.number for finding in findings]


@pytest.mark.parametrize("code", ["007", "-007", "123456789012345678"])
@pytest.mark.parametrize("row", [0, 1, 500, 999])
def test_a_code_in_any_row_makes_a_column_of_integers_codes_and_is_reported_with_its_location(code, row):
    cells = [str(number) for number in range(1, 1000)]
    cells.insert(row, code)
    schema, (finding,) = decided(cells)
    assert (schema.role, finding.is_fault) == ("category", False)
    assert finding.text.startswith(f"new.csv:{row + 2}: column x: '{code}' ")
    assert "data.columns: {x: number}" in finding.text


@pytest.mark.parametrize(
    ("cells", "levels", "decimal"),
    [
        (["94107.0", "00501", "94108.0"], ["94107", "00501", "94108"], "."),
        (["94107,0", "00501", "94108,"], ["94107", "00501", "94108"], ","),
        (
            ["123456789012345678.0", "123456789012345679.0", "00501"],
            ["123456789012345678", "123456789012345679", "00501"],
            ".",
        ),
        (["123456789012345678", "123456789012345678,0"], ["123456789012345678"] * 2, ","),
        (["00501", "-", "1e3"], ["00501", "-", "1000"], "."),
    ],
)
def test_a_code_among_whole_numbers_with_zeros_behind_the_point_makes_codes(cells, levels, decimal):
    writing = TextFormat(decimal=decimal)
    schema, (finding, *_) = decided(cells, INFER, writing)
    assert (schema.role, finding.is_fault) == ("category", False)
    assert "read as codes" in finding.text
    assert read(cells, INFER, writing) == levels


def test_leading_zeros_among_fractions_are_numbers():
    assert read(["00.5", "1.5", "07"]) == [0.5, 1.5, 7.0]


@pytest.mark.parametrize(
    ("usual", "stray", "role"),
    [
        ([str(number) for number in range(400)], "oops", "number"),
        ([f"{number}.5" for number in range(400)], "#VALUE!", "number"),
        (["1", "2", "3"] * 100, "n.v.", "number"),
        ([f"2024-{1 + n % 12:02}-{1 + n % 28:02}" for n in range(400)], "2024-02-30", "date"),
        ([f"2024-{1 + n % 12:02}-{1 + n % 28:02}" for n in range(400)], "soon", "date"),
        ([f"2024-{1 + n % 12:02}-{1 + n % 28:02}" for n in range(400)], "03.04.2024", "date"),
    ],
)
def test_a_stray_cell_among_numbers_or_dates_is_a_fault_with_its_location_and_does_not_change_the_role(
    usual, stray, role
):
    cells = [*usual[:50], stray, *usual[50:]]
    schema, findings = decided(cells)
    assert schema.role == role
    message = rf"^new\.csv:52: column x: .*{stray}.*\n?.*data\.columns: {{x: category}}"
    with pytest.raises(DataError, match=rf"(?s){message}"):
        raise_faults(findings)
    assert read(cells, ColumnOptions(role="category")) == cells
    assert read(cells, ColumnOptions(missing=(stray,)))[50] is None


def test_several_strays_are_counted():
    cells = [str(number) for number in range(400)]
    cells[7], cells[9] = "oops", "none yet"
    with pytest.raises(DataError, match=r"^new\.csv:9: column x: 'oops' is not a number, nor is 1 more .*398 cells"):
        raise_faults(decided(cells)[1])


@pytest.mark.parametrize(("row", "delimiter", "may_be_header"), [(0, ",", True), (1, ",", False), (0, None, False)])
def test_a_word_in_the_first_row_of_a_column_of_numbers_of_a_text_file_may_be_the_header(row, delimiter, may_be_header):
    cells = [str(number) for number in range(400)]
    cells[row] = "price"
    table = dataclasses.replace(hand_table(c1=cells), format=TableFormat(delimiter=delimiter))
    (finding,) = infer_schema(table, "c1")[1]
    assert ("if the header stands here, below other lines: data.skip_rows" in finding.text) is may_be_header


def test_faults_of_many_columns_are_counted_and_some_are_shown():
    cells = [*map(str, range(400)), "oops"]
    table = hand_table(**{f"x{index}": cells for index in range(5)})
    findings = [finding for name in table.names for finding in infer_schema(table, name)[1]]
    with pytest.raises(DataError) as caught:
        raise_faults(findings, limit=3)
    assert str(caught.value).count("'oops'") == 3
    assert "2 more such columns: mlp check lists all." in str(caught.value)
    with pytest.raises(DataError, match=r"\n1 more such column: mlp check lists all\."):
        raise_faults(findings, limit=4)


def test_a_column_half_of_numbers_is_categorical_with_a_note():
    schema, (finding,) = decided(["1", "2", "low", "3", "high", "4"])
    assert (schema.role, finding.is_fault) == ("category", False)
    assert "4 of 6 cells are numbers" in finding.text


@pytest.mark.parametrize(
    ("cells", "key", "options", "numbers"),
    [
        (["$2,212.04", "$17", "-$1.50"], '{role: number, prefix: "$", thousands: ","}',
         {"prefix": "$", "thousands": ","}, [2212.04, 17, -1.5]),
        (["56.3%", "7%", "100%"], '{role: number, suffix: "%"}', {"suffix": "%"}, [56.3, 7, 100]),
        (["162,75", "1,5", "20"], '{role: number, decimal: ","}', {"decimal": ","}, [162.75, 1.5, 20]),
        (["(117.88)", "12.10", "3"], "{role: number, parentheses: true}", {"parentheses": True}, [-117.88, 12.1, 3]),
        (["12 kg", "7.5 kg", "80 kg"], '{role: number, suffix: "kg"}', {"suffix": "kg"}, [12, 7.5, 80]),
    ],
)  # fmt: skip
def test_the_key_that_reads_numbers_in_disguise_is_named(cells, key, options, numbers):
    _, (finding,) = decided(cells * 10)
    assert key in finding.text
    assert finding.text.startswith("new.csv:")
    assert read(cells, ColumnOptions(role="number", **options)) == numbers


@pytest.mark.parametrize("form", ["${}.50", "{}%", "{},75", "{} kg", "CHF {}"])
def test_many_numbers_in_disguise_are_a_fault_and_few_are_a_note(form):
    for n_distinct, is_fault in [(20, False), (21, True)]:
        schema, (finding,) = decided([form.format(number) for number in range(1, n_distinct + 1)] * 3)
        assert (schema.role, finding.is_fault) == ("category", is_fault)


def test_a_minus_of_another_sign_is_a_minus():
    assert read(["\u22121.5", "2"]) == [-1.5, 2.0]


def test_the_writing_of_the_table_is_that_of_every_column_that_says_nothing_else():
    writing = TextFormat(decimal=",", thousands=".")
    assert read(["1.234,5", "7"], writing=writing) == [1234.5, 7.0]
    assert read(["1.234,5", "7"], ColumnOptions(decimal=","), writing) == [1234.5, 7.0]
    assert read(["1.234", "7"], ColumnOptions(decimal=".", thousands=","), writing) == [1.234, 7.0]
    assert read(["1.234", "7"], ColumnOptions(decimal=".", thousands=""), writing) == [1.234, 7.0]


def test_decimal_commas_in_several_columns_are_reported_with_the_keys_for_the_table():
    table = hand_table(
        a=[f"{number},25" for number in range(30)], b=[f"1.{number}5,5" for number in range(10, 40)],
        c=[f"{number}%" for number in range(30)],
    )  # fmt: skip
    findings = [finding for name in table.names for finding in infer_schema(table, name)[1]]
    advice = (
        '\n2 columns have decimal commas. If all numbers of the table do: data.decimal: "," and data.thousands: "."'
    )
    with pytest.raises(DataError) as caught:
        raise_faults(findings)
    assert str(caught.value).endswith(advice)
    with pytest.raises(DataError) as caught:
        raise_faults(findings[1:])
    assert "If all numbers" not in str(caught.value)


def test_times_with_and_without_a_zone_in_one_column_are_noted():
    mixed = ["2020-01-01T10:00:00+02:00", "2020-01-01T10:00:00"]
    schema, (note,) = decided(mixed)
    assert (schema.role, note.text) == ("date", "column x: some times have a zone, the others are read as UTC")
    assert [decided([cell, cell])[1] for cell in mixed] == [[], []]


def test_times_with_and_without_am_or_pm_in_one_column_are_noted():
    mixed = ["01/24/2020 10:00 AM", "01/25/2020 04:15"]
    schema, (note,) = decided(mixed)
    assert (schema.role, "AM or PM, the others are read as times of 24 hours" in note.text) == ("date", True)
    assert [decided([cell, cell])[1] for cell in mixed] == [[], []]


def test_dates_with_and_without_a_time_in_one_column_are_noted():
    mixed = ["2020-01-24", "2020-01-25 04:15"]
    schema, (note,) = decided(mixed)
    assert (schema.role, note.text) == ("date", "column x: some dates have a time, the others are read as midnight")
    assert [decided([cell, cell])[1] for cell in mixed] == [[], []]


def test_points_in_texts_of_typed_files_that_may_be_between_thousands_are_noted():
    cells = ["6.001", "12.500", "7", "870"]
    schema, (note,) = decided(cells)
    assert (schema.role, note.is_fault) == ("number", False)
    assert note.text.startswith("new.csv:2: column x: three digits follow every point (6.001): read as decimals")
    for others in (["6.01"], ["1000"], ["0.125"]):
        assert decided(cells + others)[1] == []
    assert decided(cells, ColumnOptions(role="number", decimal=",", thousands="."))[1] == []


def test_dates_among_many_other_texts_are_noted_with_the_others():
    dates = [f"{day:02}/03/2021" for day in range(1, 25)]
    schema, (note,) = decided(dates * 3 + ["44950", "44951"] * 12)
    assert (schema.role, note.is_fault) == ("category", False)
    assert note.text.startswith("column x: 72 of 96 cells are dates, others are not ('44950', '44951')")


def test_dates_that_no_format_reads_are_noted():
    (note,) = decided([f"2024-{month}-{day:02}" for month in (13, 14) for day in range(1, 29)])[1]
    assert note.text.startswith("column x: all cells look like dates ('2024-13-01', ")
    assert note.text.endswith("), but no format reads them: read as categories")


@pytest.mark.parametrize(
    "levels", [("caf\u00e9", "cafe\u200b", "cafe"), ("a\u0441", "ac", "b"), ("North  East", "North East", "South")]
)
def test_levels_that_look_alike_are_noted(levels):
    (note,) = decided(list(levels) * 20)[1]
    assert note.text.startswith("column x: levels that look alike: ")
    assert not note.is_fault
    assert decided([*levels[1:2], "z"] * 20)[1] == []


def test_ambiguous_dates_are_noted_and_the_user_chooses_the_order():
    cells = ["03/04/2024", "05/06/2024"]
    schema, (finding,) = decided(cells)
    assert (schema.date_format, finding.is_fault) == ("MM/DD/YYYY", False)
    assert "day_first" in finding.text
    for dates, day in [("day_first", "2024-04-03"), ("month_first", "2024-03-04"), ("DD/MM/YYYY", "2024-04-03")]:
        schema, findings = decided(cells, writing=TextFormat(dates=dates))
        assert findings == []
        assert read(cells, writing=TextFormat(dates=dates))[0] == np.datetime64(day).astype(int)
    assert read(cells, ColumnOptions(format="DD/MM/YYYY"))[0] == np.datetime64("2024-04-03").astype(int)
    assert decided([*cells, "25/12/2024"])[1] == []


def test_years_that_may_be_first_or_last_are_noted_with_the_possible_formats():
    schema, findings = decided([f"23/{month:02}/{day:02}" for month in range(1, 7) for day in range(1, 29)])
    assert schema.date_format == "YY/MM/DD"
    assert "data.dates: YY/MM/DD or DD/MM/YY, or format in data.columns" in findings[0].text
    assert not any(finding.is_fault for finding in findings)


AMERICAN = [f"{1 + n % 12}/{n % 16 + 13}/2024 1:{n:02} PM" for n in range(60)]


@pytest.mark.parametrize("dates", ["YYYY-MM-DD", "DD/MM/YYYY", "day_first"])
@pytest.mark.parametrize("cells", [AMERICAN, ["13 Jan 2024", "14 Feb 2024"], ["2024/01/13 10:00", "2024/02/14 11:00"]])
def test_a_key_for_dates_that_does_not_fit_is_a_fault_that_names_a_cell_and_what_fits(cells, dates):
    fitting = decided(cells)[0].date_format
    asked = {"data.dates": (INFER, TextFormat(dates=dates))}
    if dates != "day_first":
        asked["data.columns.x.format"] = (ColumnOptions(format=dates), TextFormat())
    for key, (options, writing) in asked.items():
        _, findings = decided(cells, options, writing)
        if dates == "day_first" and cells is not AMERICAN:
            assert findings == []
            continue
        with pytest.raises(DataError) as caught:
            raise_faults(findings)
        said = str(caught.value)
        assert said.startswith(f"new.csv:2: column x: '{cells[0]}' is not a date as {key}: {dates} has it")
        assert f"{fitting} reads all cells" in said
        assert f'data.columns: {{x: {{role: date, format: "{fitting}"}}}}' in said
        assert read(cells, ColumnOptions(role="date", format=fitting), writing)


def test_a_key_for_dates_leaves_texts_alone_and_strays_are_strays():
    assert decided(["a", "b"], writing=TextFormat(dates="YYYY-MM-DD"))[0].role == "category"
    cells = [*["13/01/2024", "14/01/2024"] * 30, "soon"]
    with pytest.raises(DataError, match="'soon' is not a date written DD/MM/YYYY; the other 60"):
        raise_faults(decided(cells, writing=TextFormat(dates="day_first"))[1])


def test_two_digit_years_are_noted():
    _, findings = decided(["03.04.24", "25.12.71"])
    assert any("years of two digits" in finding.text for finding in findings)


def test_spellings_that_are_merged_into_one_level_are_noted():
    schema, findings = decided(["a", "1e1", "10", "b", "c"])
    assert schema.role == "category"
    assert any("are the same number, and one level" in finding.text for finding in findings)
    assert len(set(read(["a", "1e1", "10"]))) == 2


@pytest.mark.parametrize(
    ("cells", "role", "message"),
    [
        (["x", "y"], "number", r"new\.csv:2: column x: 'x' is not a number"),
        (["x", "y"], "date", "column x cannot be read as dates: 'x'"),
        (["2020-01-01", None, "2020-02-30"], "date", r"new\.csv:4: column x: '2020-02-30' is not a date written YYYY-"),
        (["x", "y", "z"], "boolean", "column x is not boolean, it holds 3 values: x, y, z"),
        ([1.0, np.inf], "number", r"new\.csv:3: column x: an infinite value"),
        (["1", "1e999"], "number", r"new\.csv:3: column x: an infinite value"),
    ],
)
def test_a_role_that_does_not_match_the_cells_is_an_error_with_its_location(cells, role, message):
    with pytest.raises(DataError, match=message):
        read(cells, ColumnOptions(role=role))


def test_later_cells_that_do_not_suit_the_role_are_errors_and_missing_ones_are_not():
    assert read(["1", "2"], later=["NA", " ", "3"]) == [None, None, 3.0]
    with pytest.raises(DataError, match=r"^new\.csv:3: column x: 'x' is not a number"):
        read(["1", "2"], later=["3", "x"])
    with pytest.raises(DataError, match=r"^new\.csv:3: column x: '2024-13-01' is not a date written YYYY-MM-DD"):
        read(["2024-01-01", "2024-01-02"], later=["2024-01-01", "2024-13-01"])
    with pytest.raises(DataError, match="is not a date"):
        read(["2024-01-01", "2024-01-02"], later=[20240101, 20240102])


def test_a_marker_of_missing_cells_is_compared_as_a_cell_is():
    options = ColumnOptions(missing=("-99",))
    for cells in (["1", "-99", "-99.0"], [1.0, -99.0, -99.0]):
        assert read(cells, options) == [1.0, None, None]
    assert read(["a", "-99.0", "NA"], options) == ["a", None, "NA"]


def test_a_marker_is_compared_as_a_cell_is_in_a_category_with_decimal_commas_too():
    writing = TextFormat(decimal=",")
    for options in (ColumnOptions(missing=("-99",)), ColumnOptions(missing=("-99,0",))):
        for role, one in (("category", "1,5"), ("number", 1.5), (None, 1.5)):
            chosen = dataclasses.replace(options, role=role)
            expected = one if role != "category" else "1.5"
            assert read(["1,5", "-99,0", "-99"], chosen, writing) == [expected, None, None]


def test_names_of_columns_may_be_numbers_and_are_not_given_twice():
    table = frame_table(pd.DataFrame({0: [5.0, 6.0]}))
    assert infer_schema(table, "0")[0].name == "0"
    with pytest.raises(DataError, match="columns 1 and 2 are both named 'x'"):
        frame_table(pd.DataFrame([[1, 2]], columns=["x", "x"]))


@pytest.mark.parametrize("name", ["x", "a: b", "Unnamed: 0", "1", "[x]", "# x"])
@pytest.mark.parametrize(
    "cells", [["1", "007"], [*map(str, range(40)), "oops"], [f"${n}" for n in range(40)], ["#REF!", "a"]]
)
def test_the_keys_that_messages_name_are_yaml_whatever_the_column_is_called(cells, name):
    (finding,) = infer_schema(hand_table(**{name: cells}), name)[1]
    keys = finding.text.split("data.columns: ")[1:]
    assert keys
    for key in keys:
        assert list(yaml.safe_load(key.split("; ")[0])) == [name]
