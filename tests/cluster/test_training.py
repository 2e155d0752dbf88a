"""One network trained by real worker processes: as in one process, even if workers die; every wait has a limit."""

import os
import signal
import time

import pytest

pytest.importorskip("distributed", reason="the extra cluster is not installed")

import numpy as np
from distributed import LocalCluster

from mlpcli.cluster import connection, pool
from mlpcli.storage.model.model_file import load_model
from mlpcli.workflows.sharded.rounds import RoundTrainer
from tests.program import DATA, done, mlp, write_config

pytestmark = pytest.mark.filterwarnings("ignore")  # of Dask, which closes its own sockets as it likes

LOCAL = {"threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"}


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, **LOCAL) as cluster:
        yield cluster


@pytest.fixture
def config(folder):
    """The penguins in three files."""
    head, *rows = (DATA / "penguins.csv").read_text().splitlines()
    for number, (begin, end) in enumerate([(0, 30), (30, 250), (250, 344)]):
        (folder / f"part-{number}.csv").write_text("\n".join([head, *rows[begin:end]]) + "\n")
    training = {"epochs": 2, "batch_size": 70, "dtype": "float64", "early_stopping": {"patience": 9}}
    data = {"train": "part-*.csv", "target": "species"}
    return write_config(folder / "penguins.yaml", data, training, model={"dropout": 0.1})


def assert_equal_models(on_cluster, in_one_process):
    first, second = (load_model(str(path)) for path in (on_cluster, in_one_process))
    for name, values in second.preprocessor.state.items():
        assert values.tobytes() == first.preprocessor.state[name].tobytes(), name
    np.testing.assert_allclose(first.ensemble.flats[0], second.ensemble.flats[0], rtol=1e-9, atol=1e-12)


def pid_of(cluster, address):
    return next(nanny.pid for nanny in cluster.workers.values() if nanny.worker_address == address)


def call_at_round(monkeypatch, act, at_round=3):
    """Call `act(pool)` before one of the rounds."""
    run_round, n_rounds = RoundTrainer._round, 0

    def counting_round(self, *arguments):
        nonlocal n_rounds
        n_rounds += 1
        if n_rounds == at_round:
            act(self._pool)
        return run_round(self, *arguments)

    monkeypatch.setattr(RoundTrainer, "_round", counting_round)


def test_a_cluster_trains_as_one_machine_does_and_its_model_predicts(config, cluster):
    in_one_process = done("train", config, "-o", "here")
    on_cluster = done("train", config, "-o", "there", "--local-steps", 1, "--cluster", cluster.scheduler_address)
    assert_equal_models("there/weights.npz", "here/weights.npz")
    assert "engine    cluster: 2 shards" in on_cluster.stderr
    assert on_cluster.stdout.splitlines()[:5] == in_one_process.stdout.splitlines()[:5]
    answers = [done("predict", f"{name}/weights.npz", "part-1.csv").stdout for name in ("here", "there")]
    assert answers[0] == answers[1] != ""
    ended = mlp("repro", "there/weights.npz")
    assert (ended.code, "rounds its sums otherwise" in ended.stderr) == (2, True)


def test_a_killed_worker_does_not_change_the_result(config, cluster, monkeypatch):
    done("train", config, "-o", "here")

    def kill(shards):
        os.kill(pid_of(cluster, shards.workers[0]), signal.SIGKILL)

    call_at_round(monkeypatch, kill)
    on_cluster = done("train", config, "-o", "there", "--local-steps", 1, "--cluster", cluster.scheduler_address)
    assert "is lost: its rows (shard 1) are read by another" in on_cluster.stderr
    assert_equal_models("there/weights.npz", "here/weights.npz")


def test_a_lost_scheduler_leaves_a_checkpoint_that_is_resumed_with_or_without_a_cluster(config, cluster, monkeypatch):
    done("train", config, "-o", "here")
    local_cluster = LocalCluster(n_workers=1, **LOCAL)
    with monkeypatch.context() as patched:

        def leave(shards):
            # From here on only: a scheduler that is there may take longer on a busy machine.
            patched.setattr(pool, "ANSWER_SECONDS", 5.0)
            local_cluster.close()

        call_at_round(patched, leave, at_round=6)  # in the second epoch
        ended = mlp("train", config, "-o", "there", "--local-steps", 1, "--cluster", local_cluster.scheduler_address)
    assert ended.code == 3
    last = ended.stderr.splitlines()[-1]
    assert "the scheduler of the cluster is gone. A checkpoint of epoch 1 is in there.partial/." in last
    assert "--resume --cluster tcp://" in last
    assert "--local-steps 1" in last
    done("train", config, "-o", "there", "--resume", "--local-steps", 1, "--cluster", cluster.scheduler_address)
    assert_equal_models("there/weights.npz", "here/weights.npz")


def test_waiting_for_workers_has_a_limit(config, monkeypatch):
    monkeypatch.setattr(pool, "NO_WORKER_SECONDS", 0.5)
    started = time.monotonic()
    with LocalCluster(n_workers=0, **LOCAL) as empty:
        ended = mlp("train", config, "-o", "there", "--cluster", empty.scheduler_address)
    assert (ended.code, "has had no worker for 0.5 s" in ended.stderr) == (3, True)
    assert time.monotonic() - started < 60


def test_a_worker_that_exceeds_the_time_limit_is_lost(config, cluster, monkeypatch):
    """A stopped process neither responds nor leaves the cluster, so only the time limit of a round ends the wait."""
    done("train", config, "-o", "here")
    stopped = []

    def stop(shards):
        stopped.append(pid_of(cluster, shards.workers[0]))
        os.kill(stopped[0], signal.SIGSTOP)

    monkeypatch.setattr("mlpcli.workflows.sharded.rounds.MIN_TIMEOUT", 1.0)
    monkeypatch.setattr("mlpcli.workflows.sharded.rounds.TIMEOUT_FACTOR", 2.0)
    call_at_round(monkeypatch, stop)
    try:
        on_cluster = done("train", config, "-o", "there", "--local-steps", 1, "--cluster", cluster.scheduler_address)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert "is lost" in on_cluster.stderr
    assert_equal_models("there/weights.npz", "here/weights.npz")


def test_a_shard_moves_to_a_new_worker():
    with (
        LocalCluster(n_workers=1, **LOCAL) as local_cluster,
        connection.connected(local_cluster.scheduler_address) as client,
        client.as_current(),
    ):
        shards = pool.ShardPool(client, list, lambda shard: ([shard],), 2)
        shards.broadcast("more", "append", lambda shard: (10 * shard,))
        assert len(set(shards.workers)) == 1
        local_cluster.scale(2)
        client.wait_for_workers(2, timeout=60)
        time.sleep(1.1)  # workers are asked for once a second
        shards.rebalance()
        assert shards.call("count", lambda shard: (10 * shard,)) == [2, 1]
        assert len(set(shards.workers)) == 2


def test_shards_are_balanced_over_all_new_workers_at_once(monkeypatch):
    shards = pool.ShardPool(None, list, lambda shard: ([shard],), 7)
    monkeypatch.setattr(shards, "_workers", lambda: dict.fromkeys("abcd", 1))
    for shard in shards._shards:
        shard.actor, shard.worker = object(), "a"
    shards._excluded.add("d")
    shards.rebalance()
    assert [shards._load(name) for name in "abcd"] == [3, 0, 0, 0]
    for shard in shards._shards:  # as when each is called next
        if shard.actor is None:
            shard.actor, shard.worker = object(), shards._least_loaded()
    assert [shards._load(name) for name in "abcd"] == [3, 2, 2, 0]
    shards.rebalance()
    assert all(shard.actor for shard in shards._shards)


def test_local_steps_without_a_cluster_are_an_error(config):
    ended = mlp("train", config, "--local-steps", 2)
    assert (ended.code, "--local-steps: applies to training on a cluster only" in ended.stderr) == (2, True)


def test_a_scheduler_that_does_not_answer_is_an_error_before_anything_is_written(config, folder, monkeypatch):
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)
    ended = mlp("train", config, "-o", "there", "--cluster", "tcp://127.0.0.1:9")
    assert (ended.code, "no scheduler answers" in ended.stderr) == (2, True)
    assert not (folder / "there.partial").exists()


def test_local_workers_ignore_ctrl_c():
    """Ctrl-C reaches every process of a terminal, but the command still needs its workers to score the model."""
    with connection.connected("local:1") as client:
        pid = client.submit(os.getpid).result(timeout=60)
        os.kill(pid, signal.SIGINT)
        assert client.submit(os.getpid, pure=False).result(timeout=60) == pid


def test_a_warm_start_on_a_cluster_is_an_error(config, iris):
    ended = mlp("train", config, "--from", iris, "--cluster", "local:1")
    assert (ended.code, "is not supported on a cluster" in ended.stderr) == (2, True)
