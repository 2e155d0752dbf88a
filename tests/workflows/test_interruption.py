"""The first signal sets a flag, the second one ends the process."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from mlpcli.workflows.training.interruption import Interruption


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_first_signal_only_sets_the_flag(number, code):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert not interruption.is_set()
        assert interruption.exit_code == 0
        os.kill(os.getpid(), number)
        assert interruption.is_set()
        assert interruption.exit_code == code
    assert signal.getsignal(number) == before


def test_in_the_immediate_block_a_first_signal_raises_whether_it_comes_inside_or_came_before():
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


def test_outside_of_the_main_thread_no_handler_is_installed():
    before = signal.getsignal(signal.SIGINT)
    found = []

    def work():
        with Interruption() as interruption:
            found.append((interruption.is_set(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, before)]
