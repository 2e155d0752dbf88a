import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.schema.cells import parse_numbers
from mlpcli.data.schema.number_formats import count_point_groups, find_number_format, format_as_yaml
from mlpcli.data.schema.spelling import NumberFormat

US, GERMAN = {"thousands": ","}, {"decimal": ",", "thousands": "."}


def counts(texts, delimiter=","):
    return find_number_format(texts, np.ones(len(texts), np.int64), delimiter)


@pytest.mark.parametrize(
    ("texts", "format"),
    [
        (["$2,212.04", "$974.10", "-$5.00"], {"prefix": "$", **US}),
        (["$9.47", "$93.14", "7"], {"prefix": "$"}),
        (["$9.47", "($93.14)"], {"prefix": "$", "parentheses": True}),
        (["\u20ac 1.234,56", "\u20ac 7,10"], {"prefix": "\u20ac", **GERMAN}),
        (["\u20ac 1.234", "\u20ac 999"], {"prefix": "\u20ac", **GERMAN}),
        (["\u20ac 1.234.567", "\u20ac 9.999"], {"prefix": "\u20ac", **GERMAN}),
        (["1 234,5 \u20ac", "17,5 \u20ac"], {"decimal": ",", "thousands": " ", "suffix": "\u20ac"}),
        (["1\u202f234,5\u00a0\u20ac", "17,5\u00a0\u20ac"], {"decimal": ",", "thousands": " ", "suffix": "\u20ac"}),
        (["56.3%", "62.1%", "7 %"], {"suffix": "%"}),
        (["12 kg", "9.3 kg"], {"suffix": "kg"}),
        (["12 m2", "9 m2"], {"suffix": "m2"}),
        (["12.5 \u00b5g/m\u00b3", "9 \u00b5g/m\u00b3"], {"suffix": "\u00b5g/m\u00b3"}),
        (["US$12", "US$9"], {"prefix": "US$"}),
        (["Rs. 500", "Rs. 750"], {"prefix": "Rs."}),
        (["CHF 1'234.50", "CHF 7.00"], {"prefix": "CHF", "thousands": "'"}),
        (["1\u2019234.5", "7.5"], {"thousands": "'"}),
        (["162,75", "3,1"], {"decimal": ","}),
        (["0,123", "1,234"], {"decimal": ","}),
        (["7,409", "974"], US),
        (["1,234,567", "7,409"], US),
        (["1.234.567", "7.409", "12"], GERMAN),
        (["1.234,5", "7,409"], GERMAN),
        (["(117.88)", "66.95"], {"parentheses": True}),
        (["(1,117.88)", "66.95", "\u22125.00"], {"parentheses": True, **US}),
        (["1 234 567", "12 000"], {"thousands": " "}),
        (["$1.5e3", "$2.5e3"], {"prefix": "$"}),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_numbers_in_disguise_are_recognised(texts, format, delimiter):
    disguise = counts(texts, delimiter)
    assert disguise is not None
    assert disguise.format == NumberFormat(**format)
    assert disguise.fraction == 1
    assert not disguise.alternatives
    assert not parse_numbers([disguise.example], disguise.format)[1][0]
    assert parse_numbers([disguise.example])[1][0]


@pytest.mark.parametrize(
    "texts",
    [
        ["1", "2.5", "-3e4", "\u22121.2"],
        ["01234", "00501"],
        ["$007", "$042"],
        ["1234567890123456", "1234567890123457"],
        ["2024-01-15", "2024-02-20"],
        ["15.01.2024", "20.02.2024"],
        ["1/15/2024", "2/20/2024"],
        ["Jan 15", "Feb 20"],
        ["15 Jan", "20 Feb"],
        ["08:30", "17:45"],
        ["5-10", "10-20"],
        ["5/2", "7/2"],
        ["555-1234", "555-9876"],
        ["(555) 123-4567", "(555) 987-6543"],
        ["555 123 456", "555 987 654"],
        ["+49 170 1234567", "+49 171 7654321"],
        ["1.2.3", "1.10.0"],
        ["v1.2", "v1.10"],
        ["192.168.1.1", "10.0.0.1"],
        ["192.168.100.200", "192.168.100.201"],
        ["ID7", "ID123"],
        ["Q1", "Q2"],
        ["C50.1", "C50.9"],
        ["12 kg", "9 lb"],
        ["$5", "\u20ac7"],
        ["1st", "2nd", "3rd"],
        ["(1)", "(2)"],
        ["red", "blue"],
        ["-", "none"],
        ["a1b2", "5 to 7"],
        [],
    ],
)
def test_names_and_other_texts_with_digits_are_not(texts):
    assert counts(texts) is None


@pytest.mark.parametrize(
    ("texts", "delimiter", "format", "alternative"),
    [
        (["7,409", "18,671"], ",", US, {"decimal": ","}),
        (["7,409", "18,671", "20000"], ",", US, {"decimal": ","}),
        (["7,409", "18,671"], ";", {"decimal": ","}, US),
        (["\u20ac7.409", "\u20ac8.671"], ",", {"prefix": "\u20ac"}, {"prefix": "\u20ac", **GERMAN}),
        (["\u20ac7.409", "\u20ac8.671"], ";", {"prefix": "\u20ac", **GERMAN}, {"prefix": "\u20ac"}),
    ],
)
def test_three_digits_behind_every_sign_are_ambiguous(texts, delimiter, format, alternative):
    disguise = counts(texts, delimiter)
    assert disguise.alternatives
    assert disguise.format == NumberFormat(**format)
    assert disguise.alternatives == (NumberFormat(**alternative),)


@pytest.mark.parametrize("number", ["9,560e+01", "1,234E5", "2,500e-3"])
def test_digits_before_an_exponent_are_not_grouped(number):
    for texts in ([number, "8,100e+02"], [number, "7,409"]):
        disguise = counts(texts)
        assert disguise.format == NumberFormat(decimal=",")
        assert not disguise.alternatives
    assert counts(["7,409", "1.2e5", "3"]).format == NumberFormat(thousands=",")


def test_few_strays_are_left_and_many_are_too_many():
    texts, counts = ["$5", "$7", "call us"], [80, 16, 4]
    disguise = find_number_format(texts, counts)
    assert (disguise.fraction, disguise.example) == (0.96, "$5")
    assert find_number_format(texts, [80, 10, 10]) is None


def test_a_sign_on_few_of_the_cells_is_not_shared():
    assert find_number_format(["0.5", "0.7", "50%"], [60, 30, 10]) is None


def test_strays_among_plain_numbers_make_no_format():
    assert find_number_format(["0.5", "0.7", "1,5"], [60, 39, 1]) is None


def test_many_texts_are_judged_by_a_sample_and_counted_as_a_whole():
    texts = [f"${number:,}" for number in range(1, 30_000)] + ["x"]
    disguise = counts(texts)
    assert disguise.format == NumberFormat(prefix="$", thousands=",")
    assert disguise.fraction == pytest.approx(29_999 / 30_000)


FORMATS = [
    NumberFormat(decimal=decimal, thousands=thousands, prefix=prefix, suffix=suffix)
    for decimal, thousands in [(".", ","), (",", "."), (",", " "), (".", "'")]
    for prefix, suffix in [("", ""), ("$", ""), ("", "%"), ("", "kg")]
]


@pytest.mark.parametrize("format", FORMATS, ids=str)
@settings(max_examples=settings.default.max_examples // 4)
@given(numbers=st.lists(st.decimals(1000, 10**9, places=2), min_size=1, max_size=20, unique=True))
def test_numbers_written_in_a_format_are_parsed_by_the_detected_format(format, numbers):
    swap = str.maketrans({",": format.thousands, ".": format.decimal})
    texts = [format.prefix + f"{number:,.2f}".translate(swap) + format.suffix for number in numbers]
    disguise = counts(texts)
    read, is_unknown = parse_numbers(texts, disguise.format)
    assert not is_unknown.any()
    assert read.tolist() == [float(number) for number in numbers]
    assert not disguise.alternatives


@given(st.lists(st.text("0123456789.,' $%()-kg", max_size=8).map(str.strip), unique=True, max_size=8))
def test_a_detected_format_and_its_alternatives_parse_nearly_all_cells(texts):
    disguise = counts(texts)
    if disguise is not None:
        for format in (disguise.format, *disguise.alternatives):
            assert 1 - parse_numbers(texts, format)[1].mean() >= 0.95
        assert not disguise.format.is_plain


@pytest.mark.parametrize(
    ("texts", "counts"),
    [
        (["987", "353", "6.001", "2.770"], (2, 2)),
        (["987", "353", "6.001", "1.002.770", "-", "-5", "0"], (2, 3)),
        (["987", "353", "6.001", "2.77"], None),
        (["987", "1353", "6.001", "2.770"], None),
        (["987", "353", "0.001", "2.770"], None),
        (["6.001", "2.770"], (2, 0)),
        (["987", "353"], (0, 2)),
        (["1", "1.333", "1.667", "2", "12.333"], (0, 2)),
        (["987", "353", "6.001", "2.770", "x"], None),
    ],
)
def test_points_before_three_digits_beside_small_whole_numbers_may_be_thousands(texts, counts):
    assert count_point_groups(texts, [1] * len(texts)) == counts


signs = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=4)


@given(signs, signs, st.sampled_from(".,"), st.sampled_from(["", ",", " ", "'"]), st.booleans())
def test_the_yaml_of_a_format_reads_back(prefix, suffix, decimal, thousands, parentheses):
    format = NumberFormat(decimal=decimal, thousands=thousands, prefix=prefix, suffix=suffix, parentheses=parentheses)
    options = yaml.safe_load(format_as_yaml(format))
    assert options.pop("role") == "number"
    assert NumberFormat(**options) == format
    assert format_as_yaml(NumberFormat(prefix="$", thousands=",")) == '{role: number, prefix: "$", thousands: ","}'


def test_the_yaml_of_a_format_says_how_it_differs_from_that_of_the_table():
    table = NumberFormat(decimal=",", thousands=".")
    assert format_as_yaml(table, table) == format_as_yaml(NumberFormat(decimal=","), table) == "{role: number}"
    assert format_as_yaml(NumberFormat(decimal=",", suffix="%"), table) == '{role: number, suffix: "%"}'
    assert format_as_yaml(NumberFormat(), table) == '{role: number, decimal: ".", thousands: ""}'
    assert format_as_yaml(NumberFormat(thousands=","), table) == '{role: number, decimal: ".", thousands: ","}'


def test_what_an_ambiguous_sign_can_also_be_is_said():
    assert counts(["7,409", "18,671"]).doubt == "a comma before three digits can also be a decimal comma"
    assert counts(["7,409", "18,671"], ";").doubt == "a comma before three digits can also be a thousands separator"
    assert (
        counts(["\u20ac7.409", "\u20ac8.671"]).doubt == "a point before three digits can also be a thousands separator"
    )
    assert counts(["7,409", "974"]).doubt == ""
