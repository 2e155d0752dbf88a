"""Which engine a training gets, and that a run may change it."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from mlpcli.errors import ConfigError, Interrupted, MlpError
from mlpcli.extras.foreign import NO_BLAS
from mlpcli.nn.losses import CrossEntropy
from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import SGD
from mlpcli.nn.schedules import Constant
from mlpcli.storage.model_file import load_model
from mlpcli.training import threads
from mlpcli.training.engine import NumpyEngine, Plan
from mlpcli.workflows import engines
from mlpcli.workflows.engines import COMPILING, EngineChoice, make_engine, plan_threads
from mlpcli.workflows.memory import training_memory
from mlpcli.workflows.preparation import prepare
from mlpcli.workflows.train import train
from tests.workflows.staging import Watch, loaded

MANY = 100_000  # epochs of a few steps each


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: object())


@pytest.fixture
def not_installed(monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)


def chosen(training=None, model=None):
    return prepare(loaded(training=training, model=model or {})).engine


def test_auto_is_numpy_without_a_word_where_numba_is_not_installed(not_installed):
    assert chosen({"epochs": MANY}) == EngineChoice("numpy")


def test_auto_is_compiled_for_many_steps_of_a_small_network(installed):
    choice = chosen({"epochs": MANY, "batch_size": 40}, {"layers": ["auto", 8, "auto"]})
    assert choice == EngineChoice("compiled", "300 000 steps of 67 parameters")


def test_auto_is_numpy_for_few_steps(installed):
    assert chosen({"epochs": 10, "batch_size": 40}) == EngineChoice("numpy")
    assert chosen({"epochs": 10, "batch_size": 40}, {"dropout": 0.2}) == EngineChoice("numpy")


def test_auto_is_compiled_for_a_large_network_as_soon_as_its_passes_repay_loading(installed):
    model = {"layers": ["auto", 400, 400, "auto"]}
    assert chosen({"epochs": 10, "batch_size": 40}, model) == EngineChoice("numpy")
    assert chosen({"epochs": MANY, "batch_size": 40}, model).name == "compiled"


def test_an_optimizer_with_a_root_repays_loading_sooner(installed):
    model, training = {"layers": ["auto", 400, 400, "auto"]}, {"epochs": 5000, "batch_size": 40}
    assert chosen({**training, "optimizer": {"name": "sgd"}}, model).name == "numpy"
    assert chosen({**training, "optimizer": {"name": "adam"}}, model).name == "compiled"


def test_numpy_is_numpy(installed):
    assert chosen({"epochs": MANY, "engine": "numpy"}) == EngineChoice("numpy")


def test_compiled_without_numba_is_an_error_with_the_command_that_installs_it(not_installed):
    with pytest.raises(ConfigError, match=r'training.engine: compiled needs Numba.*pip install "mlp-train\[fast\]"'):
        chosen({"engine": "compiled"})


@pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({}, "CompiledEngine"),
        ({"dropout": 0.2}, "NumpyEngine"),
        ({"layers": ["auto", 400, 400, "auto"]}, "CompiledEngine"),
    ],
)
def test_compiled_is_one_loop_for_plain_networks_and_passes_for_all_others(model, expected):
    prepared = prepare(loaded(training={"engine": "compiled", "batch_size": 40}, model=model))
    engine = make_engine(prepared.engine, prepared.network, prepared.plan, prepared.train.samples)
    assert type(engine).__name__ == expected
    if expected == "NumpyEngine":
        assert type(engine.passes).__name__ == "CompiledPasses"


@pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
@pytest.mark.parametrize(("hidden", "expected"), [(8, "CompiledEngine"), (40_000, "NumpyEngine")])
def test_without_a_product_of_blas_only_small_networks_run_whole(monkeypatch, hidden, expected):
    monkeypatch.setattr(engines, "find_blas", lambda dtype: NO_BLAS)
    model = {"layers": ["auto", hidden, "auto"]}
    prepared = prepare(loaded(training={"engine": "compiled", "batch_size": 40}, model=model))
    engine = make_engine(prepared.engine, prepared.network, prepared.plan, prepared.train.samples)
    assert type(engine).__name__ == expected


@pytest.mark.parametrize(("engine", "product", "expected"), [("numpy", 1, 1), ("compiled", 1, 3), ("compiled", 0, 1)])
def test_compiled_threads_share_smaller_steps(monkeypatch, engine, product, expected):
    """A step of 31 million multiply-adds; without BLAS, or in NumPy, threads meet by way of Python."""
    monkeypatch.setattr(threads, "available_cores", lambda: 8)
    monkeypatch.setattr(engines, "find_blas", lambda dtype: NO_BLAS._replace(address=product))
    network, plan = Network((784, 100, 10), "relu", "softmax"), Plan(CrossEntropy(), SGD(), Constant(), 200, 10)
    assert plan_threads("auto", EngineChoice(engine), network, plan, "float32") == expected
    assert plan_threads(2, EngineChoice(engine), network, plan, "float32") == 2


def test_a_batch_larger_than_the_table_is_no_more_work_than_the_table(installed, monkeypatch):
    monkeypatch.setattr(threads, "available_cores", lambda: 8)
    for engine in ("numpy", "compiled"):
        prepared = prepare(loaded(training={"batch_size": 10_000_000, "threads": "auto", "engine": engine}))
        assert prepared.plan.batch_size == prepared.train.samples.n_rows
        assert prepared.n_threads == 1


def test_threads_of_compiled_steps_take_no_memory_of_their_own(installed, monkeypatch):
    monkeypatch.setattr(engines, "find_blas", lambda dtype: NO_BLAS._replace(address=1))
    needed = {}
    for engine in ("numpy", "compiled"):
        for n_threads in (1, 4):
            prepared = prepare(loaded(training={"threads": n_threads, "engine": engine}))
            needed[engine, n_threads] = training_memory(prepared)
    assert needed["numpy", 4] > needed["numpy", 1] == needed["compiled", 1] == needed["compiled", 4]


def test_an_engine_that_cannot_be_loaded_is_an_error_and_not_a_bug(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlpcli.extras.compiled", None)
    prepared = prepare(loaded())
    with pytest.raises(MlpError, match=r"Numba cannot be used.*\n.*training.engine: numpy"):
        make_engine(EngineChoice("compiled"), prepared.network, prepared.plan, prepared.train.samples)


@pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
def test_a_training_that_compiles_says_so_once(folder, monkeypatch):
    numba, kernels = pytest.importorskip("numba"), pytest.importorskip("mlpcli.extras.kernels")
    run_steps = kernels.run_steps
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
        monkeypatch.setattr("mlpcli.extras.compiled.run_steps", run)
        watch = Watch()
        train(loaded(training={"engine": engine}), watch)
        assert watch.notes.count(COMPILING) == expected


def test_the_record_of_a_model_names_its_engine(folder):
    train(loaded(training={"engine": "numpy"}), Watch())
    record = load_model("run/weights.npz").record
    assert record["engine"] == "numpy"
    assert "numba" not in record["versions"]


def test_numpy_is_made_without_numba(monkeypatch):
    prepared = prepare(loaded(training={"engine": "numpy"}))
    engine = make_engine(prepared.engine, prepared.network, prepared.plan, prepared.train.samples)
    assert isinstance(engine, NumpyEngine)


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
    record = load_model("run/weights.npz").record
    assert record["engine"] == then
    assert ("numba" in record["versions"]) == (then == "compiled")
