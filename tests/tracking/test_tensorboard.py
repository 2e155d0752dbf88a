"""Event files, read by TensorBoard's own reader."""

import csv
import os
from pathlib import Path

import pytest

from mlpcli.tracking.tensorboard import log_folder, tag_of
from tests.program import DATA, mlp, write_config

pytestmark = pytest.mark.filterwarnings("ignore")
pytest.importorskip("tensorboardX", reason="the extra tensorboard")
accumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator", reason="TensorBoard itself, the reader"
)


def train(folder, *options, epochs=4):
    data = {"train": str(DATA / "iris.csv"), "target": "species"}
    training = {"epochs": epochs, "threads": 1, "engine": "numpy"}
    config = write_config(folder / "c.yaml", data, training, tracking="tensorboard", output=str(folder / "runs" / "a"))
    return mlp("train", config, *options)


def read(folder):
    found = accumulator.EventAccumulator(log_folder(str(folder / "runs" / "a")))
    found.Reload()
    return found


def curve(found, tag):
    return [(event.step, event.value) for event in found.Scalars(tag)]


def history(folder, column):
    with open(folder / "runs" / "a" / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(int(row["epoch"]), pytest.approx(float(row[column]), rel=1e-6)) for row in rows if row[column]]


def test_curves_config_and_scores_come_back(tmp_path):
    assert train(tmp_path).stderr.count("tracking") == 0
    found = read(tmp_path)
    for column in ("train_loss", "validation_loss", "validation_accuracy", "learning_rate"):
        assert curve(found, tag_of(column)) == history(tmp_path, column)
    (text,) = found.Tensors("config/text_summary")
    assert b"epochs: 4" in text.tensor_proto.string_val[0]
    (text,) = found.Tensors("scores/text_summary")
    assert b"| validation.f1[setosa] |" in text.tensor_proto.string_val[0]
    assert str(tmp_path / "runs" / "a" / "weights.npz").encode() in text.tensor_proto.string_val[0]
    assert curve(found, "scores/validation.log_loss")[0][0] == 4
    assert "_hparams_/session_start_info" in found.summary_metadata


def test_a_training_from_the_beginning_replaces_its_curves(tmp_path):
    train(tmp_path)
    train(tmp_path, "--set", "training.epochs=2")
    assert [step for step, _ in curve(read(tmp_path), "loss/train")] == [1, 2]
    assert len(os.listdir(log_folder(str(tmp_path / "runs" / "a")))) == 1


def test_files_of_others_stay(tmp_path):
    train(tmp_path)
    other = tmp_path / "runs" / "tensorboard" / "a" / "events.out.tfevents.1.host"
    other.write_bytes(b"")
    train(tmp_path)
    assert other.exists()


def test_a_full_disk_costs_the_curves_and_not_the_training(tmp_path, monkeypatch):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    full = "tensorboardX.record_writer.open_file"
    monkeypatch.setattr(full, lambda path: Path("/dev/full").open("wb", buffering=0))  # noqa: SIM115
    ended = train(tmp_path)
    assert ended.code == 0
    assert "tracking by tensorboard has stopped: No space left on device." in ended.stderr
    assert (tmp_path / "runs" / "a" / "weights.npz").exists()


def test_a_file_in_the_place_of_the_folder_is_a_note(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "tensorboard").write_text("")
    ended = train(tmp_path)
    assert ended.code == 0
    assert "tracking by tensorboard has stopped: " in ended.stderr


@pytest.mark.parametrize(
    ("column", "tag"),
    [
        ("train_loss", "loss/train"),
        ("validation_roc_auc", "roc_auc/validation"),
        ("validation_rmse[price]", "rmse/price/validation"),
        ("learning_rate", "learning_rate"),
    ],
)
def test_both_sides_of_a_metric_stand_beside_each_other(column, tag):
    assert tag_of(column) == tag
