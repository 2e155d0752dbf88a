import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.schema.cells import (
    boolean_values,
    complete_boolean,
    equivalent_spellings,
    find_boolean,
    labels_differing_in_case,
    missing_mask,
    name_hint,
    parse_numbers,
    quote_with_difference,
    sort_levels,
)
from mlpcli.data.schema.spelling import PLAIN, THOUSANDS, NumberFormat, canonical, is_code, number_text

finite = st.floats(allow_nan=False, allow_infinity=False)
# Texts made of the signs of numbers are numbers, codes and much that only looks like one.
nearly_numbers = st.text("0123456789+-\u2212.eE, _nx", max_size=20)
texts = st.one_of(nearly_numbers, st.text(max_size=6)).map(str.strip)


@given(texts)
def test_canonical_texts_are_their_own(text):
    assert canonical(canonical(text)) == canonical(text)


@given(texts, texts)
def test_texts_of_one_canonical_text_are_one_number(a, b):
    for one, other in [(a, b), (a, canonical(a))]:
        if canonical(one) == canonical(other):
            numbers, is_unknown = parse_numbers([one, other])
            np.testing.assert_array_equal(numbers[0], numbers[1])
            assert is_unknown[0] == is_unknown[1]


@given(st.lists(texts, max_size=6))
def test_numbers_do_not_depend_on_their_neighbours(cells):
    numbers, is_unknown = parse_numbers(cells)
    separately = [parse_numbers([cell]) for cell in cells]
    np.testing.assert_array_equal(numbers, [number[0] for number, _ in separately])
    assert is_unknown.tolist() == [is_so[0] for _, is_so in separately]


@pytest.mark.parametrize(
    ("one", "spellings"),
    [
        ("1", ["1", "1.0", "1e0", "+1", "1.", "0.1e1", "1.000"]),
        ("0", ["0", "0.0", "-0.0", "-0", "\u22120", ".0", "0e9"]),
        ("0.5", ["0.50", ".5", "5e-1", "+0.5"]),
        ("-99", ["-99", "-99.0", "-9.9e1", "\u221299"]),
        ("1e+16", ["1e16", "1.0E+16"]),
        ("9007199254740993", ["9007199254740993", "9007199254740993.0", "9007199254740993."]),
        ("\u00e9", ["\u00e9", "e\u0301"]),
    ],
)
def test_spellings_of_one_cell_have_one_canonical_text(one, spellings):
    assert {canonical(text) for text in spellings} == {one}


@pytest.mark.parametrize(
    "text",
    [
        *("01", "-007", "00", "1234567890123456", "9007199254740993", "1_000", "1,5", "0x1", "nan", "inf", "1e999"),
        *("", "-", "Yes", "yes", "1 000", "1e", ".", "\u0661\u0662"),
    ],
)
def test_codes_and_words_stay_as_they_are(text):
    assert canonical(text) == text


def test_codes_are_digits_that_are_names():
    assert all(map(is_code, ["01", "+00", "-007", "1234567890123456", "-1234567890123456"]))
    assert not any(map(is_code, ["0", "10", "0.5", "123456789012345", "1234567890123456.0", "", "a1", "01.5"]))


def test_long_ids_are_not_merged_as_their_floats_are():
    assert canonical("1234567890123456037") != canonical("1234567890123456000")


@given(finite)
def test_the_text_of_a_number_reads_back_exactly_and_is_canonical(number):
    assert float(number_text(number)) == number
    assert canonical(number_text(number)) == canonical(repr(number)) == number_text(number)


def test_words_are_no_numbers_but_dashes_among_numbers_are_missing():
    numbers, is_unknown = parse_numbers(["1e3", "abc", "None", "-", ".", "1_000", "1,5", "nan", "", "\u22121.5", " 1"])
    assert np.flatnonzero(is_unknown).tolist() == [1, 5, 6, 7, 8, 10]
    assert numbers[[0, 9]].tolist() == [1000, -1.5]
    assert np.isnan(numbers[1:9]).all()


@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e999", "+inf", "\u2212INF"])
@pytest.mark.parametrize("format", [PLAIN, NumberFormat(prefix="$")])
def test_infinite_numbers_are_infinite_and_no_strays(text, format):
    numbers, is_unknown = parse_numbers([text], format)
    assert np.isinf(numbers[0])
    assert (numbers[0] < 0) == (text[0] in "-\u2212")
    assert not is_unknown[0]


FORMATS = [
    NumberFormat(decimal=decimal, thousands=thousands, prefix=prefix, suffix=suffix, parentheses=parentheses)
    for decimal, thousands in [(".", ","), (",", "."), (",", " "), (".", "'"), (",", ""), (".", "")]
    for prefix, suffix, parentheses in [("", "", False), ("$", "", True), ("", "%", False), ("CHF", "kg", True)]
]


@pytest.mark.parametrize("format", FORMATS, ids=str)
@settings(max_examples=settings.default.max_examples // 4)
@given(number=st.decimals(-(10**12), 10**12, places=3), data=st.data())
def test_a_number_written_in_a_format_is_read_back(format, number, data):
    group = data.draw(st.sampled_from(["", *THOUSANDS.get(format.thousands, "")]))
    whole, decimals = f"{abs(number):,.3f}".split(".")
    digits = whole.replace(",", group) + format.decimal + decimals
    blank = data.draw(st.sampled_from(["", " ", "\u00a0"]))
    prefix = data.draw(st.sampled_from(["", format.prefix + blank])) if format.prefix else ""
    suffix = data.draw(st.sampled_from(["", blank + format.suffix])) if format.suffix else ""
    spellings = [prefix + digits + suffix]
    if number < 0:
        spellings = [f"-{prefix}{digits}{suffix}", f"{prefix}\u2212{digits}{suffix}"]
        if format.parentheses:
            spellings += [f"({prefix}{digits}{suffix})", f"{prefix}({digits}){suffix}"]
    numbers, is_unknown = parse_numbers(spellings, format)
    assert not is_unknown.any()
    assert set(numbers.tolist()) == {float(number)}


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("1,23", NumberFormat(thousands=",")),
        ("1,2345", NumberFormat(thousands=",")),
        ("0,123", NumberFormat(thousands=",")),
        ("1234,567", NumberFormat(thousands=",")),
        ("1.5", NumberFormat(decimal=",")),
        ("--5", NumberFormat(prefix="$")),
        ("-$-5", NumberFormat(prefix="$")),
        ("(5", NumberFormat(parentheses=True)),
        ("5)", NumberFormat(parentheses=True)),
        ("-(5)", NumberFormat(parentheses=True)),
        ("(5)", PLAIN),
        ("5 lb", NumberFormat(suffix="kg")),
        ("$", NumberFormat(prefix="$")),
        ("1_0", NumberFormat(suffix="%")),
    ],
)
def test_what_a_format_does_not_say_is_no_number(text, format):
    numbers, is_unknown = parse_numbers([text], format)
    assert is_unknown[0]
    assert np.isnan(numbers[0])


@given(finite)
def test_every_format_with_a_point_and_without_groups_reads_plain_numbers(number):
    for format in (NumberFormat(prefix="$"), NumberFormat(suffix="%", parentheses=True), NumberFormat(thousands=",")):
        assert parse_numbers([repr(number)], format)[0].tolist() == [number]


def test_missing_cells_are_the_empty_ones_and_every_spelling_of_a_marker():
    cells = ["", "-99", "-99.0", "-9.9e1", "99", "NA", "na", "-099"]
    assert missing_mask(cells, frozenset({"-99", "NA"})).tolist() == [True, True, True, True, False, True, False, False]


def test_merged_spellings_are_pairs_that_both_occur():
    assert equivalent_spellings(["1.0", "2.0", "3", "x", "X", "01"]) == []
    assert equivalent_spellings(["1", "1.0", "2.", "2", "x", "X"]) == [("1", "1.0"), ("2.", "2")]
    assert equivalent_spellings(["1,1", "1,10", "1.1"], NumberFormat(decimal=",")) == [("1,1", "1,10"), ("1,1", "1.1")]
    assert equivalent_spellings(["1.1", "1.10", "5", "5e0", "01", "1"]) == [("1.1", "1.10"), ("5", "5e0")]
    assert len(equivalent_spellings(["1.1" + "0" * n for n in range(9)])) == 3


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("y", ["x", "\u0443"], " There is '\u0443' (U+0443), which only looks the same."),
        ("\u0443", ["x", "y"], " There is 'y' (U+0079), which only looks the same."),
        ("x", ["y", "x\u200b"], " There is 'x\\u200b' (U+200B), which only looks the same."),
        ("colour", ["x", "color"], " Did you mean color?"),
        ("z", ["x", "y"], " There is: x, y."),
    ],
)
def test_a_name_that_only_looks_like_an_existing_one_is_shown_with_code_points(name, known, hint):
    assert name_hint(name, known) == hint


def test_labels_that_differ_in_case_only_are_grouped():
    assert labels_differing_in_case(["Yes", "no", "yes", "YES", "maybe", "No"]) == [("Yes", "yes", "YES"), ("no", "No")]
    assert labels_differing_in_case(["1E5", "1e5", "a"]) == []


@pytest.mark.parametrize(
    ("text", "known", "message"),
    [
        ("\u041c\u043escow", "Moscow", "'\u041c\u043escow' (U+041C, U+043E)"),
        ("Moscow", "\u041coscow", "'Moscow' (U+004D)"),
        ("New\u00a0York", "New York", r"'New\xa0York' (U+00A0)"),
        ("New  York", "New York", "'New  York' (U+0020)"),
        ("cat\u200b", "cat", r"'cat\u200b' (U+200B)"),
        ("cat", "cat\u200b", "'cat' (without U+200B)"),
        ("\uff21", "A", "'\uff21' (U+FF21)"),
        ("moscow", "Moscow", "'moscow'"),
        ("Paris", "Moscow", "'Paris'"),
        ("Moscow", "Moscow", "'Moscow'"),
    ],
)
def test_texts_that_look_alike_are_distinguished_by_code_points(text, known, message):
    assert quote_with_difference(text, ["Berlin", known]) == message


@given(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=5))
def test_a_message_on_look_alikes_begins_with_the_text_in_quotes(text, known):
    assert quote_with_difference(text, known).startswith(repr(text))


def test_no_and_yes_keep_the_spelling_of_the_user():
    assert find_boolean(["TRUE", "FALSE"]) == ("FALSE", "TRUE")
    assert find_boolean(["1", "0"]) == find_boolean(["1", "0", "1.0"]) == ("0", "1")
    assert find_boolean(["yes", "No", "YES"]) == ("No", "YES")
    assert find_boolean(["yes", "true"]) is find_boolean(["yes"]) is find_boolean([]) is None


def test_a_column_configured_as_boolean_may_hold_a_single_word_or_any_two_texts():
    assert complete_boolean(["No"]) == ("No", "yes")
    assert complete_boolean(["T"]) == ("f", "T")
    assert complete_boolean(["male", "female"]) == ("female", "male")
    assert complete_boolean(["10", "9"]) == ("9", "10")
    assert complete_boolean(["male"]) is complete_boolean(["a", "b", "c"]) is complete_boolean([]) is None


@pytest.mark.parametrize(
    ("levels", "cells", "values"),
    [
        (("No", "Yes"), ["no", "YES", "t", "0.0", "1", "maybe", ""], [0, 1, 1, 0, 1, None, None]),
        (("female", "male"), ["Male", "female", "yes"], [1, 0, None]),
        (("a", "A"), ["a", "A"], [0, 1]),
        (("0", "1"), ["0", "1.0", "true", "2"], [0, 1, 1, None]),
        (("1", "2"), ["1.0", "+2", "yes"], [0, 1, None]),
        (("no", "yes"), [], []),
    ],
)
def test_boolean_values_are_0_1_or_nan(levels, cells, values):
    np.testing.assert_array_equal(boolean_values(levels, cells), np.asarray(values, np.float64))


def test_levels_are_sorted_by_number_when_all_are_numbers():
    assert sort_levels(["10", "9", "-1.5"]) == ("-1.5", "9", "10")
    assert sort_levels(["10", "9", "x"]) == ("10", "9", "x")
    assert sort_levels(["10", "9", "inf"]) == ("10", "9", "inf")
    assert sort_levels(["10", "9", "-"]) == ("-", "10", "9")
    assert sort_levels([]) == ()


@given(st.lists(texts, unique=True, max_size=8), st.randoms())
def test_the_order_of_levels_does_not_depend_on_the_order_of_rows(levels, random):
    shuffled = levels[:]
    random.shuffle(shuffled)
    assert sort_levels(shuffled) == sort_levels(levels)
    assert sorted(sort_levels(levels)) == sorted(levels)


@given(st.text(max_size=8))
def test_canonical_texts_are_composed(text):
    assert unicodedata.is_normalized("NFC", canonical(text))
