"""Ctrl-C and SIGTERM wherever they come: 130 or 143, one line, and nothing half written stays."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from mlpcli.cli import main
from mlpcli.cli.signals import Signals
from tests.program import DATA, mlp, start


@pytest.fixture
def signals():
    """Signals of a program that listens, for the length of a test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hook = sys.unraisablehook
    listening = Signals()
    listening.listen()
    yield listening
    sys.unraisablehook = hook
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_a_library_wraps_into_its_own_error_is_no_bug(iris, monkeypatch, signals, number, code):
    def wrapped(*_, **__):
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        except KeyboardInterrupt as event:
            raise RuntimeError("the schema cannot be built") from event

    monkeypatch.setattr(main, "signals", signals)
    monkeypatch.setattr("mlpcli.workflows.inspect.load_model", wrapped)
    ended = mlp("inspect", iris)
    assert (ended.code, ended.stdout, ended.stderr) == (code, "", "interrupted.\n")


def test_a_signal_that_python_drops_comes_again(signals):
    class Cleared:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.001)

    def clear_and_wait():
        Cleared()
        time.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        clear_and_wait()
    assert signals.exit_code == 143


def test_a_signal_that_is_ignored_stays_so():
    script = (
        "import signal\nfrom mlpcli.cli.signals import Signals\n"
        "from mlpcli.workflows.training.interruption import Interruption\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\nSignals().listen()\n"
        "with Interruption():\n    print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert ended.stdout == b"True\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_prediction_that_is_interrupted_leaves_neither_half_a_file_nor_a_temporary_one(folder, iris, number, code):
    with start("predict", iris, "-", "-o", "out.csv", cwd=folder) as process:
        # More than a pipe holds: once it is written, the program has started to read.
        process.stdin.write((DATA / "iris.csv").read_bytes() + b"5.1,3.5,1.4,0.2,setosa\n" * 4000)
        process.stdin.flush()
        for _ in range(50):  # Python may miss a signal that arrives just before a read that waits
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.2)
                break
        assert process.stderr.read() == b"interrupted.\n"
        assert process.returncode == code
    assert os.listdir(folder) == []


AT_IMPORT = """
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == "mlpcli.cli.main":
            os.kill(os.getpid(), signal.SIGINT)
            signal.sigtimedwait([], 5)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
from mlpcli.__main__ import main
main()
"""


def test_ctrl_c_before_the_program_is_imported_shows_no_traceback():
    ended = subprocess.run([sys.executable, "-c", AT_IMPORT], capture_output=True, timeout=30)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")
