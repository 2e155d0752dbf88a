"""One training at a time per run directory: a file held by a lock of the operating system.

The system drops the lock when its process dies, however it dies, so a file that was left behind is simply taken over.
The process id in it is for the message, and for disks that know no locks (some network mounts), where it has to do.
"""

import contextlib
import os
import socket
import sys

from mlpcli.errors import OutputError
from mlpcli.storage.atomic import output_error

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # far behind the text, which others want to read
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Lock:
    """The lock file `path`, which guards `subject` (the name used in the message)."""

    def __init__(self, path: str, subject: str) -> None:
        self._path = path
        self._subject = subject
        self._descriptor = -1

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor >= 0

    def acquire(self) -> None:
        """Take the lock or raise OutputError that names the process that holds it."""
        while self._descriptor < 0:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                raise output_error(self._path, error) from error
            try:
                self._claim(descriptor)
            finally:
                if self._descriptor < 0:
                    os.close(descriptor)

    def release(self) -> None:
        """Give the lock back and remove its file; a lock that is not held is left alone."""
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        if os.name == "nt":  # where an open file cannot be removed
            _close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        if os.name != "nt":  # removed while still held: nobody can take the old file for the lock
            _close(descriptor)

    def _claim(self, descriptor: int) -> None:
        """Lock an open file and sign it; leaves `_descriptor` unset when the holder removed the file meanwhile."""
        owner = os.read(descriptor, 300).decode("utf-8", "replace").split()
        try:
            _lock(descriptor)
        except (BlockingIOError, PermissionError) as error:
            raise self._held_by(owner) from error
        except OSError as error:  # a disk without locks
            if _is_alive(owner):
                raise self._held_by(owner) from error
        try:
            if not os.path.samestat(os.fstat(descriptor), os.stat(self._path)):
                return
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode())
        except FileNotFoundError:
            return
        except OSError as error:
            raise output_error(self._path, error) from error
        self._descriptor = descriptor

    def _held_by(self, owner: list[str]) -> OutputError:
        who = f" (process {ascii(owner[0])[1:-1]} on {ascii(owner[1])[1:-1]})" if len(owner) == 2 else ""
        return OutputError(
            f"{self._subject}: another training{who} writes here. Wait for it, or choose another place with --output."
        )


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # the work is done: nothing is lost with a lock
        os.close(descriptor)


def _is_alive(owner: list[str]) -> bool:
    """Whether the signature of a lock file names a running process; on another machine nobody can tell, so yes."""
    if len(owner) != 2 or not owner[0].isdecimal():
        return False
    if owner[1] != socket.gethostname() or os.name == "nt":  # where signal 0 is no question but Ctrl-C
        return True
    try:
        os.kill(int(owner[0]), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return int(owner[0]) != os.getpid()
