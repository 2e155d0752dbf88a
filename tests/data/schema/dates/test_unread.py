"""Dates and times in a form that is not read are never levels or numbers in silence."""

import numpy as np
import pytest

from mlpcli.data.schema.column import ColumnOptions
from mlpcli.data.schema.roles import infer_schema
from tests.data.tables_by_hand import hand_table

YEARS, MONTHS = range(2015, 2021), range(1, 13)
FORMS = {
    "months": ("{y}-{m:02}", "{m:02}/{y}", "{name}-{s}", "{name} {y}", "{y}M{m:02}"),
    "quarters": ("{y}-Q{q}", "{y}Q{q}", "Q{q} {y}", "{q}Q{s}"),
    "weeks": ("{y}-W{m:02}", "{y}W{m:02}", "{y}-W{m:02}-3"),
    "times of day or durations": ("{m:02}:{s}", "{m}:{s}:59", "{m}:{s} am"),
    "dates": (
        *("Tue, {m} {name} {y}", "{name} {m}th, {y}", "{m}{name}{y}", "{y}{m:02}03T101500Z", "{y}年{m}月3日"),
        *("{y}-{m}-03 10:15 CET", "{m}/03/{y} 10:15 a.m."),
    ),
}
NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def decided(cells, **options):
    return infer_schema(hand_table(x=cells), "x", ColumnOptions(**options))


def cells_written(form):
    dates = [(year, month) for year in YEARS for month in MONTHS]
    return [form.format(y=y, s=y % 100, m=m, q=(m + 2) // 3, name=NAMES[m - 1]) for y, m in dates]


@pytest.mark.parametrize(("kind", "form"), [(kind, form) for kind, forms in FORMS.items() for form in forms])
def test_dates_in_a_form_that_is_not_read_are_noted(kind, form):
    cells = cells_written(form)
    schema, (note,) = decided(cells)
    assert (schema.role, note.is_fault) == ("category", False)
    assert note.text.startswith(f"new.csv:2: column x: {cells[0]!r}: its cells look like {kind}, ")
    assert decided(cells, role="category")[1] == []


@pytest.mark.parametrize(
    "names",
    [
        "January February March April May June July August September October November December",
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "januari februari maart april mei juni juli augustus september oktober november december",
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    ],
)
@pytest.mark.parametrize(
    ("kind", "form"),
    [("months", "{} 2021"), ("dates", "3. {} 2021"), ("dates", "3 de {} de 2021"), ("dates", "1er {} 2021")],
)
def test_every_month_of_a_language_is_known(kind, form, names):
    cells = [form.format(name) for name in names.split()]
    (note,) = decided(cells)[1]
    assert f": its cells look like {kind}, " in note.text


@pytest.mark.parametrize(
    "cells",
    [
        *(NAMES, ("16:9", "4:3"), ("mon", "tue"), ("Q1", "Q2"), ("A2015-01", "A2015-02"), ("10:90", "20:80", "50:50")),
        *(("Satellite 1", "Satellite 2"), ("Friends 3", "Sunset Drive 12"), ("2008/09", "2009/10", "2010/11")),
    ],
)
def test_names_ratios_and_seasons_are_levels(cells):
    assert decided(list(cells) * 9)[1] == []


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_integers_that_are_all_dates_without_separators_are_noted(dtype):
    numbers = np.asarray([year * 10_000 + month * 100 + 28 for year in YEARS for month in MONTHS], dtype)
    schema, (note,) = decided(numbers)
    assert (schema.role, "20150128 to 20201228 look like dates (YYYYMMDD)" in note.text) == ("number", True)
    assert decided(numbers, role="number")[1] == []
    for other in (numbers + 72, numbers * 10, numbers // 100, numbers[:1]):
        assert decided(other)[1] == []
    assert decided(np.append(numbers, 20_201_328))[1] == []


@pytest.mark.parametrize(("time", "form"), [(1015, "YYYYMMDDhhmm"), (101559, "YYYYMMDDhhmmss")])
def test_integers_that_are_all_times_without_separators_are_noted(time, form):
    unit = 10 ** len(str(time))
    numbers = np.asarray([(year * 10_000 + month * 100 + 28) * unit + time for year in YEARS for month in MONTHS])
    (note,) = decided(numbers)[1]
    assert f"{numbers[0]} to {numbers[-1]} look like dates ({form})" in note.text
    assert decided(np.append(numbers, numbers[0] - time + unit - 1))[1] == []
