"""Word of Numba's compiling: it begins within a call, once for a function and dtype, and lasts 10 to 20 seconds."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from numba.core.event import Listener, install_listener


class _Teller(Listener):
    def __init__(self, tell: Callable[[], object]) -> None:
        self._tell, self._has_told = tell, False

    def on_start(self, event: Any) -> None:
        """A function is compiled, maybe for another one that is."""
        if not self._has_told:
            self._has_told = True
            self._tell()

    def on_end(self, event: Any) -> None:
        """Nothing: what comes next is the first step."""


def told_of_compiling(tell: Callable[[], object]) -> AbstractContextManager[object]:
    """Within, `tell` is called when compiling begins, once; not where the code is loaded from the disk."""
    context: AbstractContextManager[object] = install_listener("numba:compile", _Teller(tell))
    return context
