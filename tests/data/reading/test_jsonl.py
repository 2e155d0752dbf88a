import gzip
import json
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.typed import jsonl
from mlpcli.data.reading.typed.columns import cell_text
from mlpcli.data.reading.typed.jsonl import JsonLinesReader
from mlpcli.errors import DataError

from .columns_by_hand import TEXTS, damaged, opened, whole


@pytest.fixture
def write(tmp_path):
    def written(text, name="t.jsonl"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def read(path, request=Request()):  # noqa: B008
    return whole(opened(JsonLinesReader, path), request)


def test_values_are_what_their_types_say(write):
    path = write(
        '{"i": 1, "f": 0.5, "b": true, "s": " a", "m": 1.0, "n": null}\n'
        '{"f": 2, "b": null, "s": "e\\u0301", "m": "x", "i": -3}\n'
        '{"i": 4, "f": null, "b": false, "s": "", "m": true, "n": null}\n'
    )
    assert read(path) == {
        "i": (None, [1, -3, 4]),
        "f": (None, [0.5, 2.0, None]),
        "b": ("boolean", ["True", None, "False"]),
        "s": (None, ["a", "\xe9", None]),
        "m": (None, ["1", "x", "True"]),
        "n": (None, [None, None, None]),
    }
    texts = read(path, TEXTS)
    assert (texts["i"], texts["b"]) == ((None, ["1", "-3", "4"]), (None, ["True", None, "False"]))


@pytest.mark.parametrize("number", [10**15, -(10**15), 10**18 + 1, 2**63 - 1, 2**63, 2**64, 10**25 + 7, -(10**30) - 1])
def test_a_number_with_many_digits_is_a_name_with_all_of_them(number, write):
    assert read(write(f'{{"x": {number}}}\n{{"x": 1}}\n')) == {"x": (None, [str(number), "1"])}


def test_a_large_float_is_a_number(write):
    assert read(write('{"x": 1e300}\n{"x": 1.5e15}\n')) == {"x": (None, [1e300, 1.5e15])}


def test_keys_of_the_first_hundred_lines_are_the_columns_in_their_order(write):
    lines = ['{"b": 1}'] * 99 + ['{"a": 2, "b": 1}'] + ['{"b": 1}'] * 5
    reader = opened(JsonLinesReader, write("\n".join(lines)))
    assert reader.names == ("b", "a")
    assert whole(reader)["a"] == (None, [None] * 99 + [2.0] + [None] * 5)
    with pytest.raises(DataError, match=r"t\.jsonl:101: the key 'c' is in none of the first 100 lines\. Write it"):
        read(write("\n".join([*lines[:100], '{"c": 1}'])))


def test_blank_lines_byte_order_marks_and_line_ends_do_not_matter(write):
    path = write(b'\xef\xbb\xbf{"x": 1}\r\n\r\n  \n{"x": 2}\r\n{"x": 3}')
    assert read(path) == {"x": (None, [1, 2, 3])}
    with closing(opened(JsonLinesReader, path)) as reader:
        table = next(iter(reader.batches(Request())))()
    assert [table.where(row) for row in range(3)] == [f"{path}:{line}" for line in (1, 4, 5)]
    assert [reader.locate(row) for row in range(3)] == [f"{path}:{line}" for line in (1, 4, 5)]
    assert read(write(b'\xef\xbb\xbf{"x": 1}')) == {"x": (None, [1])}


def test_compressed_lines_are_read_like_others(write):
    text = b'{"x": 1}\n' * 3
    assert read(write(gzip.compress(text), "t.jsonl.gz")) == read(write(text))


FAULTS = {
    "": "t.jsonl: the file is empty. It needs a JSON object per line.",
    "\n \n": "t.jsonl: the file is empty. It needs a JSON object per line.",
    "{}\n": "t.jsonl: objects without keys. Write a key and a value per column.",
    '{"x": 1}\n\n{"x": \n': "t.jsonl:3: not valid JSON (",
    '{"x": NaN}\n': "Write null for NaN.",
    '{"x": 1}\n[1, 2]\n': "t.jsonl:2: not a JSON object. Write one per line: {'name': value, ...}.",
    '{"x": 1}\n7\n': "t.jsonl:2: not a JSON object.",
    '{"x": 1}\n{"x": {"y": [2]}}\n': "t.jsonl:2: x.y: a nested value. Give each value its own key",
    '{"x": [1]}\n': "t.jsonl:1: x[0]: a nested value.",
    '{"x": 1}\n{"x":1,"x" : 2}\n': "t.jsonl:2: the key 'x' occurs twice.",
    '{"x": "a:b", "y": [{"z": 1}], "y": 2}\n': "t.jsonl:1: the key 'y' occurs twice.",
    '{"x": 1, " x": 2}\n': "t.jsonl: columns 1 and 2 are both named 'x'",
}


@pytest.mark.parametrize(("text", "message"), FAULTS.items())
def test_each_error_has_its_line(text, message, write):
    with pytest.raises(DataError) as error:
        read(write(text))
    assert message in str(error.value)


def test_a_colon_or_a_quote_in_a_text_is_no_second_key(write):
    cells = ["10:30", '"x":', "\\", '\\"x":1,"x":', "a"]
    text = "".join(json.dumps({"x": cell, "y:": 1}) + "\n" for cell in cells)
    assert read(write(text))["x"] == (None, cells)


def test_a_nested_value_in_a_column_that_is_not_wanted_is_no_fault(write):
    assert read(write('{"x": {}, "y": 1}\n'), Request(frozenset("y"))) == {"y": (None, [1])}


def test_a_line_without_end_is_no_table(write, monkeypatch):
    monkeypatch.setattr(jsonl, "MAX_LINE_SIZE", 100)
    monkeypatch.setattr(jsonl, "BLOCK_SIZE", 50)
    with pytest.raises(DataError, match=r"t\.jsonl:2: a line of more than"):
        read(write('{"x": 1}\n{"x": "' + "a" * 500))


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text())


@given(
    rows=st.lists(st.fixed_dictionaries({"a": VALUES, "b": VALUES, "n": st.floats(-9, 9)}), min_size=1, max_size=12),
    block=st.integers(1, 60),
    n_rows=st.integers(1, 5),
)
@settings(max_examples=40)
def test_batches_of_any_size_make_the_same_columns(rows, block, n_rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("t") / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    try:
        expected = read(path)
    except DataError as error:  # half of a surrogate pair
        assert "not valid JSON" in str(error)  # noqa: PT017
        return
    assert read(path, TEXTS)["a"][1] == [cell_text(row["a"]) or None for row in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl, "BLOCK_SIZE", block)
        patch.setattr(jsonl, "BATCH_ROWS", n_rows)
        assert read(path) == expected


def test_damaged_files_are_data_errors_or_read(write):
    content = b'{"x": 1, "s": "abc", "b": true}\n{"x": 2.5, "s": null, "b": false}\n' * 5
    n_refused = 0
    for data in damaged(content, 0, 300):
        try:
            read(write(data))
        except DataError as error:
            n_refused += 1
            assert "\n" not in str(error)  # noqa: PT017
    assert n_refused > 100


def test_the_keys_of_100_lines_are_columns_however_long_these_are(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "BLOCK_SIZE", 50)
    lines = [{"a": n} for n in range(60)] + [{"a": n, "b": n} for n in range(60)]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    columns = whole(opened(JsonLinesReader, path))
    assert columns == {"a": (None, [*range(60), *range(60)]), "b": (None, [None] * 60 + [*range(60)])}
