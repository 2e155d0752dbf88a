import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.data.dates import cycle_names, cycles, days_of, find_date_formats, has_time, iso_date, parse_dates

FORMATS = {
    "YYYY-MM-DD": "%Y-%m-%d",
    "YYYY/MM/DD": "%Y/%m/%d",
    "DD.MM.YYYY": "%d.%m.%Y",
    "MM/DD/YYYY": "%m/%d/%Y",
    "DD/MM/YYYY": "%d/%m/%Y",
}
EPOCH = datetime.datetime(1970, 1, 1)
moments = st.datetimes(datetime.datetime(1000, 1, 1), datetime.datetime(9999, 12, 31))


@pytest.mark.parametrize("name", FORMATS)
@given(moment=moments)
def test_every_way_of_writing_gives_the_day_number(name, moment):
    text = moment.strftime(FORMATS[name])
    days = (datetime.datetime(moment.year, moment.month, moment.day) - EPOCH).days
    assert parse_dates([text], name).tolist() == [days]
    assert name in find_date_formats([text])
    assert iso_date(days) == moment.strftime("%Y-%m-%d")


@given(moment=moments)
def test_the_time_of_day_is_the_fraction(moment):
    expected = (moment - EPOCH) / datetime.timedelta(days=1)
    for text in (moment.isoformat(), moment.isoformat(sep=" "), moment.isoformat() + "Z"):
        assert parse_dates([text], "YYYY-MM-DD")[0] == pytest.approx(expected, abs=1e-9, rel=1e-14)


def test_a_zone_offset_is_taken_out():
    days = parse_dates(["1970-01-02T06:00+06:00", "1970-01-01T18:30:00-0530", "1970-01-02 01:00+01"], "YYYY-MM-DD")
    np.testing.assert_allclose(days, [1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    "text",
    ["2023-02-29", "2023-13-01", "2023-00-10", "2023-01-00", "0000-01-01", "2023-01-01 24:00", "2023-1", "x", "1"],
)
def test_what_is_no_date_is_not_read_as_one(text):
    assert np.isnan(parse_dates([text], "YYYY-MM-DD")[0])
    assert find_date_formats([text]) == ()


def test_day_and_month_are_told_apart_by_the_dates_that_allow_one_reading():
    assert find_date_formats(["01/02/2020", "13/02/2020"]) == ("DD/MM/YYYY",)
    assert find_date_formats(["01/02/2020", "02/13/2020"]) == ("MM/DD/YYYY",)


def test_when_both_readings_fit_the_month_comes_first():
    assert find_date_formats(["01/02/2020", "03/04/2020"]) == ("MM/DD/YYYY", "DD/MM/YYYY")


def test_one_stray_text_makes_it_no_date_column():
    assert find_date_formats(["2020-01-01", "soon"]) == ()
    assert find_date_formats([]) == ()


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_dates_of_the_frame_give_the_same_days_as_their_texts(zone):
    stamps = pd.date_range("2019-12-30 23:30", periods=40, freq="7h", tz=zone)
    texts = [stamp.isoformat() for stamp in stamps]
    np.testing.assert_allclose(days_of(pd.Series(stamps)), parse_dates(texts, "YYYY-MM-DD"), rtol=0, atol=1e-9)


def test_a_missing_date_of_the_frame_is_nan():
    assert np.isnan(days_of(pd.Series(pd.to_datetime(["2020-01-01", None])))).tolist() == [False, True]


def test_has_time_sees_any_time_but_midnight():
    assert not has_time(np.array([1.0, np.nan, -3.0]))
    assert has_time(np.array([1.0, 2.5]))


def test_cycles_are_points_on_circles_and_0_when_missing():
    days = np.append(np.random.default_rng(0).uniform(-50_000, 50_000, 200), np.nan)
    parts = np.asarray(cycles(days, with_hour=True))
    assert len(parts) == len(cycle_names(True)) == 6
    np.testing.assert_allclose(parts[::2, :-1] ** 2 + parts[1::2, :-1] ** 2, 1.0)
    assert (parts[:, -1] == 0).all()


def test_new_year_monday_and_midnight_are_where_the_circles_begin():
    monday = parse_dates(["2024-01-01"], "YYYY-MM-DD")
    np.testing.assert_allclose(np.concatenate(cycles(monday, with_hour=True)), [0, 1, 0, 1, 0, 1])
    assert cycle_names(False) == ("year_sin", "year_cos", "week_sin", "week_cos")


def test_the_week_repeats_after_seven_days():
    days = np.arange(14.0)
    sine = cycles(days, with_hour=False)[2]
    np.testing.assert_allclose(sine[:7], sine[7:], atol=1e-12)
