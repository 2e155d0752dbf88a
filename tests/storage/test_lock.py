import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys

import pytest

from mlpcli.errors import OutputError
from mlpcli.storage.run.lock import Lock

HOLDER = """
import sys, time
from mlpcli.storage.run.lock import Lock
lock = Lock(sys.argv[1], "runs/x")
lock.acquire()
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
        f"runs/x: another training (process {os.getpid()} on {socket.gethostname()}) is writing here. "
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
    assert (tmp_path / "x.lock").read_text().split() == [str(os.getpid()), socket.gethostname()]
    mine.release()


TAKING_TURNS = """
import os, sys
from mlpcli.errors import OutputError
from mlpcli.storage.run.lock import Lock
for _ in range(300):
    lock = Lock(sys.argv[1], "runs/x")
    try:
        lock.acquire()
    except OutputError:
        continue
    with open(sys.argv[2], "x"):
        pass
    os.unlink(sys.argv[2])
    lock.release()
print("never two at once")
"""


def test_of_several_that_take_and_remove_it_all_the_time_one_holds_it(tmp_path):
    command = [sys.executable, "-c", TAKING_TURNS, str(tmp_path / "x.lock"), str(tmp_path / "held")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate(timeout=60)[0] for process in processes] == [b"never two at once\n"] * 3


@pytest.fixture(params=[errno.ENOLCK, errno.ENOSYS])
def disk_without_locks(request, monkeypatch):
    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr("fcntl.flock", unsupported)


@pytest.mark.skipif(sys.platform != "linux", reason="files without a name")
def test_a_kill_while_lock_support_is_tested_leaves_no_file(tmp_path, monkeypatch):
    lock, names = Lock(str(tmp_path / "x.lock"), "runs/x"), []
    flock = fcntl.flock

    def watched(descriptor, operation):
        names.append(os.listdir(tmp_path))
        flock(descriptor, operation)

    monkeypatch.setattr("fcntl.flock", watched)
    lock.acquire()
    lock.release()
    assert names[0] == []


@pytest.mark.usefixtures("disk_without_locks")
def test_on_a_disk_without_locks_the_file_is_the_lock(tmp_path):
    path = str(tmp_path / "x.lock")
    first, second = Lock(path, "runs/x"), Lock(path, "runs/x")
    first.acquire()
    owner = f"process {os.getpid()} on {socket.gethostname()}"
    with pytest.raises(OutputError, match=f"another training .{owner}. is writing here"):
        second.acquire()
    first.release()
    assert os.listdir(tmp_path) == []
    second.acquire()
    second.release()


@pytest.mark.usefixtures("disk_without_locks")
def test_the_soft_lock_of_a_killed_process_is_taken_over(tmp_path):
    path = tmp_path / "x.lock"
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait(timeout=60)
    path.write_text(f"{process.pid}\n{socket.gethostname()}\n")
    mine = Lock(str(path), "runs/x")
    mine.acquire()
    assert path.read_text().split()[0] == str(os.getpid())
    mine.release()


@pytest.mark.usefixtures("disk_without_locks")
def test_on_a_disk_without_locks_that_of_another_machine_is_left_alone(tmp_path):
    (tmp_path / "x.lock").write_text("1\nelsewhere\n")
    with pytest.raises(OutputError, match="process 1 on elsewhere"):
        Lock(str(tmp_path / "x.lock"), "runs/x").acquire()


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


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no folder that takes no files")
@pytest.mark.timeout(60)
def test_a_folder_that_takes_no_files_is_an_error_and_no_wait_for_ever():
    with pytest.raises(OutputError, match=r"/proc/x\.lock: cannot be written: the folder /proc takes no new files\."):
        Lock("/proc/x.lock", "/proc/x").acquire()
