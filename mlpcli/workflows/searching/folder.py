"""The folder of a search: its journal, a folder for each trial, and the config of the best trial.

runs/birds-search/journal.jsonl     every trial with its values and scores, from which `--resume` continues
runs/birds-search/trials/0017/      config.yaml, metrics.json, history.csv; for the best and the first also weights.npz
runs/birds-search/birds-best.yaml   the complete config of the best trial
"""

import contextlib
import os
import shutil
from collections.abc import Mapping
from types import TracebackType

from mlpcli.errors import OutputError
from mlpcli.storage.atomic import check_path, is_temporary, output_error, write_file
from mlpcli.storage.run.lock import Lock
from mlpcli.storage.run.run_directory import LOCK, PARTIAL, WEIGHTS

JOURNAL, TRIALS = "journal.jsonl", "trials"
ARRAYS = ".mlp-arrays.tmp"


class SearchFolder:
    """The folder `path`, which is locked from `begin` to the end of the `with` block. Raises OutputError."""

    def __init__(self, path: str) -> None:
        check_path(path)
        self.path = os.path.normpath(path)
        self._lock = Lock(self.path + LOCK, self.path)

    @property
    def journal(self) -> str:
        """Path of the journal of trials."""
        return os.path.join(self.path, JOURNAL)

    @property
    def arrays(self) -> str:
        """Path of the temporary file of arrays that processes share."""
        return os.path.join(self.path, ARRAYS)

    def begin(self, resume: bool) -> bool:
        """Create and lock the folder, and remove unfinished files; returns whether it has a search to resume.

        Raises OutputError if it has a search and `resume` is False, if it is in use, or if it has other files.
        """
        if os.path.isdir(self.path) and not os.path.exists(self.journal) and self._names():
            raise OutputError(f"{self.path}: is a folder with other files, not of a search. Choose another --output.")
        if os.path.exists(self.journal) and not resume:
            raise OutputError(
                f"{self.path}: already holds a search. Continue with --resume, or choose another --output."
            )
        try:
            os.makedirs(os.path.join(self.path, TRIALS), exist_ok=True)
        except OSError as error:
            raise output_error(self.path, error) from error
        self._lock.acquire()
        for name in self._names():
            if is_temporary(name):
                os.unlink(os.path.join(self.path, name))
        for name in os.listdir(os.path.join(self.path, TRIALS)):
            if name.endswith(PARTIAL):
                shutil.rmtree(os.path.join(self.path, TRIALS, name))
        return os.path.exists(self.journal)

    def __enter__(self) -> "SearchFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.arrays)
        if self._lock.is_held:
            with contextlib.suppress(OSError):  # rmdir removes empty folders only
                os.rmdir(os.path.join(self.path, TRIALS))
                os.rmdir(self.path)
        self._lock.release()

    def trial(self, number: int) -> str:
        """Path of the folder of a trial."""
        return trial_folder(self.path, number)

    def weights(self, number: int) -> str:
        """Path of the model of a trial."""
        return os.path.join(self.trial(number), WEIGHTS)

    def write_trial(self, number: int, files: Mapping[str, bytes]) -> None:
        """Write the files of a trial by name; the folder appears complete or not at all."""
        if files:
            write_trial(self.trial(number), files)

    def drop_weights(self, number: int) -> None:
        """Remove the model of a trial that is no longer the best."""
        with contextlib.suppress(OSError):
            os.unlink(self.weights(number))

    def write(self, name: str, data: bytes) -> str:
        """Write a file of the search atomically; returns its path."""
        path = os.path.join(self.path, name)
        write_file(path, data)
        return path

    def _names(self) -> list[str]:
        with contextlib.suppress(OSError):
            return os.listdir(self.path)
        return []


def trial_folder(path: str, number: int) -> str:
    """Path of the folder of a trial, in the search folder `path`."""
    return os.path.join(path, TRIALS, f"{number:04}")


def write_trial(folder: str, files: Mapping[str, bytes]) -> None:
    """Write the files of a trial to a temporary folder, and rename it. Raises OutputError.

    Only the model is synced: after a crash the journal tells which trials have to be run again.
    """
    partial = folder + PARTIAL
    try:
        for old in (partial, folder):
            if os.path.isdir(old):
                shutil.rmtree(old)
        os.makedirs(partial)
        for name, data in files.items():
            path = os.path.join(partial, name)
            if name == WEIGHTS:
                write_file(path, data)
                continue
            with open(path, "wb") as file:
                file.write(data)
        os.rename(partial, folder)
    except OSError as error:
        raise output_error(folder, error) from error
