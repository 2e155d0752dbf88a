"""Tasks on real worker processes: each is done even if workers die, and every wait has a limit."""

import os
import queue
import signal
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("distributed", reason="the extra cluster is not installed")

from distributed import LocalCluster, Security
from distributed.client import FutureCancelledError

from mlpcli.cluster import connection, tasks
from mlpcli.cluster.address import TlsFiles, check_address
from mlpcli.cluster.connection import DASHBOARD_ADDRESS, connected
from mlpcli.cluster.tasks import run_on_cluster
from mlpcli.errors import MlpError

pytestmark = pytest.mark.filterwarnings("ignore")  # of Dask, which closes its own sockets as it likes


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as cluster:
        yield cluster


class Tasks:
    def __init__(self, n):
        self.waiting, self.results, self.dead, self.reports = list(range(n)), {}, {}, []

    def next(self):
        return self.waiting.pop(0) if self.waiting else None

    def report(self, task, *what):
        self.reports.append((task, *what))
        return task == 1

    def done(self, task, result):
        assert task not in self.results
        self.results[task] = result

    def died(self, task, reason):
        self.dead[task] = reason
        return True


def square(setup, task, report):
    return setup["offset"] + task * task


def die_once(setup, task, report):
    mark = Path(setup) / str(task)
    if task == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def die_after_a_result(setup, task, report):
    """The second task on a worker kills it soon, so that its results are lost before they are fetched."""
    mark = Path(setup) / "begun"
    if task == 1 and not mark.exists():
        mark.touch()
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return task


def report_until_stopped(setup, task, report):
    for step in range(200):
        if report(step):
            return "ended"
        if task != 1 and step == 3:
            return "done"
        time.sleep(0.02)
    return "never told"


def never_ends(setup, task, report):
    report("begun")
    time.sleep(300)


def pid_of(setup, task, report):
    time.sleep(0.03)
    return os.getpid()


def fail(setup, task, report):
    raise ZeroDivisionError("a bug")


def run(cluster, run_task, setup, n, must_stop=lambda: False):
    queued = Tasks(n)
    with connected(cluster.scheduler_address) as client:
        run_on_cluster(client, run_task, setup, queued, must_stop)
    return queued


def test_every_task_is_done_once(cluster):
    queued = run(cluster, square, {"offset": 3}, 12)
    assert queued.results == {n: 3 + n * n for n in range(12)}


def test_short_tasks_are_shared_by_all_workers(cluster):
    """Dask alone gives them to the worker that has the setup, and moves only what takes longer."""
    n_tasks = Counter(run(cluster, pid_of, None, 12).results.values())
    assert len(n_tasks) == 2
    assert min(n_tasks.values()) >= 4


def test_a_task_whose_worker_is_killed_is_run_by_another(cluster, tmp_path):
    queued = run(cluster, die_once, str(tmp_path), 6)
    assert queued.results == {n: n for n in range(6)}
    assert (tmp_path / "2").exists()
    assert not queued.dead


def test_a_result_that_is_lost_with_its_worker_is_computed_again(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "ANSWER_SECONDS", 0.2)  # too short for the workers that take the place of the dead
    monkeypatch.setattr(tasks._WorkerThreads, "threads", lambda self: {"tcp://127.0.0.1:1": 2})
    queued = run(cluster, die_after_a_result, str(tmp_path), 6)
    assert queued.results == {n: n for n in range(6)}
    assert (tmp_path / "begun").exists()


def test_the_reply_to_a_report_stops_a_task(cluster):
    queued = run(cluster, report_until_stopped, None, 3)
    assert queued.results == {0: "done", 1: "ended", 2: "done"}
    assert {task for task, _ in queued.reports} == {0, 1, 2}


def test_an_exception_of_a_task_is_raised_in_the_command(cluster):
    with pytest.raises(ZeroDivisionError):
        run(cluster, fail, None, 2)


def test_running_tasks_are_cancelled_at_must_stop(cluster):
    started = time.monotonic()
    queued = run(cluster, report_until_stopped, None, 1, must_stop=lambda: time.monotonic() > started + 0.5)
    assert queued.results in ({}, {0: "done"})


def test_waiting_for_the_last_task_has_a_limit_if_no_worker_is_left(monkeypatch):
    monkeypatch.setattr(tasks, "NO_WORKER_SECONDS", 0.5)
    started, queued = time.monotonic(), Tasks(1)

    def must_stop():
        if queued.reports and len(local_cluster.workers):
            local_cluster.scale(0)
        return time.monotonic() - started > 60

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as local_cluster,
        connected(local_cluster.scheduler_address) as client,
        pytest.raises(MlpError, match=r"the cluster has had no worker for 0\.5 s"),
    ):
        run_on_cluster(client, never_ends, None, queued, must_stop)


class LostFuture:
    """A future whose result is lost with the scheduler between two polls."""

    status = "finished"

    def result(self, timeout):
        self.status = "cancelled"
        raise FutureCancelledError("task", "scheduler-connection-lost")


def test_a_result_that_is_lost_with_the_scheduler_is_an_error_of_the_cluster():
    messages = queue.SimpleQueue()
    messages.put(("done", "name"))
    client, running = SimpleNamespace(status="connecting"), {"name": tasks._Running(1, "", LostFuture())}
    with pytest.raises(MlpError, match="scheduler of the cluster is gone"):
        tasks._handle_message(client, "topic", messages, running, Tasks(0))


def test_a_lost_scheduler_is_an_error(monkeypatch):
    local_cluster = LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    )
    queued = Tasks(500)

    def must_stop():
        if len(queued.reports) > 2 and local_cluster.status.name == "running":
            monkeypatch.setattr(tasks, "ANSWER_SECONDS", 5.0)  # before, a busy machine may take longer
            local_cluster.close()
        return False

    try:
        with (
            connected(local_cluster.scheduler_address) as client,
            pytest.raises(MlpError, match="scheduler of the cluster is gone"),
        ):
            run_on_cluster(client, report_until_stopped, None, queued, must_stop)
    finally:
        local_cluster.close()


@pytest.mark.filterwarnings("error:Port")
def test_an_occupied_dashboard_port_does_not_matter():
    with socket.socket() as taken, suppress(OSError):
        taken.bind(("0.0.0.0", 8787))
        taken.listen()
        with connected("local:1") as client:
            assert len(client.scheduler_info()["workers"]) == 1


@pytest.mark.parametrize("address", ["local", "local:0", "here", "tcp://host", "http://host:80", "local:2x"])
def test_an_invalid_address_is_an_error(address):
    with pytest.raises(MlpError, match=r"must be tcp://HOST:PORT"):
        check_address(address)


def test_waiting_for_a_scheduler_has_a_limit(monkeypatch):
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(MlpError, match="no scheduler answers within"), connected("tcp://127.0.0.1:9"):
        pass
    assert time.monotonic() - started < 60


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A cluster with TLS, the files of its clients, and those of another authority."""
    pytest.importorskip("cryptography", reason="certificates are made by it")
    files = []
    for name in ("own", "foreign"):
        folder, security = tmp_path_factory.mktemp(name), Security.temporary()
        for file in ("ca_file", "client_cert", "client_key"):
            (folder / file).write_text(getattr(security, f"tls_{file}"))
        files.append(TlsFiles(*(str(folder / file) for file in ("ca_file", "client_cert", "client_key"))))
        if name == "own":
            own_security = security
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=True,
        dashboard_address=DASHBOARD_ADDRESS,
        security=own_security,
        host="tls://127.0.0.1",
    ) as cluster:
        yield cluster.scheduler_address, *files


def test_tasks_run_on_a_cluster_with_tls(tls):
    address, own_files, _ = tls
    assert address.startswith("tls://")
    queued = Tasks(3)
    with connected(address, own_files) as client:
        run_on_cluster(client, square, {"offset": 1}, queued, lambda: False)
    assert queued.results == {0: 1, 1: 2, 2: 5}


def test_a_client_without_a_certificate_of_the_authority_is_rejected(tls, monkeypatch):
    tls_address, _, foreign_files = tls
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 2.0)
    for address, files in [(tls_address, foreign_files), (tls_address.replace("tls", "tcp"), None)]:
        with pytest.raises(MlpError, match="no scheduler answers"), connected(address, files):
            pass


def test_invalid_tls_files_are_reported_before_connecting(tls, tmp_path):
    address, own_files, foreign_files = tls
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for files, message in [
        (replace(own_files, key=own_files.key + ".none"), r"client_key\.none: cannot be read \(No such file"),
        (replace(own_files, authority=str(empty)), r"empty\.pem: holds no CA certificates in PEM format"),
        (replace(own_files, key=foreign_files.key), "not a certificate and its key"),
    ]:
        with pytest.raises(MlpError, match=message), connected(address, files):
            pass


def test_a_scheduler_that_does_not_answer_when_a_flag_is_set_is_lost():
    class SilentClient:
        scheduler = SimpleNamespace(event_set=None)

        def sync(self, function, name, callback_timeout):
            assert callback_timeout == tasks.ANSWER_SECONDS
            raise TimeoutError

    with pytest.raises(MlpError, match="scheduler of the cluster is gone"):
        tasks._set_flag(SilentClient(), "flag")
