import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.config.yaml.parsing import parse_scalar, parse_yaml
from mlpcli.errors import ConfigError

YAML_PIECES = st.lists(
    st.sampled_from(
        [*"ab:-[]{}&*!|>'\"%@`#?,~<.01e\\", "\n", "\n  ", " ", ": ", "- ", "\t", "&a ", "*a", "<<", "---\n", "\\U"]
    ),
    max_size=40,
).map("".join)


def value_of(text):
    return parse_yaml(text, "a.yaml")[0]


def fault_of(text):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "a.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("+.5", 0.5),
        ("5.", 5.0),
        ("-7", -7),
        ("010", 10),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        *[
            (text, text)
            for text in ("no", "on", "yes", "0x1f", "0o7", "1_000", "1:30", "2024-01-01", "1e", ".", "-", "tRue")
        ],
    ],
)
def test_a_plain_scalar_means_what_yaml_1_2_says(text, value):
    assert value_of(f"a: '{text}'") == {"a": text}, "in quotes it is a text"
    assert parse_scalar(text) == value
    assert type(parse_scalar(text)) is type(value)
    if text != "-":
        assert value_of(f"a: {text}") == {"a": value}


def test_not_a_number_is_read_as_such():
    assert math.isnan(value_of("a: .nan")["a"])


def test_keys_are_the_text_that_was_written():
    assert value_of("{01: a, true: b, 1e3: c, ~: d, 'x y': e}") == {
        "01": "a",
        "true": "b",
        "1e3": "c",
        "~": "d",
        "x y": "e",
    }


def test_every_key_and_item_knows_its_line():
    _, source_map = parse_yaml("a:\n  b: 1\n  c:\n    - x\n    - 007\n", "a.yaml")
    assert {path: origin.where for path, origin in source_map.origins.items()} == {
        ("a",): "a.yaml:1",
        ("a", "b"): "a.yaml:2",
        ("a", "c"): "a.yaml:3",
        ("a", "c", 0): "a.yaml:4",
        ("a", "c", 1): "a.yaml:5",
    }
    assert source_map.origins["a", "c", 1].source == "007"


def test_an_alias_is_the_value_of_its_anchor_each_time_anew():
    value = value_of("a: &x {b: [1]}\nc: *x\nd: [*x]")
    assert value == {"a": {"b": [1]}, "c": {"b": [1]}, "d": [{"b": [1]}]}
    assert value["a"] is not value["c"]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "null"])
def test_an_empty_document_is_none(text):
    assert value_of(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "a.yaml:4: b.c: duplicate key, first in line 3. Keep one."),
        ("{1: a, 1: b}", "a.yaml:1: 1: duplicate key, first in line 1. Keep one."),
        ("a: 1\n---\nb: 2\n", "a.yaml:2: a second document begins here (---). A config is one document."),
        ("a: {b: 1}\n<<: {c: 2}", "a.yaml:2: merge keys (<<) are not supported: write the keys out."),
        ("a: 1\n? [b]\n: c", "a.yaml:2: a key must be a string, not a list or a mapping."),
        (
            "a:\n  !!python/object:os.system x",
            "a.yaml:2: a: the tag tag:yaml.org,2002:python/object:os.system is not supported.",
        ),
        ("a: !x {b: 1}", "a.yaml:1: a: the tag !x is not supported."),
        ("a: !!set {b}", "a.yaml:1: a: the tag tag:yaml.org,2002:set is not supported."),
        ("a: !!int b", "a.yaml:1: a: 'b' is not a value of the tag tag:yaml.org,2002:int."),
        ("a: " + "9" * 5000, "a.yaml:1: a: a number of 5000 digits is more than a float holds."),
        ('a: 1\nb: "\\ud800"', "a.yaml:2: b: '\\ud800' holds a character that is not text."),
        ('"a\\0": 1', "a.yaml:1: 'a\\x00' holds a character that is not text."),
        ("a: 1\nb: \x1b[31m", "a.yaml:2: the character '\\x1b' is not allowed in YAML."),
        ('a: "\\U00110000"', "a.yaml: not valid YAML: a \\U escape or a %YAML version is out of range."),
        (
            "%YAML " + "9" * 5000 + ".1\n---\na: 1",
            "a.yaml: not valid YAML: a \\U escape or a %YAML version is out of range.",
        ),
    ],
)
def test_what_is_not_read_is_refused_with_its_line(text, message):
    assert fault_of(text) == message


@pytest.mark.parametrize(
    ("text", "line", "advice"),
    [
        ("a:\n\tb: 1", 2, "Indent with spaces, not tabs."),
        ("a: b: c", 1, "Check the indentation, and quote a text that holds ': '."),
        ("a:\n  b: 1\n c: 2", 3, "Check the indentation of this line and of those above."),
        ("a:\n  b: -", 2, 'A dash alone is written "-" in quotes.'),
        ("a: *.csv", 1, "Quote a string that begins with *."),
        ("a: *b", 1, "Quote a string that begins with *."),
        ("a: &", 1, "Quote a string that begins with &."),
        ("a: %b", 1, "Quote a string that begins with %."),
        ("a: @b", 1, "Quote a string that begins with @."),
        ("a: `b", 1, "Quote a string that begins with `."),
        ("a: |b", 1, "Quote a string that begins with | or >."),
        ("a: 'b\nc: d", 2, "The quote is not closed."),
        ("a: [b", 1, "The bracket [ is not closed."),
        ("a: {b: 1", 1, "The brace { is not closed."),
        ("a: 1\nb\n", 3, "Write KEY: VALUE."),
    ],
)
def test_broken_yaml_says_what_to_do(text, line, advice):
    message = fault_of(text)
    assert message.startswith(f"a.yaml:{line}: not valid YAML: ")
    assert message.endswith(advice)
    assert message.isprintable()


@pytest.mark.parametrize("text", ["a: " + "[" * 100_000, "- " * 50_000, "{a: " * 30_000, "a: " + "[" * 22 + "]" * 22])
def test_deep_nesting_is_refused_at_once(text):
    assert fault_of(text) == "a.yaml:1: nested too deeply (more than 20 levels)."


def test_an_alias_bomb_is_refused_before_it_grows():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 15)]
    assert "holds too many values" in fault_of("\n".join(lines))


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}"])
def test_an_alias_of_itself_is_refused(text):
    assert "holds too many values" in fault_of(text)


@settings(deadline=None, max_examples=300)
@given(st.one_of(YAML_PIECES, st.text(max_size=60)))
def test_any_text_is_read_or_refused_on_one_printable_line(text):
    message = "a.yaml"
    try:
        parse_yaml(text, "a.yaml")
    except ConfigError as error:
        message = str(error)
    assert message.startswith("a.yaml")
    assert message.isprintable()
