"""Predictions from a cluster are those of one process, byte for byte."""

import gzip
import os
from types import SimpleNamespace

import pytest

pytest.importorskip("distributed", reason="the extra cluster is not installed")

from distributed import LocalCluster

from mlpcli import machine
from mlpcli.errors import DataError
from mlpcli.workflows.scoring import on_cluster
from tests.program import DATA, done, mlp

pytestmark = pytest.mark.filterwarnings("ignore")  # of Dask, which closes its own sockets as it likes


@pytest.fixture(scope="module")
def address():
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as cluster:
        yield cluster.scheduler_address


PROGRESS = ("predicting ", "reading ", "scoring ")  # lines of a machine that is slow enough


def notes_of(result):
    """Standard error without the lines of progress."""
    return [line for line in result.stderr.splitlines() if not line.startswith(PROGRESS)]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The penguins in seven files of uneven length, one of them compressed, one with a header alone."""
    folder = tmp_path_factory.mktemp("files")
    head, *rows = (DATA / "penguins.csv").read_text().splitlines()
    for number, (begin, end) in enumerate([(0, 3), (3, 140), (140, 140), (140, 141), (141, 300), (300, 344)]):
        text = "\n".join([head, *rows[begin:end]]) + "\n"
        (folder / f"part-{number}.csv").write_text(text)
    (folder / "part-9.csv.gz").write_bytes(gzip.compress("\n".join([head, *rows[:9]]).encode()))
    return folder


@pytest.mark.parametrize("ending", ["csv", "jsonl", "csv.gz", "parquet"])
def test_predictions_of_many_files_are_byte_for_byte_those_of_one_process(penguins, files, address, tmp_path, ending):
    options = ["--proba", "--keep", "island,year", "--on-drift", "warn"]
    local = done("predict", penguins, files / "part-*", "-o", tmp_path / f"here.{ending}", *options)
    remote = done(
        "predict", penguins, files / "part-*", "-o", tmp_path / f"there.{ending}", *options, "--cluster", address
    )
    written = (tmp_path / f"there.{ending}").read_bytes()
    assert written == (tmp_path / f"here.{ending}").read_bytes()
    assert notes_of(remote) == [line.replace("here.", "there.") for line in notes_of(local)]
    if ending == "csv":
        assert written.count(b"\n") == 344 + 9 + 1


def test_files_without_rows_give_a_table_without_rows(penguins, files, address):
    local = done("predict", penguins, files / "part-2.csv")
    assert done("predict", penguins, files / "part-2.csv", "--cluster", address).stdout == local.stdout


def test_an_invalid_file_is_reported_as_in_one_process(penguins, files, address, tmp_path):
    for part in files.iterdir():
        (tmp_path / part.name).write_bytes(part.read_bytes())
    (tmp_path / "part-4.csv").write_text("species,island\nAdelie,Dream\n")
    local = mlp("predict", penguins, tmp_path / "part-*", "-o", tmp_path / "here.csv")
    remote = mlp("predict", penguins, tmp_path / "part-*", "-o", tmp_path / "there.csv", "--cluster", address)
    assert local.code == remote.code == 2
    assert "part-4.csv" in remote.stderr
    assert notes_of(remote) == notes_of(local)
    assert not (tmp_path / "there.csv").exists()


def test_standard_input_is_an_error_on_a_cluster(penguins, address):
    result = mlp("predict", penguins, "-", "--cluster", address, stdin=b"island\n")
    assert result.code == 2
    assert "its workers cannot read standard input" in result.stderr


def test_folds_are_those_of_one_process(address, folder):
    options = [DATA / "../configs/penguins.yaml", "--folds", 3, "--set", "training.epochs=5"]
    options += ["--set", f"data.train={DATA / 'penguins.csv'}", "--jobs", 1, "--json"]
    local = done("cv", *options, "-o", "here").document
    remote = done("cv", *options, "-o", "there", "--cluster", address).document
    assert (folder / "there/out_of_fold.csv").read_bytes() == (folder / "here/out_of_fold.csv").read_bytes()
    assert remote["scores"] == local["scores"]


def test_a_fold_that_fails_is_reported_as_in_one_process(address, folder):
    options = [DATA / "../configs/penguins.yaml", "--folds", 2, "--set", f"data.train={DATA / 'penguins.csv'}"]
    options += ["--set", "training.optimizer.learning_rate=1e30", "--jobs", 1]
    local, remote = (mlp("cv", *options, *cluster_options) for cluster_options in ([], ["--cluster", address]))
    assert local.code == remote.code == 3
    assert remote.stderr.splitlines()[-1].startswith("fold ")


EVAL = ["--by", "island,year", "--interval", "0.9", "--min", "accuracy=0.9", "--on-drift", "warn"]


@pytest.mark.parametrize("options", [[], EVAL, [*EVAL, "--cross", "--gate-groups"]])
def test_scores_of_many_files_are_those_of_one_process(penguins, files, address, options):
    local, remote = (
        mlp("eval", penguins, files / "part-*", *options, *cluster_options)
        for cluster_options in ([], ["--cluster", address])
    )
    assert remote.stdout == local.stdout
    assert notes_of(remote) == notes_of(local)
    assert remote.code == local.code


def test_scores_are_bit_for_bit_those_of_one_process(penguins, files, address):
    local, remote = (
        mlp("eval", penguins, files / "part-*", "--json", *EVAL, *cluster_options)
        for cluster_options in ([], ["--cluster", address])
    )
    assert remote.document == local.document


def test_groups_that_are_numbers_in_one_file_and_texts_in_another_are_those_of_one_process(penguins, address, tmp_path):
    head, *rows = (DATA / "penguins.csv").read_text().splitlines()
    zones = ["1.0", "1", "north", ""]
    for number, begin in enumerate(range(0, 344, 90)):
        lines = [f"{row},{zones[number]}" for row in rows[begin : begin + 90]]
        if number == 3:  # a file without a single known target
            lines = ["," + line.partition(",")[2] for line in lines]
        (tmp_path / f"part-{number}.csv").write_text("\n".join([f"{head},zone", *lines]) + "\n")
    options = ["--by", "zone", "--json"]
    local, remote = (
        mlp("eval", penguins, tmp_path / "part-*", *options, *cluster_options)
        for cluster_options in ([], ["--cluster", address])
    )
    assert local.code == 0
    assert {group["name"] for group in local.document["slices"][0]["groups"]} >= {"zone = north"}
    assert (remote.stdout, notes_of(remote)) == (local.stdout, notes_of(local))


@pytest.mark.parametrize(
    "fault", [("Adelie", "Emperor"), ("Torgersen,39.1", "Torgersen,high"), ("species", "kind")], ids=str
)
def test_a_file_that_cannot_be_scored_is_reported_as_in_one_process(penguins, files, address, tmp_path, fault):
    for part in files.glob("*.csv"):
        (tmp_path / part.name).write_text(part.read_text().replace(*fault))
    local, remote = (
        mlp("eval", penguins, tmp_path / "part-*", *cluster_options) for cluster_options in ([], ["--cluster", address])
    )
    assert local.code == remote.code == 2
    assert "Traceback" not in remote.stderr
    assert remote.stderr.splitlines()[-1].split(":")[-1] == local.stderr.splitlines()[-1].split(":")[-1]


def test_standard_input_is_not_scored_on_a_cluster(penguins, address):
    result = mlp("eval", penguins, "-", "--cluster", address, stdin=b"species\n")
    assert result.code == 2
    assert "its workers cannot read standard input" in result.stderr


def test_a_worker_also_reads_a_file_that_is_scored_on_one_core(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1, 2})
    monkeypatch.setattr(machine, "_core_quota", lambda: float("inf"))
    monkeypatch.setattr(on_cluster, "begin_file", lambda _folder: None)
    n_cores = []

    def read_columns(*_):
        n_cores.append(machine.available_cores())
        raise DataError("no file")

    monkeypatch.setattr(on_cluster, "read_columns", read_columns)
    setup = SimpleNamespace(folder="", model=SimpleNamespace(schemas=()), files=(), format=None, by=())
    with pytest.raises(DataError):
        on_cluster.predict_scored_file(setup, 0, lambda: False)
    assert n_cores == [1]
