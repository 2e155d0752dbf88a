"""Where the last biases start: at the constant answer of least loss, over the rows of each member."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import logit

from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.build import HiddenSpec, perceptron
from mlpcli.nn.initializers import ByFan
from mlpcli.nn.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Poisson,
    Quantile,
    SquaredError,
)
from mlpcli.nn.network import Network, predict
from mlpcli.training.dataset import Dataset
from mlpcli.training.ensemble import Evaluator
from mlpcli.training.fit import init_training
from mlpcli.training.member import Member
from mlpcli.training.output_bias import best_output_bias, inverse_activation
from tests.training.staging import SPEC

N_ROWS = 60
LOSSES = [SquaredError(), AbsoluteError(), Huber(delta=0.3), Poisson(), Quantile(quantile=0.8), BinaryCrossEntropy()]


def network(n_out, output):
    layers = perceptron(3, [4], n_out, ["tanh"], output, HiddenSpec(start=ByFan(zero_last=True)))
    return Network(3, layers, output)


def data(y, class_targets=None, weighted=True):
    rng = np.random.default_rng(5)
    weights = rng.uniform(0.1, 3.0, len(y))
    X = rng.normal(size=(len(y), 3))
    return Dataset(X, y, class_targets, weights / weights.mean() if weighted else None)


def loss_at_the_start(loss, output, dataset):
    one = Member(0, network(dataset.n_out, output), dataset.n_rows)
    bias = best_output_bias(loss, output, dataset, dataset.n_rows)
    state = init_training([one], SPEC, np.dtype("f8"), None, [bias])
    return Evaluator([one.network], loss, dataset).run([state.members[0].flat])[0]


def least_loss_of_a_constant(loss, output, dataset):
    """By SciPy's scalar search over the logit of each output, which losses of single outputs allow."""
    y, w = dataset.targets(slice(None)), dataset.weights / dataset.weights.sum()
    total = 0.0
    for column in y.T:

        def cost(z, column=column):
            a = np.empty((1, 1))
            ACTIVATIONS[output].evaluate(np.array([[z]]), a, None, np.empty((1, 1)))
            return float(w @ loss.values(np.broadcast_to(a, (len(column), 1)), column[:, None]))

        grid = np.linspace(-12, 12, 400)
        middle = grid[np.argmin([cost(z) for z in grid])]
        total += minimize_scalar(cost, bounds=(middle - 0.1, middle + 0.1), method="bounded").fun
    return total


@pytest.mark.parametrize("output", ["identity", "sigmoid", "softplus", "exp", "tanh", "leaky_relu", "mish"])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_with_a_zero_last_layer_the_first_loss_is_that_of_the_best_constant(loss, output):
    rng = np.random.default_rng(1)
    dataset = data(rng.beta(2.0, 3.0, size=(N_ROWS, 2)) * [0.9, 0.5])
    assert loss_at_the_start(loss, output, dataset) <= least_loss_of_a_constant(loss, output, dataset) + 1e-6


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("loss", [CrossEntropy(), SquaredError(), BinaryCrossEntropy()], ids=lambda loss: loss.name)
def test_softmax_outputs_start_at_the_weighted_shares_of_the_classes(loss, smoothing):
    codes = np.array([0] * 5 + [1] * 20 + [2] * 35, np.int8)
    dataset = data(codes, np.eye(3) * (1.0 - smoothing) + smoothing / 3)
    fractions = np.bincount(codes, dataset.weights) / dataset.weights.sum() * (1.0 - smoothing) + smoothing / 3
    z = best_output_bias(loss, "softmax", dataset, N_ROWS)
    np.testing.assert_allclose(np.exp(z) / np.exp(z).sum(), fractions, rtol=1e-12)


def test_equal_shares_start_where_no_bias_is_added():
    dataset = data(np.array([0, 1, 2] * 20), np.eye(3), weighted=False)
    np.testing.assert_allclose(best_output_bias(CrossEntropy(), "softmax", dataset, N_ROWS), 0.0, atol=1e-12)


def test_a_weight_of_k_starts_as_k_copies_do():
    rng = np.random.default_rng(3)
    y, k = rng.gamma(2.0, size=(N_ROWS, 1)), rng.integers(0, 4, N_ROWS)
    X = np.zeros((N_ROWS, 3))
    weighted, copied = Dataset(X, y, None, k / k.mean()), Dataset(np.repeat(X, k, axis=0), np.repeat(y, k, axis=0))
    ones = replace(copied, weights=np.ones(copied.n_rows))
    for loss in LOSSES[:-1]:
        for other in (copied, ones) if not isinstance(loss, AbsoluteError | Quantile) else (ones,):
            np.testing.assert_allclose(
                best_output_bias(loss, "identity", weighted, N_ROWS),
                best_output_bias(loss, "identity", other, other.n_rows),
                rtol=1e-9,
            )


def test_three_quantiles_start_at_the_quantiles_of_the_rows():
    y = np.tile(np.arange(101.0)[:, None], (1, 3))
    z = best_output_bias(Quantile(quantile=(0.1, 0.5, 0.9)), "identity", Dataset(np.zeros((101, 3)), y), 101)
    assert z.tolist() == [10.0, 50.0, 90.0]


def test_a_class_without_rows_or_counts_that_are_all_0_start_half_a_row_from_the_end():
    codes = np.array([0] * 10 + [1] * 10)
    of_classes = Dataset(np.zeros((20, 3)), codes, np.eye(3))
    z = best_output_bias(CrossEntropy(), "softmax", of_classes, 20)
    assert np.isfinite(z).all()
    assert z[0] - z[2] == pytest.approx(np.log(0.5 / (0.5 / 20)))
    zeros = Dataset(np.zeros((20, 3)), np.zeros((20, 1)))
    assert best_output_bias(Poisson(), "exp", zeros, 20) == pytest.approx(np.log(0.5 / 20))
    assert best_output_bias(BinaryCrossEntropy(), "sigmoid", zeros, 20) == pytest.approx(logit(0.5 / 20))


@pytest.mark.parametrize(
    ("loss", "output", "y"),
    [(SquaredError(), "sigmoid", 5.0), (SquaredError(), "relu", -1.0), (Poisson(), "tanh", 3.0)],
)
def test_a_constant_that_the_outputs_cannot_give_leaves_the_bias_alone(loss, output, y):
    dataset = Dataset(np.zeros((4, 3)), np.full((4, 1), y))
    assert best_output_bias(loss, output, dataset, 4) == 0.0


def test_each_member_starts_at_the_constant_of_its_own_rows():
    y = np.array([[1.0], [2.0], [10.0], [20.0]])
    dataset = Dataset(np.zeros((4, 3)), y)
    members = [Member(0, network(1, "exp"), np.array([0, 1])), Member(1, network(1, "exp"), np.array([2, 3]))]
    biases = [best_output_bias(Poisson(), "exp", dataset, member.rows) for member in members]
    state = init_training(members, SPEC, np.dtype("f8"), None, biases)
    for member, own, mean in zip(members, state.members, (1.5, 15.0), strict=True):
        np.testing.assert_allclose(predict(member.network, own.flat, dataset.X), mean, rtol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_inverse_of_an_activation_is_its_inverse_where_it_rises(name):
    z = np.linspace(0.01, 9.0, 50)
    a = np.empty((1, 50))
    ACTIVATIONS[name].evaluate(z[None], a, None, np.empty((1, 50)))
    np.testing.assert_allclose(inverse_activation(name, a[0]), z, rtol=1e-4)
