"""Drawn values of members: their distributions, random streams, networks, training specs and records."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.cli.verbs.describing import shown_draws
from mlpcli.errors import ConfigError, Interrupted
from mlpcli.nn.embeddings import PeriodicEmbedding
from mlpcli.storage.model.model_file import load_model
from mlpcli.workflows.preparing.networks.member_configs import member_configs
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.train import train
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state
from tests.workflows.staging import IRIS, Watch, loaded

SIGMA = "model.numeric_embedding.sigma"
DRAWS = {
    SIGMA: {"log_uniform": [0.01, 10]},
    "model.dropout": {"uniform": [0, 0.5]},
    "model.layers": {"choice": [["auto", 4, "auto"], ["auto", 6, 5, "auto"], ["auto", 8, "auto"]]},
    "training.optimizer.learning_rate": {"log_uniform": [0.001, 0.1]},
    "training.optimizer.weight_decay": {"log_uniform": [0.001, 1]},
    "model.members.views": {"choice": ["same", "cosines", "bins"]},
    "training.batch_size": {"int": [8, 40]},
}


def drawing(draw=DRAWS, count=6, seed=0, members=(), **training):
    training = {"optimizer": "adamw", "seed": seed, "epochs": 2} | training
    model = {"numeric_embedding": "periodic", "members": {"count": count, "draw": draw} | dict(members)}
    return loaded(
        {**IRIS, "validation": 0.2 if not members else None}, training, model=model,
        preprocess={"encoding": {"name": "piecewise_linear", "bins": 3}},
    )  # fmt: skip


def test_a_value_depends_on_seed_key_and_member_alone():
    all_drawn = [member.drawn for member in member_configs(drawing())]
    assert [member.drawn for member in member_configs(drawing(count=3))] == all_drawn[:3]
    alone = [member.drawn for member in member_configs(drawing({SIGMA: DRAWS[SIGMA]}))]
    assert [drawn[SIGMA] for drawn in alone] == [drawn[SIGMA] for drawn in all_drawn]
    others = [member.drawn for member in member_configs(drawing(seed=1))]
    assert all(drawn[SIGMA] != other[SIGMA] for drawn, other in zip(all_drawn, others, strict=True))


def test_log_is_an_alias_of_log_uniform():
    short, long = (
        [member.drawn for member in member_configs(drawing({SIGMA: {word: [0.01, 10]}}))]
        for word in ("log", "log_uniform")
    )
    assert short == long


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["uniform", "log_uniform", "int", "log_int"]), st.integers(1, 40), st.integers(0, 60))
def test_drawn_numbers_are_within_their_bounds_and_integers_where_the_kind_says_so(kind, low, width):
    key = "training.batch_size" if kind.endswith("int") else "model.numeric_embedding.sigma"
    values = [m.drawn[key] for m in member_configs(drawing({key: {kind: [low, low + width]}}, count=64))]
    assert all(low <= value <= low + width for value in values)
    assert kind not in ("int", "log_int") or all(isinstance(value, int) for value in values)


@pytest.mark.parametrize("kind", ["uniform", "log_uniform", "int", "log_int"])
def test_the_median_of_drawn_values_is_the_middle_of_the_scale(kind):
    low, high = 1, 900
    middle = (low + high) / 2 if kind in ("uniform", "int") else np.sqrt((low - 0.5 * (kind == "log_int")) * high)
    key = "training.batch_size" if kind.endswith("int") else "model.numeric_embedding.sigma"
    below = [
        m.drawn[key] <= middle
        for seed in range(4)
        for m in member_configs(drawing({key: {kind: [low, high]}}, count=64, seed=seed))
    ]
    assert 0.4 < np.mean(below) < 0.6  # 3.2 deviations of 256 draws


def test_networks_and_training_specs_have_the_drawn_values():
    prepared = prepare(drawing())
    assert len({tuple(network.sizes) for network in prepared.networks}) > 1
    for member, drawn in zip(prepared.members, prepared.drawn, strict=True):
        optimizer = member.own_spec.update.optimizer
        assert optimizer.learning_rate == drawn["training.optimizer.learning_rate"]
        assert optimizer.weight_decay == drawn["training.optimizer.weight_decay"]
        assert member.own_spec.batch_size == drawn["training.batch_size"]
        assert list(member.network.sizes[1:-1]) == [n for n in drawn["model.layers"] if n != "auto"]
        sigmas = [layer.sigma for layer in member.network.layers if isinstance(layer, PeriodicEmbedding)]
        assert sigmas == ([] if drawn["model.members.views"] == "bins" else [drawn[SIGMA]])


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize("members", [(), {"count": 4, "rows": "folds", "folds": 2}])
def test_the_model_file_does_not_depend_on_threads_or_on_a_resume(tmp_path, monkeypatch, engine, members):
    if engine == "compiled":
        pytest.importorskip("numba", reason="the compiled engine needs the extra fast")
    monkeypatch.chdir(tmp_path)
    weights_by_threads = []
    for threads in (1, 3):
        prepared = prepare(drawing(members=members, threads=threads, engine=engine, dtype="float64"))
        state = initial_state(prepared)
        for _ in epochs(prepared, state, lambda: False):
            pass
        weights_by_threads.append([member.flat.tobytes() for member in state.members])
    assert weights_by_threads[0] == weights_by_threads[1]
    config = drawing(members=members, engine=engine, epochs=4)
    weights = tmp_path / "run" / "weights.npz"
    train(config, Watch())
    whole = weights.read_bytes()
    with pytest.raises(Interrupted):
        train(config, Watch(stop_after=2))
    train(config, Watch(), resume=True)
    assert weights.read_bytes() == whole


def test_drawn_values_are_in_the_model_file_and_in_the_metrics(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(drawing(), Watch())
    drawn = load_model("run/weights.npz").record["drawn"]
    assert drawn == [dict(member.drawn) for member in member_configs(drawing())]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_bytes())
    assert metrics["members.1.model.dropout"] == drawn[0]["model.dropout"]
    assert metrics["members.6.model.layers"] == f"[{', '.join(map(str, drawn[5]['model.layers']))}]"


def test_the_prediction_of_members_with_different_layers_is_their_mean():
    prepared = prepare(drawing(epochs=1))
    state = initial_state(prepared)
    next(epochs(prepared, state, lambda: False))
    ensemble = finalize(prepared, state).model.ensemble
    X = prepared.train.samples.X
    alone = [type(ensemble)((network,), (flat,)).outputs(X) for network, flat in zip(
        ensemble.networks, ensemble.flats, strict=True)]  # fmt: skip
    np.testing.assert_allclose(ensemble.outputs(X), np.mean(alone, axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        ({"training.epochs": {"int": [1, 9]}}, "model.members.draw.training.epochs: all members share it."),
        ({"model.dropout": {}}, "model.members.draw.model.dropout: gives no values. Write one of uniform,"),
        (
            {"model.dropout": {"uniform": [0, 0.5], "choice": [0.1]}},
            "model.members.draw.model.dropout: uniform and choice cannot be combined.",
        ),
        (
            {"model.dropout": {"uniform": [0.5, 0.1]}},
            "model.members.draw.model.dropout: uniform needs the lower bound first: [0.1, 0.5].",
        ),
        (
            {SIGMA: {"log_uniform": [0, 1]}},
            f"model.members.draw.{SIGMA}: log_uniform needs bounds greater than 0, got 0.",
        ),
        (
            {"model.dropout": {"uniform": [0, 1]}},
            "model.members.draw.model.dropout 1.0: must be a number of at least 0 and below 1, got 1.0.",
        ),
        (
            {"model.droput": {"uniform": [0, 0.5]}},
            "model.members.draw.model.droput: unknown key. Did you mean model.dropout?",
        ),
        (
            {"model.dropout": {"uniform": [0.1]}},
            "model.members.draw.model.dropout.uniform: must be a list of 2 numbers",
        ),
        (
            {"training.optimizer": {"choice": ["adam", "sgd"]}, "training.optimizer.beta2": {"uniform": [0.8, 0.9]}},
            "model.members.draw.training.optimizer.beta2 0.8: unknown key. sgd has",
        ),
        ({"model.layers": {"choice": [["auto", 3, 7]]}}, "3 classes need 3 outputs, the last size is 7."),
        ({"model.members.views": {"choice": []}}, "choice needs at least one value."),
    ],
)
def test_an_invalid_draw_is_an_error_with_its_key(draw, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        prepare(drawing(draw))


def test_a_nested_key_must_be_valid_for_the_drawn_values_above_it_and_not_for_that_of_the_config():
    draw = {"training.optimizer": {"choice": ["adam", "adamw"]}, "training.optimizer.beta2": {"uniform": [0.8, 0.9]}}
    configs = member_configs(drawing(draw, optimizer="sgd"))
    assert {member.loaded.config.training.optimizer.name for member in configs} == {"adam", "adamw"}
    assert all(0.8 <= member.loaded.config.training.optimizer.beta2 <= 0.9 for member in configs)


def test_drawn_values_are_displayed_as_they_are_written_in_a_config():
    drawn = [{"a.dropout": 0, "a.size": 35_300, "a.on": True}, {"a.dropout": 0, "a.size": 2, "a.on": True}]
    assert shown_draws(drawn) == "dropout 0, size 2 to 35300, on true"
