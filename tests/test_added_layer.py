"""A layer added as docs/adding.md describes it: one class, and all that trains, saves and reads networks knows it."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from mlpcli.compiled.program import NotSupported, lower_network
from mlpcli.nn.chain import AnyLayer, Chain
from mlpcli.nn.ensemble import Ensemble
from mlpcli.nn.layers import Activation, Allocator, Dense
from mlpcli.nn.network import LossAndGradient, Network
from mlpcli.storage import records
from mlpcli.storage.model.model_file import encode_model, load_model
from mlpcli.storage.run.checkpoint import Checkpoint, Sitting, encode_checkpoint, load_checkpoint
from mlpcli.training.fit import fit, init_training
from mlpcli.training.member import Member
from tests.test_docs import DOCS, blocks_of
from tests.training.staging import SPEC, dataset


@pytest.fixture(scope="module")
def added():
    """The class of the page."""
    found = {}
    (block,) = [one for one in blocks_of(DOCS / "adding.md") if "class RootMeanSquareNorm" in one.text]
    exec(compile(block.text, "adding.md", "exec"), found)
    return found["RootMeanSquareNorm"]


def network_with(added, n_in=3, n_out=2):
    hidden = (Dense(width=5), added(), Activation(function="tanh"), Dense(width=4), added())
    return Network(n_in, (*hidden, Dense(width=n_out)), "softmax")


def test_its_gradient_is_that_of_the_cost_and_it_is_what_its_formula_says(added):
    network, rng = network_with(added), np.random.default_rng(0)
    flat = network.init(rng, np.float64)
    flat += rng.normal(0.0, 0.3, len(flat))
    X, y = rng.normal(size=(7, 3)), np.eye(2)[rng.integers(0, 2, 7)]
    gradient, scratch = np.empty_like(flat), np.empty_like(flat)
    LossAndGradient(network, SPEC.loss, flat, gradient)(X, y)
    cost = LossAndGradient(network, SPEC.loss, flat, scratch)
    for place in range(len(flat)):
        before = flat[place]
        sides = []
        for step in (1e-6, -1e-6):
            flat[place] = before + step
            sides.append(cost(X, y))
        flat[place] = before
        assert gradient[place] == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5, abs=1e-8)
    layer, params = added(), {"gain": np.array([1.0, 2.0, -1.0])}
    buffers = layer.buffers(3, Allocator(7, X.dtype, is_training=True), needs_dx=False)
    np.testing.assert_allclose(
        layer.forward(X, params, buffers), X / np.sqrt((X**2).mean(axis=1, keepdims=True) + 1e-5) * params["gain"]
    )


def test_its_tensors_have_names_and_a_place_in_the_vector(added):
    network = network_with(added)
    assert [placed.name for placed in network.tensors] == ["W1", "W2", "W3", "b1", "b2", "b3", "gain1", "gain2"]
    assert network.n_parameters == 15 + 20 + 8 + 5 + 4 + 2 + 5 + 4


def test_it_trains_resumes_and_goes_through_checkpoint_and_model_file(added, tmp_path, iris, monkeypatch):
    some = [Member(number, network_with(added), 50) for number in range(2)]
    state = init_training(some, SPEC, np.dtype("f4"))
    reports = list(fit(some, SPEC, dataset(), state))
    assert reports[-1].train_loss < reports[0].train_loss
    half = init_training(some, SPEC, np.dtype("f4"))
    list(islice(fit(some, SPEC, dataset(), half), 3))
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(encode_checkpoint(Checkpoint(half, {}, {}, 1.0, (Sitting(3, "numpy", 1, {}),))))
    resumed = load_checkpoint(str(path), init_training(some, SPEC, np.dtype("f4"))).state
    list(fit(some, SPEC, dataset(), resumed))
    assert [one.flat.tobytes() for one in resumed.members] == [one.flat.tobytes() for one in state.members]

    # What its name in the union does.
    for record in (Network, Chain):
        monkeypatch.setitem(record.__annotations__, "layers", tuple[AnyLayer | added, ...])
    records._hints.cache_clear()
    networks = tuple(network_with(added, n_in=4, n_out=3) for _ in range(2))
    flats = tuple(network.init(np.random.default_rng(seed)) for seed, network in enumerate(networks))
    model = replace(load_model(str(iris)), ensemble=Ensemble(networks, flats).merged())
    (tmp_path / "w.npz").write_bytes(encode_model(model))
    loaded = load_model(str(tmp_path / "w.npz"))
    records._hints.cache_clear()
    X = np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32)
    np.testing.assert_array_equal(loaded.ensemble.outputs(X), model.ensemble.outputs(X))
    assert loaded.ensemble.networks == networks


def test_the_compiled_engine_says_that_it_does_not_know_it(added):
    with pytest.raises(NotSupported):
        lower_network(network_with(added), SPEC.loss)
