"""A run is complete or it is not there: it grows in `<output>.partial/` and takes the name when it is done.

Around a run `runs/x` there can be, for as long as they are needed:

    runs/x.partial/    the run that grows, or one that was interrupted and can be resumed
    runs/x.complete/   the new run, whole, until it has taken the name
    runs/x.replaced/   the old run, which made way for the new one, until its files are removed
    runs/x.lock        one training at a time

A crash may leave any of them. What stands in `x.complete` and nothing else is published, by the next reader (`repair`)
or training (`begin`). Of an old run only the files mlp wrote are removed: whatever else stands in the folder moves into
the new run, under a numbered name where that has one of the same name.

An old run of another config is not replaced: it is kept, with all that is in its folder, as `runs/x.1`, `runs/x.2`, ...
"""

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from mlpcli.errors import OutputError
from mlpcli.storage.atomic import check_path, is_temporary, output_error, sync_folder, write_file
from mlpcli.storage.history import History
from mlpcli.storage.kept_run import free_name, is_of_another_config, numbered
from mlpcli.storage.lock import Lock
from mlpcli.storage.run_kind import RunKind

WEIGHTS = "weights.npz"
CHECKPOINT = "checkpoint.npz"
HISTORY = "history.csv"
CONFIG = "config.yaml"
METRICS = "metrics.json"
RUN_FILES = (CONFIG, WEIGHTS, METRICS, HISTORY, CHECKPOINT)
TRAINING = RunKind("run", WEIGHTS, CHECKPOINT, RUN_FILES)

# How the stop_reason in METRICS begins of a training that cannot go on as it is, of one that can, of a trial given up.
DIVERGED, INTERRUPTED, PRUNED = "diverged", "interrupted", "pruned"

PARTIAL, COMPLETE, REPLACED, LOCK = ".partial", ".complete", ".replaced", ".lock"


class RunDirectory:
    """The folder of one run; use it in a `with` block, which gives the lock back however the work ends.

    `final` and `partial` are the paths of the complete and of the growing run; `kept` is where an old run of another
    config has gone, "" for none. With `replaces_any` no run is kept. Every method raises OutputError for what cannot be
    written.
    """

    def __init__(self, output: str, replaces_any: bool = False, kind: RunKind = TRAINING) -> None:
        check_path(output)
        self._kind = kind
        name = os.path.basename(os.path.normpath(output))
        if name in ("", os.curdir, os.pardir) or name.endswith((PARTIAL, COMPLETE, REPLACED, LOCK)):
            raise OutputError(f"{output}: not a name for a run. Choose another output, such as runs/penguins.")
        # A link to a folder stays a link: what it points to is replaced.
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
        """Raise OutputError where `begin` would, as far as can be told without touching anything."""
        self._check_final()
        folder = os.path.dirname(self.final) or os.curdir
        while not os.path.lexists(folder):
            folder = os.path.dirname(folder) or os.curdir
        if not os.path.isdir(folder):
            raise OutputError(f"{self.final}: cannot be written: {folder} is not a folder. Choose another output.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"{self.final}: cannot be written: no permission in {folder}. Choose another output.")

    def begin(self, resume: bool) -> tuple[str, ...]:
        """Take the lock, settle what a crash has left, and make `partial` ready; returns sentences to tell the user.

        Fresh: an older unfinished run makes way. Resume: it is kept if it has a checkpoint, which `can_resume` says;
        then read the checkpoint and call `rewind_history`.
        """
        try:
            os.makedirs(os.path.dirname(self.final) or os.curdir, exist_ok=True)
        except OSError as error:
            raise output_error(self.final, error) from error
        self._lock.acquire()
        try:
            self._check_final()
            self._settle()
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
        """After `begin`: whether there is a checkpoint to go on from."""
        return os.path.isfile(self.path(self._kind.progress))

    def path(self, name: str) -> str:
        """Where a file of the growing run stands."""
        return os.path.join(self.partial, name)

    def write(self, name: str, data: bytes) -> None:
        """Write one file of the growing run, whole or not at all."""
        write_file(self.path(name), data)

    def remove(self, name: str) -> None:
        """Remove one file of the growing run, if it is there."""
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path(name))
        except OSError as error:
            raise output_error(self.path(name), error) from error

    def append_history(self, row: Mapping[str, float | int | str | None]) -> None:
        """Add the row of one epoch to history.csv; the first key is `epoch`, the first row's keys are the header."""
        self._history.append(row)

    def rewind_history(self, epoch: int, columns: Sequence[str] | None = None) -> None:
        """Forget the rows after `epoch`, the one the checkpoint was written at; `columns` are those it must have."""
        self._history.rewind(epoch, columns)

    def finish(self) -> None:
        """Give the run its name; an old run of that name is gone afterwards, or `kept`.

        Raises ValueError without the file that makes it complete.

        When this raises, the old run is where it was and the new one in `partial`; only if the last sync of the parent
        folder failed, the new one is in place already.
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
                with contextlib.suppress(OSError):  # then the next reader or training publishes it
                    os.rename(self._complete, self.partial)
                raise
            sync_folder(os.path.dirname(self.final))
        except OSError as error:
            raise output_error(self.final, error) from error
        # The new run stands; what cannot be cleared now is cleared at the next begin.
        with contextlib.suppress(OSError):
            self._clear_replaced()
        self.release()

    def release(self) -> None:
        """Let go: close the history, remove what cannot be resumed, give the lock back. Safe to call twice."""
        self._history.abandon()
        if self._lock.is_held and not self.can_resume:
            with contextlib.suppress(OSError):
                for name in os.listdir(self.partial):
                    if self._is_ours(self.path(name)):
                        os.unlink(self.path(name))
                os.rmdir(self.partial)
        self._lock.release()

    def _publish(self) -> None:
        """`complete` takes the name, the old run makes way; raises OSError, and has then moved nothing."""
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
        """Whether the old run is of another config than the new one."""
        if self._replaces_any or not os.path.lexists(os.path.join(self.final, self._kind.result)):
            return False
        return is_of_another_config(os.path.join(self.final, CONFIG), os.path.join(self._complete, CONFIG))

    @property
    def _is_waiting(self) -> bool:
        """Whether a finished run waits for its name; a folder of that name without its result is not ours."""
        return os.path.isfile(os.path.join(self._complete, self._kind.result))

    def _settle(self) -> None:
        """Bring an interrupted `finish` to its end; raises OSError. Only with the lock."""
        if self._is_waiting:
            self._publish()
            sync_folder(os.path.dirname(self.final))
        if os.path.lexists(self.final):
            self._clear_replaced()

    def _clear_replaced(self) -> None:
        """Remove the old run's files, hand what is not ours to the run that has the name; raises OSError."""
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
        """Refuse, before the training, to replace what cannot or should not be replaced."""
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
        """Make `partial` an empty (or a kept) folder that can be written to; raises OSError."""
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
    """Bring an interrupted `finish` of the run `output` to its end; says whether the run is there (now).

    For readers that do not find a run. Does nothing, and needs no permission, where nothing was interrupted.
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
                run._settle()
            break
    return os.path.isdir(run.final)
