"""A run folder is complete or does not exist: it is written as `<output>.partial/` and renamed when complete.

Beside a run `runs/x` there can temporarily be:

    runs/x.partial/    a running training, or an interrupted one that can be resumed
    runs/x.complete/   the complete new run, before it is renamed
    runs/x.replaced/   the old run, until its files are removed
    runs/x.lock        the lock for one training at a time

A crash may leave any of them. The next reader (`repair`) or training (`begin`) publishes `x.complete`, and nothing
else. Of an old run only files written by mlp are removed: other files move into the new run, with a numbered name if
the name is taken.

An old run of another config is not replaced but kept as `runs/x.1`, `runs/x.2`, ...
"""

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from mlpcli.errors import OutputError
from mlpcli.storage.atomic import check_path, is_temporary, output_error, sync_folder, write_file
from mlpcli.storage.run.history import History
from mlpcli.storage.run.kept_run import free_name, is_of_another_config, numbered
from mlpcli.storage.run.lock import Lock
from mlpcli.storage.run.run_kind import RunKind

WEIGHTS = "weights.npz"
CHECKPOINT = "checkpoint.npz"
HISTORY = "history.csv"
CONFIG = "config.yaml"
METRICS = "metrics.json"
RUN_FILES = (CONFIG, WEIGHTS, METRICS, HISTORY, CHECKPOINT)
TRAINING = RunKind("run", WEIGHTS, CHECKPOINT, RUN_FILES)

# Prefixes of the stop_reason in METRICS: of a diverged training, one that can be resumed, and a pruned trial.
DIVERGED, INTERRUPTED, PRUNED = "diverged", "interrupted", "pruned"

PARTIAL, COMPLETE, REPLACED, LOCK = ".partial", ".complete", ".replaced", ".lock"


class RunDirectory:
    """The folder of a run; use it in a `with` block, which releases the lock.

    `final` and `partial` are the paths of the complete and the partial run; `kept` is the new path of an old run of
    another config, "" for none. With `replaces_any` no run is kept. Every method raises OutputError for a failed write.
    """

    def __init__(self, output: str, replaces_any: bool = False, kind: RunKind = TRAINING) -> None:
        check_path(output)
        self._kind = kind
        name = os.path.basename(os.path.normpath(output))
        if name in ("", os.curdir, os.pardir) or name.endswith((PARTIAL, COMPLETE, REPLACED, LOCK)):
            raise OutputError(f"{output}: not a name for a run. Choose another output, such as runs/penguins.")
        # A link to a folder is kept, and its target is replaced.
        self.final = os.path.realpath(output) if os.path.islink(output) else os.path.normpath(output)
        self.partial = self.final + PARTIAL
        self._complete = self.final + COMPLETE
        self._replaced = self.final + REPLACED
        self.kept = ""
        self._replaces_any = replaces_any
        self._lock = Lock(self.final + LOCK, self.final)
        self._history = History(os.path.join(self.partial, HISTORY))

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def check(self) -> None:
        """Raise OutputError if `begin` would, judged without changing anything."""
        self._check_final()
        folder = os.path.dirname(self.final) or os.curdir
        while not os.path.lexists(folder):
            folder = os.path.dirname(folder) or os.curdir
        if not os.path.isdir(folder):
            raise OutputError(f"{self.final}: cannot be written: {folder} is not a folder. Choose another output.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"{self.final}: cannot be written: no permission in {folder}. Choose another output.")

    def begin(self, resume: bool) -> tuple[str, ...]:
        """Take the lock, repair after a crash, and prepare `partial`; returns notes for the user.

        A fresh start replaces an unfinished run. With `resume` it is kept if it has a checkpoint (`can_resume`); then
        read the checkpoint and call `rewind_history`.
        """
        try:
            os.makedirs(os.path.dirname(self.final) or os.curdir, exist_ok=True)
        except OSError as error:
            raise output_error(self.final, error) from error
        self._lock.acquire()
        try:
            self._check_final()
            self._complete_finish()
            can_resume = self.can_resume
            self._prepare(keep=resume and can_resume)
        except OSError as error:
            self.release()
            raise output_error(error.filename or self.final, error) from error
        except BaseException:
            self.release()
            raise
        if can_resume and not resume:
            return (f"An unfinished run in {self.partial} was replaced. To continue one instead: --resume",)
        if resume and not can_resume:
            progress = self._kind.progress.partition(".")[0]
            return (f"No {progress} in {self.partial}: nothing to resume, the training starts from the beginning.",)
        return ()

    @property
    def can_resume(self) -> bool:
        """After `begin`: whether there is a checkpoint to resume from."""
        return os.path.isfile(self.path(self._kind.progress))

    def path(self, name: str) -> str:
        """The path of a file in the partial run."""
        return os.path.join(self.partial, name)

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the partial run atomically."""
        write_file(self.path(name), data)

    def remove(self, name: str) -> None:
        """Remove a file of the partial run if it exists."""
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path(name))
        except OSError as error:
            raise output_error(self.path(name), error) from error

    def append_history(self, row: Mapping[str, float | int | str | None]) -> None:
        """Append the row of an epoch to history.csv; see `History`."""
        self._history.append(row)

    def rewind_history(self, epoch: int, columns: Sequence[str] | None = None) -> None:
        """Remove the rows after `epoch`, that of the checkpoint; `columns` are the expected ones."""
        self._history.rewind(epoch, columns)

    def finish(self) -> None:
        """Rename the run to its final name; an old run of that name is removed or `kept`.

        Raises ValueError if the file that makes it complete is missing.

        After an error the old run is in place and the new one in `partial`; only if the last sync of the parent folder
        failed, the new one is in place.
        """
        if not os.path.isdir(self.partial):
            raise OutputError(f"{self.partial}: was removed during the training. Train again.")
        if not os.path.isfile(self.path(self._kind.result)):
            raise ValueError(f"{self.partial} holds no {self._kind.result}: the run is not complete")
        self._history.close()
        try:
            sync_folder(self.partial)
            os.rename(self.partial, self._complete)
            try:
                self._publish()
            except BaseException:
                with contextlib.suppress(OSError):  # otherwise the next reader or training publishes it
                    os.rename(self._complete, self.partial)
                raise
            sync_folder(os.path.dirname(self.final))
        except OSError as error:
            raise output_error(self.final, error) from error
        # The new run is in place; what cannot be removed now is removed by the next `begin`.
        with contextlib.suppress(OSError):
            self._clear_replaced()
        self.release()

    def release(self) -> None:
        """Close the history, remove a partial run that cannot be resumed, release the lock. Idempotent."""
        self._history.abandon()
        if self._lock.is_held and not self.can_resume:
            with contextlib.suppress(OSError):
                for name in os.listdir(self.partial):
                    if self._is_ours(self.path(name)):
                        os.unlink(self.path(name))
                os.rmdir(self.partial)
        self._lock.release()

    def _publish(self) -> None:
        """Rename `complete` to the final name, moving the old run away; after an OSError nothing has moved."""
        has_old, old = os.path.lexists(self.final), self._replaced
        if has_old:
            if self._must_keep():
                old = numbered(self.final)
            else:
                self._clear_replaced()
            os.rename(self.final, old)
        try:
            os.rename(self._complete, self.final)
        except BaseException:
            if has_old:
                with contextlib.suppress(OSError):
                    os.rename(old, self.final)
            raise
        self.kept = old if has_old and old != self._replaced else ""

    def _must_keep(self) -> bool:
        """Whether the old run has another config than the new one."""
        if self._replaces_any or not os.path.lexists(os.path.join(self.final, self._kind.result)):
            return False
        return is_of_another_config(os.path.join(self.final, CONFIG), os.path.join(self._complete, CONFIG))

    @property
    def _is_waiting(self) -> bool:
        """Whether a complete run waits to be renamed; a folder without a result was not written by mlp."""
        return os.path.isfile(os.path.join(self._complete, self._kind.result))

    def _complete_finish(self) -> None:
        """Complete an interrupted `finish`; raises OSError. Requires the lock."""
        if self._is_waiting:
            self._publish()
            sync_folder(os.path.dirname(self.final))
        if os.path.lexists(self.final):
            self._clear_replaced()

    def _clear_replaced(self) -> None:
        """Remove the old run's files and move other files into the new run; raises OSError."""
        if not os.path.isdir(self._replaced):
            return
        for name in os.listdir(self._replaced):
            old = os.path.join(self._replaced, name)
            if self._is_ours(old):
                os.unlink(old)
            else:
                os.rename(old, free_name(os.path.join(self.final, name)))
        os.rmdir(self._replaced)

    def _check_final(self) -> None:
        """Raise OutputError if `final` is not a run that may be replaced."""
        if os.path.lexists(self._complete) and not self._is_waiting:
            raise OutputError(f"{self._complete}: exists and is not a run. Move it, or choose another output.")
        if not os.path.lexists(self.final):
            return
        if not os.path.isdir(self.final):
            raise OutputError(f"{self.final}: is a file, not the folder of a run. Choose another output.")
        if os.path.ismount(self.final):
            raise OutputError(f"{self.final}: is a mount point. Choose a folder inside it: {self.final}/run")
        try:
            names = os.listdir(self.final)
        except OSError as error:
            raise output_error(self.final, error) from error
        if names and self._kind.result not in names:
            raise OutputError(
                f"{self.final}: is a folder with other files, not a {self._kind.name} of mlp (no {self._kind.result}). "
                "Choose another output."
            )

    def _prepare(self, keep: bool) -> None:
        """Make `partial` a writable folder, emptied unless `keep`; raises OSError."""
        os.makedirs(self.partial, exist_ok=True)
        for name in os.listdir(self.partial):
            path = self.path(name)
            if is_temporary(name) or (not keep and self._is_ours(path)):
                os.unlink(path)
        probe = self.path(f".mlp-{os.getpid()}.tmp")
        try:
            with open(probe, "wb") as file:
                file.write(b"mlp")
        finally:
            with contextlib.suppress(OSError):
                os.unlink(probe)

    def _is_ours(self, path: str) -> bool:
        name = os.path.basename(path)
        return (self._kind.owns(name) or is_temporary(name)) and (os.path.islink(path) or os.path.isfile(path))


def repair(output: str, kind: RunKind = TRAINING) -> bool:
    """Complete an interrupted `finish` of the run `output`; returns whether the run exists now.

    For readers that do not find a run. Does nothing, and needs no write permission, if nothing was interrupted.
    """
    try:
        run = RunDirectory(output, kind=kind)
    except OutputError:
        return os.path.isdir(output)
    with run:
        for _ in range(20):
            if os.path.lexists(run.final) or not run._is_waiting:
                break
            try:
                run._lock.acquire()
            except OutputError:
                time.sleep(0.05)  # a training is between the two renames right now
                continue
            with contextlib.suppress(OSError):
                run._complete_finish()
            break
    return os.path.isdir(run.final)
