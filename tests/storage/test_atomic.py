import errno
import os
import threading
from collections.abc import Callable

import pytest

from mlpcli.errors import OutputError
from mlpcli.storage.atomic import AtomicFile, write_file


def fail_at(monkeypatch: pytest.MonkeyPatch, call: str, nth: int, code: int) -> list[int]:
    """Let the nth call of one os function fail (0: none); the list holds one item per call made."""
    real: Callable[..., object] = getattr(os, call)
    made: list[int] = []

    def faulty(*args: object, **options: object) -> object:
        made.append(1)
        if len(made) == nth:
            if call == "close":
                real(*args, **options)
            raise OSError(code, os.strerror(code))
        return real(*args, **options)

    monkeypatch.setattr(os, call, faulty)
    return made


def test_a_written_file_holds_the_bytes_and_nothing_stands_beside_it(tmp_path):
    write_file(str(tmp_path / "a.npz"), b"new")
    assert (tmp_path / "a.npz").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.npz"]


def test_a_file_is_written_without_a_folder_in_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_file("a.npz", b"new")
    assert os.listdir(tmp_path) == ["a.npz"]


@pytest.mark.parametrize("has_old", [False, True])
@pytest.mark.parametrize(
    ("call", "nth", "is_renamed"),
    [
        ("stat", 1, False),
        ("open", 1, False),
        ("write", 1, False),
        ("fsync", 1, False),
        ("close", 1, False),
        ("replace", 1, False),
        ("open", 2, True),  # from here on it is the folder that is synced
        ("fsync", 2, True),
        ("close", 2, True),
    ],
)
def test_a_failing_system_call_leaves_the_old_file_or_the_whole_new_one(
    tmp_path, monkeypatch, call, nth, is_renamed, has_old
):
    path = str(tmp_path / "a.npz")
    if has_old:
        write_file(path, b"old")
    with monkeypatch.context() as patch:
        fail_at(patch, call, nth, errno.EIO)
        with pytest.raises(OutputError) as caught:
            write_file(path, b"new")
    assert str(caught.value) == f"{path}: cannot be written: Input/output error. Choose another place."
    left = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    assert left == ({"a.npz": b"new"} if is_renamed else {"a.npz": b"old"} if has_old else {})


def test_the_failures_above_are_all_there_can_be(tmp_path, monkeypatch):
    made = {call: fail_at(monkeypatch, call, 0, errno.EIO) for call in ("open", "write", "fsync", "close", "replace")}
    write_file(str(tmp_path / "a.npz"), b"new")
    assert {call: len(calls) for call, calls in made.items()} == {
        "open": 2,
        "write": 1,
        "fsync": 2,
        "close": 2,
        "replace": 1,
    }


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "the disk is full. Free some space, or choose another place."),
        (errno.EDQUOT, "your disk quota is used up. Free some space, or choose another place."),
        (errno.EROFS, "the disk is read-only. Choose another place."),
        (errno.EACCES, "no permission. Choose another place, or change the permissions of {folder}."),
        (errno.EPERM, "no permission. Choose another place, or change the permissions of {folder}."),
        (errno.EIO, "Input/output error. Choose another place."),
    ],
)
def test_the_message_says_what_failed_where_and_what_to_do(tmp_path, monkeypatch, code, advice):
    path = str(tmp_path / "a.npz")
    fail_at(monkeypatch, "write", 1, code)
    with pytest.raises(OutputError) as caught:
        write_file(path, b"new")
    assert str(caught.value) == f"{path}: cannot be written: " + advice.format(folder=tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_named_with_the_command_that_makes_it(tmp_path):
    path = str(tmp_path / "no" / "a.npz")
    with pytest.raises(OutputError) as caught:
        write_file(path, b"new")
    folder = tmp_path / "no"
    assert str(caught.value) == (
        f"{path}: cannot be written: the folder {folder} does not exist. Create it with: mkdir -p {folder}"
    )


def test_a_folder_a_file_as_folder_and_a_long_name_are_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path, word in [
        (str(tmp_path), "it is a folder"),
        (f"{tmp_path}/new/", "it is a folder"),
        (str(tmp_path / "file" / "a"), "is not a folder"),
        (str(tmp_path / ("a" * 300)), "the name is too long"),
    ]:
        with pytest.raises(OutputError, match=word):
            write_file(path, b"new")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("path", ["", "a\0b", "a\ud800b"])
def test_a_text_that_can_be_no_path_is_refused(path):
    with pytest.raises(OutputError, match="not a possible file name"):
        write_file(path, b"new")


def test_a_full_disk_is_reported_by_the_system_itself():
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    with pytest.raises(OutputError) as caught:
        write_file("/dev/full", b"new")
    assert str(caught.value).startswith("/dev/full: cannot be written: the disk is full.")


def test_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    write_file(str(tmp_path / "a.npz"), b"0123456789")
    assert (tmp_path / "a.npz").read_bytes() == b"0123456789"


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    fail_at(monkeypatch, "fsync", 2, errno.EINVAL)
    write_file(str(tmp_path / "a.npz"), b"new")
    assert (tmp_path / "a.npz").read_bytes() == b"new"


@pytest.mark.parametrize("event", [KeyboardInterrupt, ValueError, OSError])
def test_an_exception_of_the_writer_leaves_the_old_file_and_passes_unchanged(tmp_path, event):
    path = str(tmp_path / "a.csv")
    write_file(path, b"old")

    def write_half() -> None:
        with AtomicFile(path) as file:
            file.write(b"half")
            raise event

    with pytest.raises(event):
        write_half()
    assert os.listdir(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_bytes() == b"old"


def test_pieces_appear_under_the_name_only_at_the_end(tmp_path):
    with AtomicFile(str(tmp_path / "a.csv")) as file:
        file.write(b"one\n")
        assert not (tmp_path / "a.csv").exists()
        file.write(b"two\n")
    assert (tmp_path / "a.csv").read_bytes() == b"one\ntwo\n"


def test_permissions_are_those_of_the_old_file_or_of_the_umask(tmp_path):
    umask = os.umask(0o027)
    try:
        write_file(str(tmp_path / "new"), b"")
        write_file(str(tmp_path / "private"), b"")
        os.chmod(tmp_path / "private", 0o600)
        write_file(str(tmp_path / "private"), b"more")
        write_file(str(tmp_path / "shared"), b"")
        os.chmod(tmp_path / "shared", 0o664)
        write_file(str(tmp_path / "shared"), b"more")
    finally:
        os.umask(umask)
    assert os.stat(tmp_path / "new").st_mode & 0o777 == 0o640
    assert os.stat(tmp_path / "private").st_mode & 0o777 == 0o600
    assert os.stat(tmp_path / "shared").st_mode & 0o777 == 0o664


def test_a_write_protected_file_is_not_replaced(tmp_path, monkeypatch):
    path = str(tmp_path / "a")
    write_file(path, b"old")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="no permission"):
        write_file(path, b"new")
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_link_keeps_pointing_where_it_did(tmp_path):
    (tmp_path / "there").mkdir()
    os.symlink("there/real", tmp_path / "link")
    for data in (b"one", b"two"):
        write_file(str(tmp_path / "link"), data)
        assert os.readlink(tmp_path / "link") == "there/real"
        assert (tmp_path / "there" / "real").read_bytes() == data


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    received: list[bytes] = []

    def read() -> None:
        with open(path, "rb") as file:
            received.append(file.read())

    reader = threading.Thread(target=read)
    reader.start()
    write_file(path, b"text")
    reader.join(10)
    assert received == [b"text"]
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_pipe_without_a_reader_is_a_broken_pipe():
    receiving, sending = os.pipe()
    os.close(receiving)
    try:
        with pytest.raises(BrokenPipeError):
            write_file(f"/dev/fd/{sending}", b"text")
    finally:
        os.close(sending)
