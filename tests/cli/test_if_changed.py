"""`mlp train --if-changed`: nothing is done where nothing would change."""

import gzip
import json
import shutil
from dataclasses import replace

import pytest

from mlpcli.data.reading.read import read_table
from mlpcli.data.reading.sources import sha256_of
from mlpcli.storage.model.model_file import encode_model, load_model
from tests.program import DATA, done, mlp, tree, write_config

UP_TO_DATE = "runs/iris is up to date: config, data and version are those of the run. Nothing to do."


@pytest.fixture
def config(folder):
    shutil.copy(DATA / "iris.csv", folder / "iris.csv")
    return write_config(folder / "iris.yaml", {"train": "iris.csv", "target": "species"})


@pytest.fixture
def run(folder, config):
    done("train", config, "--if-changed", "-q")
    return folder / "runs" / "iris"


def is_up_to_date(*options):
    ended = done("train", "iris.yaml", "--if-changed", "--quiet", *options)
    return ended.lines == [UP_TO_DATE]


def test_a_second_training_does_nothing_says_so_in_one_line_and_ends_with_0(folder, run):
    before, times = tree(folder), {path: path.stat().st_mtime_ns for path in run.iterdir()}
    ended = done("train", "iris.yaml", "--if-changed")
    assert (ended.lines, ended.stderr) == ([UP_TO_DATE], "")
    assert tree(folder) == before
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == times
    document = done("train", "iris.yaml", "--if-changed", "--json").document
    trained = done("train", "iris.yaml", "-o", "runs/other", "--json").document
    assert list(document) == list(trained)
    free = {"output", "weights", "up_to_date", "metrics"}
    assert {key: document[key] for key in document if key not in free} == {
        key: trained[key] for key in trained if key not in free
    }
    assert list(document["metrics"]) == list(trained["metrics"])
    shutil.rmtree("runs/other")
    assert (document["up_to_date"], document["passed"]) == (True, True)
    assert document["metrics"] == json.loads((run / "metrics.json").read_text())


def test_without_the_option_every_training_trains(run):
    assert UP_TO_DATE not in done("train", "iris.yaml").lines


@pytest.mark.parametrize(
    "setting",
    ["training.seed=1", "training.epochs=3", "expect.min={accuracy: 0.1}", "budget.seconds=100", "data.validation=0.3"],
)
def test_another_config_is_trained_and_then_up_to_date(run, setting):
    assert not is_up_to_date("--set", setting)
    assert is_up_to_date("--set", setting)
    assert not is_up_to_date()


def test_a_config_that_says_the_same_otherwise_is_the_same(folder, run):
    (folder / "iris.yaml").write_text(
        "# the flowers\ntraining: {epochs: 2, seed: 0}\ndata: {target: [species], train: iris.csv}\n"
    )
    assert is_up_to_date()
    assert is_up_to_date("--output", "runs/iris")


def test_data_that_changed_is_trained_on_wherever_it_stands(folder, run):
    text = (folder / "iris.csv").read_text()
    (folder / "iris.csv").write_text(text + text.splitlines()[5] + "\n")
    assert not is_up_to_date()
    (folder / "iris.csv").write_text(text)
    lines = text.splitlines()
    (folder / "t.csv").write_text("\n".join([lines[0], *lines[3::7]]) + "\n")
    options = ("--set", "data.validation=t.csv", "--set", "data.test=t.csv")
    assert not is_up_to_date(*options)
    assert is_up_to_date(*options)
    (folder / "t.csv").write_text("\n".join([lines[0], *lines[4::7]]) + "\n")
    assert not is_up_to_date(*options)


def test_data_from_standard_input_counts_as_changed(folder, run):
    stdin = (DATA / "iris.csv").read_bytes()
    for _ in range(2):
        ended = done("train", "iris.yaml", "--if-changed", "-q", "--set", "data.train=-", stdin=stdin)
        assert UP_TO_DATE not in ended.lines


def test_a_run_of_another_version_or_one_that_is_not_sound_is_trained_again(folder, run):
    weights = run / "weights.npz"
    model = load_model(str(weights))
    (sitting,) = model.record["sittings"]
    record = {**model.record, "sittings": [{**sitting, "versions": {**sitting["versions"], "mlp": "0.0.1"}}]}
    weights.write_bytes(encode_model(replace(model, record=record)))
    assert not is_up_to_date()
    weights.write_bytes(weights.read_bytes()[:-40])
    assert not is_up_to_date()
    for name in ("metrics.json", "config.yaml"):
        (run / name).write_text("{")
        assert not is_up_to_date()
        (run / name).unlink()
        assert not is_up_to_date()
    assert is_up_to_date()


def test_gates_that_failed_last_time_fail_again(folder, run):
    options = ("--if-changed", "-q", "--set", "expect={min: {mcc: 0.0}, max: {log_loss: 0.0}}")
    first, again = mlp("train", "iris.yaml", *options), mlp("train", "iris.yaml", *options)
    assert (first.code, again.code) == (1, 1)
    assert again.lines == [UP_TO_DATE]
    assert again.stderr == "runs/iris missed when it was trained: log_loss <= 0\n"
    document = mlp("train", "iris.yaml", *options, "--json").document
    assert (document["passed"], document["up_to_date"]) == (False, True)
    assert document["metrics"]["missed_gates"] == ["log_loss <= 0"]
    assert document["gates"] == mlp("train", "iris.yaml", *options[1:], "-o", "runs/other", "--json").document["gates"]
    assert [gate["passed"] for gate in document["gates"]] == [True, False]


def test_data_that_is_not_there_any_more_is_an_error_as_ever(folder, run):
    (folder / "iris.csv").unlink()
    assert mlp("train", "iris.yaml", "--if-changed").code == 2


def test_the_hash_without_parsing_is_that_of_the_table(folder):
    text = b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4"
    (folder / "one.csv").write_bytes(text)
    (folder / "two.csv.gz").write_bytes(gzip.compress(b"a,b\n5,6\n" * 1))
    for source in ("one.csv", "two.csv.gz", ("one.csv", "two.csv.gz"), "*.csv*", str(DATA / "penguins.csv")):
        assert sha256_of(source) == read_table(source).sha256
