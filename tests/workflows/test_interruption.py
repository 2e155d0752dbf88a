"""Signals become a question; the second one is meant."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from mlpcli.workflows.training.interruption import Interruption


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_first_signal_is_only_noted(number, code):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert not interruption.is_set()
        assert interruption.exit_code == 0
        os.kill(os.getpid(), number)
        assert interruption.is_set()
        assert interruption.exit_code == code
    assert signal.getsignal(number) == before


def test_where_it_ends_at_once_a_first_signal_does_so_whether_it_comes_now_or_came_before():
    with Interruption() as interruption:
        with pytest.raises(KeyboardInterrupt), interruption.immediate():
            os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.exit_code == 143
        with pytest.raises(KeyboardInterrupt), interruption.immediate():
            raise AssertionError("went on")


def test_a_second_signal_ends_the_process_at_once():
    script = (
        "import os, signal\n"
        "from mlpcli.workflows.training.interruption import Interruption\n"
        "with Interruption():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('still here', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('never here', flush=True)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert ended.stdout == b"still here\n"
    assert ended.returncode == -signal.SIGINT


def test_outside_of_the_main_thread_signals_stay_with_whoever_runs_us():
    before = signal.getsignal(signal.SIGINT)
    found = []

    def work():
        with Interruption() as interruption:
            found.append((interruption.is_set(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, before)]
