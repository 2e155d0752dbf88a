"""Receives the results of numbered tasks in the order of their numbers, in whatever order they finish."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from mlpcli.cluster.tasks import NOT_YET
from mlpcli.errors import MlpError

MAX_WAITING = 16  # files in progress or waiting for an earlier result

Result = TypeVar("Result")


class FilesInOrder(Generic[Result]):
    """A queue of numbered files, for `run_on_cluster`; `receive` is called with each result, in the order of files."""

    def __init__(self, n_files: int, receive: Callable[[Result], None]) -> None:
        self._n_files, self._receive = n_files, receive
        self._n_started, self._n_received, self._early_results = 0, 0, dict[int, Result]()

    def next(self) -> Any:
        """The number of the next file, from 0; None at the end, NOT_YET if too many results wait for an earlier one."""
        if self._n_started >= self._n_files:
            return None
        if self._n_started - self._n_received > MAX_WAITING:
            return NOT_YET
        self._n_started += 1
        return self._n_started - 1

    def report(self, task: Any, *what: Any) -> bool:
        """Not used: files report nothing while they are processed."""
        return False

    def done(self, task: int, result: Result) -> None:
        """Store a result, and pass on all results that are next in order."""
        self._early_results[task] = result
        while self._n_received in self._early_results:
            self._receive(self._early_results.pop(self._n_received))
            self._n_received += 1

    def died(self, task: int, reason: str) -> bool:
        """Raise MlpError: the output would be incomplete without this file."""
        raise MlpError(f"--cluster: {reason} (file {task + 1} of {self._n_files}). Was there enough memory?")
