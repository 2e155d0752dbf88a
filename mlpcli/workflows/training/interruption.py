"""SIGINT and SIGTERM set a flag that the training loop polls between steps, so the state stays consistent."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Interruption:
    """A context manager whose handlers of SIGINT and SIGTERM only set a flag at the first signal.

    A second signal goes to the previous handler, or raises KeyboardInterrupt if there was none. Signals that the
    process ignores stay ignored. Outside the main thread no handler is installed.
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._previous_handlers: dict[int, object] = {}
        self._raises_at_once = False

    def __enter__(self) -> "Interruption":
        for signal_number in EXIT_CODES:
            if signal.getsignal(signal_number) is signal.SIG_IGN:
                continue
            try:
                self._previous_handlers[signal_number] = signal.signal(signal_number, self._handle_signal)
            except ValueError:  # only the main thread can install handlers: those of the caller stay
                return self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signal_number, handler in self._previous_handlers.items():
            signal.signal(signal_number, handler)  # type: ignore[arg-type]  # it came from signal.signal
        self._previous_handlers = {}

    def is_set(self) -> bool:
        """Whether a signal was received."""
        return self._received is not None

    @property
    def exit_code(self) -> int:
        """The shell's exit code for the received signal, 128 plus its number (SIGINT 130, SIGTERM 143); 0 for none."""
        return EXIT_CODES[signal.Signals(self._received)] if self._received is not None else 0

    @contextmanager
    def immediate(self) -> Iterator[None]:
        """Raise KeyboardInterrupt at the first signal: for code that does not poll and changes no training state."""
        self._raises_at_once = True
        try:
            if self.is_set():
                raise KeyboardInterrupt
            yield
        finally:
            self._raises_at_once = False

    def _handle_signal(self, signal_number: int, frame: FrameType | None) -> None:
        self._received = signal_number
        previous_handler = self._previous_handlers.get(signal_number)
        signal.signal(signal_number, previous_handler if callable(previous_handler) else signal.default_int_handler)
        if self._raises_at_once:
            raise KeyboardInterrupt
