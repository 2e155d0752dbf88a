import bz2
import gzip
import hashlib
import io
import lzma
import os
import sys
import tempfile
import threading
import zipfile

import pytest

from mlpcli.data.reading import input_buffer, sources
from mlpcli.data.reading.sources import (
    STANDARD_INPUT,
    Source,
    detect_kind,
    find_sources,
    open_source,
    open_stored,
    reopenable,
    sha256_of,
)
from mlpcli.errors import DataError

ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
TEXT = b"x,y\n" + b"1,2\n" * 5000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Each test works in a folder of its own, so that messages have short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def zipped(files):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return memory.getvalue()


def zstd(data):
    package = pytest.importorskip(ZSTD)
    half = len(data) // 2
    return package.compress(data[:half]) + package.compress(data[half:])


PACKERS = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zip": lambda data: zipped({"a.csv": data, "__MACOSX/a.csv": b"x"}),
    "zst": zstd,
}


def read_all(path):
    (source,) = find_sources(path)
    stream = open_source(source)
    try:
        return b"".join(iter(lambda: stream.read(1000), b""))
    finally:
        stream.close()


@pytest.mark.parametrize("packer", PACKERS.values(), ids=PACKERS)
def test_a_file_is_unpacked_by_its_first_bytes_whatever_its_name(packer, folder):
    folder.joinpath("t.csv").write_bytes(packer(TEXT))
    assert read_all("t.csv") == TEXT


@pytest.mark.parametrize("packer", PACKERS.values(), ids=PACKERS)
def test_standard_input_is_unpacked_too_and_stays_open(packer, monkeypatch):
    raw = io.BytesIO(packer(TEXT))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
    assert read_all("-") == TEXT
    assert not raw.closed


@pytest.mark.parametrize("name", ["gz", "bz2", "xz", "zst"])
def test_a_compressed_file_that_is_cut_short_is_an_error(name, folder):
    folder.joinpath("t.csv").write_bytes(PACKERS[name](TEXT)[:-15])
    with pytest.raises(DataError) as caught:
        read_all("t.csv")
    assert str(caught.value) == "t.csv: the compressed file is damaged or truncated. Fetch it again."


def test_a_compressed_file_with_a_wrong_byte_is_an_error(folder):
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1
    folder.joinpath("t.csv").write_bytes(packed)
    with pytest.raises(DataError, match="the compressed file is damaged"):
        read_all("t.csv")


def test_zst_without_its_package_says_how_to_get_it(folder, monkeypatch):
    folder.joinpath("t.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    monkeypatch.setitem(sys.modules, ZSTD, None)
    with pytest.raises(DataError) as caught:
        read_all("t.zst")
    assert str(caught.value) == (
        f't.zst: reading .zst files needs the package {ZSTD}. Install it with: pip install "mlp-train[zstd]"'
    )


FOREIGN = {
    gzip.compress(b"PAR1...."): "t.csv: a table of another format, compressed. Unpack it and name what was in it.",
    b' [ {"a": 1}]': "t.csv: a JSON array. Write one object per line (JSON Lines): jq -c '.[]' FILE.",
    b"\x80\x04\x95": "t.csv: a pickle. Write the table as CSV.",
    zipped({"W1.npy": b""}): "t.csv: a NumPy archive (perhaps a model file). Name a CSV file.",
    zipped({"a.csv": b"", "b.csv": b""}): "t.csv: a zip archive of 2 files (a.csv, b.csv). Unpack it and name one.",
    zipped({"a.csv": TEXT})[:60]: "t.csv: the zip archive is damaged or truncated. Fetch it again.",
    gzip.compress(b"a" * 257 + b"ustar" + b"a" * 300): "t.csv: a tar archive. Unpack it and name the CSV file.",
    gzip.compress(b"\x89PNG...."): "t.csv: an image. Write the table as CSV.",
}


@pytest.mark.parametrize(("data", "message"), FOREIGN.items(), ids=FOREIGN.values())
def test_a_file_that_is_no_table_is_called_what_it_is(data, message, folder):
    folder.joinpath("t.csv").write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_all("t.csv")
    assert str(caught.value) == message


def test_a_link_to_nothing_is_called_what_it_is(folder):
    folder.joinpath("t.csv").symlink_to("gone.csv")
    with pytest.raises(DataError, match=r"^t\.csv: a link to gone\.csv, which does not exist\.$"):
        read_all("t.csv")


ABSENT = {
    "tran.csv": "tran.csv: no such file. Did you mean train.csv?",
    "nope.csv": "nope.csv: no such file. Paths are relative to the current folder.",
    "TRAIN.CSV": "TRAIN.CSV: no such file. Did you mean train.csv?",
    "zzz": "zzz: no such file. Paths are relative to the current folder.",
    "none/train.csv": "none/train.csv: no such file (there is no folder none).",
    "*.tsv": "*.tsv: no file matches. Paths are relative to the current folder.",
    ".": ".: a folder. Name a file in it (./p.csv), or several: './*.csv'.",
    "https://example.org/a.csv": (
        "https://example.org/a.csv: an address, not a file. Download it first, or pipe it in: curl -sL URL | mlp ... -"
    ),
    "a\0b": "a\\x00b: cannot be read (embedded null byte).",
    "": "No data file is named. Name a CSV file, or - for standard input.",
}


@pytest.mark.parametrize(("path", "message"), ABSENT.items())
def test_a_file_that_is_not_there_is_an_error_that_helps(path, message, folder):
    for name in ("train.csv", "p.csv"):
        folder.joinpath(name).write_bytes(TEXT)
    with pytest.raises(DataError) as caught:
        read_all(path)
    assert str(caught.value) == message


def test_a_folder_without_a_table_names_none(folder):
    folder.joinpath("runs").mkdir()
    with pytest.raises(DataError) as caught:
        read_all("runs")
    assert str(caught.value) == "runs: a folder. Name a file in it, or several: 'runs/*.csv'."


def test_a_glob_gives_its_files_in_order_and_a_file_of_that_name_comes_first(folder):
    for name in ("b.csv", "a.csv", "c.txt"):
        folder.joinpath(name).write_bytes(TEXT)
    folder.joinpath("d.csv").mkdir()
    assert [source.path for source in find_sources("*.csv")] == ["a.csv", "b.csv"]
    assert [source.path for source in find_sources(["c.txt", "[ab].csv"])] == ["c.txt", "a.csv", "b.csv"]
    folder.joinpath("[ab].csv").write_bytes(TEXT)
    assert [source.path for source in find_sources("[ab].csv")] == ["[ab].csv"]


KINDS = {
    "text": TEXT,
    "jsonl": b'\xef\xbb\xbf\n {"x": 1}\n',
    "parquet": b"PAR1....",
    "arrow": b"ARROW1..",
    "workbook": zipped({"[Content_Types].xml": b"", "xl/book.xml": b""}),
}


@pytest.mark.parametrize(("kind", "data"), KINDS.items(), ids=KINDS)
def test_the_format_of_a_file_is_detected_from_its_content(kind, data, folder, monkeypatch):
    folder.joinpath("t.csv").write_bytes(data)
    assert detect_kind("t.csv") == kind
    assert sha256_of("t.csv") == hashlib.sha256(data).hexdigest()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    source = Source("-")
    assert detect_kind(source) == kind
    assert open_source(source).read(len(data) + 1) == data


def test_other_workbooks_and_compressed_json_lines_are_detected_too(folder):
    files = {
        "t.ods": (zipped({"mimetype": sources.OPEN_DOCUMENT, "content.xml": b""}), "workbook"),
        "t.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "workbook"),
        "t.jsonl.gz": (gzip.compress(b"[1]\n"), "jsonl"),
        "t.zip": (zipped({"a.json": b'{"x": 1}\n'}), "jsonl"),
        "t.csv.zip": (zipped({"a.csv": TEXT}), "text"),
        "t.ndjson": (b"", "jsonl"),
    }
    for name, (data, kind) in files.items():
        folder.joinpath(name).write_bytes(data)
        assert detect_kind(name) == kind


@pytest.mark.parametrize("most_in_memory", [1 << 20, 100])
@pytest.mark.parametrize("packer", [bytes, gzip.compress, PACKERS["zip"]], ids=["plain", "gz", "zip"])
def test_a_buffered_pipe_is_seekable_and_can_be_opened_repeatedly(packer, most_in_memory, monkeypatch):
    monkeypatch.setattr(input_buffer, "MAX_IN_MEMORY", most_in_memory)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(packer(TEXT))))
    first = find_sources("-")[0]
    assert detect_kind(first) == "text"
    source = reopenable(first)
    for _ in range(2):
        assert open_source(source).read(len(TEXT) + 1) == TEXT
    assert source.name == STANDARD_INPUT
    assert reopenable(source) is source
    one, other = open_stored(source), open_stored(source)
    assert one.seek(-4, io.SEEK_END) == len(TEXT) - 4
    assert other.read(3) == TEXT[:3]
    assert one.read() == TEXT[-4:]
    assert other.seek(1, io.SEEK_CUR) == 4


def test_a_workbook_from_a_pipe_is_buffered_as_stored(monkeypatch):
    raw = io.BytesIO(KINDS["workbook"])
    raw.seekable = lambda: False
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
    source = reopenable(Source("-"))
    assert open_stored(source).read() == KINDS["workbook"]
    assert detect_kind(source) == "workbook"


@pytest.mark.parametrize("packer", [bytes, PACKERS["zip"]], ids=["plain", "zip"])
def test_a_named_pipe_is_held(packer, folder):
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: folder.joinpath("pipe").write_bytes(packer(TEXT)))
    writer.start()
    source = reopenable(find_sources("pipe")[0])
    writer.join()
    assert [open_source(source).read(len(TEXT) + 1) for _ in range(2)] == [TEXT, TEXT]


def test_a_full_disk_under_what_is_held_is_an_error(monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "write", fail)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT)))
    with pytest.raises(
        DataError, match=r"^standard input: not enough space for it in .* \(No space left on device\)\.$"
    ):
        reopenable(Source("-"))


def test_a_folder_that_cannot_be_read_is_an_error(folder, monkeypatch):
    folder.joinpath("d").mkdir()

    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", fail)
    with pytest.raises(DataError, match=r"^d: a folder that cannot be read\. Name a file in it, or change its perm"):
        read_all("d")
    with pytest.raises(DataError, match=r"^d/x: no such file\. Paths are relative to the current folder\.$"):
        read_all("d/x")


@pytest.mark.parametrize("packer", PACKERS.values(), ids=PACKERS)
def test_the_number_of_bytes_read_is_known(packer, folder):
    data = packer(TEXT)
    folder.joinpath("t").write_bytes(data)
    stream = open_source(Source("t"))
    while stream.read(1 << 12):
        assert 0 < stream.n_read <= len(data)
    stream.close()
    assert 0 < stream.n_read <= len(data)


def test_a_folder_of_parquet_files_is_its_parts_in_the_order_of_their_names(folder):
    folder.joinpath("d").mkdir()
    for name in ["part-1.parquet", "part-0.snappy.parquet", "_SUCCESS", "_metadata", ".part-2.parquet", "_x.parquet"]:
        folder.joinpath("d", name).write_bytes(b"PAR1")
    assert [source.path for source in find_sources("d")] == ["d/part-0.snappy.parquet", "d/part-1.parquet"]


def test_the_hash_of_several_files_is_that_of_their_hashes(folder):
    folder.joinpath("a.csv").write_bytes(TEXT)
    folder.joinpath("b.csv").write_bytes(TEXT + TEXT)
    each = [hashlib.sha256(data).hexdigest() for data in (TEXT, TEXT + TEXT)]
    assert sha256_of("[ab].csv") == hashlib.sha256("".join(each).encode()).hexdigest()
