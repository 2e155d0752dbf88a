"""Dates that stand for a missing date are noted, but not rare or usual ones."""

import datetime

import pandas as pd
import pytest

from mlpcli.data.schema.column import ColumnOptions
from mlpcli.data.schema.roles import infer_schema
from tests.data.tables_by_hand import frame_table, hand_table

DAYS = [str(datetime.date(2020, 1, 1) + datetime.timedelta(number)) for number in range(200)]
ONE, MANY = ["9999-12-31"], ["1900-01-01"] * 12


def notes_of(cells, **options):
    return [finding.text for finding in infer_schema(hand_table(x=cells), "x", ColumnOptions(**options))[1]]


@pytest.mark.parametrize(
    ("strays", "one_of"), [(ONE, ""), (MANY, ", one of 12 such cells"), (["1970-01-01"] * 10, ", one of 10 such cells")]
)
def test_a_date_that_programs_write_for_none_is_noted_with_its_place(strays, one_of):
    message = (
        f"new.csv:202: column x: '{strays[0]}' looks like what a program writes where there is no date{one_of}, and"
    )
    (note,) = notes_of([*DAYS, *strays])
    assert note.startswith(message)
    assert notes_of([*DAYS, *strays], role="date") == []


def test_a_typed_column_of_dates_is_noted_too():
    table = frame_table(pd.DataFrame({"x": pd.to_datetime([*DAYS, *MANY, None])}))
    (note,) = infer_schema(table, "x")[1]
    assert note.text.startswith("new.csv:202: column x: 1900-01-01 looks like what a program writes")


@pytest.mark.parametrize(
    "cells", [[*DAYS, "1970-01-01"], [*DAYS, "1900-01-01", "1900-01-02"], ["1970-01-01", "1970-01-02"] * 20, ONE * 9]
)
def test_rare_first_days_and_columns_of_nothing_else_are_not(cells):
    assert notes_of(cells) == []
