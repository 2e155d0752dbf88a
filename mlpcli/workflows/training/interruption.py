"""Ctrl-C and SIGTERM as a question that the training loop asks between two steps, so no state is torn."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Interruption:
    """Within the `with` block a first SIGINT or SIGTERM is only noted; a second one ends the program.

    The second is left to who handled it before, else it raises KeyboardInterrupt. A signal that is ignored stays so.

    `is_set()` says whether a signal came, `exit_code` which: 130 for SIGINT, 143 for SIGTERM.
    """

    def __init__(self) -> None:
        self._signal: int | None = None
        self._previous: dict[int, object] = {}
        self._stops_at_once = False

    def __enter__(self) -> "Interruption":
        for number in EXIT_CODES:
            if signal.getsignal(number) is signal.SIG_IGN:
                continue
            try:
                self._previous[number] = signal.signal(number, self._note)
            except ValueError:  # not in the main thread: signals stay with whoever runs us
                return self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # it came from signal.signal
        self._previous = {}

    def is_set(self) -> bool:
        """Whether a signal has come."""
        return self._signal is not None

    @property
    def exit_code(self) -> int:
        """The shell's code for the signal that came: 128 plus its number."""
        return EXIT_CODES[signal.Signals(self._signal)] if self._signal is not None else 0

    @contextmanager
    def immediate(self) -> Iterator[None]:
        """Within, where nobody asks and no state can be torn, a first signal raises KeyboardInterrupt."""
        self._stops_at_once = True
        try:
            if self.is_set():
                raise KeyboardInterrupt
            yield
        finally:
            self._stops_at_once = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        before = self._previous.get(number)
        signal.signal(number, before if callable(before) else signal.default_int_handler)
        if self._stops_at_once:
            raise KeyboardInterrupt
