"""The compiled trainer takes the steps of NumPy's, for everything that it says it knows, on any number of threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from mlpcli.compiled.program import FUNCTIONS, NotSupported, lower_network
from mlpcli.compiled.trainer import CompiledTrainer
from mlpcli.nn.averaging import ExponentialAverage, StochasticAverage
from mlpcli.nn.layers import Activation, Dense
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, Huber, SquaredError
from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from mlpcli.nn.schedules import Constant, Cosine, CosLog, FlatCos
from mlpcli.nn.steps import Multipliers, UpdateSpec
from mlpcli.training.dataset import Dataset
from mlpcli.training.member import Member, NonFiniteLoss, NumpyTrainer, TrainingSpec
from tests.nn.staging import HIDDEN, N_IN, N_OUT, networks
from tests.training.staging import network

N_ROWS = 45
COSTS = [(CrossEntropy(), "softmax"), (BinaryCrossEntropy(), "sigmoid"), (SquaredError(), "identity")]
optimizers = st.sampled_from(
    [
        SGD(), SGD(momentum=0.9, weight_decay=0.01), SGD(momentum=0.8, nesterov=True), Adam(weight_decay=0.01), AdamW(),
        RMSprop(), RMSprop(momentum=0.5, weight_decay=0.01), Adagrad(),
    ]
)  # fmt: skip
updates = st.builds(
    UpdateSpec,
    optimizer=optimizers,
    multipliers=st.sampled_from(
        [Multipliers(), Multipliers(biases=0.5, scale=4.0, norm=2.0, slopes=0.1, periodic=0.3)]
    ),
    is_ntk=st.booleans(),
    gradient_clip=st.sampled_from([None, 0.2]),
    averaging=st.sampled_from([None, ExponentialAverage(decay=0.9), StochasticAverage(start=0.5)]),
)


def dataset(loss, dtype, weighted, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_ROWS, N_IN)).astype(dtype)
    weights = rng.uniform(0.5, 1.5, N_ROWS).astype(dtype) if weighted else None
    if isinstance(loss, CrossEntropy):
        return Dataset(X, rng.integers(N_OUT, size=N_ROWS).astype(np.int8), np.eye(N_OUT, dtype=dtype), weights)
    return Dataset(X, rng.integers(2, size=(N_ROWS, N_OUT)).astype(dtype), None, weights)


def trained(kind, member, data, spec, dtype, n_epochs=2, **more):
    state = member.init(spec, np.dtype(dtype), data.X)
    trainer = kind(member, data, spec, state, **more)
    results = [trainer.run(epoch, lambda: False) for epoch in range(n_epochs)]
    return state, results


@settings(max_examples=60)
@given(st.data(), st.sampled_from(COSTS), updates, st.booleans(), st.sampled_from([7, 16, 100]))
def test_compiled_and_numpy_agree_for_networks_and_optimizers_of_all_kinds(data, cost, update, weighted, batch_size):
    loss, output = cost
    net = data.draw(networks(HIDDEN, output))
    try:
        lower_network(net, loss)
    except NotSupported:
        return
    schedules = (Cosine(), FlatCos(), CosLog())
    spec = TrainingSpec(loss, update, schedules[0], batch_size, 5, 0, schedules[1], schedules[2])
    member, rows = Member(0, net, N_ROWS), dataset(loss, "f8", weighted)
    one, of_one = trained(NumpyTrainer, member, rows, spec, "f8")
    other, of_other = trained(CompiledTrainer, member, rows, spec, "f8")
    np.testing.assert_allclose(other.flat, one.flat, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(other.kept, one.kept, rtol=1e-7, atol=1e-9)
    for result, expected in zip(of_other, of_one, strict=True):
        assert result.loss == pytest.approx(expected.loss, rel=1e-9)
        assert result.learning_rate == expected.learning_rate
    assert one.n_steps == other.n_steps


def test_single_precision_agrees_to_its_rounding():
    spec = TrainingSpec(CrossEntropy(), UpdateSpec(optimizer=AdamW()), Constant(), 16, 5)
    member = Member(0, network(24, 24, activation="mish", n_in=N_IN, n_out=N_OUT, is_learnt=True), N_ROWS)
    rows = dataset(CrossEntropy(), "f4", weighted=True)
    one, other = (trained(kind, member, rows, spec, "f4")[0] for kind in (NumpyTrainer, CompiledTrainer))
    np.testing.assert_allclose(other.flat, one.flat, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("hidden", [(700, 400), (64,)])
def test_the_number_of_threads_does_not_change_a_bit(hidden, clip):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 800)).astype(np.float32)
    rows = Dataset(X, rng.integers(3, size=300).astype(np.int8), np.eye(3, dtype=np.float32))
    net = network(*hidden, n_in=800, n_out=3, is_normalized=True)
    spec = TrainingSpec(CrossEntropy(), UpdateSpec(optimizer=AdamW(), gradient_clip=clip), Constant(), 128, 5)
    member = Member(0, net, 300)
    states = [trained(CompiledTrainer, member, rows, spec, "f4", n_threads=n)[0] for n in (1, 2, 3, 5)]
    assert len({state.flat.tobytes() for state in states}) == 1


@pytest.mark.parametrize("kinds", [(NumpyTrainer, CompiledTrainer), (CompiledTrainer, NumpyTrainer)])
def test_one_trainer_goes_on_where_the_other_stopped(kinds):
    spec = TrainingSpec(CrossEntropy(), UpdateSpec(optimizer=Adam(), averaging=ExponentialAverage()), Constant(), 16, 5)
    member, rows = Member(0, network(8, n_in=N_IN, n_out=N_OUT), N_ROWS), dataset(CrossEntropy(), "f8", weighted=False)
    whole, _ = trained(NumpyTrainer, member, rows, spec, "f8", 4)
    state = member.init(spec, np.dtype("f8"), None)
    for epoch in range(4):
        kinds[epoch % 2](member, rows, spec, state).run(epoch, lambda: False)
    np.testing.assert_allclose(state.flat, whole.flat, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_loss_that_is_not_finite_ends_the_training(n_threads):
    spec = TrainingSpec(SquaredError(), UpdateSpec(optimizer=SGD(learning_rate=1e30)), Constant(), 16, 5)
    layers = (Dense(width=4), Activation(function="identity"), Dense(width=N_OUT))
    member, rows = Member(0, Network(N_IN, layers), N_ROWS), dataset(SquaredError(), "f4", weighted=False)
    with pytest.raises(NonFiniteLoss, match="epoch 1"):
        trained(CompiledTrainer, member, rows, spec, "f4", n_threads=n_threads)


def test_a_training_told_to_stop_stops_between_steps():
    spec = TrainingSpec(CrossEntropy(), UpdateSpec(optimizer=SGD()), Constant(), 1, 5)
    member, rows = Member(0, network(4, n_in=N_IN, n_out=N_OUT), N_ROWS), dataset(CrossEntropy(), "f4", weighted=False)
    state = member.init(spec, np.dtype("f4"), None)
    asked = iter([False, True])
    result = CompiledTrainer(member, rows, spec, state).run(0, lambda: next(asked))
    assert not result.is_whole
    assert 0 < state.n_steps < N_ROWS


@pytest.mark.parametrize(
    ("layers", "loss", "output", "reason"),
    [
        ((Dense(width=3),), Huber(), "identity", "huber on identity"),
        ((Dense(width=3),), SquaredError(), "softmax", "squared_error on softmax"),
        ((Dense(width=2), Activation(function="exp"), Dense(width=3)), SquaredError(), "identity", "activation exp"),
    ],
)
def test_what_it_does_not_know_it_says(layers, loss, output, reason):
    with pytest.raises(NotSupported, match=reason):
        lower_network(Network(N_IN, layers, output), loss)


def test_every_hidden_activation_has_a_kernel():
    """A function that is added to `nn.activations` alone is refused, never taken for another one."""
    assert set(FUNCTIONS) == set(HIDDEN)
