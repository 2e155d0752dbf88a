"""Progress of long work, reported from any module to listeners such as a progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Kind = Literal["bytes", "rows read", "rows", "steps", "stage"]


@dataclass(frozen=True)
class Progress:
    """`done` of `total` bytes or rows read, rows predicted, or steps of an epoch; `total` is 0 if it is unknown.

    The kind "stage" announces the work that begins, by `name` (`scoring`), with `done` and `total` in any unit.
    """

    kind: Kind
    name: str
    done: int
    total: int = 0


Listener = Callable[[Progress], None]

_listeners: list[Listener] = []


def has_listeners() -> bool:
    """Whether there is a listener; without one, computing the progress can be skipped."""
    return bool(_listeners)


def report_progress(kind: Kind, name: str, done: int, total: int = 0) -> None:
    """Pass the progress to every listener; may be called from any thread."""
    for listener in _listeners:
        listener(Progress(kind, name, done, total))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """A context in which `listener` is called with all progress."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
