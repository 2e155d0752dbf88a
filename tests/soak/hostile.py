"""Files that were made to hurt: whole ones by name, and pieces from which a fuzzer builds more."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

ESCAPE = "\x1b[2J\x1b]0;owned\x07\x9b\u202e"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

# What a value of a config, or a number in a header, may be replaced by.
YAML_VALUES = (
    "!!python/object/apply:os.system [echo owned]", "!!python/name:os.system", "!!binary aGk=", "!!set {a, b}",
    "&a [*a]", "*nothing", "[" * 5000, "{" * 5000, "[" * 30 + "1" + "]" * 30, ".nan", ".inf", "-.inf", "1e999", "-0.0",
    "1e-400", "9" * 5000, "-1", "0", "0.5", "1e38", "true", "null", "~", "''", '"\\x1b[2J"', '"\\0"', '"\\ud800"',
    "2026-99-99", "0x7fffffffffffffff", "0o17", "1_000", "<<: {a: 1}", "{<<: *a}", "? x", "|\n  x", "'unclosed",
    "\t- x", "%YAML 9.9", "x" * 100_000, "[1, 2", "[]", "{}", "[[]]", "{name: adam, name: sgd}", "{name: {}}",
    "[auto, 1000000000, auto]", "[auto, 9999999999999999999, auto]", "[auto, 0, auto]", "[auto, -3, auto]", "-", ".",
    "/", "/dev/null", "c.yaml", "no\\such", "../t.csv", "species", "sepal_length", "{column: species, equals: 1}",
    "1000000000000", "4.5", "[1]", "{a: 1}", "auto", "sgd", "mean", "quantile", "2", "100",
)  # fmt: skip

# What a cell or a line of a table may be replaced by.
CELLS = (
    "", " ", '"', '""', '"a', 'a"b', '"a"b', '"a,b"', '"a\nb"', "nan", "NA", "inf", "-inf", "1e999", "1e308", "-1e308",
    "1e38", "1e-45", "5e-324", "-0", "9" * 400, "9" * 5000, "0x10", "1_000", "1,5", "1.000,5", "\u0661\u0662", "\u00bd",
    "true", "no", "2026-99-99", "0000-00-00", "99999-01-01", "2026-01-01T00:00:00+99:99", "=1+1", "@SUM(A1)", ESCAPE,
    "\x00", "\x1a", "\ufeff", "\ud7ff", "e\u0301", "\u200b", "\xa0", "a" * 10_000, ";", "\t", "|", "\r", "\n", "\n\n",
    ",", ",,,,,,,,", "species", "setosa", "\u2028", "\x85", "\x0b", "\x0c", "--", "?", "None", "1e", "e1", "+", ".",
)  # fmt: skip

# What a value of a header of a model file may be replaced by.
JSON_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3.5, 1e308, -1e308, 5e-324, 10**30, 2**63, -(2**63), "", "x", ESCAPE, "relu",
    "float64", "a" * 10_000, "../../etc/passwd", [], {}, [[]], [None], [1, 2], [0], ["x"], {"x": 1}, {"name": "relu"},
    [[1, 2], [3]], {"kind": "classes"}, [10**9, 10**9], "%s%n", "{0.__class__}", "\x00",
)  # fmt: skip

RAW_HEADERS = (
    b"", b"{}", b"[]", b"null", b"NaN", b'{"format": NaN}', b'{"format": 1e999}', b"[" * 100_000, b'{"a":' * 5000,
    b'{"kind":"model","format":' + b"9" * 5000 + b"}", b'{"kind":"model","kind":"model","format":1}', b"\xff\xfe\x00",
    b'"\\ud800"', b'{"kind":"model","format":true}', b'{"kind":"checkpoint","format":1}',
    b'{"kind":"model","format":2}',
)  # fmt: skip

ENTRY_NAMES = (
    "../../evil.npy", "/etc/evil.npy", "..\\evil.npy", "W1", "W1.npy", "header.npy", "W1.npy.npy", ESCAPE + ".npy",
    "a" * 300 + ".npy", "W2.npy/", "", ".npy", "W\u0661.npy", "b1.npy", "flat.npy", "optimizer_.npy", "weights.npz",
)  # fmt: skip

ARRAYS: Mapping[str, Callable[[], bytes]] = {
    "objects": lambda: _npy(np.array([{"a": 1}, None], dtype=object)),
    "texts": lambda: _npy(np.array(["a", "b"])),
    "dates": lambda: _npy(np.array(["2026-01-01"], "datetime64[D]")),
    "complex": lambda: _npy(np.ones(3, complex)),
    "structured": lambda: _npy(np.zeros(2, [("a", "<f4"), ("b", "<i8")])),
    "half": lambda: _npy(np.ones(3, np.float16)),
    "big-endian": lambda: _npy(np.ones((2, 3), ">f4")),
    "by columns": lambda: _npy(np.asfortranarray(np.ones((2, 3), np.float32))),
    "a number": lambda: _npy(np.float32(1)),
    "empty": lambda: _npy(np.empty((0, 3), np.float32)),
    "NaN": lambda: _npy(np.full((8, 4), np.nan, np.float32)),
    "infinite": lambda: _npy(np.full(8, np.inf, np.float32)),
    "largest": lambda: _npy(np.full((8, 4), np.finfo(np.float32).max, np.float32)),
    "denormal": lambda: _npy(np.full((8, 4), 1e-45, np.float32)),
    "of 32 dimensions": lambda: _npy(np.ones((1,) * 32, np.float32)),
    "absurdly long": lambda: _claimed("(9999999999999,)"),
    "absurdly wide": lambda: _claimed("(999999999999, 999999999999)"),
    "of a negative length": lambda: _claimed("(-1,)"),
    "with code for a shape": lambda: _claimed("(__import__('os').getpid(),)"),
    "deep": lambda: _claimed("(" * 9000 + "1" + ")" * 9000),
    "another archive": lambda: archive({"W1.npy": _npy(np.ones(3, np.float32))}),
    "of version 3": lambda: b"\x93NUMPY\x03\x00" + _npy(np.ones(3))[8:],
    "cut off": lambda: _npy(np.ones((8, 4), np.float32))[:-5],
    "no array": lambda: b"\x80\x04K\x01.",
    "nothing": lambda: b"",
}


def _npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _claimed(shape: str) -> bytes:
    """An array of a few bytes that says it has another shape."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + (len(text) & 0xFFFF).to_bytes(2, "little") + text + bytes(16)


def archive(entries: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip file, whatever its entries are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, data in entries.items():
            file.writestr(zipfile.ZipInfo(name or "x"), data, compression)
    return buffer.getvalue()


def entries_of(data: bytes) -> dict[str, bytes]:
    """The entries of a sound zip file."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def header_of(entries: Mapping[str, bytes]) -> Any:
    """The header of a sound model file or checkpoint."""
    return json.loads(np.load(io.BytesIO(entries["header.npy"])).tobytes())


def with_header(entries: Mapping[str, bytes], text: bytes) -> dict[str, bytes]:
    """The entries with another text for a header."""
    return {**entries, "header.npy": _npy(np.frombuffer(text, np.uint8))}


def _table(n_rows: int = 30) -> str:
    return "a,b,y\n" + "".join(f"{i},{i % 7},{'uv'[i % 2]}\n" for i in range(n_rows))


# Whole tables, the target being y; those of many megabytes are made when they are asked for.
TABLES: Mapping[str, Callable[[], bytes]] = {
    "a quote that never closes": lambda: _table().replace("5,5,", '"5,5,').encode(),
    "a quote that never closes, at length": lambda: b'a,y\n"' + b"1,2\n" * 3_000_000,
    "a hundred thousand columns": lambda: (
        ",".join(f"c{i}" for i in range(100_000)) + ",y\n" + ("1," * 100_000 + "u\n" + "2," * 100_000 + "v\n") * 6
    ).encode(),
    "a line of 100 MB, one cell": lambda: b"a,y\n" + b"x" * 100_000_000 + b",u\n1,v\n",
    "a line of 100 MB, of commas": lambda: b"a,y\n" + b"," * 100_000_000 + b"\n",
    "a header of 100 MB": lambda: b"x" * 100_000_000,
    "mixed encodings": lambda: _table().encode() + "30,1,caf\u00e9\n".encode("latin-1") + "31,1,caf\u00e9\n".encode(),
    "half of it UTF-16": lambda: _table().encode() + _table().encode("utf-16"),
    "controls for a terminal": lambda: _table().replace("a,b", f"{ESCAPE},b").replace("6,6", f"{ESCAPE},6").encode(),
    "controls for a terminal in the labels": lambda: _table().replace("u\n", f"{ESCAPE}\n").encode(),
    "NUL bytes": lambda: _table().encode().replace(b"7", b"\0"),
    "only NUL bytes": lambda: bytes(100_000),
    "a megabyte of line ends": lambda: b"a,y\n" + b"\n" * 1_000_000,
    "a megabyte of quotes": lambda: b"a,y\n" + b'"' * 1_000_001,
    "names of 10 kB": lambda: _table().replace("a,b", f"{'a' * 10_000},{'b' * 10_000}").encode(),
    "a number of 100 kB": lambda: _table().replace("6,6", f"{'9' * 100_000},6").encode(),
    "gzip that is cut off": lambda: b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\xff" * 50,
}

CONFIGS: Mapping[str, bytes] = {
    "a tag that runs a command": b"data: !!python/object/apply:os.system ['touch owned']\n",
    "a tag that makes an object": b"!!python/object/new:os.system [touch owned]\n",
    "an alias bomb": BOMB.encode(),
    "an alias of itself": b"data: &d {train: *d}\n",
    "a hundred thousand brackets": b"[" * 100_000,
    "a hundred thousand dashes": b"- " * 100_000,
    "a hundred thousand indents": "\n".join(" " * i + "a:" for i in range(2000)).encode(),
    "controls for a terminal": f"data: {{train: t.csv, '{ESCAPE}': 1}}\n".encode(),
    "a key of a megabyte": b"data: {train: t.csv, target: species}\n" + b"k" * 1_000_000 + b": 1\n",
    "a hundred thousand keys": b"".join(b"k%d: 1\n" % i for i in range(100_000)),
    "a hundred thousand values in a list": b"data: {train: [" + b"t.csv," * 100_000 + b"], target: species}\n",
    "a number of a megabyte": b"training: {epochs: " + b"9" * 1_000_000 + b"}\n",
    "a layer of a terabyte": b"data: {train: t.csv, target: species}\nmodel: {layers: [auto, 250000000000, auto]}\n",
    "a million layers": b"data: {train: t.csv, target: species}\nmodel: {layers: [auto"
    + b", 1" * 1_000_000
    + b", auto]}\n",
    "NUL bytes": b"data: {train: \0}\n",
    "UTF-16 without a mark": "data: {train: t.csv}\n".encode("utf-16-le"),
}
