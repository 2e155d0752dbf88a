"""Results of numbered tasks, taken in the order of the numbers, whichever is done first."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from mlpcli.cluster.tasks import NOT_YET
from mlpcli.errors import MlpError

MAX_WAITING = 16  # results that may wait for an earlier one

Result = TypeVar("Result")


class FilesInOrder(Generic[Result]):
    """Files by number: `take` is given what each came to, in their order."""

    def __init__(self, n_files: int, take: Callable[[Result], None]) -> None:
        self._n_files, self._take = n_files, take
        self._next, self._taken, self._waiting = 0, 0, dict[int, Result]()

    def next(self) -> Any:
        """The number of the next file."""
        if self._next >= self._n_files:
            return None
        if self._next - self._taken > MAX_WAITING:
            return NOT_YET
        self._next += 1
        return self._next - 1

    def report(self, task: Any, *what: Any) -> bool:
        """Nothing is reported."""
        return False

    def done(self, task: int, result: Result) -> None:
        """Take what is next, as far as it is there."""
        self._waiting[task] = result
        while self._taken in self._waiting:
            self._take(self._waiting.pop(self._taken))
            self._taken += 1

    def died(self, task: int, reason: str) -> bool:
        """No file can be left out."""
        raise MlpError(f"--cluster: {reason} (file {task + 1} of {self._n_files}). Was there enough memory?")
