"""The compiled trainer takes the steps of NumPy's, for everything that it says it knows, on any number of threads."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from numba import njit

from mlpcli.compiled import division, kernels, program
from mlpcli.compiled.codes import ACTIVATION, ACTIVATION_CODES, DENSE
from mlpcli.compiled.elementwise import drop
from mlpcli.compiled.epoch import run_steps
from mlpcli.compiled.program import LOWERINGS, OUTPUTS, RULES, NotSupported, lower_network, rule_hyperparameters
from mlpcli.compiled.trainer import CompiledTrainer
from mlpcli.nn.averaging import ExponentialAverage, StochasticAverage
from mlpcli.nn.chain import Residual
from mlpcli.nn.embeddings import CategoryEmbedding, ColumnMask, PeriodicEmbedding
from mlpcli.nn.layers import Activation, Allocator, Dense, Dropout, Noise, neuron_salts
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, Huber, SquaredError
from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from mlpcli.nn.schedules import Constant, Cosine, CosLog, FlatCos
from mlpcli.nn.steps import Multipliers, UpdateSpec
from mlpcli.training.dataset import Dataset
from mlpcli.training.member import Member, NonFiniteLoss, NumpyTrainer, TrainingSpec
from tests.nn.staging import HIDDEN, N_IN, N_OUT, networks
from tests.training.staging import SPEC, network

N_ROWS = 45
COSTS = [(CrossEntropy(), "softmax"), (BinaryCrossEntropy(), "sigmoid"), (SquaredError(), "identity")]
# Low enough that no training diverges: it would make any difference of last digits a large one.
RATE = 0.002
optimizers = st.sampled_from(
    [
        SGD(learning_rate=RATE), SGD(learning_rate=RATE, momentum=0.9, weight_decay=0.01),
        SGD(learning_rate=RATE, momentum=0.8, nesterov=True), Adam(weight_decay=0.01), AdamW(), RMSprop(),
        RMSprop(momentum=0.5, weight_decay=0.01), Adagrad(),
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


@njit
def compiled_drop(x, h, mask, salt, lowest, first):
    """`drop` has no way in from Python."""
    drop(x, h, mask, salt, lowest, first)


# Sizes by which small networks are cut into several blocks, chunks and pieces.
SMALL = {
    "MIN_BLOCK_WORK": 1, "MIN_BLOCK_ROWS": 2, "MIN_CHUNKED_WEIGHTS": 12, "MIN_CHUNK_NEURONS": 2,
    "TILE_WEIGHTS": 7, "MIN_TILE_WEIGHTS": 2,
}  # fmt: skip


def is_supported(network, loss):
    try:
        lower_network(network, loss)
    except NotSupported:
        return False
    return True


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
@given(
    st.data(), st.sampled_from(COSTS), updates, st.booleans(), st.sampled_from([7, 16, 100]), st.booleans(),
    st.lists(st.sampled_from([Constant(), Cosine(), FlatCos(flat=0.1), CosLog()]), min_size=3, max_size=3),
)  # fmt: skip
def test_compiled_and_numpy_agree_for_networks_and_optimizers_of_all_kinds(
    data, cost, update, weighted, batch_size, is_cut, schedules
):
    loss, output = cost
    net = data.draw(networks(HIDDEN, output))
    assume(is_supported(net, loss))
    spec = TrainingSpec(loss, update, schedules[0], batch_size, 5, 0, schedules[1], schedules[2])
    member, rows = Member(0, net, N_ROWS), dataset(loss, "f8", weighted)
    one, of_one = trained(NumpyTrainer, member, rows, spec, "f8")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items() if is_cut else ():
            patch.setattr(division, name, value)
        other, of_other = trained(CompiledTrainer, member, rows, spec, "f8", n_threads=data.draw(st.integers(1, 3)))
    np.testing.assert_allclose(other.flat, one.flat, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(other.evaluated_flat, one.evaluated_flat, rtol=1e-7, atol=1e-9)
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
@pytest.mark.parametrize(("hidden", "is_normalized"), [((700, 400), True), ((700, 520), False), ((64,), True)])
def test_the_number_of_threads_does_not_change_a_bit(hidden, is_normalized, clip):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 800)).astype(np.float32)
    rows = Dataset(X, rng.integers(3, size=300).astype(np.int8), np.eye(3, dtype=np.float32))
    net = network(*hidden, n_in=800, n_out=3, is_normalized=is_normalized)
    spec = TrainingSpec(CrossEntropy(), UpdateSpec(optimizer=AdamW(), gradient_clip=clip), Constant(), 128, 5)
    member = Member(0, net, 300)
    states = [trained(CompiledTrainer, member, rows, spec, "f4", n_threads=n)[0] for n in (1, 2, 3, 5)]
    assert len({state.flat.tobytes() for state in states}) == 1


def test_a_step_of_one_of_several_members_is_not_cut_and_agrees_to_rounding():
    net, rng = network(256, n_in=800, n_out=3), np.random.default_rng(0)
    assert program.assemble(net, CrossEntropy(), UpdateSpec(optimizer=AdamW()), 128, np.dtype("f4"), 2).n_blocks == 2
    assert program.assemble(net, CrossEntropy(), UpdateSpec(optimizer=AdamW()), 128, np.dtype("f4"), None).n_blocks == 1
    rows = Dataset(rng.normal(size=(300, 800)), rng.integers(3, size=300).astype(np.int8), np.eye(3))
    spec = TrainingSpec(CrossEntropy(), UpdateSpec(optimizer=AdamW()), Constant(), 128, 5)
    whole, cut = (trained(CompiledTrainer, Member(0, net, 300), rows, spec, "f8", n_threads=n)[0] for n in (None, 2))
    np.testing.assert_allclose(whole.flat, cut.flat, rtol=1e-9, atol=1e-12)


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
    assert not result.is_complete
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
    assert set(ACTIVATION_CODES) == set(HIDDEN)


def test_what_is_cut_in_the_test_above_is_cut_into_several_of_each(monkeypatch):
    for name, value in SMALL.items():
        monkeypatch.setattr(division, name, value)
    net = network(6, 6, n_in=N_IN, n_out=N_OUT)
    made = program.assemble(net, CrossEntropy(), UpdateSpec(optimizer=SGD()), 16, np.dtype("f8"), 2)
    assert made.n_blocks > 2
    assert max(op["chunks"] for op in made.ops) > 2
    assert len(made.tiles) > 2 * len(net.tensors)


@settings(max_examples=200)
@given(st.floats(0.0, 0.999), st.floats(0.0, 1.5), st.integers(0, 2**32 - 1))
def test_dropout_drops_the_same_neurons_whatever_the_rate_and_its_factor(rate, factor, key):
    layer = Dropout(rate=rate)
    buffers = layer.buffers(4, Allocator(50, np.dtype("f8"), True), needs_dx=False)
    expected = layer.forward(np.ones((50, 4)), {}, buffers, Noise(key, factor))
    threshold = kernels.threshold_of(layer.fixed_point_rate, factor)
    for neuron, salt in enumerate(neuron_salts(0, 4)):
        h, mask = np.empty(50), np.empty(50)
        compiled_drop(np.ones(50), h, mask, np.uint32(salt ^ np.uint32(key)), threshold, 0)
        np.testing.assert_array_equal(h, expected[:, neuron])


def subclass(kind):
    """Another part of the same name and options, which may compute anything."""
    return type(f"Other{kind.__name__}", (kind,), {})


@pytest.mark.parametrize("kind", LOWERINGS)
def test_a_layer_that_derives_from_another_is_not_taken_for_it(kind):
    more = {
        Dense: {"width": 9}, Dropout: {"rate": 0.5}, ColumnMask: {"spans": ((0, 9),)}, Residual: {"layers": ()},
        PeriodicEmbedding: {"columns": (0,)}, CategoryEmbedding: {"spans": ((0, 2),), "size": 2},
    }  # fmt: skip
    lower_network(Network(N_IN, (kind(**more.get(kind, {})),)), SquaredError())
    with pytest.raises(NotSupported, match=f"the layer Other{kind.__name__}"):
        lower_network(Network(N_IN, (subclass(kind)(**more.get(kind, {})),)), SquaredError())


@pytest.mark.parametrize("kind", RULES)
def test_an_optimizer_that_derives_from_another_is_not_taken_for_it(kind):
    rule_hyperparameters(kind())
    with pytest.raises(NotSupported, match=f"the optimizer other{kind.__name__.lower()}"):
        rule_hyperparameters(subclass(kind)())


@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_cost_function_that_derives_from_another_is_not_taken_for_it(kind):
    lower_network(Network(N_IN, (Dense(width=3),), kind.canonical_activation), kind())
    with pytest.raises(NotSupported, match=kind().name):
        lower_network(Network(N_IN, (Dense(width=3),), kind.canonical_activation), subclass(kind)())


def test_all_trainings_of_a_dtype_share_one_compilation(tmp_path):
    """Rows of any type, in memory or on disk, weighted or not, of classes or numbers, with or without an average."""
    loss, update = CrossEntropy(), UpdateSpec(optimizer=Adam(), averaging=ExponentialAverage(), gradient_clip=1.0)
    rows = dataset(loss, "f4", weighted=True)
    np.save(tmp_path / "X.npy", rows.X)
    on_disk = replace(rows, X=np.load(tmp_path / "X.npy", mmap_mode="r"), y=rows.y.astype(np.int64))
    numbers, of_rows = dataset(SquaredError(), "f4", weighted=False), np.arange(20)[::-1]
    net = network(4, n_in=N_IN, n_out=N_OUT)
    for data, cost, spec, own in (
        (rows, loss, update, N_ROWS),
        (on_disk, loss, UpdateSpec(optimizer=SGD()), of_rows),
        (numbers, SquaredError(), update, of_rows.astype(np.int32)),
    ):
        member = Member(0, replace(net, output=cost.canonical_activation), own)
        trained(CompiledTrainer, member, data, TrainingSpec(cost, spec, Constant(), 16, 5), "f4")
    of_dtype = [one for one in run_steps.signatures if "float32" in str(one)]
    assert len(of_dtype) == 1


@pytest.mark.parametrize("n_neurons", [300, 511, 512, 3000])
def test_neurons_are_shared_in_two_chunks_at_least_or_else_the_rows_are(n_neurons):
    spec = replace(SPEC, batch_size=256)
    wide = network(n_neurons, dropout=0.0, n_in=1000)
    ops = program.assemble(wide, spec.loss, spec.update, spec.batch_size, np.dtype("f4"), n_threads=2).ops
    assert (ops["chunks"].max() >= 2) == (n_neurons >= 512)
    assert not (ops["chunks"] == 1).any()


@pytest.mark.parametrize(("sizes", "batch_size"), [((784, 100, 10), 200), ((784, 1024, 1024, 10), 128)])
def test_two_threads_update_about_as_many_weights(sizes, batch_size):
    n_in, *hidden, n_out = sizes
    net = network(*hidden, n_in=n_in, n_out=n_out)
    made = program.assemble(net, SPEC.loss, SPEC.update, batch_size, np.dtype("f4"), n_threads=2)
    neurons = made.tiles[:, 2] - made.tiles[:, 1]
    work = np.bincount(made.tile_ranks, neurons * made.ops["n_in"][made.tiles[:, 0]])
    assert work.max() < 1.1 * work.min()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_workspace_begins_at_a_cache_line(dtype):
    made = program.assemble(network(5, n_in=3, n_out=2), SPEC.loss, SPEC.update, 7, np.dtype(dtype))
    assert made.workspace.ctypes.data % 64 == 0
    assert made.rows.ctypes.data % 64 == 0
    assert made.rows.size == 3 * 7


def test_an_activation_after_a_layer_in_chunks_is_computed_by_the_threads_of_these_chunks():
    wide = network(1024, 1024, n_in=784, n_out=10)
    ops = program.assemble(wide, SPEC.loss, SPEC.update, 128, np.dtype("f4")).ops
    chunks = {code: ops["chunks"][ops["code"] == code].tolist() for code in (DENSE, ACTIVATION)}
    assert chunks == {DENSE: [4, 4, 0], ACTIVATION: [4, 4]}


@pytest.mark.parametrize("batch_size", [1, 64, 128, 200, 256, 400, 1000, 5000])
def test_the_rows_of_a_batch_are_cut_into_a_power_of_two_of_blocks(batch_size):
    n_blocks = division.blocks_per_step(Network(784, (Dense(width=512), Activation(), Dense(width=10))), batch_size)
    assert n_blocks in (1, 2, 4, 8)
    assert n_blocks <= max(1, batch_size // division.MIN_BLOCK_ROWS)
    assert (n_blocks == 1) == (batch_size < 2 * division.MIN_BLOCK_ROWS)
