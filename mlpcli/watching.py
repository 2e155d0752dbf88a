"""How far long work is: the work tells, and whoever shows it listens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Kind = Literal["bytes", "rows read", "rows", "steps", "stage"]


@dataclass(frozen=True)
class Work:
    """`done` of `total` bytes or rows read, rows answered, steps of an epoch taken; `total` is 0 where nobody knows it.

    A stage is what begins now and may take a while (`scoring`), `done` of `total` in any unit.
    """

    kind: Kind
    name: str
    done: int
    total: int = 0


Listener = Callable[[Work], None]

_listeners: list[Listener] = []


def is_watched() -> bool:
    """Whether anybody listens: telling costs time."""
    return bool(_listeners)


def tell(kind: Kind, name: str, done: int, total: int = 0) -> None:
    """Say how far the work is, from any thread."""
    for listener in _listeners:
        listener(Work(kind, name, done, total))


@contextmanager
def watched_by(listener: Listener) -> Iterator[None]:
    """Have `listener` told in this block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
