import contextlib
import io
import json
import os
import pickle
import random
import resource
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlpcli.errors import ModelFileError, OutputError
from mlpcli.storage import npz
from mlpcli.storage.npz import FORMATS, encode_npz, read_npz

HEADER = {"kind": "model", "format": FORMATS["model"], "labels": ["Adélie", "01"], "n": 3}
ARRAYS = {
    "W1": np.arange(12, dtype=np.float32).reshape(3, 4),
    "b1": np.array([0.1, -0.0, np.inf]),
    "counts": np.array([2**62, -1]),
    "seen": np.array([True, False]),
    "preprocess.fill": np.zeros((0, 5)),
    "step": np.array(7),
}


def save(path, data=None, arrays=ARRAYS, header=HEADER):
    path.write_bytes(encode_npz(arrays, header) if data is None else data)
    return str(path)


def refusal(path, kind="model"):
    with pytest.raises(ModelFileError) as caught:
        read_npz(str(path), kind)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")


def entry(array, dtype=None):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array, dtype), allow_pickle=True)
    return buffer.getvalue()


def raw_entry(head: str, data: bytes, version=b"\x01\x00") -> bytes:
    text = head.encode() + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data


def zip_of(entries, header=HEADER, compression=zipfile.ZIP_STORED):
    """A zip with raw entries, `header.npy` first unless header is None."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        if header is not None:
            text = header if isinstance(header, bytes) else json.dumps(header).encode()
            archive.writestr("header.npy", entry(np.frombuffer(text, np.uint8)))
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def same(left, right):
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype
        and left[name].shape == right[name].shape
        and left[name].tobytes() == right[name].tobytes()
        for name in left
    )


# What is written


def test_what_is_written_is_read_back_exactly_and_in_order(tmp_path):
    header, arrays = read_npz(save(tmp_path / "weights.npz"), "model")
    assert header == HEADER
    assert list(header) == list(HEADER)
    assert list(arrays) == list(ARRAYS)
    assert same(arrays, ARRAYS)
    assert all(array.flags.writeable and array.flags.c_contiguous for array in arrays.values())


def test_numpy_alone_reads_the_file(tmp_path):
    with np.load(save(tmp_path / "weights.npz"), allow_pickle=False) as file:
        assert file.files == ["header", *ARRAYS]
        assert json.loads(file["header"].tobytes()) == HEADER
        assert same({name: file[name] for name in ARRAYS}, ARRAYS)


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != "header")
dtypes = st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_])
some_arrays = st.dictionaries(
    names, dtypes.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0))), max_size=4
)


@given(arrays=some_arrays)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_arrays_come_back_bit_for_bit_here_and_in_numpy(tmp_path, arrays):
    path = save(tmp_path / "weights.npz", arrays=arrays)
    assert same(read_npz(path, "model")[1], arrays)
    with np.load(path, allow_pickle=False) as file:
        assert same({name: file[name] for name in arrays}, arrays)


def test_equal_input_gives_equal_bytes_at_any_time_and_in_any_memory_layout(monkeypatch):
    first = encode_npz(ARRAYS, HEADER)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    other = {name: np.asfortranarray(array).astype(array.dtype.newbyteorder(">")) for name, array in ARRAYS.items()}
    other["step"] = np.array(7, dtype=">i8")
    other["b1"] = np.repeat(ARRAYS["b1"], 2)[::2]
    assert encode_npz(other, dict(HEADER)) == first


def test_the_bytes_of_an_array_are_those_numpy_writes():
    with zipfile.ZipFile(io.BytesIO(encode_npz(ARRAYS, HEADER))) as archive:
        for name, array in ARRAYS.items():
            assert archive.read(f"{name}.npy") == entry(array)


@pytest.mark.parametrize(
    ("arrays", "header"),
    [
        ({"W1": np.array([object()])}, HEADER),
        ({"W1": np.array(["text"])}, HEADER),
        ({"W1": np.zeros(2, np.float16)}, HEADER),
        ({"W1": np.zeros(2, np.complex128)}, HEADER),
        ({"header": np.zeros(2)}, HEADER),
        ({"../W1": np.zeros(2)}, HEADER),
        ({"a/b": np.zeros(2)}, HEADER),
        ({"W1.npy": np.zeros(2)}, HEADER),
        ({"": np.zeros(2)}, HEADER),
        ({}, {"loss": float("nan")}),
    ],
)
def test_what_has_no_place_in_the_format_is_not_written(arrays, header):
    with pytest.raises(ValueError):  # noqa: PT011 - several places raise it
        encode_npz(arrays, header)


def test_a_header_that_could_not_be_read_back_is_not_written(monkeypatch):
    monkeypatch.setattr(npz, "_MAX_HEADER", 1000)
    with pytest.raises(OutputError, match=r"takes 1.1 kB, more than 1.0 kB: too many columns"):
        encode_npz({}, {"columns": ["x" * 10] * 80})


# What is refused: files of another kind


def test_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "x" / "weights.npz"
    assert refusal(path) == "no such file. Train one with: mlp train CONFIG"
    (tmp_path / "x.partial").mkdir()
    assert refusal(path) == f"no such file. The run is unfinished: see {tmp_path / 'x.partial'}"


def test_a_folder_names_the_file_in_it(tmp_path):
    path = tmp_path / "weights.npz"
    path.touch()
    assert refusal(tmp_path) == f"is a folder. Name a file in it: {path}"
    path = tmp_path / "checkpoint.npz"
    path.touch()
    assert refusal(tmp_path, "checkpoint") == f"is a folder. Name a file in it: {tmp_path / 'checkpoint.npz'}"


def test_a_folder_of_runs_names_the_file_of_one_of_them_and_another_folder_how_to_train(tmp_path):
    assert refusal(tmp_path) == "is a folder. Train one with: mlp train CONFIG"
    for name in ("old", "older"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.npz").touch()
    assert refusal(tmp_path) == f"is a folder. Name a file in it: {tmp_path / 'old' / 'weights.npz'}"


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "is not a regular file. Save it to a file first."


def test_a_name_with_a_nul_is_no_file():
    with pytest.raises(ModelFileError, match="no such file"):
        read_npz("a\0b", "model")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty. Train one with: mlp train CONFIG"),
        (b"sepal,petal\n1,2\n", "not a model of mlp (not an npz file). Train one with: mlp train CONFIG"),
        (
            pickle.dumps({"W1": [1]}),
            "is a pickle, which mlp never loads, not a model of mlp. Train one with: mlp train CONFIG",
        ),
        (entry([1.0]), "not a model of mlp (not an npz file). Train one with: mlp train CONFIG"),
        (zip_of([], header=None)[:4], "not a model of mlp (not an npz file). Train one with: mlp train CONFIG"),
    ],
)
def test_a_file_of_another_kind(tmp_path, data, reason):
    (tmp_path / "weights.npz").write_bytes(data)
    assert refusal(tmp_path / "weights.npz") == reason


def test_an_npz_of_something_else(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, W1=np.zeros(3))
    assert refusal(path) == "not a model of mlp (no header). Train one with: mlp train CONFIG"
    np.savez(path, header=np.zeros(3))
    assert refusal(path) == "not a model of mlp (no header). Train one with: mlp train CONFIG"
    np.savez(path, header=np.frombuffer(b'{"a":1}', np.uint8))
    assert refusal(path).startswith("not a model of mlp (a header of something else).")
    save(path, zip_of([("word/document.xml", b"<xml/>")], header=None))
    assert refusal(path).startswith("not a model of mlp (it holds 'word/document.xml').")


def test_model_and_checkpoint_are_told_apart(tmp_path):
    path = tmp_path / "checkpoint.npz"
    save(path, header={"kind": "checkpoint", "format": 1})
    assert refusal(path) == "is a checkpoint, not a model. Name the weights.npz beside it."
    assert read_npz(str(path), "checkpoint")[0]["kind"] == "checkpoint"
    save(path)
    assert refusal(path, "checkpoint") == "is a model, not a checkpoint. Name the checkpoint.npz beside it."


@pytest.mark.parametrize("kind", ["network", None, 1, [], {}, ["model"]])
def test_a_kind_that_is_none_of_ours(tmp_path, kind):
    path = tmp_path / "weights.npz"
    save(path, header={"kind": kind, "format": 1})
    assert refusal(path).startswith("not a model of mlp (a header of something else).")


def test_a_newer_format_says_how_to_upgrade_even_if_its_arrays_are_of_a_new_kind(tmp_path):
    path = tmp_path / "weights.npz"
    save(path, zip_of([("W1.npy", entry(np.zeros(3, np.float16)))], header={**HEADER, "format": 4}))
    assert refusal(path) == "format 4 is newer than this mlp reads (1). Upgrade with: pip install -U mlp-train"


def test_an_older_format_says_to_train_anew(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    save(path)
    monkeypatch.setitem(FORMATS, "model", FORMATS["model"] + 1)
    assert refusal(path) == "format 1 is of an earlier mlp (this one reads 2). Train one with: mlp train CONFIG"


@pytest.mark.parametrize("number", [None, True, 1.0, "1", 0, -1, [1]])
def test_a_format_number_of_the_wrong_type(tmp_path, number):
    path = tmp_path / "weights.npz"
    save(path, header={"kind": "model", "format": number})
    assert refusal(path).startswith("truncated or damaged (no format number).")


# What is refused: damage


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "weights.npz"
    data = encode_npz(ARRAYS, HEADER)
    for length in [*range(64, len(data), 64), len(data) - 1]:
        path.write_bytes(data[:length])
        assert refusal(path) == (
            "truncated or damaged (not a whole zip file). Copy it again, or train again with: mlp train CONFIG"
        )


def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path):
    # A bit in a date or in the permissions of an entry says nothing about the model.
    path = tmp_path / "weights.npz"
    data = encode_npz(ARRAYS, HEADER)
    chance = random.Random(0)
    n_refused = 0
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            header, arrays = read_npz(str(path), "model")
        except ModelFileError:
            n_refused += 1
        else:
            assert header == HEADER
            assert same(arrays, ARRAYS)
    assert n_refused > 0.8 * len(data)


def test_every_flipped_bit_of_the_contents_is_refused(tmp_path):
    path = tmp_path / "weights.npz"
    data = encode_npz(ARRAYS, HEADER)
    start = data.index(ARRAYS["W1"].tobytes())
    for bit in range(8 * ARRAYS["W1"].nbytes):
        flipped = bytearray(data)
        flipped[start + bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert refusal(path).startswith("truncated or damaged (contents of W1).")


@given(st.binary(max_size=300), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_a_model_file_error_and_nothing_else(tmp_path, noise, data):
    path = tmp_path / "weights.npz"
    whole = encode_npz({"b1": np.zeros(3)}, HEADER)
    start = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:start] + noise + whole[start + len(noise) :])
    with contextlib.suppress(ModelFileError):
        read_npz(str(path), "model")


# What is refused: malice


def test_a_pickled_array_is_named_and_never_loaded(tmp_path):
    path = tmp_path / "weights.npz"

    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "attacked"),)

    save(path, zip_of([("W1.npy", entry(np.array([Attack()], object)))]))
    assert refusal(path).startswith("holds a pickle (W1), which mlp never loads.")
    save(path, zip_of([("header.npy", entry(np.array([Attack()], object)))], header=None))
    assert refusal(path).startswith("holds a pickle (header), which mlp never loads.")
    assert os.listdir(tmp_path) == ["weights.npz"]


@pytest.mark.parametrize(
    "name",
    [
        "../W1.npy",
        "/etc/W1.npy",
        "a/b.npy",
        "a\\b.npy",
        "..npy",
        ".npy",
        "W1",
        "W1.npy.npy",
        "W1.txt",
        "inner.zip",
        "folder/",
        "\x1b[31m.npy",
        "é.npy",
        "W1\x00.npy",
        "C:W1.npy",
        "x" * 200 + ".npy",
    ],
)
def test_names_that_are_paths_or_strange_are_refused(tmp_path, name):
    path = tmp_path / "weights.npz"
    marker = "N" * len(name.encode())
    data = zip_of([(marker, entry([1.0]))]).replace(marker.encode(), name.encode())
    save(path, data)
    refusal(path)


def test_an_entry_twice_is_refused(tmp_path):
    path = tmp_path / "weights.npz"
    save(path, zip_of([("W1.npy", entry([1.0])), ("W2.npy", entry([2.0]))]).replace(b"W2.npy", b"W1.npy"))
    assert refusal(path).startswith("truncated or damaged (two entries named W1).")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_second_header_is_refused(tmp_path):
    path = tmp_path / "weights.npz"
    save(path, zip_of([("header.npy", entry(np.frombuffer(b"{}", np.uint8)))]))
    assert refusal(path).startswith("truncated or damaged (two entries named header).")


def peak_of(path):
    """Refusal and the largest memory spent on it."""
    tracemalloc.start()
    try:
        message = refusal(path)
        return message, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_is_refused_before_memory_is_spent(tmp_path):
    path = tmp_path / "weights.npz"
    bomb = entry(np.zeros(8_000_000))
    save(path, zip_of([("W1.npy", bomb)], compression=zipfile.ZIP_DEFLATED))
    del bomb
    message, peak = peak_of(path)
    assert message.startswith("refused: 63 kB that unpack to 64 MB.")
    assert peak < 2e6


def test_a_bomb_that_lies_about_its_size_is_refused_before_memory_is_spent(tmp_path):
    path = tmp_path / "weights.npz"
    inner = entry(np.zeros(8_000_000))
    data = zip_of([("W1.npy", inner)], compression=zipfile.ZIP_DEFLATED)
    save(path, data.replace(struct.pack("<I", len(inner)), struct.pack("<I", 64_128)))
    del inner
    message, peak = peak_of(path)
    assert message.startswith("truncated or damaged (shape of W1).")
    assert peak < 2e6


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    # The bomb of David Fifield: many entries of the directory, one set of bytes.
    path = tmp_path / "weights.npz"
    data = zip_of([("W1.npy", entry(np.random.default_rng(0).random(500)))])
    start = data.index(b"PK\x01\x02")
    start = data.index(b"PK\x01\x02", start + 4)
    end = data.index(b"PK\x05\x06")
    record = data[start:end]
    copies = b"".join(record.replace(b"W1.npy", f"{i:02d}.npy".encode().replace(b"0", b"A")) for i in range(11, 99))
    n_entries = 2 + 88
    size = end - data.index(b"PK\x01\x02") + len(copies)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, n_entries, n_entries, size, data.index(b"PK\x01\x02"), 0)
    save(path, data[:end] + copies + tail)
    with zipfile.ZipFile(path) as archive:
        assert len(archive.infolist()) == n_entries
    refusal(path)


def test_a_directory_of_a_million_entries_is_refused_before_memory_is_spent(tmp_path):
    path = tmp_path / "weights.npz"
    data = encode_npz({}, HEADER)
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    directory = data[start:end] * 100_000
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, len(directory), start, 0)
    save(path, data[:start] + directory + tail)
    del directory
    message, peak = peak_of(path)
    assert message.startswith("truncated or damaged (not a whole zip file).")
    assert peak < 3e6


def test_an_encrypted_and_an_oddly_compressed_entry_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    data = bytearray(encode_npz({}, HEADER))
    directory = data.index(b"PK\x01\x02")
    data[directory + 8] |= 1
    save(path, bytes(data))
    assert refusal(path).startswith("is encrypted")
    save(path, zip_of([("W1.npy", entry([1.0]))], compression=zipfile.ZIP_LZMA))
    assert refusal(path).startswith("header is compressed in a way mlp does not read.")


def test_a_file_packed_by_another_tool_is_read(tmp_path):
    path = tmp_path / "weights.npz"
    plain = {name: ARRAYS[name] for name in ("W1", "b1")}
    np.savez_compressed(path, header=np.frombuffer(json.dumps(HEADER).encode(), np.uint8), **plain)
    header, arrays = read_npz(str(path), "model")
    assert header == HEADER
    assert same(arrays, plain)


FLOATS = b"\0" * 24
HEAD = "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }"


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"PK\x03\x04",
        zip_of([("W1.npy", entry([1.0]))]),
        raw_entry(HEAD, FLOATS[:-1]),
        raw_entry(HEAD, FLOATS + b"\0"),
        raw_entry(HEAD, FLOATS, version=b"\x02\x00"),
        raw_entry(HEAD.replace("(3,)", "(3"), FLOATS),
        raw_entry(HEAD.replace("(3,)", "(-3,)"), FLOATS),
        raw_entry(HEAD.replace("(3,)", "(True,)"), FLOATS),
        raw_entry(HEAD.replace("(3,)", "(3.0,)"), FLOATS),
        raw_entry(HEAD.replace("(3,)", "(999999999999, 999999999999)"), FLOATS),
        raw_entry(HEAD.replace("(3,)", "(0, 999999999999, 999999999999)"), b""),
        raw_entry(HEAD.replace("(3,)", "(4294967296, 4294967296, 3)"), FLOATS),
        raw_entry(HEAD.replace("(3,)", "(" + "9" * 5000 + ",)"), FLOATS),
        raw_entry(HEAD.replace("(3,)", "(" + "1, " * 40 + "3)"), FLOATS),
        raw_entry(HEAD.replace("(3,)", "(" * 5000 + ")" * 5000), FLOATS),
        raw_entry(HEAD.replace("(3,)", "(3, __import__('os').getcwd())"), FLOATS),
        raw_entry(HEAD.replace("False", "True").replace("(3,)", "(3, 1)"), FLOATS),
        raw_entry(HEAD.replace("<f8", ">f8"), FLOATS),
        raw_entry(HEAD.replace("<f8", "<c16"), FLOATS),
        raw_entry(HEAD.replace("<f8", "<M8[s]"), FLOATS),
        raw_entry(HEAD.replace("<f8", "|V8"), FLOATS),
        raw_entry(HEAD.replace("<f8", "<U2"), FLOATS),
        raw_entry(HEAD.replace("'<f8'", "[('a', '<f8')]"), FLOATS),
        raw_entry(HEAD.replace("'descr': '<f8', ", ""), FLOATS),
        raw_entry(HEAD + " '\\d'", FLOATS),
        raw_entry(HEAD.replace("(3,)", "(3L,)"), FLOATS),
        raw_entry(HEAD.replace("(3,)", "('''"), FLOATS),
        raw_entry(HEAD.replace("(3,)", "{[]: 3}"), FLOATS),
        raw_entry(HEAD.replace("'<f8'", "('<f8', (9999999,))"), FLOATS),
        raw_entry(HEAD.replace("<f8", "<f8, <f8"), FLOATS),
        raw_entry(HEAD + "\0", FLOATS),
        entry(np.zeros(3, np.float16)),
        entry(np.asfortranarray(np.zeros((2, 3)))),
        raw_entry(HEAD.replace("<f8", "|b1"), b"\0\1\2"),
    ],
)
def test_an_entry_that_is_no_plain_array_is_refused(tmp_path, contents):
    path = tmp_path / "weights.npz"
    save(path, zip_of([("W1.npy", contents)]))
    assert refusal(path).startswith("truncated or damaged (")
    assert "W1" in refusal(path)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b'{"kind":"model","format":1,"x":NaN}',
        b'{"kind":"model","format":1,"x":1e999}',
        b'{"kind":"model","format":1,"format":1}',
        b'{"kind":"model","format":1,"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"kind":"model","format":1,"x":' + b"[" * 50 + b"]" * 50 + b"}",
    ],
)
def test_a_header_that_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "weights.npz"
    save(path, zip_of([], header=text))
    assert refusal(path).startswith("truncated or damaged (the header is not JSON).")


@pytest.mark.parametrize("text", [b"[]", b"1", b"null", b'"kind"', b"{}"])
def test_a_header_that_is_no_mapping_of_ours_is_refused(tmp_path, text):
    path = tmp_path / "weights.npz"
    save(path, zip_of([], header=text))
    assert refusal(path).startswith("not a model of mlp (a header of something else).")


def test_a_huge_header_is_refused_before_memory_is_spent(tmp_path):
    path = tmp_path / "weights.npz"
    save(path, zip_of([], header=b"[" + b"[]," * 6_000_000 + b"[]]"))
    message, peak = peak_of(path)
    assert message.startswith("refused: a header of 18 MB.")
    assert peak < 2e6


def test_too_many_entries_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    one = entry([1.0])
    save(path, zip_of([(f"W{i}.npy", one) for i in range(4097)]))
    assert refusal(path) == "not a model of mlp (4098 entries). Train one with: mlp train CONFIG"


LIMITED = """
import resource, sys
from mlpcli.errors import ModelFileError
from mlpcli.storage.npz import read_npz
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + 100_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    read_npz(sys.argv[1], "model")
except ModelFileError as error:
    print(error)
"""


def test_a_model_larger_than_the_memory_is_one_sentence(tmp_path):
    if not os.path.exists("/proc/self/statm") or not hasattr(resource, "RLIMIT_AS"):
        pytest.skip("no memory limit on this system")
    path = tmp_path / "weights.npz"
    # A sparse file: the sizes are honest, the bytes are not there.
    size = 400_000_000
    head = raw_entry(HEAD.replace("(3,)", f"({size // 8},)"), b"")
    crc = zlib.crc32(head)
    for _ in range(size // 1_000_000):
        crc = zlib.crc32(b"\0" * 1_000_000, crc)
    small = zip_of([("W1.npy", head)])
    start, end = small.index(b"PK\x01\x02"), len(small)
    old, new = (
        struct.pack("<LLL", zlib.crc32(head), len(head), len(head)),
        struct.pack("<LLL", crc, *[len(head) + size] * 2),
    )
    tail = small[start:end].replace(old, new)
    tail = tail[:-6] + struct.pack("<LH", start + size, 0)
    with open(path, "wb") as file:
        file.write(small[:start].replace(old, new))
        file.seek(start + size)
        file.write(tail)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout == f"{path}: needs more memory than there is. Use a machine with more of it.\n"
