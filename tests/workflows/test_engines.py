"""Which engine a training gets, and that a run may change it."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from threading import current_thread, main_thread

import numpy as np
import pytest

from mlpcli.compiled.blas import NO_BLAS, NO_SLEEP
from mlpcli.errors import ConfigError, Interrupted, MlpError
from mlpcli.nn.optimizers import Adam, Muon
from mlpcli.storage.model.model_file import load_model
from mlpcli.training.member import NumpyTrainer
from mlpcli.workflows.preparing import engine_choice
from mlpcli.workflows.preparing.engine_choice import EngineChoice, training_threads
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.repro import repro
from mlpcli.workflows.train import train
from mlpcli.workflows.training.engines import COMPILING, trainer_maker
from tests.program import DATA, ROOT
from tests.training.staging import network
from tests.workflows.staging import Watch, loaded

MANY = 100_000  # epochs of a few steps each


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(engine_choice, "find_spec", lambda name: object())


@pytest.fixture
def not_installed(monkeypatch):
    monkeypatch.setattr(engine_choice, "find_spec", lambda name: None)


def chosen(training=None, model=None):
    return prepare(loaded(training=training, model=model or {})).engine


def test_auto_is_numpy_without_a_note_if_numba_is_not_installed(not_installed):
    assert chosen({"epochs": MANY}) == EngineChoice("numpy")


def test_auto_is_compiled_for_many_steps_of_a_small_network(installed):
    choice = chosen({"epochs": MANY, "batch_size": 40}, {"layers": ["auto", 8, "auto"]})
    assert choice == EngineChoice("compiled", "300 000 steps of 67 parameters")


def test_auto_is_numpy_for_few_steps(installed):
    assert chosen({"epochs": 10, "batch_size": 40}) == EngineChoice("numpy")
    assert chosen({"epochs": 10, "batch_size": 40}, {"dropout": 0.2}) == EngineChoice("numpy")


def test_auto_is_compiled_for_a_large_network_if_the_saved_time_exceeds_the_loading_time(installed):
    model = {"layers": ["auto", 400, 400, "auto"]}
    assert chosen({"epochs": 10, "batch_size": 40}, model) == EngineChoice("numpy")
    assert chosen({"epochs": MANY, "batch_size": 40}, model).name == "compiled"


def test_auto_is_compiled_for_fewer_steps_with_an_optimizer_that_takes_square_roots(installed):
    model, training = {"layers": ["auto", 400, 400, "auto"]}, {"epochs": 5000, "batch_size": 40}
    assert chosen({**training, "optimizer": {"name": "sgd"}}, model).name == "numpy"
    assert chosen({**training, "optimizer": {"name": "adam"}}, model).name == "compiled"


def test_numpy_is_numpy(installed):
    assert chosen({"epochs": MANY, "engine": "numpy"}) == EngineChoice("numpy")


def test_compiled_without_numba_is_an_error_with_the_command_that_installs_it(not_installed):
    with pytest.raises(ConfigError, match=r'training.engine: compiled needs Numba.*pip install "mlp-train\[fast\]"'):
        chosen({"engine": "compiled"})


@pytest.mark.parametrize("model", [{}, {"dropout": 0.2, "layer_norm": True, "residual": True, "learn_slopes": True}])
def test_compiled_is_compiled_for_networks_of_all_kinds(installed, model):
    assert chosen({"engine": "compiled"}, model) == EngineChoice("compiled", "set by the config")


@pytest.mark.parametrize("asked", ["compiled", "auto"])
def test_what_the_compiled_engine_does_not_support_runs_on_numpy_with_a_note(installed, asked):
    training = {"engine": asked, "loss": "absolute_error", "epochs": MANY}
    data = {"train": str(DATA / "diabetes.csv"), "target": "progression"}
    prepared = prepare(loaded(data, training))
    assert prepared.engine == EngineChoice("numpy", "compiled does not support absolute_error on identity")
    assert prepared.notes.count("engine numpy: compiled does not support absolute_error on identity") == 1


def test_the_engine_is_numpy_without_the_matrix_products_of_blas(installed, monkeypatch):
    monkeypatch.setattr(engine_choice, "find_blas", lambda dtype: NO_BLAS)
    assert chosen({"engine": "compiled"}).name == "numpy"


def test_the_engine_is_numpy_where_threads_cannot_sleep(installed, monkeypatch):
    monkeypatch.setattr(engine_choice, "find_sleep", lambda: NO_SLEEP)
    choice = chosen({"engine": "compiled"})
    assert choice == EngineChoice("numpy", "compiled does not support thread sleeping on this system")


def test_an_optimizer_that_the_compiled_engine_does_not_support_runs_on_numpy(installed):
    class Other(Adam):
        """With a direction of its own."""

    prepared = prepare(loaded(training={"engine": "compiled"}))
    for optimizer in (Other(), Muon()):
        update = replace(prepared.spec.update, optimizer=optimizer)
        specs = [replace(prepared.spec, update=update)]
        choice = engine_choice.choose_engine(prepared.loaded, prepared.networks, specs, 100)
        name = type(optimizer).__name__.lower()
        assert choice == EngineChoice("numpy", f"compiled does not support the optimizer {name}")


@pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
def test_ctrl_c_while_compiling_ends_the_training_at_once(folder, monkeypatch):
    reached = []

    def run_steps(*arguments):
        reached.append(current_thread() is main_thread())
        signal.raise_signal(signal.SIGINT)
        reached.append("went on")

    monkeypatch.setattr("mlpcli.compiled.trainer.run_steps", run_steps)
    with pytest.raises(Interrupted, match="nothing to resume") as caught:
        train(loaded(training={"engine": "compiled"}, model={"members": 2}), Watch())
    assert (reached, caught.value.exit_code) == ([True], 130)


@pytest.mark.parametrize(
    ("engine", "hidden", "members", "expected"),
    [
        ("numpy", 100, 1, 1), ("compiled", 100, 1, 1), ("numpy", 1024, 1, 2), ("compiled", 1024, 1, 4),
        ("numpy", 100, 5, 5), ("compiled", 100, 5, 5), ("numpy", 4, 5, 1), ("compiled", 4, 5, 5),
        ("compiled", 4, 12, 8),
    ],
)  # fmt: skip
def test_threads_share_members_or_large_steps(monkeypatch, engine, hidden, members, expected):
    for module in ("mlpcli.workflows.preparing.engine_choice", "mlpcli.training.threads"):
        monkeypatch.setattr(f"{module}.available_cores", lambda: 8)
    networks = [network(hidden, hidden, n_in=784, n_out=10)] * members
    choice = EngineChoice(engine)
    assert training_threads("auto", choice, networks, 60) == expected
    assert training_threads(2, choice, networks, 60) == 2


def test_a_batch_larger_than_the_table_is_no_more_work_than_the_table(installed, monkeypatch):
    monkeypatch.setattr(engine_choice, "available_cores", lambda: 8)
    for engine in ("numpy", "compiled"):
        prepared = prepare(loaded(training={"batch_size": 10_000_000, "threads": "auto", "engine": engine}))
        assert prepared.spec.batch_size == prepared.train.samples.n_rows
        assert prepared.n_threads == 1


def test_an_engine_that_cannot_be_loaded_is_an_error_and_not_a_bug(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlpcli.compiled.trainer", None)
    with pytest.raises(MlpError, match=r"Numba cannot be used.*\n.*training.engine: numpy"):
        trainer_maker(EngineChoice("compiled"), 1, 1)


def test_a_damaged_cache_of_compiled_code_is_an_error_that_names_its_folder(tmp_path):
    """An EOFError would otherwise be taken for Ctrl-D: "interrupted", at each training."""
    pytest.importorskip("numba")
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path)}
    find = "from mlpcli.compiled.epoch import run_steps; print(run_steps._cache._cache_file._index_path)"
    command = [sys.executable, "-c", find]
    index = subprocess.run(command, env=settings, capture_output=True, text=True, check=True, timeout=100).stdout
    Path(index.strip()).touch()
    load = "from mlpcli.workflows.training.engines import *; load_engine(EngineChoice('compiled'), 'float32')"
    command = [sys.executable, "-c", load]
    errors = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=100).stderr
    damaged = f"its cache of compiled code is damaged: delete {Path(index).parent}"
    assert f"MlpError: Numba cannot be used: {damaged}\nRepair it, or write training.engine: numpy" in errors


@pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
def test_a_training_that_compiles_says_so_once(folder, monkeypatch):
    numba, epoch = pytest.importorskip("numba"), pytest.importorskip("mlpcli.compiled.epoch")
    run_steps = epoch.run_steps
    train(loaded(training={"engine": "compiled"}), Watch())  # now the code is on the disk, if it was not before

    @numba.njit
    def compiled_now(x):
        return x + 1

    def run_steps_of_a_new_version(*arguments):
        compiled_now(1), compiled_now(1.0)
        return run_steps(*arguments)

    for engine, run, expected in (
        ("numpy", run_steps_of_a_new_version, 0),
        ("compiled", run_steps, 0),
        ("compiled", run_steps_of_a_new_version, 1),
    ):
        monkeypatch.setattr("mlpcli.compiled.trainer.run_steps", run)
        watch = Watch()
        train(loaded(training={"engine": engine}), watch)
        assert watch.notes.count(COMPILING) == expected


def test_the_record_of_a_model_names_its_engine(folder):
    train(loaded(training={"engine": "numpy"}), Watch())
    (sitting,) = load_model("run/weights.npz").record["sittings"]
    assert (sitting["engine"], sitting["threads"]) == ("numpy", 1)
    assert "numba" not in sitting["versions"]


def test_the_numpy_engine_does_not_import_numba():
    assert trainer_maker(EngineChoice("numpy"), 1, 3).func is NumpyTrainer


@pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
def test_an_activation_for_each_layer_is_the_same_in_both_engines_and_in_the_file(folder):
    found = []
    for engine in ("numpy", "compiled"):
        training = {"epochs": 3, "dtype": "float64", "engine": engine}
        model = {"layers": ["auto", 6, 5, "auto"], "activation": ["tanh", "softplus"]}
        assert train(loaded(training=training, model=model), Watch()).prepared.engine.name == engine
        found.append(load_model("run/weights.npz").ensemble)
    first, second = found
    layers = first.first.layers
    assert [layer.function for layer in layers if layer.name == "activation"] == ["tanh", "softplus"]
    assert second.first == first.first
    np.testing.assert_allclose(second.flats[0], first.flats[0], rtol=1e-9)
    x = np.array([[0.3, -1.0, 0.5, 2.0]])
    tensors = first.tensors()
    h = np.log1p(np.exp(np.tanh(x @ tensors["W1"].T + tensors["b1"]) @ tensors["W2"].T + tensors["b2"]))
    z = h @ tensors["W3"].T + tensors["b3"]
    np.testing.assert_allclose(first.outputs(x), np.exp(z) / np.exp(z).sum(), rtol=1e-9)


@pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
@pytest.mark.parametrize(("first", "then"), [("numpy", "compiled"), ("compiled", "numpy")])
def test_a_training_may_be_resumed_with_the_other_engine(folder, first, then):
    def config(engine):
        return loaded(training={"epochs": 6, "dtype": "float64", "engine": engine}, model={"activation": "tanh"})

    train(config("numpy"), Watch())
    expected = json.loads(Path("run/metrics.json").read_text())
    with pytest.raises(Interrupted):
        train(config(first), Watch(2))
    watch = Watch()
    train(config(then), watch, resume=True)
    assert watch.epochs == [3, 4, 5, 6]
    scores = json.loads(Path("run/metrics.json").read_text())
    for name, value in expected.items():
        if name != "seconds" and isinstance(value, float):
            assert scores[name] == pytest.approx(value, rel=1e-9), name
    sittings = load_model("run/weights.npz").record["sittings"]
    assert [(one["epoch"], one["engine"]) for one in sittings] == [(2, first), (6, then)]
    assert ["numba" in one["versions"] for one in sittings] == [first == "compiled", then == "compiled"]
    assert repro("run/weights.npz", (), Watch()).is_same
