"""Callback for compilation by Numba, which happens in the first call for a dtype and takes 10 to 20 seconds."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from numba.core.event import Listener, install_listener


class _FirstCompilation(Listener):
    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback, self._was_called = callback, False

    def on_start(self, event: Any) -> None:
        """Called for each function, nested ones included."""
        if not self._was_called:
            self._was_called = True
            self._callback()

    def on_end(self, event: Any) -> None:
        """Required by the interface."""


def on_compilation(callback: Callable[[], object]) -> AbstractContextManager[object]:
    """Context in which `callback` is called once, if Numba compiles; not if the code is loaded from its cache."""
    context: AbstractContextManager[object] = install_listener("numba:compile", _FirstCompilation(callback))
    return context
