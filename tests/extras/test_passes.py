"""The NumPy loop with compiled passes is the NumPy engine up to rounding, whatever the training is made of."""

import copy
from dataclasses import replace
from functools import partial
from typing import get_args

import numpy as np
import pytest

from mlpcli.extras.coverage import HIDDEN
from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.architecture import Front, Network
from mlpcli.nn.averaging import ExponentialAverage
from mlpcli.nn.blocks import Stretch
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, Huber, Loss, Poisson, SquaredError
from mlpcli.nn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from mlpcli.nn.rates import Rates
from mlpcli.nn.schedules import Constant, Cosine
from mlpcli.nn.stepping import bind
from mlpcli.training.engine import NonFiniteLoss, NumpyEngine, Plan
from mlpcli.training.members import epoch_rows
from mlpcli.training.shards import ShardedEngine
from tests.extras.staging import arrays, assert_same, make_samples, train

pytest.importorskip("numba")

from mlpcli.extras.compiled import CompiledEngine
from mlpcli.extras.passes import CompiledPasses

Engine = partial(NumpyEngine, passes=CompiledPasses())

NETWORK = Network((3, 9, 6, 3), "tanh", "softmax")
PLAN = Plan(CrossEntropy(), SGD(learning_rate=0.1, momentum=0.9), Cosine(warmup=1.5), batch_size=16, epochs=4)
OPTIMIZERS = [
    SGD(learning_rate=0.2),
    SGD(learning_rate=0.2, weight_decay=0.1),
    SGD(learning_rate=0.05, momentum=0.9),
    SGD(learning_rate=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    Adam(learning_rate=0.01),
    Adam(learning_rate=0.01, beta1=0.8, beta2=0.99, epsilon=1e-3, weight_decay=0.1),
    AdamW(learning_rate=0.01, weight_decay=0.3),
    RMSprop(learning_rate=0.01),
    RMSprop(learning_rate=0.01, decay=0.9, epsilon=1e-3, momentum=0.8, weight_decay=0.1),
    Adagrad(learning_rate=0.05),
    Adagrad(learning_rate=0.05, epsilon=1e-3, weight_decay=0.1),
]

# Binary cross entropy has no minimum over outputs without an upper bound: exp carries it to infinity.
PAIRS = [
    pytest.param(loss(), name, id=f"{loss().name}-{name}")
    for loss in get_args(Loss)
    for name in ACTIVATIONS
    if (loss, name) != (BinaryCrossEntropy, "exp")
]


def assert_passes_agree(network, plan, samples):
    assert_same(train(Engine, network, plan, samples), train(NumpyEngine, network, plan, samples), str(samples.X.dtype))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("activation", HIDDEN)
def test_every_hidden_activation_agrees_with_numpy(activation, dtype):
    assert_passes_agree(replace(NETWORK, activation=activation), PLAN, make_samples(PLAN.loss, dtype=dtype))


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize(("loss", "output_activation"), PAIRS)
def test_every_loss_agrees_with_numpy_on_every_output(loss, output_activation, is_weighted):
    network = Network((3, 7, 3), "gelu", output_activation)
    plan = replace(PLAN, loss=loss, optimizer=SGD(learning_rate=1e-3, momentum=0.5), epochs=2)
    assert_passes_agree(network, plan, make_samples(loss, is_weighted=is_weighted))


@pytest.mark.parametrize("n_outputs", [1, 2, 5])
@pytest.mark.parametrize(
    "loss", [CrossEntropy(), BinaryCrossEntropy(), SquaredError(), Poisson()], ids=lambda loss: loss.name
)
def test_every_number_of_outputs_agrees_with_numpy(loss, n_outputs):
    plan = replace(PLAN, loss=loss, optimizer=SGD(learning_rate=0.01))
    network = Network((3, n_outputs), "tanh", loss.partner)
    assert_passes_agree(network, plan, make_samples(loss, n_outputs=n_outputs, dtype="float32"))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: f"{optimizer.name}-{optimizer.weight_decay:g}")
def test_every_optimizer_agrees_with_numpy(optimizer, clip, dtype):
    plan = replace(PLAN, optimizer=optimizer, gradient_clip=clip)
    assert_passes_agree(NETWORK, plan, make_samples(plan.loss, dtype=dtype, is_weighted=True))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: f"{optimizer.name}-{optimizer.weight_decay:g}")
def test_factors_of_rate_decay_and_epsilon_agree_with_numpy(optimizer):
    plan = replace(
        PLAN, optimizer=optimizer, rates=Rates(weights=0.5, biases=2.0), is_ntk=True, averaging=ExponentialAverage(),
        decay_schedule=Cosine(),
    )  # fmt: skip
    assert_passes_agree(NETWORK, plan, make_samples(plan.loss))


@pytest.mark.parametrize(
    "parts",
    [
        {"dropout": 0.3},
        {"members": 3},
        {"members": 3, "dropout": 0.3},
        {"learns_slopes": True},
        {"is_normalized": True},
        {"front": Front(is_scaled=True)},
        {"sizes": (3, 6, 6, 3), "is_residual": True, "dropout": 0.2},
        {"learns_slopes": True, "is_normalized": True, "dropout": 0.2, "members": 2},
    ],
    ids=lambda parts: ", ".join(parts),
)
@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_every_part_agrees_with_numpy(activation, parts):
    network = replace(NETWORK, activation=activation, **parts)
    assert_passes_agree(network, PLAN, make_samples(PLAN.loss, is_weighted=True))


@pytest.mark.parametrize("activation", HIDDEN)
def test_extreme_inputs_saturate_as_in_numpy(activation):
    samples = make_samples(BinaryCrossEntropy())
    plan = replace(PLAN, loss=BinaryCrossEntropy(), optimizer=SGD(learning_rate=1e-5), epochs=2)
    assert_passes_agree(Network((3, 6, 3), activation, "sigmoid"), plan, replace(samples, X=samples.X * 300.0))


@pytest.mark.parametrize("first", [NumpyEngine, CompiledEngine, Engine])
@pytest.mark.parametrize("then", [NumpyEngine, CompiledEngine, Engine])
@pytest.mark.parametrize("optimizer", [SGD(learning_rate=0.1, momentum=0.9), RMSprop(learning_rate=0.01)])
def test_every_engine_goes_on_where_another_stopped(optimizer, first, then):
    plan, samples = replace(PLAN, optimizer=optimizer), make_samples(PLAN.loss)
    state, before = train(first, NETWORK, plan, samples, epochs=2)
    state, after = train(then, NETWORK, plan, samples, copy.deepcopy(state))
    assert_same((state, before + after), train(NumpyEngine, NETWORK, plan, samples), "float64")


def test_the_same_seed_gives_the_same_bytes():
    samples, network = make_samples(PLAN.loss, dtype="float32"), replace(NETWORK, dropout=0.2)
    (one, _), (other, _) = (train(Engine, network, PLAN, samples) for _ in range(2))
    assert {name: values.tobytes() for name, values in arrays(one).items()} == {
        name: values.tobytes() for name, values in arrays(other).items()
    }


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: f"{optimizer.name}-{optimizer.weight_decay:g}")
def test_the_size_of_a_block_does_not_change_a_bit(optimizer):
    rng, passes = np.random.default_rng(0), CompiledPasses()
    size = 9 * passes.block_size + 77
    start, grad = rng.normal(size=size).astype(np.float32), rng.normal(size=size).astype(np.float32)
    found = []
    for block_size in (passes.block_size, passes.block_size // 5, 2 * size):
        flat, state = start.copy(), optimizer.start(start)
        take_step = bind(
            optimizer, flat, grad.copy(), state, size - 1000, (Stretch(0, size),),
            passes.update(optimizer), block_size,
        )  # fmt: skip
        for _ in range(2):
            take_step(0.01)
        found.append([flat.tobytes(), *(values.tobytes() for values in state.values())])
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_threads_that_share_a_step_agree_with_numpy_on_one(activation, dropout):
    def sharded(network, plan, samples):
        rows = epoch_rows("all", 1, samples.n_rows, plan.seed)
        return ShardedEngine(network, replace(plan, n_threads=2), samples, rows, CompiledPasses())

    network, samples = replace(NETWORK, activation=activation, dropout=dropout), make_samples(PLAN.loss)
    assert_same(train(sharded, network, PLAN, samples), train(NumpyEngine, network, PLAN, samples), "float64")


def test_running_averages_never_end_in_denormal_numbers():
    passes, optimizer = CompiledPasses(), SGD(momentum=0.5)
    flat, grad = np.ones(100, np.float32), np.zeros(100, np.float32)
    state = optimizer.start(flat)
    state["velocity"][:] = 1e-28
    take_step = bind(optimizer, flat, grad, state, 100, update=passes.update(optimizer), block_size=passes.block_size)
    for _ in range(16):
        take_step(0.1)
    assert not state["velocity"].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("activation", HIDDEN)
def test_inputs_that_are_not_finite_are_raised_at_their_step(activation, bad):
    samples = make_samples(SquaredError())
    samples.X[17] = samples.y[17] = bad
    network, plan = Network((3, 6, 3), activation, "identity"), replace(PLAN, loss=SquaredError())
    with np.errstate(all="ignore"), pytest.raises(NonFiniteLoss, match="not finite in epoch 1"):
        train(Engine, network, plan, samples)


def test_a_training_that_diverges_is_raised_as_in_numpy():
    plan = replace(PLAN, loss=Huber(), optimizer=SGD(learning_rate=1e30), schedule=Constant(), epochs=50)
    for engine in (NumpyEngine, Engine):
        with np.errstate(all="ignore"), pytest.raises(NonFiniteLoss):
            train(engine, Network((3, 6, 3), "identity", "identity"), plan, make_samples(Huber()))
