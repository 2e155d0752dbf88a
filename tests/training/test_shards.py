"""Steps of one network shared by threads, beside the same steps on one."""

from dataclasses import replace

import numpy as np
import pytest

from mlpcli.nn.architecture import Front, Network, Periodic
from mlpcli.nn.averaging import ExponentialAverage
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from mlpcli.nn.optimizers import SGD, Adam, AdamW
from mlpcli.nn.rates import Rates
from mlpcli.nn.schedules import Constant, Cosine
from mlpcli.training import neurons
from mlpcli.training.engine import NonFiniteLoss, NumpyEngine, Plan
from mlpcli.training.members import epoch_rows
from mlpcli.training.shards import ShardedEngine
from tests.extras.staging import arrays, assert_same, make_samples, train

NETWORK = Network((3, 20, 9, 3), "tanh", "softmax")
PLAN = Plan(CrossEntropy(), Adam(learning_rate=0.02), Cosine(), batch_size=16, epochs=3)


def sharded(network, plan, samples):
    return ShardedEngine(network, plan, samples, epoch_rows("all", 1, samples.n_rows, plan.seed))


def assert_like_one_thread(network=NETWORK, plan=PLAN, samples=None, n_threads=(2, 3)):
    """Whether the gradients of a layer are exchanged, or its entries."""
    samples = samples or make_samples(plan.loss, is_weighted=True)
    alone = train(NumpyEngine, network, plan, samples)
    for n in n_threads:
        for adds in (None, True, False):
            with pytest.MonkeyPatch.context() as patch:
                if adds is not None:
                    patch.setattr(neurons, "adds_gradients", lambda *_, adds=adds: adds)
                shared = train(sharded, network, replace(plan, n_threads=n), samples)
            assert_same(shared, alone, "float64")


PARTS = {
    "plain": {},
    "dropout": {"dropout": 0.3},
    "relu and dropout": {"activation": "relu", "dropout": 0.3},
    "slopes": {"learns_slopes": True},
    "slopes and dropout": {"learns_slopes": True, "dropout": 0.2},
    "norm": {"is_normalized": True},
    "residual": {"sizes": (3, 9, 9, 9, 3), "is_residual": True},
    "scale": {"front": Front(is_scaled=True)},
    "cosines": {"front": Front(periodic=Periodic(frequencies=4, outputs=3, sigma=0.5), numbers=(0, 2))},
    "embeddings": {"front": Front(blocks=((1, 3),), embedding=2)},
    "no hidden layer": {"sizes": (3, 3)},
}


@pytest.mark.parametrize("more", PARTS.values(), ids=PARTS)
def test_threads_end_where_one_thread_ends_up_to_rounding(more):
    assert_like_one_thread(replace(NETWORK, **more))


PLANS = {
    "clip": {"gradient_clip": 0.05},
    "momentum": {"optimizer": SGD(learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)},
    "decoupled decay": {"optimizer": AdamW(learning_rate=0.02, weight_decay=0.1), "decay_schedule": Cosine()},
    "averaging": {"averaging": ExponentialAverage(decay=0.9)},
    "averaging and clip": {"averaging": ExponentialAverage(decay=0.9), "gradient_clip": 0.05},
    "rates": {"rates": Rates(weights=0.5, biases=0.1), "is_ntk": True},
    "short batches": {"batch_size": 149},
    "dropout over time": {"dropout_schedule": Cosine()},
}


@pytest.mark.parametrize("more", PLANS.values(), ids=PLANS)
def test_threads_do_all_that_a_plan_asks_for(more):
    assert_like_one_thread(replace(NETWORK, dropout=0.2), replace(PLAN, **more))


@pytest.mark.parametrize(("loss", "output"), [(SquaredError(), "identity"), (BinaryCrossEntropy(), "sigmoid")])
def test_threads_have_every_loss(loss, output):
    plan = replace(PLAN, loss=loss)
    network = Network((3, 8, 1), "relu", output)
    assert_like_one_thread(network, plan, make_samples(loss, n_outputs=1))


def test_a_batch_may_have_fewer_rows_than_there_are_threads():
    samples = make_samples(CrossEntropy(), n_rows=7)
    for n_threads in (2, 3, 8):
        assert_like_one_thread(plan=replace(PLAN, batch_size=3), samples=samples, n_threads=(n_threads,))


def test_pieces_may_be_smaller_than_a_layer_and_larger_than_a_block(monkeypatch):
    monkeypatch.setattr(neurons, "WEIGHTS_AT_ONCE", 50)
    assert_like_one_thread()
    assert_like_one_thread(plan=replace(PLAN, is_ntk=True))


def test_of_a_layer_the_less_is_exchanged():
    """784 entries of 100 neurons: their gradient is as much as 100 rows."""
    W = np.empty((100, 784))
    assert neurons.adds_gradients(W, 101)
    assert not neurons.adds_gradients(W, 100)


@pytest.mark.parametrize("n_threads", [2, 3])
def test_for_a_number_of_threads_the_bytes_are_the_same_every_time(n_threads):
    plan = replace(PLAN, n_threads=n_threads)
    samples = make_samples(plan.loss, dtype="float32")
    network = replace(NETWORK, dropout=0.1)
    (first, _), (second, _) = (train(sharded, network, plan, samples) for _ in range(2))
    for name, values in arrays(first).items():
        assert values.tobytes() == arrays(second)[name].tobytes(), name


def test_a_training_that_goes_on_is_one_that_never_stopped():
    plan, samples = replace(PLAN, n_threads=2, averaging=ExponentialAverage(decay=0.9)), make_samples(PLAN.loss)
    network = replace(NETWORK, dropout=0.1)
    whole, _ = train(sharded, network, plan, samples)
    half, _ = train(sharded, network, plan, samples, epochs=1)
    resumed, _ = train(sharded, network, plan, samples, half)
    for name, values in arrays(whole).items():
        assert values.tobytes() == arrays(resumed)[name].tobytes(), name


def test_a_loss_that_is_not_finite_ends_the_epoch():
    plan = replace(PLAN, optimizer=SGD(learning_rate=1e200), schedule=Constant(), n_threads=2, loss=SquaredError())
    network = Network((3, 8, 3), "relu", "identity")
    with pytest.raises(NonFiniteLoss):
        train(sharded, network, plan, make_samples(plan.loss))
