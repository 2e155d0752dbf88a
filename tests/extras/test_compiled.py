"""The compiled engine is NumPy's engine up to rounding: same state, same losses, same faults."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from mlpcli.extras.coverage import HIDDEN
from mlpcli.nn.initialization import initialize
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from mlpcli.nn.schedules import Constant, Cosine
from mlpcli.training.crew import Crew
from mlpcli.training.engine import NonFiniteLoss, NumpyEngine, Plan
from mlpcli.training.streams import stream
from tests.extras.staging import arrays, assert_same, make_samples, train

pytest.importorskip("numba")

from mlpcli.extras import compiled
from mlpcli.extras.compiled import CompiledEngine
from mlpcli.extras.foreign import NO_BLAS, find_blas
from mlpcli.extras.loops.arguments import Blas

NETWORK = Network((3, 9, 6, 3), "tanh", "softmax")
PLAN = Plan(CrossEntropy(), SGD(learning_rate=0.1, momentum=0.9), Cosine(warmup=1.5), batch_size=16, epochs=4)


def with_blas(network, plan, samples):
    blas = find_blas(samples.X.dtype)
    if blas == NO_BLAS:
        pytest.skip("NumPy's BLAS has no product by a known name")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "LEAST_WORK_OF_A_THREAD", 1)
        return CompiledEngine(network, plan, samples, blas)


def by_neurons(network, plan, samples):
    """Every layer is large, and moved in pieces of a few neurons."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "WEIGHTS_BY_NEURONS", 1)
        patch.setattr(compiled, "WEIGHTS_OF_A_PIECE", 20)
        return with_blas(network, plan, samples)


def mixed(network, plan, samples):
    """Layers shared by neurons and by rows lie on one another."""
    engine = with_blas(network, plan, samples)
    engine._shape.by_neurons[::2] = True
    return engine


WAYS = {
    "loops": (CompiledEngine, 1),
    "BLAS": (with_blas, 1),
    "threads by rows": (with_blas, 3),
    "threads by neurons": (by_neurons, 2),
    "threads by both": (mixed, 2),
}


def assert_engines_agree(network, plan, samples):
    expected = train(NumpyEngine, network, plan, samples)
    for engine, n_threads in WAYS.values():
        ours = train(engine, network, replace(plan, n_threads=n_threads), samples)
        assert_same(ours, expected, str(samples.X.dtype))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("activation", HIDDEN)
def test_every_hidden_activation_agrees_with_numpy(activation, dtype):
    network = replace(NETWORK, activation=activation)
    assert_engines_agree(network, PLAN, make_samples(PLAN.loss, dtype=dtype))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 2, 5])
@pytest.mark.parametrize("loss", [CrossEntropy(), BinaryCrossEntropy(), SquaredError()], ids=lambda loss: loss.name)
def test_every_loss_agrees_with_numpy(loss, n_outputs, is_weighted, dtype):
    network = Network((3, 7, n_outputs), "tanh", loss.partner)
    plan = replace(PLAN, loss=loss, optimizer=SGD(learning_rate=0.02, momentum=0.5))
    assert_engines_agree(network, plan, make_samples(loss, 150, n_outputs, dtype, is_weighted))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize(
    "optimizer",
    [
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
    ],
    ids=lambda optimizer: f"{optimizer.name}-{optimizer.weight_decay:g}",
)
def test_every_optimizer_agrees_with_numpy(optimizer, clip, dtype):
    plan = replace(PLAN, optimizer=optimizer, gradient_clip=clip)
    assert_engines_agree(NETWORK, plan, make_samples(plan.loss, dtype=dtype, is_weighted=True))


@pytest.mark.parametrize("sizes", [(3, 3), (3, 1, 3), (3, 4, 3), (3, 5, 2, 6, 3)])
@pytest.mark.parametrize("batch_size", [1, 7, 128, 150, 300, 1000])
def test_every_shape_agrees_with_numpy(sizes, batch_size):
    # A small rate: hundreds of steps of one row each would let rounding grow.
    plan = replace(PLAN, optimizer=SGD(learning_rate=0.01, momentum=0.9), batch_size=batch_size, epochs=2)
    assert_engines_agree(Network(sizes, "tanh", "softmax"), plan, make_samples(plan.loss, 290))


def test_extreme_inputs_saturate_as_in_numpy():
    samples = make_samples(BinaryCrossEntropy())
    samples = replace(samples, X=samples.X * 300.0)
    for activation in HIDDEN:
        network = Network((3, 6, 3), activation, "sigmoid")
        plan = replace(PLAN, loss=BinaryCrossEntropy(), optimizer=SGD(learning_rate=1e-5), epochs=2)
        assert_engines_agree(network, plan, samples)


every_way = pytest.mark.parametrize(("engine", "n_threads"), WAYS.values(), ids=WAYS)


@every_way
def test_the_same_seed_gives_the_same_bytes(engine, n_threads):
    plan, samples = replace(PLAN, n_threads=n_threads), make_samples(PLAN.loss, dtype="float32")
    (one, _), (other, _) = (train(engine, NETWORK, plan, samples) for _ in range(2))
    assert {name: values.tobytes() for name, values in arrays(one).items()} == {
        name: values.tobytes() for name, values in arrays(other).items()
    }


@every_way
def test_the_size_of_the_chunks_does_not_show(monkeypatch, engine, n_threads):
    plan, samples = replace(PLAN, n_threads=n_threads, batch_size=2), make_samples(PLAN.loss)
    monkeypatch.setattr(compiled, "CHUNK_SECONDS", 60.0)
    whole, reports = train(engine, NETWORK, plan, samples)
    monkeypatch.setattr(compiled, "CHUNK_SECONDS", 0.0)
    by_steps, reports_by_steps = train(engine, NETWORK, plan, samples)
    assert whole.flat.tobytes() == by_steps.flat.tobytes()
    assert [report.train_loss for report in reports] == [report.train_loss for report in reports_by_steps]


@pytest.mark.parametrize("optimizer", [SGD(learning_rate=0.1, momentum=0.9), Adam(learning_rate=0.01), SGD()])
@pytest.mark.parametrize(("first", "then"), [(NumpyEngine, CompiledEngine), (CompiledEngine, NumpyEngine)])
def test_one_engine_goes_on_where_the_other_stopped(first, then, optimizer):
    plan, samples = replace(PLAN, optimizer=optimizer), make_samples(PLAN.loss)
    state, before = train(first, NETWORK, plan, samples, epochs=2)
    state, after = train(then, NETWORK, plan, samples, copy.deepcopy(state))
    assert [report.epoch for report in before + after] == [1, 2, 3, 4]
    assert_same((state, before + after), train(NumpyEngine, NETWORK, plan, samples), "float64")


@every_way
def test_resuming_gives_the_same_bytes(engine, n_threads):
    plan, samples = replace(PLAN, n_threads=n_threads), make_samples(PLAN.loss, dtype="float32")
    whole, _ = train(engine, NETWORK, plan, samples)
    state, _ = train(engine, NETWORK, plan, samples, epochs=1)
    state, _ = train(engine, NETWORK, plan, samples, copy.deepcopy(state))
    assert state.flat.tobytes() == whole.flat.tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("activation", HIDDEN)
def test_inputs_that_are_not_finite_are_raised_at_their_step(activation, bad):
    samples = make_samples(SquaredError())
    samples.X[17] = bad
    samples.y[17] = bad
    network, plan = Network((3, 6, 3), activation, "identity"), replace(PLAN, loss=SquaredError())
    for engine, n_threads in WAYS.values():
        with pytest.raises(NonFiniteLoss, match="training loss is not finite in epoch 1"):
            train(engine, network, replace(plan, n_threads=n_threads), samples)


@pytest.mark.parametrize("activation", HIDDEN)
def test_weights_that_are_not_a_number_never_give_a_finite_loss(activation):
    samples = make_samples(PLAN.loss)
    network = replace(NETWORK, activation=activation)
    parameters = initialize(network, "auto", stream(0, "weights"), np.float64)
    parameters.W[0][0, 0] = np.nan
    with pytest.raises(NonFiniteLoss):
        CompiledEngine(network, PLAN, samples).run(parameters, PLAN.optimizer.start(parameters.flat), 0, lambda: False)


def test_a_training_that_diverges_is_raised_as_in_numpy():
    plan = replace(PLAN, loss=SquaredError(), optimizer=SGD(learning_rate=1e3), schedule=Constant(), epochs=50)
    faults = []
    for engine in (NumpyEngine, CompiledEngine):
        with pytest.raises(NonFiniteLoss) as caught:
            train(engine, Network((3, 6, 3), "identity", "identity"), plan, make_samples(SquaredError()))
        faults.append(caught.value.epoch)
    assert faults[0] == faults[1]


def test_a_stop_between_two_chunks_gives_the_epoch_up():
    samples, answers = make_samples(PLAN.loss), iter([False, True])
    engine = CompiledEngine(NETWORK, PLAN, samples)
    parameters = initialize(NETWORK, "auto", stream(0, "weights"), np.float64)
    state = PLAN.optimizer.start(parameters.flat)
    assert engine.run(parameters, state, 0, lambda: next(answers)) is None
    assert state["step"] == 1


@pytest.mark.parametrize(("missing", "fault"), [(0, KeyboardInterrupt), (1, MemoryError), (2, MemoryError)])
def test_a_thread_that_does_not_come_keeps_no_other_waiting(monkeypatch, missing, fault):
    """The others are at the first meeting then."""

    def interrupted(share, *arguments):
        if share.place == missing:
            raise fault
        return run_steps(share, *arguments)

    run_steps = compiled.run_steps
    monkeypatch.setattr(compiled, "run_steps", interrupted)
    with pytest.raises(fault):
        train(with_blas, NETWORK, replace(PLAN, n_threads=3), make_samples(PLAN.loss))


def test_a_caller_that_is_interrupted_before_its_part_keeps_no_other_waiting(monkeypatch):
    class Interrupted(Crew):
        def run(self, work):
            for other in self._others:
                other.todo.put(work)
            raise KeyboardInterrupt

    monkeypatch.setattr(compiled, "Crew", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(with_blas, NETWORK, replace(PLAN, n_threads=3), make_samples(PLAN.loss))


def test_threads_that_would_have_next_to_nothing_to_do_are_not_begun():
    """However many are asked for: two for a million multiply-adds each."""
    network, samples = Network((3, 500, 500, 3), "tanh", "softmax"), make_samples(PLAN.loss)
    plan = replace(PLAN, n_threads=8, batch_size=3)
    for n_rows, expected in ((1, 1), (3, 2), (150, 8)):
        engine = CompiledEngine(network, replace(plan, batch_size=n_rows), samples, Blas(1, True))
        assert engine._team.n_threads == expected


def test_without_blas_there_is_one_thread():
    engine = CompiledEngine(NETWORK, replace(PLAN, n_threads=4), make_samples(PLAN.loss))
    assert engine._team.n_threads == 1


def test_a_batch_may_have_fewer_rows_than_there_are_threads():
    for batch_size in (1, 3):
        plan = replace(PLAN, batch_size=batch_size, optimizer=SGD(learning_rate=0.01), n_threads=5, epochs=2)
        samples = make_samples(PLAN.loss, n_rows=7)
        assert_same(train(with_blas, NETWORK, plan, samples), train(NumpyEngine, NETWORK, plan, samples), "float64")
