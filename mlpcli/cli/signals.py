"""Ctrl-C and SIGTERM outside of a training: the work ends at once, nothing half written stays, no traceback shows."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
PAUSE_SECONDS = 0.01


class Signals:
    """Whether a signal has asked this process to end; it raises KeyboardInterrupt, which a library may disguise."""

    def __init__(self) -> None:
        self.exit_code = 0

    def listen(self) -> None:
        """From now on the signals are noted. One that is ignored, as in a job in the background, stays so."""
        for number in EXIT_CODES:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._end)
        sys.unraisablehook = self._unraisable

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.exit_code = EXIT_CODES[signal.Signals(number)]
        raise KeyboardInterrupt

    def _unraisable(self, unraisable: Any) -> None:
        """Send the signal again where Python had to drop the exception, as it does while it clears an object away."""
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            number = next((number for number, code in EXIT_CODES.items() if code == self.exit_code), signal.SIGINT)
            # Not at once: it would be raised in here, and dropped again.
            again = threading.Timer(PAUSE_SECONDS, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
        else:
            sys.__unraisablehook__(unraisable)
