"""Atomic writes: temporary name, fsync, rename, fsync of the folder."""

import contextlib
import errno
import os
import secrets
import stat
from types import TracebackType

from mlpcli.errors import OutputError

_ADVICE = {
    errno.ENOSPC: "the disk is full. Free some space, or choose another place.",
    errno.EDQUOT: "your disk quota is used up. Free some space, or choose another place.",
    errno.EROFS: "the disk is read-only. Choose another place.",
    errno.EACCES: "no permission. Choose another place, or change the permissions of {folder}.",
    errno.EPERM: "no permission. Choose another place, or change the permissions of {folder}.",
    errno.ENOENT: "the folder {folder} does not exist. Create it with: mkdir -p {folder}",
    errno.ENOTDIR: "{folder} is not a folder. Choose another place.",
    errno.EISDIR: "it is a folder. Name a file.",
    errno.ENAMETOOLONG: "the name is too long. Choose a shorter one.",
    errno.EEXIST: "a file of that name is in the way. Remove it, or choose another place.",
    errno.ENOTEMPTY: "the folder is not empty. Move away what is in it.",
    errno.EFBIG: "the file is larger than the system allows. Choose another place.",
}
# Errors of folders that cannot be synced, or not by this user; the rename itself has succeeded.
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM)
BINARY: int = getattr(os, "O_BINARY", 0)  # Windows turns \n into \r\n without it
# Names of this process's own descriptors, which must be written to instead of replaced.
_DESCRIPTOR_NAMES = ("/dev/fd/", "/dev/std", "/proc/")


def output_error(path: str, error: OSError) -> OutputError:
    """The error for a failed write to `path`, with advice."""
    advice = _ADVICE.get(error.errno or 0, f"{error.strerror or error}. Choose another place.")
    if error.errno == errno.ENOENT and os.path.isdir(os.path.dirname(path)):  # for example in /proc
        advice = "the folder {folder} takes no new files. Choose another place."
    return OutputError(f"{path}: cannot be written: " + advice.format(folder=os.path.dirname(path) or "this folder"))


def check_path(path: str) -> None:
    """Raise OutputError for a text that cannot be a path (empty, NUL, characters the system cannot encode)."""
    try:
        is_possible = bool(path) and b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        is_possible = False
    if not is_possible:
        raise OutputError(f"{path!a}: not a possible file name. Choose another one.")


def is_temporary(name: str) -> bool:
    """Whether a file name is that of a temporary file, which an interrupted write may leave behind."""
    return name.startswith(".mlp-") and name.endswith(".tmp")


def sync_folder(folder: str) -> None:
    """Make renames inside `folder` survive a power cut; raises OSError."""
    if os.name == "nt":  # Windows has no such call
        return
    try:
        descriptor = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


class AtomicFile:
    """A file written in pieces that appears under `path` only if the `with` block succeeds.

    A device or a pipe (`/dev/stdout`, `>(gzip)`) is written to directly; a symbolic link is kept, and its target is
    replaced; an existing file keeps its permissions. Raises OutputError, and BrokenPipeError for a closed pipe.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._target = path
        self._temporary = ""
        self._descriptor = -1

    def __enter__(self) -> "AtomicFile":
        check_path(self._path)
        try:
            self._open()
        except OSError as error:
            raise output_error(self._path, error) from error
        return self

    def write(self, data: bytes) -> None:
        """Append bytes."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise output_error(self._path, error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._commit()
        except OSError as write_error:
            raise output_error(self._path, write_error) from write_error
        finally:
            self._discard()

    def _open(self) -> None:
        mode = None
        if self._path.endswith(("/", os.sep)):  # a folder, existing or not; realpath would drop the separator
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(self._path)
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not stat.S_ISREG(status.st_mode) or os.path.abspath(self._path).startswith(_DESCRIPTOR_NAMES):
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | BINARY)
                return
            if not os.access(self._path, os.W_OK):  # a rename would bypass the write protection
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            mode = stat.S_IMODE(status.st_mode)
        self._target = os.path.realpath(self._path)
        temporary = os.path.join(os.path.dirname(self._target), f".mlp-{os.getpid()}-{secrets.token_hex(4)}.tmp")
        self._descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o666)
        self._temporary = temporary
        if mode is not None and hasattr(os, "fchmod"):  # the umask applies only to new files
            os.fchmod(self._descriptor, mode)

    def _commit(self) -> None:
        if self._temporary:
            os.fsync(self._descriptor)
        self._close()
        if self._temporary:
            os.replace(self._temporary, self._target)
            self._temporary = ""
            sync_folder(os.path.dirname(self._target))

    def _close(self) -> None:
        # Reset first, because a close that fails has closed the descriptor.
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)

    def _discard(self) -> None:
        with contextlib.suppress(OSError):
            if self._descriptor >= 0:
                self._close()
        with contextlib.suppress(OSError):
            if self._temporary:
                os.unlink(self._temporary)


def write_file(path: str, data: bytes) -> None:
    """Write a file atomically.

    Raises OutputError. If the sync of the folder fails after the rename, the complete new file is in place, but may not
    survive a power cut.
    """
    with AtomicFile(path) as file:
        file.write(data)
