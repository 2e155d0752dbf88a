"""Runs of MLflow, read by its own client."""

import csv

import pytest

from mlpcli.tracking.mlflow import DEFAULTS
from mlpcli.tracking.tracker import Background, Training
from tests.program import DATA, mlp, write_config

pytestmark = pytest.mark.filterwarnings("ignore")
pytest.importorskip("mlflow", reason="the extra mlflow")


@pytest.fixture
def client(tmp_path, monkeypatch):
    """A client of an empty store in a folder; databases take seconds to be made."""
    for name, value in DEFAULTS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "flowers")
    from mlflow.tracking import MlflowClient

    return MlflowClient()


def runs_of(client):
    experiment = client.get_experiment_by_name("flowers")
    return client.search_runs([experiment.experiment_id])


def train(folder, *options, epochs=4):
    data = {"train": str(DATA / "iris.csv"), "target": "species"}
    training = {"epochs": epochs, "threads": 1, "engine": "numpy"}
    config = write_config(folder / "c.yaml", data, training, tracking="mlflow", output=str(folder / "runs" / "a"))
    return mlp("train", config, *options)


def test_parameters_curves_scores_and_the_model_come_back(tmp_path, client):
    assert train(tmp_path).stderr.count("tracking") == 0
    (run,) = runs_of(client)
    assert run.info.run_name == "a"
    assert run.info.status == "FINISHED"
    assert run.data.params["training.epochs"] == "4"
    assert run.data.tags["mlp.model_file"] == str(tmp_path / "runs" / "a" / "weights.npz")
    with open(tmp_path / "runs" / "a" / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for name in ("train_loss", "validation_log_loss"):
        told = {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, name)}
        assert told == {int(row["epoch"]): float(row[name]) for row in rows if row[name]}
    assert "validation.f1/setosa" in run.data.metrics
    assert run.data.metrics["best_epoch"] <= 4


def test_each_training_is_a_run_of_its_own(tmp_path, client):
    train(tmp_path)
    train(tmp_path, "--force")
    assert [run.info.status for run in runs_of(client)] == ["FINISHED"] * 2


def test_a_training_that_goes_on_goes_on_with_its_run(tmp_path, client):
    from mlpcli.tracking.kinds import KINDS

    faults = []
    for from_epoch, ending in ((0, "interrupted"), (2, "finished")):
        training = Training(str(tmp_path / "b"), {"a": 1}, "a: 1", from_epoch)
        tracker = Background("mlflow", KINDS["mlflow"], training)
        tracker.epoch(from_epoch + 1, 1.0, {"train_loss": 0.5})
        tracker.end(ending, {"epochs": from_epoch + 1}, "")
        faults.append(tracker.fault)
    assert faults == ["", ""]
    (run,) = runs_of(client)
    assert run.info.status == "FINISHED"
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "train_loss")] == [1, 3]


def test_a_server_that_is_not_there_is_a_note(tmp_path, client, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    ended = train(tmp_path)
    assert ended.code == 0
    assert "tracking by mlflow has stopped: " in ended.stderr
