"""Processes from the server: as this one would have started them, with what was imported once."""

import os
import signal
import sys
from multiprocessing import forkserver

import pytest

from mlpcli.fork_server import METHOD, ONE_THREAD, context, single_threaded_blas, start_server

pytestmark = pytest.mark.skipif(METHOD != "forkserver", reason="no fork here")


def tell(connection):
    is_deaf = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    connection.send((os.getcwd(), [os.environ.get(name) for name in ONE_THREAD], is_deaf, "numpy" in sys.modules))


@pytest.fixture(autouse=True)
def no_server():
    """Stop the server that another test may have started with other modules."""
    forkserver._forkserver._stop()


def test_a_process_has_one_thread_the_folder_of_now_and_does_not_hear_ctrl_c(tmp_path, monkeypatch):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    start_server("numpy")
    start_server("pandas")  # it runs already
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    monkeypatch.chdir(tmp_path)
    here, there = context().Pipe()
    process = context().Process(target=tell, args=(there,), daemon=True)
    process.start()
    there.close()
    assert here.poll(60)
    assert here.recv() == (str(tmp_path), ["1"] * len(ONE_THREAD), True, True)
    process.join(60)
    assert process.exitcode == 0


def test_the_environment_is_as_it_was_after_a_start(monkeypatch):
    monkeypatch.setenv(ONE_THREAD[0], "7")
    monkeypatch.delenv(ONE_THREAD[1], raising=False)
    with single_threaded_blas():
        assert {os.environ[name] for name in ONE_THREAD} == {"1"}
    assert os.environ[ONE_THREAD[0]] == "7"
    assert ONE_THREAD[1] not in os.environ
