import errno
import os
import signal
import socket
import subprocess
import sys

import pytest

from mlpcli.errors import OutputError
from mlpcli.storage import lock as lock_module
from mlpcli.storage.lock import Lock

HOLDER = """
import sys, time
from mlpcli.storage.lock import Lock
Lock(sys.argv[1], "runs/x").acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_training_is_refused_and_told_who_holds_the_lock(tmp_path):
    path = str(tmp_path / "x.lock")
    first, second = Lock(path, "runs/x"), Lock(path, "runs/x")
    first.acquire()
    with pytest.raises(OutputError) as caught:
        second.acquire()
    assert str(caught.value) == (
        f"runs/x: another training (process {os.getpid()} on {socket.gethostname()}) writes here. "
        "Wait for it, or choose another place with --output."
    )
    assert not second.is_held
    second.release()
    assert os.path.exists(path)
    first.release()
    assert not os.path.exists(path)
    second.acquire()
    second.release()
    assert os.listdir(tmp_path) == []


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    path = str(tmp_path / "x.lock")
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(OutputError, match=f"process {holder.pid} on"):
            Lock(path, "runs/x").acquire()
        holder.send_signal(signal.SIGKILL)
    assert os.path.exists(path)
    mine = Lock(path, "runs/x")
    mine.acquire()
    assert mine.is_held
    mine.release()


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"1 2 3", f"1 {socket.gethostname()}".encode()])
def test_a_lock_file_that_nobody_holds_is_taken_whatever_is_in_it(tmp_path, content):
    (tmp_path / "x.lock").write_bytes(content)
    mine = Lock(str(tmp_path / "x.lock"), "runs/x")
    mine.acquire()
    assert (tmp_path / "x.lock").read_text() == f"{os.getpid()} {socket.gethostname()}\n"
    mine.release()


def test_a_file_removed_by_its_holder_in_between_is_not_taken_for_the_lock(tmp_path, monkeypatch):
    path = str(tmp_path / "x.lock")
    real, calls = lock_module._lock, []

    def slow(descriptor: int) -> None:
        if not calls:
            os.unlink(path)
        calls.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(lock_module, "_lock", slow)
    mine = Lock(path, "runs/x")
    mine.acquire()
    assert len(calls) == 2
    with pytest.raises(OutputError):
        Lock(path, "runs/x").acquire()
    mine.release()


@pytest.mark.parametrize(
    ("pid", "host", "is_refused"),
    [(1, "", True), (2**22 + 1, "", False), (10**30, "", False), (1, "elsewhere", True), (os.getpid(), "", False)],
)
def test_on_a_disk_without_locks_the_process_id_decides(tmp_path, monkeypatch, pid, host, is_refused):
    def unsupported(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock_module, "_lock", unsupported)
    (tmp_path / "x.lock").write_text(f"{pid} {host or socket.gethostname()}\n")
    mine = Lock(str(tmp_path / "x.lock"), "runs/x")
    if is_refused:
        with pytest.raises(OutputError, match="another training"):
            mine.acquire()
    else:
        mine.acquire()
    mine.release()


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="does not exist"):
        Lock(str(tmp_path / "no" / "x.lock"), "runs/x").acquire()


def test_a_disk_that_is_full_leaves_no_lock_held(tmp_path, monkeypatch):
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = str(tmp_path / "x.lock")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OutputError, match="the disk is full"):
            Lock(path, "runs/x").acquire()
    mine = Lock(path, "runs/x")
    mine.acquire()
    mine.release()


def test_a_disk_that_fails_when_the_lock_is_given_back_costs_nothing(tmp_path, monkeypatch):
    mine = Lock(str(tmp_path / "x.lock"), "runs/x")
    mine.acquire()
    real = os.close

    def faulty(descriptor: int) -> None:
        real(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", faulty)
        mine.release()
    assert not mine.is_held
    assert os.listdir(tmp_path) == []
