"""One training at a time per run directory: a file held by a lock of the operating system, or by its owner's name.

The system drops its lock when the process dies, however it dies, so a file that was left behind is simply taken over.
On disks that know no locks (some network mounts) the file is the lock, with the name of a process that must live.
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

# What a disk answers that knows no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
_LONGEST_OWNER = 300


class Lock:
    """The lock file `path`, which guards `subject` (the name used in the message)."""

    def __init__(self, path: str, subject: str) -> None:
        self._path = path
        self._subject = subject
        self._held: BaseFileLock | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._held is not None

    def acquire(self) -> None:
        """Take the lock or raise OutputError that names the process that holds it."""
        if self.is_held:
            return
        from filelock import FileLock, SoftFileLock, Timeout  # late: whoever only reads a run needs none

        try:
            kind = FileLock if _knows_locks(os.path.dirname(self._path)) else SoftFileLock
            lock = kind(self._path, blocking=False, thread_local=False)
            lock.acquire()
            self._held = lock
            self._sign()
        except Timeout as error:
            raise self._held_by(self._owner()) from error
        except OSError as error:
            self.release()
            raise output_error(self._path, error) from error

    def release(self) -> None:
        """Give the lock back and remove its file; a lock that is not held is left alone."""
        if self._held is None:
            return
        held, self._held = self._held, None
        with contextlib.suppress(OSError):  # the work is done: nothing is lost with a lock
            if os.name != "nt":  # removed while still held: nobody can take the old file for the lock
                os.unlink(self._path)
            held.release()

    def _sign(self) -> None:
        """Name the owner in the file, where that is not itself the lock."""
        mine = [str(os.getpid()), socket.gethostname()]
        if self._owner() == mine:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(descriptor, ("\n".join(mine) + "\n").encode())
        finally:
            os.close(descriptor)

    def _owner(self) -> list[str]:
        """Process and machine that the file names, if it does."""
        try:
            with open(self._path, "rb") as file:
                return file.read(_LONGEST_OWNER).decode("utf-8", "replace").split()[:2]
        except OSError:  # removed just now, or Windows, which lets nobody read a locked file
            return []

    def _held_by(self, owner: list[str]) -> OutputError:
        who = f" (process {ascii(owner[0])[1:-1]} on {ascii(owner[1])[1:-1]})" if len(owner) == 2 else ""
        return OutputError(
            f"{self._subject}: another training{who} is writing here. Wait for it, or choose another place with "
            f"--output."
        )


def is_taken(path: str) -> bool:
    """Whether a live process holds the lock file, as far as can be told without taking it.

    A process of another machine, and one that has not signed yet, count as alive.
    """
    try:
        with open(path, "rb") as file:
            owner = file.read(_LONGEST_OWNER).decode("utf-8", "replace").split()[:2]
    except FileNotFoundError:
        return False
    except OSError:  # Windows lets nobody read a locked file
        return True
    if len(owner) < 2 or owner[1] != socket.gethostname():
        return True
    if os.name == "nt" or not owner[0].isdigit():  # there a file that can be read is not locked
        return False
    try:
        os.kill(int(owner[0]), 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _knows_locks(folder: str) -> bool:
    """Whether files of a folder can be locked; raises OSError where none can be made.

    Tried on a file without a name, where the system has such files, so that a kill leaves nothing.
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
