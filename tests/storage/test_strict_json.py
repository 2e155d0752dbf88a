import pytest

from mlpcli.storage.strict_json import format_json, parse_json


def test_json_is_compact_ascii_in_the_given_order_and_comes_back():
    value = {"b": [1, 0.1, True, None], "a": "Größe\ud800\x00"}
    data = format_json(value)
    assert data == b'{"b":[1,0.1,true,null],"a":"Gr\\u00f6\\u00dfe\\ud800\\u0000"}'
    assert parse_json(data) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e999]",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"1" * 10_000,
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 40 + b"]" * 40,
        b"{} {}",
        "{}".encode("utf-16"),
    ],
)
def test_what_is_not_json_is_a_value_error(data):
    with pytest.raises(ValueError):  # noqa: PT011 - the caller has the words
        parse_json(data)


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": float("-inf")}])
def test_no_number_without_a_value_is_written(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        format_json(value)


def test_what_is_written_can_be_read_up_to_the_deepest_nesting():
    value: list[object] = []
    for _ in range(31):
        value = [value]
    assert parse_json(format_json(value)) == value
    with pytest.raises(ValueError, match="nested"):
        format_json([value])
