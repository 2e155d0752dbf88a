"""Numbers in an unknown way of writing are never classes, levels or other numbers in silence."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.schema.column import ColumnOptions
from mlpcli.data.schema.findings import raise_faults
from mlpcli.data.schema.roles import infer_schema
from mlpcli.data.schema.task import infer_targets
from mlpcli.data.schema.unreadable_numbers import SHEET_ERRORS
from mlpcli.errors import DataError
from tests.data.tables_by_hand import hand_table


def decided(cells):
    return infer_schema(hand_table(x=cells), "x")


NUMBERS = range(111, 151)
WRITTEN = {
    "groups of two digits": lambda i: f"7,{i % 90 + 10},{i}",
    "a sign for approximate values or bounds": lambda i: f"~{i}.8",
    "a trailing minus": lambda i: f"{i}.79-",
    "a dash in place of decimals": lambda i: f"{i},-",
    "a trailing plus": lambda i: f"{i}+",
    "quotes around them": lambda i: f'="{i}"',
    "underscores between digits (thousands: '_' reads them)": lambda i: f"1_{i}",
    "digits of another script or invisible signs": lambda i: f"\u200b{i}",
    "a dash in place of a minus sign": lambda i: f"\u2013{i}.5",
    "powers of ten such as x10^3 or D+03": lambda i: f"{i}.5D+03",
}


@pytest.mark.parametrize("how", WRITTEN)
@settings(max_examples=settings.default.max_examples // 4)
@given(plain=st.integers(0, 30))
def test_numbers_in_an_unknown_notation_are_a_fault_that_describes_the_notation(how, plain):
    texts = [WRITTEN[how](i) if i - NUMBERS[0] >= plain else f"{i}.5" for i in NUMBERS]
    schema, (finding,) = decided(texts)
    assert (schema.role, finding.is_fault, finding.number) == ("category", True, None)
    assert finding.text.startswith(f"new.csv:{plain + 2}: column x: ")
    assert f"look like numbers written with {how}" in finding.text
    assert "data.columns: {x: category}" in finding.text
    assert decided(texts[-3:] * 20)[1][0].is_fault is False


@pytest.mark.parametrize(
    "cell",
    [
        "\u0661{}",
        "\u2010{}.5",
        "{}\u00d710^3",
        "{} x 10\u00b3",
        "≥{}",
        "<{}.5",
        "\uff11{}",
        "\u20b97,33,{}",
        "5{}+",
        "'{}",
    ],
)
def test_further_notations_are_recognized(cell):
    (finding,) = decided([cell.format(i) for i in NUMBERS])[1]
    assert finding.is_fault


@pytest.mark.parametrize(
    ("forms", "units"),
    [
        (("${}", "\u20ac{}"), "'$', '\u20ac'"),
        (("{} kg", "{} lb"), "'kg', 'lb'"),
        (("{}M", "{}k"), "'k', 'm'"),
        (("{}.00 CR", "{}.00 DR"), "'cr', 'dr'"),
        (("{}%", "0.{}", "0.{}1"), "none, '%'"),
    ],
)
def test_units_are_never_merged(forms, units):
    texts = [forms[i % len(forms)].format(i) for i in NUMBERS]
    with pytest.raises(DataError, match="Write plain numbers in one unit") as caught:
        raise_faults(decided(texts)[1])
    assert f"in several units ({units})" in str(caught.value)


def test_decimal_commas_beside_decimal_points_are_reported():
    (finding,) = decided([f"{i}{',.'[i % 2]}5" for i in NUMBERS])[1]
    assert finding.is_fault
    assert "written in several ways" in finding.text


@pytest.mark.parametrize(
    "cell", ["{}:30", "C{}.1", "ID{}", "Q{}", "v1.{}", "555-1{}", "{}-{}", "555 1{} 456", "192.168.100.{}", "#{}"]
)
def test_names_with_digits_are_texts(cell):
    schema, findings = decided([cell.format(i, i) for i in NUMBERS])
    assert schema.role == "category"
    assert findings == []
    assert decided([f"{i}{'ABCDEF'[i % 6]}" for i in NUMBERS])[1] == []


@pytest.mark.parametrize("error", sorted(SHEET_ERRORS - {"#N/A"}))
@pytest.mark.parametrize("usual", [["yes", "no"], ["low", "high", "medium"], ["2", "a"]])
def test_an_error_of_a_spreadsheet_is_no_level_and_no_class(usual, error):
    cells = [*usual * 30, error, *usual]
    (finding,) = [one for one in decided(cells)[1] if one.is_fault]
    assert finding.text.startswith(f"new.csv:{len(usual) * 30 + 2}: column x: '{error}' is a spreadsheet error")
    for task in ("auto", "classification"):
        plan = infer_targets(hand_table(y=cells), ["y"], task)
        assert any(error in one.text and one.is_fault for one in plan.findings)
        as_texts = infer_targets(hand_table(y=cells), ["y"], task, {"y": ColumnOptions(role="category")})
        assert not any(one.is_fault for one in as_texts.findings)
