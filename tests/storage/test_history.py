import errno
import os

import numpy as np
import pandas as pd
import pytest

from mlpcli.errors import ModelFileError, OutputError
from mlpcli.storage.run.history import History


def test_rows_are_read_back_by_pandas_exactly(tmp_path):
    path = str(tmp_path / "history.csv")
    history = History(path)
    history.append({"epoch": 1, "loss": 0.1 + 0.2, "f1[a, b]": np.float64(1 / 3), "note": 'say "x"'})
    history.append({"epoch": 2, "loss": 1e-300, "f1[a, b]": float("nan"), "note": None})
    history.append({"epoch": 3, "loss": np.float32(0.1)})
    frame = pd.read_csv(path, dtype=str)
    history.close()
    assert list(frame.columns) == ["epoch", "loss", "f1[a, b]", "note"]
    assert [float(text) for text in frame["loss"]] == [0.1 + 0.2, 1e-300, 0.1]
    assert float(frame["f1[a, b]"][0]) == 1 / 3
    assert frame.isna().sum().tolist() == [0, 0, 2, 2]
    assert frame["note"][0] == 'say "x"'


def test_a_key_that_is_not_in_the_header_is_a_bug(tmp_path):
    history = History(str(tmp_path / "history.csv"))
    history.append({"epoch": 1})
    with pytest.raises(ValueError, match="loss"):
        history.append({"epoch": 2, "loss": 1.0})
    history.close()


def test_rewinding_and_going_on_gives_the_bytes_of_never_having_stopped(tmp_path):
    rows = [{"epoch": epoch, "loss": 1 / epoch, "f1[ä\nb]": 0.5} for epoch in range(1, 8)]
    straight = History(str(tmp_path / "straight.csv"))
    for row in rows:
        straight.append(row)
    straight.close()
    first = History(str(tmp_path / "resumed.csv"))
    for row in rows[:5]:
        first.append(row)
    first.close()
    second = History(str(tmp_path / "resumed.csv"))
    second.rewind(3)
    for row in rows[3:]:
        second.append(row)
    second.close()
    assert (tmp_path / "resumed.csv").read_bytes() == (tmp_path / "straight.csv").read_bytes()


@pytest.mark.parametrize("n_bytes", range(0, 31))
def test_a_last_row_that_a_crash_cut_short_is_dropped(tmp_path, n_bytes):
    path = tmp_path / "history.csv"
    complete = b"epoch,loss\n1,0.5\n2,0.25\n3,0.125\n"
    path.write_bytes(complete[:n_bytes])
    history = History(str(path))
    history.rewind(3)
    expected = complete[: complete[:n_bytes].rfind(b"\n") + 1]
    assert path.read_bytes() == expected
    history.append({"epoch": 9, "loss": 1.0})
    history.close()
    assert path.read_bytes() == (expected or b"epoch,loss\n") + b"9,1.0\n"


def test_rewinding_closes_the_rows_of_this_process_first(tmp_path):
    history = History(str(tmp_path / "history.csv"))
    for epoch in (1, 2):
        history.append({"epoch": epoch})
    history.rewind(1)
    history.append({"epoch": 2})
    history.close()
    assert (tmp_path / "history.csv").read_bytes() == b"epoch\n1\n2\n"


def test_rewinding_what_is_not_there_does_nothing(tmp_path):
    History(str(tmp_path / "history.csv")).rewind(3)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"epoch,loss\nx,2\n", b"epoch,loss\n1\n", b"epoch\n\n1\n", b"\0\n"])
def test_a_file_that_is_no_history_is_refused_and_kept(tmp_path, content):
    path = tmp_path / "history.csv"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="not the history of this run"):
        History(str(path)).rewind(3)
    assert path.read_bytes() == content


def test_a_full_disk_is_an_output_error(tmp_path, monkeypatch):
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    history = History(str(tmp_path / "history.csv"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OutputError, match=r"history.csv: cannot be written: the disk is full"):
            history.append({"epoch": 1})
    history.close()


def test_a_sync_that_fails_at_the_end_is_an_output_error(tmp_path, monkeypatch):
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    history = History(str(tmp_path / "history.csv"))
    history.append({"epoch": 1})
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OutputError):
        history.close()
