import bz2
import gzip
import io
import lzma
import sys
import zipfile

import pytest

from mlpcli.data.sources import STANDARD_INPUT, find_sources, held, open_source
from mlpcli.errors import DataError

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
    zstandard = pytest.importorskip("zstandard")
    half = len(data) // 2
    return zstandard.compress(data[:half]) + zstandard.compress(data[half:])


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
    assert str(caught.value) == "t.csv: the compressed file is damaged or cut short. Fetch it again."


def test_a_compressed_file_with_a_wrong_byte_is_an_error(folder):
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1
    folder.joinpath("t.csv").write_bytes(packed)
    with pytest.raises(DataError, match="the compressed file is damaged"):
        read_all("t.csv")


def test_zst_without_its_package_says_how_to_get_it(folder, monkeypatch):
    folder.joinpath("t.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(DataError) as caught:
        read_all("t.zst")
    assert str(caught.value) == (
        't.zst: reading .zst files needs the package zstandard. Install it with: pip install "mlp-train[zstd]"'
    )


FOREIGN = {
    b"PAR1....": "t.csv: a Parquet file. Write it as CSV: pandas.read_parquet(...).to_csv(..., index=False).",
    b"\x80\x04\x95": "t.csv: a pickle. Write the table as CSV.",
    zipped({"[Content_Types].xml": b"", "xl/book.xml": b""}): "t.csv: an Excel or Office file. Save the sheet as CSV.",
    zipped({"W1.npy": b""}): "t.csv: a NumPy archive (a model file perhaps). Name a CSV file.",
    zipped({"a.csv": b"", "b.csv": b""}): "t.csv: a zip archive of 2 files (a.csv, b.csv). Unpack it and name one.",
    zipped({"a.csv": TEXT})[:60]: "t.csv: the zip archive is damaged or cut short. Fetch it again.",
    gzip.compress(b"a" * 257 + b"ustar" + b"a" * 300): "t.csv: a tar archive. Unpack it and name the CSV file.",
    gzip.compress(b"\x89PNG...."): "t.csv: a picture. Write the table as CSV.",
}


@pytest.mark.parametrize(("data", "message"), FOREIGN.items(), ids=FOREIGN.values())
def test_a_file_that_is_no_table_is_called_what_it_is(data, message, folder):
    folder.joinpath("t.csv").write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_all("t.csv")
    assert str(caught.value) == message


ABSENT = {
    "tran.csv": "tran.csv: no such file. Did you mean train.csv?",
    "zzz": "zzz: no such file. Paths start at the current folder.",
    "none/train.csv": "none/train.csv: no such file (there is no folder none).",
    "*.tsv": "*.tsv: no file matches. Paths start at the current folder.",
    ".": ".: a folder. Name a file in it (./train.csv), or several: './*.csv'.",
    "https://example.org/a.csv": (
        "https://example.org/a.csv: an address, not a file. Download it first, or pipe it in: curl -sL URL | mlp ... -"
    ),
    "a\0b": "a\\x00b: cannot be read (embedded null byte).",
    "": "No data file is named. Name a CSV file, or - for standard input.",
}


@pytest.mark.parametrize(("path", "message"), ABSENT.items())
def test_a_file_that_is_not_there_is_an_error_that_helps(path, message, folder):
    folder.joinpath("train.csv").write_bytes(TEXT)
    with pytest.raises(DataError) as caught:
        read_all(path)
    assert str(caught.value) == message


def test_a_glob_gives_its_files_in_order_and_a_file_of_that_name_comes_first(folder):
    for name in ("b.csv", "a.csv", "c.txt"):
        folder.joinpath(name).write_bytes(TEXT)
    folder.joinpath("d.csv").mkdir()
    assert [source.path for source in find_sources("*.csv")] == ["a.csv", "b.csv"]
    assert [source.path for source in find_sources(["c.txt", "[ab].csv"])] == ["c.txt", "a.csv", "b.csv"]
    folder.joinpath("[ab].csv").write_bytes(TEXT)
    assert [source.path for source in find_sources("[ab].csv")] == ["[ab].csv"]


def test_what_can_be_read_only_once_is_held(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT)))
    source = held(find_sources("-")[0])
    for _ in range(2):
        assert open_source(source).read(len(TEXT) + 1) == TEXT
    assert source.name == STANDARD_INPUT
