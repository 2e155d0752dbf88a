"""One training at a time per run directory, by a file lock of the operating system or a soft lock.

The system releases its lock when the process ends for any reason, so a leftover file can be locked again. On file
systems without locks (some network mounts) the file itself is the lock, and names its process, which must be alive.
"""

import contextlib
import errno
import os
import socket
import tempfile
from typing import TYPE_CHECKING

from mlpcli.errors import OutputError
from mlpcli.storage.atomic import output_error

if TYPE_CHECKING:
    from filelock import BaseFileLock

# Errors of file systems without locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
_MAX_OWNER_BYTES = 300


class Lock:
    """The lock file `path`; error messages call what it protects `subject`."""

    def __init__(self, path: str, subject: str) -> None:
        self._path = path
        self._subject = subject
        self._lock: BaseFileLock | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock is not None

    def acquire(self) -> None:
        """Take the lock; raises OutputError with the process that holds it."""
        if self.is_held:
            return
        from filelock import FileLock, SoftFileLock, Timeout  # imported late, because readers need no lock

        try:
            kind = FileLock if _supports_locks(os.path.dirname(self._path)) else SoftFileLock
            lock = kind(self._path, blocking=False, thread_local=False)
            lock.acquire()
            self._lock = lock
            self._write_owner()
        except Timeout as error:
            raise self._held_by(self._owner()) from error
        except OSError as error:
            self.release()
            raise output_error(self._path, error) from error

    def release(self) -> None:
        """Release the lock and remove its file; does nothing if it is not held."""
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        with contextlib.suppress(OSError):  # the work is done, so a lock that remains does no harm
            if os.name != "nt":  # removed before the release, so that no process can lock the removed file
                os.unlink(self._path)
            lock.release()

    def _write_owner(self) -> None:
        """Write the owner into the file; a soft lock already contains it."""
        own_id = [str(os.getpid()), socket.gethostname()]
        if self._owner() == own_id:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(descriptor, ("\n".join(own_id) + "\n").encode())
        finally:
            os.close(descriptor)

    def _owner(self) -> list[str]:
        """The process id and host name in the file, or []."""
        try:
            with open(self._path, "rb") as file:
                return file.read(_MAX_OWNER_BYTES).decode("utf-8", "replace").split()[:2]
        except OSError:  # just removed, or Windows, where a locked file cannot be read
            return []

    def _held_by(self, owner: list[str]) -> OutputError:
        description = f" (process {ascii(owner[0])[1:-1]} on {ascii(owner[1])[1:-1]})" if len(owner) == 2 else ""
        return OutputError(
            f"{self._subject}: another training{description} is writing here. "
            "Wait for it, or choose another place with --output."
        )


def is_taken(path: str) -> bool:
    """Whether a live process holds the lock file, judged without locking it.

    A process on another machine, and one that has not written its id yet, count as alive.
    """
    try:
        with open(path, "rb") as file:
            owner = file.read(_MAX_OWNER_BYTES).decode("utf-8", "replace").split()[:2]
    except FileNotFoundError:
        return False
    except OSError:  # on Windows a locked file cannot be read
        return True
    if len(owner) < 2 or owner[1] != socket.gethostname():
        return True
    if os.name == "nt" or not owner[0].isdigit():  # on Windows a readable file is not locked
        return False
    try:
        os.kill(int(owner[0]), 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _supports_locks(folder: str) -> bool:
    """Whether files in a folder can be locked; raises OSError if none can be created.

    Tested on an unnamed file if the system supports it, so that a killed process leaves nothing behind.
    """
    if os.name == "nt":
        return True
    import fcntl

    with tempfile.TemporaryFile(dir=folder or os.curdir, buffering=0) as probe:
        try:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            raise
        return True
