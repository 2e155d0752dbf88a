import datetime
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.reading.typed.frames import table_from_frame
from mlpcli.data.schema.dates.parsing import (
    best_date_format,
    cycle_names,
    cycles,
    date_texts,
    find_date_formats,
    has_time,
    has_two_digit_year,
    has_zone,
    iso_date,
    looks_like_date,
    parse_dates,
)
from mlpcli.data.schema.dates.patterns import DATE_FORMATS

STRFTIME = {"YYYY": "%Y", "YY": "%y", "MON": "%b", "MM": "%m", "DD": "%d"}
EPOCH = datetime.datetime(1970, 1, 1)
moments = st.datetimes(datetime.datetime(1000, 1, 1), datetime.datetime(9999, 12, 31))
recent = st.datetimes(datetime.datetime(1969, 1, 1), datetime.datetime(2068, 12, 31))


def written(moment, name):
    return moment.strftime(re.sub("YYYY|YY|MON|MM|DD", lambda match: STRFTIME[match[0]], name))


@pytest.mark.parametrize("name", DATE_FORMATS)
@settings(max_examples=settings.default.max_examples // 4)
@given(data=st.data())
def test_every_date_format_gives_the_day_number(name, data):
    moment = data.draw(recent if has_two_digit_year(name) else moments)
    text = written(moment, name)
    days = (datetime.datetime(moment.year, moment.month, moment.day) - EPOCH).days
    for spelling in (text, text.upper(), text.lower()):
        assert parse_dates([spelling], name).tolist() == [days]
        assert looks_like_date(spelling)
    assert name in find_date_formats([text])
    assert find_date_formats([text], name) == (name,)
    assert iso_date(days) == moment.strftime("%Y-%m-%d")


@pytest.mark.parametrize("name", DATE_FORMATS)
@pytest.mark.parametrize(
    ("time", "hours"),
    [
        (" 08:30", 8.5),
        ("T8:30", 8.5),
        (" 08:30:00 PM", 20.5),
        (" 12:30 am", 0.5),
        (", 12:30:00.000 PM", 12.5),
        (" 12:30:00,5Z", 12.5 + 0.5 / 3600),
        (" 12:30 +05:30", 7.0),
        (" 00:00:00 UTC", 0.0),
    ],
)
def test_every_date_format_accepts_a_time(name, time, hours):
    text = written(datetime.datetime(2024, 2, 29), name) + time
    assert parse_dates([text], name)[0] == pytest.approx(19782 + hours / 24, abs=1e-9)


def test_names_of_months_are_short_or_long():
    texts = ["5 Jan 2024", "05 January 2024", "5 JAN. 2024", "1 Sept 2024"]
    assert [iso_date(day) for day in parse_dates(texts, "DD MON YYYY")] == ["2024-01-05"] * 3 + ["2024-09-01"]
    texts = ["Jan 5, 2024", "January 05 2024", "Jan. 5,2024"]
    assert [iso_date(day) for day in parse_dates(texts, "MON DD, YYYY")] == ["2024-01-05"] * 3
    assert not looks_like_date("5 Janu 2024")
    assert not looks_like_date("5 March")


def test_two_digit_years_turn_at_69():
    days = parse_dates(["01/02/69", "01/02/99", "01/02/00", "01/02/68"], "MM/DD/YY")
    assert [iso_date(day)[:4] for day in days] == ["1969", "1999", "2000", "2068"]


def days(first, n_days, form):
    start = datetime.date.fromisoformat(first)
    return [(start + datetime.timedelta(day)).strftime(form) for day in range(n_days)]


@pytest.mark.parametrize("separator", "-/.")
def test_if_the_year_may_be_first_or_last_the_format_with_fewer_distinct_years_is_used(separator):
    texts = days("2023-01-01", 160, f"%y{separator}%m{separator}%d")
    formats = find_date_formats(texts)
    assert formats[0] == f"YY{separator}MM{separator}DD"
    assert f"DD{separator}MM{separator}YY" in formats
    assert best_date_format([*texts, "soon"], [1] * 161)[0] == formats[0]
    texts = days("2023-01-01", 160, f"%d{separator}%m{separator}%y")
    assert find_date_formats(texts) == (f"DD{separator}MM{separator}YY", f"YY{separator}MM{separator}DD")


def test_an_order_of_day_and_month_leaves_the_year_first_only_where_nothing_else_reads():
    texts = days("2023-01-01", 160, "%y/%m/%d")
    assert find_date_formats(texts, "day_first") == ("DD/MM/YY",)
    assert find_date_formats(texts, "YY/MM/DD") == ("YY/MM/DD",)
    assert find_date_formats(["99/01/02", "99/12/31"], "day_first") == ("YY/MM/DD",)


def test_versions_are_no_dates_with_the_year_first():
    assert find_date_formats(["10.4.2", "11.1.3"]) == ()


def test_an_order_decides_between_day_and_month_and_leaves_other_dates_alone():
    texts = ["01/02/2020", "03/04/2020"]
    assert find_date_formats(texts, "day_first") == ("DD/MM/YYYY",)
    assert find_date_formats(texts, "month_first") == ("MM/DD/YYYY",)
    assert find_date_formats(texts, "DD/MM/YYYY") == ("DD/MM/YYYY",)
    assert find_date_formats(texts, "YYYY-MM-DD") == ()
    for order in ("day_first", "month_first", None):
        assert find_date_formats(["2020-01-02"], order) == ("YYYY-MM-DD",)
        assert find_date_formats(["02.01.2020"], order) == ("DD.MM.YYYY",)
        assert find_date_formats(["2-Jan-2020"], order) == ("DD-MON-YYYY",)


def test_times_with_and_without_a_zone_are_distinguished():
    zoned = ["2020-01-01T10:00Z", "2020-01-01 10:00:00+02:00", "2020-01-01T10:00:00.5-0530", "1.2.2020 10:00 UTC"]
    assert all(map(has_zone, zoned))
    assert not any(map(has_zone, ["2020-01-01", "2020-01-01T10:00", "1-2-2020", "2-Jan-2020 10:00:00 PM", "10:00"]))


def test_the_best_format_leaves_strays():
    name, is_other = best_date_format(["2023-02-27", "2023-02-30", "NaT", "2023-02-28 10:00"], [5, 1, 1, 1])
    assert name == "YYYY-MM-DD"
    assert is_other.tolist() == [False, True, True, False]
    assert looks_like_date("2023-02-30")
    assert not looks_like_date("NaT")


def test_the_best_format_reads_most_cells():
    assert best_date_format(["13/01/2020", "01/13/2020", "01/14/2020"], [9, 1, 1])[0] == "DD/MM/YYYY"
    assert best_date_format(["13/01/2020", "01/13/2020", "01/14/2020"], [1, 1, 1])[0] == "MM/DD/YYYY"
    assert best_date_format(["13/01/2020", "01/13/2020"], [9, 1], "month_first")[0] == "MM/DD/YYYY"
    name, is_other = best_date_format(["a", "b"], [1, 1])
    assert (name, is_other.tolist()) == ("", [True, True])


def days_of(series):
    """The day numbers of a column that a frame holds as dates."""
    return table_from_frame(pd.DataFrame({"x": series})).columns["x"].values


@given(moment=moments.filter(lambda moment: moment.year > 1900), hours=st.integers(-12, 14))
def test_a_moment_is_the_same_number_in_every_zone_and_as_a_timestamp(moment, hours):
    zone = datetime.timezone(datetime.timedelta(hours=hours))
    there = moment.replace(year=min(moment.year, 2200), day=min(moment.day, 28), tzinfo=datetime.UTC).astimezone(zone)
    text, plain = there.isoformat(), there.astimezone(datetime.UTC).replace(tzinfo=None)
    days = parse_dates([text, plain.isoformat()], "YYYY-MM-DD")
    assert days[0] == days[1] == days_of(pd.Series([np.datetime64(plain, "us")]))[0]


@pytest.mark.parametrize(
    "time", [" 24:00", " 13:00 PM", " 0:30 AM", " 12:60", " 12:30:60", " noon", "T", " 1", "Z", "x"]
)
def test_what_is_no_time_makes_no_date(time):
    assert np.isnan(parse_dates(["2024-01-01" + time], "YYYY-MM-DD")[0])


@pytest.mark.parametrize(
    "text", ["1.2.3", "5-10", "08:30", "12345", "555-123-4567", "1/2", "192.168.1.1", "", "May", "1 \u017fep 2020"]
)
def test_other_texts_with_digits_do_not_look_like_dates(text):
    assert not looks_like_date(text)
    assert find_date_formats([text]) == ()


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


def test_unambiguous_dates_determine_the_order_of_day_and_month():
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
    features = np.asarray(cycles(days, with_hour=True))
    assert len(features) == len(cycle_names(True)) == 6
    np.testing.assert_allclose(features[::2, :-1] ** 2 + features[1::2, :-1] ** 2, 1.0)
    assert (features[:, -1] == 0).all()


def test_new_year_monday_and_midnight_are_where_the_circles_begin():
    monday = parse_dates(["2024-01-01"], "YYYY-MM-DD")
    np.testing.assert_allclose(np.concatenate(cycles(monday, with_hour=True)), [0, 1, 0, 1, 0, 1])
    assert cycle_names(False) == ("year_sin", "year_cos", "week_sin", "week_cos")


def test_the_week_repeats_after_seven_days():
    days = np.arange(14.0)
    sine = cycles(days, with_hour=False)[2]
    np.testing.assert_allclose(sine[:7], sine[7:], atol=1e-12)


@given(
    st.lists(st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2050, 1, 1)), min_size=1, max_size=20),
    st.sampled_from([1, 1000, 1_000_000]),
)
def test_days_as_texts_read_back_as_the_same_moments(stamps, unit):
    """In the years around ours, of which a day number holds the microseconds."""
    stamps = [stamp.replace(microsecond=stamp.microsecond // unit * unit) for stamp in stamps]
    days = parse_dates([stamp.isoformat() for stamp in stamps], "YYYY-MM-DD")
    texts = date_texts(days)
    assert [datetime.datetime.fromisoformat(text) for text in texts] == stamps
    assert parse_dates(texts, "YYYY-MM-DD").tolist() == days.tolist()
    assert date_texts(np.array([0.0, np.nan, 0.5])) == ["1970-01-01", "NaT", "1970-01-01T12:00:00"]
