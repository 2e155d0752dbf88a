"""A tracker is told of a training, and can neither stop nor change it."""

import threading

import pytest

from mlpcli.tracking import kinds, tracker
from mlpcli.tracking.tracker import Kind
from tests.program import DATA, done, mlp, write_config

DATA_OF = {"train": str(DATA / "iris.csv"), "target": "species"}
STAGES = ("start", "epoch", "flush", "end")


class Spy:
    """Notes what it is told; raises or waits at one stage."""

    def __init__(self, fails_at="", error=None, waits_at=""):
        self.fails_at, self.error, self.waits_at = fails_at, error or RuntimeError("the server\nhas gone."), waits_at
        self.told, self.released = [], threading.Event()

    def start(self, training):
        self._at("start", training)
        return self

    def epoch(self, epoch, time, row):
        self._at("epoch", epoch, row)

    def flush(self):
        self._at("flush")

    def end(self, ending, scores, model_file):
        self._at("end", ending, scores, model_file)

    def _at(self, stage, *values):
        self.told.append((stage, *values))
        if stage == self.waits_at:
            self.released.wait(30)
        if stage == self.fails_at:
            raise self.error

    def of(self, stage):
        return [values for name, *values in self.told if name == stage]


def use(monkeypatch, spy, module="json"):
    monkeypatch.setitem(kinds.KINDS, "mlflow", Kind(module, "a-package", "mlflow", spy.start))
    return spy


def train(folder, *options, tracking="mlflow", epochs=3, name="run"):
    training = {"epochs": epochs, "threads": 1, "engine": "numpy"}
    config = write_config(folder / "c.yaml", DATA_OF, training, tracking=tracking)
    return mlp("train", config, "-o", folder / name, *options)


def test_a_tracker_is_told_the_config_each_row_of_the_history_and_the_scores(tmp_path, monkeypatch):
    spy = use(monkeypatch, Spy())
    assert train(tmp_path).code == 0
    ((training,),) = spy.of("start")
    assert training.config["training.epochs"] == 3
    assert "epochs: 3" in training.text
    assert training.from_epoch == 0
    history = (tmp_path / "run" / "history.csv").read_text().splitlines()
    names = history[0].split(",")
    told = spy.of("epoch")
    assert [epoch for epoch, _ in told] == [0, 1, 2, 3]
    for (epoch, row), line in zip(told, history[1:], strict=True):
        cells = dict(zip(names, line.split(","), strict=True))
        assert {name: str(value) for name, value in row.items()} | {"epoch": str(epoch)} == {
            name: cell for name, cell in cells.items() if cell
        }
    ((ending, scores, model_file),) = spy.of("end")
    assert ending == "finished"
    assert model_file == str(tmp_path / "run" / "weights.npz")
    assert scores["epochs"] == 3
    assert 0 < scores["validation.log_loss"] < 2


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("error", [None, OSError(28, "No space left on device"), SystemExit(3)])
def test_whatever_a_tracker_raises_the_training_goes_on_and_a_note_says_so(tmp_path, monkeypatch, stage, error):
    train(tmp_path, tracking=[], name="alone")
    use(monkeypatch, Spy(stage, error))
    ended = train(tmp_path)
    assert ended.code == 0
    assert ended.stderr.count("tracking by mlflow has stopped") == 1
    reason = {28: "No space left on device", 3: "3"}.get(
        getattr(error, "errno", getattr(error, "code", 0)), "the server"
    )
    assert f"has stopped: {reason}. The training is not affected." in ended.stderr
    assert (tmp_path / "run" / "weights.npz").read_bytes() == (tmp_path / "alone" / "weights.npz").read_bytes()


@pytest.mark.parametrize("stage", STAGES)
def test_a_tracker_that_does_not_answer_keeps_nobody_waiting_for_ever(tmp_path, monkeypatch, stage):
    monkeypatch.setattr(tracker, "TIMEOUT", 0.1)
    spy = use(monkeypatch, Spy(waits_at=stage))
    ended = train(tmp_path)
    spy.released.set()
    assert ended.code == 0
    assert "did not answer" in ended.stderr
    assert (tmp_path / "run" / "weights.npz").exists()


@pytest.mark.parametrize("verb", ["train", "check"])
def test_a_package_that_is_not_installed_is_an_error_before_anything_is_read(tmp_path, monkeypatch, verb):
    use(monkeypatch, Spy(), module="no_such_module")
    config = write_config(tmp_path / "c.yaml", {"train": "nowhere.csv", "target": "y"}, tracking=["mlflow"])
    ended = mlp(verb, config)
    assert ended.code == 2
    (line,) = ended.stderr.splitlines()
    assert "tracking: mlflow needs the package a-package" in line
    assert line.endswith('Install it with: pip install "mlp-train[mlflow]"')


def test_an_unknown_tracker_is_an_error_with_the_nearest_name(tmp_path):
    ended = train(tmp_path, tracking="tensorbord")
    assert ended.code == 2
    assert "tensorboard" in ended.stderr


def test_a_training_that_diverges_is_told_as_failed(tmp_path, monkeypatch):
    spy = use(monkeypatch, Spy())
    settings = ("--set", "training.loss=squared_error", "--set", "training.optimizer.learning_rate=1e30")
    assert train(tmp_path, *settings, "--set", "model.output_activation=identity").code == 3
    assert [ending for ending, *_ in spy.of("end")] == ["failed"]


def test_who_is_told_makes_no_other_run_and_no_other_model(tmp_path, monkeypatch):
    use(monkeypatch, Spy())
    assert train(tmp_path, tracking=[]).code == 0
    before = (tmp_path / "run" / "weights.npz").read_bytes()
    spy = use(monkeypatch, Spy())
    assert train(tmp_path, "--if-changed").code == 0
    assert spy.told == []  # nothing was trained
    assert train(tmp_path).code == 0
    assert (tmp_path / "run" / "weights.npz").read_bytes() == before
    assert not (tmp_path / "run.1").exists()
    done("repro", tmp_path / "run" / "weights.npz", "-q")
