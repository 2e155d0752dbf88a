"""Ctrl-C and SIGTERM outside a training: end at once, without partial files and without a traceback."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
PAUSE_SECONDS = 0.01


class Signals:
    """Records the exit code of a signal and raises KeyboardInterrupt, which a library may wrap."""

    def __init__(self) -> None:
        self.exit_code = 0

    def listen(self) -> None:
        """Install the handlers, except for ignored signals, as of a background job."""
        for number in EXIT_CODES:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._end)
        sys.unraisablehook = self._unraisable

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.exit_code = EXIT_CODES[signal.Signals(number)]
        raise KeyboardInterrupt

    def _unraisable(self, unraisable: Any) -> None:
        """Send the signal again if Python dropped the exception, as it does in finalizers."""
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            number = next((number for number, code in EXIT_CODES.items() if code == self.exit_code), signal.SIGINT)
            # With a delay, as an exception raised in this hook would be dropped again.
            again = threading.Timer(PAUSE_SECONDS, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
        else:
            sys.__unraisablehook__(unraisable)
