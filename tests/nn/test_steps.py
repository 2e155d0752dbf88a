"""Steps: by hand, many against torch, and what every composition of an optimizer must keep to."""

import math
from typing import get_args

import numpy as np
import pytest

from mlpcli.nn.averaging import ExponentialAverage
from mlpcli.nn.chain import Residual
from mlpcli.nn.embeddings import PeriodicEmbedding
from mlpcli.nn.layers import Activation, Dense, InputScale, LayerNorm
from mlpcli.nn.losses import CrossEntropy
from mlpcli.nn.network import LossAndGradient, Network
from mlpcli.nn.optimizers import SGD, Adagrad, Adam, AdamW, Muon, Optimizer, RMSprop
from mlpcli.nn.steps import (
    CHUNK,
    FLUSH_EVERY,
    Multipliers,
    StepValues,
    UpdateSpec,
    clip_gradient_norm,
    init_state,
    make_step,
    parameter_groups,
)

VARIANTS = {
    "sgd": SGD(),
    "sgd_decay": SGD(weight_decay=0.1),
    "momentum": SGD(momentum=0.9, weight_decay=0.1),
    "nesterov": SGD(momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": Adam(weight_decay=0.1),
    "adamw": AdamW(weight_decay=0.1),
    "muon": Muon(weight_decay=0.1, adamw_factor=1.0),
    "rmsprop": RMSprop(weight_decay=0.1),
    "rmsprop_momentum": RMSprop(momentum=0.9, weight_decay=0.1),
    "adagrad": Adagrad(weight_decay=0.1),
}
DECAYING = [name for name, optimizer in VARIANTS.items() if optimizer.weight_decay]


def test_every_optimizer_is_checked_here():
    assert {type(optimizer) for optimizer in VARIANTS.values()} == set(get_args(Optimizer))


def layer_of(n_weights, n_biases):
    """A network of so many weights, then so many biases."""
    assert n_weights % n_biases == 0
    return Network(n_weights // n_biases, (Dense(width=n_biases),))


class Stepper:
    """Takes steps with gradients as they are given."""

    def __init__(self, spec, network, flat, state=None, count=0):
        self.spec = spec if isinstance(spec, UpdateSpec) else UpdateSpec(optimizer=spec)
        self.flat, self.gradient, self.count = flat, np.empty_like(flat), count
        self.state = init_state(self.spec, flat) if state is None else state
        self._step = make_step(network, self.spec, flat, self.gradient, self.state)

    def __call__(self, gradient, learning_rate=0.1, decay=1.0, average_weight=0.0):
        self.gradient[...] = gradient
        self.count += 1
        scale, epsilon = self.spec.optimizer.bias_corrections(np.array([float(self.count)]))
        values = StepValues(learning_rate, decay, average_weight, float(scale[0]), float(epsilon[0]), 1.0)
        self._step(self.count, values)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        # Weight 1, gradients 0.5 then -0.2, learning rate 0.1.
        (SGD(), [1 - 0.05, 1 - 0.05 + 0.02]),
        # v = 0.5, then 0.9*0.5 - 0.2 = 0.25
        (SGD(momentum=0.9), [1 - 0.05, 1 - 0.05 - 0.025]),
        # 0.5 + 0.9*0.5 = 0.95, then -0.2 + 0.9*0.25 = 0.025
        (SGD(momentum=0.9, nesterov=True), [1 - 0.095, 1 - 0.095 - 0.0025]),
        # Bias correction makes the first step exactly the learning rate; then m = 0.045 - 0.02 = 0.025,
        # v = 0.00024975 + 0.00004 = 0.00028975: 0.1 * (0.025 / 0.19) / sqrt(0.00028975 / 0.001999)
        (Adam(epsilon=1e-30), [0.9, 0.9 - 0.1 * (0.025 / 0.19) / math.sqrt(0.00028975 / 0.001999)]),
        # Epsilon outside the root, after bias correction: 0.1 * 0.5 / (0.5 + 0.5)
        (Adam(epsilon=0.5), [0.95, 0.95 - 0.1 * (0.025 / 0.19) / (math.sqrt(0.00028975 / 0.001999) + 0.5)]),
        # 1 * (1 - 0.1*0.2) - 0.1; then 0.88 * 0.98 - the second step of Adam
        (
            AdamW(epsilon=1e-30, weight_decay=0.2),
            [0.88, 0.88 * 0.98 - 0.1 * (0.025 / 0.19) / math.sqrt(0.00028975 / 0.001999)],
        ),
        # v = 0.01 * 0.25 = 0.0025, root 0.05: step 10; then v = 0.002475 + 0.0004 = 0.002875
        (RMSprop(epsilon=1e-30), [1 - 1.0, 0.0 + 0.1 * 0.2 / math.sqrt(0.002875)]),
        (RMSprop(epsilon=0.05), [1 - 0.5, 0.5 + 0.1 * 0.2 / (math.sqrt(0.002875) + 0.05)]),
        # The scaled steps 10 and -0.2/sqrt(0.002875) gather momentum: 10, then 9 - 3.730...
        (RMSprop(epsilon=1e-30, momentum=0.9), [0.0, 0.0 - 0.1 * (9 - 0.2 / math.sqrt(0.002875))]),
        # s = 0.25: step 1; then s = 0.29
        (Adagrad(epsilon=1e-30), [0.9, 0.9 + 0.1 * 0.2 / math.sqrt(0.29)]),
        (Adagrad(epsilon=0.5), [0.95, 0.95 + 0.1 * 0.2 / (math.sqrt(0.29) + 0.5)]),
        # Coupled decay joins the gradient: 0.5 + 0.2*1 = 0.7; then -0.2 + 0.2*0.93 = -0.014
        (SGD(weight_decay=0.2), [0.93, 0.93 + 0.0014]),
        (Adagrad(epsilon=1e-30, weight_decay=0.2), [0.9, 0.9 + 0.1 * 0.02 / math.sqrt(0.49 + 0.0004)]),
    ],
    ids=repr,
)
def test_two_steps_are_those_worked_by_hand(optimizer, expected):
    network = Network(1, (Dense(width=1, has_bias=False),))
    step, seen = Stepper(optimizer, network, np.array([1.0])), []
    for gradient in (0.5, -0.2):
        step(gradient)
        seen.append(step.flat[0])
    np.testing.assert_allclose(seen, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", VARIANTS)
def test_many_steps_agree_with_torch(name, dtype):
    torch = pytest.importorskip("torch")
    optimizer = VARIANTS[name]
    rng = np.random.default_rng(0)
    n_weights, n = 30, 40
    flat = rng.normal(size=n).astype(dtype)
    weights, biases = (torch.tensor(part, requires_grad=True) for part in (flat[:n_weights], flat[n_weights:]))
    groups = [{"params": [weights]}, {"params": [biases], "weight_decay": 0.0}]
    shared = {"lr": 1.0, "weight_decay": optimizer.weight_decay}
    if isinstance(optimizer, SGD):
        peer = torch.optim.SGD(groups, momentum=optimizer.momentum, nesterov=optimizer.nesterov, **shared)
    elif isinstance(optimizer, Adam):
        kind = torch.optim.AdamW if isinstance(optimizer, AdamW) else torch.optim.Adam
        peer = kind(groups, betas=(optimizer.beta1, optimizer.beta2), eps=optimizer.epsilon, **shared)
    elif isinstance(optimizer, RMSprop):
        more = {"alpha": optimizer.decay, "eps": optimizer.epsilon, "momentum": optimizer.momentum}
        peer = torch.optim.RMSprop(groups, **more, **shared)
    else:
        peer = torch.optim.Adagrad(groups, eps=optimizer.epsilon, **shared)
    step = Stepper(optimizer, layer_of(30, 10), flat)
    for number in range(100):
        learning_rate = 0.01 / (1 + 0.1 * number)
        gradient = (rng.normal(size=n) * 10.0 ** rng.uniform(-3, 1, n)).astype(dtype)
        for group in peer.param_groups:
            group["lr"] = learning_rate
        weights.grad, biases.grad = torch.tensor(gradient[:n_weights]), torch.tensor(gradient[n_weights:])
        peer.step()
        step(gradient, learning_rate)
    expected = np.concatenate([weights.detach().numpy(), biases.detach().numpy()])
    rtol = 2e-5 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(flat, expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", DECAYING)
def test_weight_decay_shrinks_weights_and_leaves_biases_alone(name):
    step = Stepper(VARIANTS[name], layer_of(4, 2), np.ones(6))
    for _ in range(3):
        step(np.zeros(6))
    assert (step.flat[:4] < 1.0).all()
    np.testing.assert_array_equal(step.flat[4:], 1.0)


@pytest.mark.parametrize("name", DECAYING)
def test_the_factor_of_decay_multiplies_it(name):
    halved, half = (Stepper(VARIANTS[name], layer_of(4, 2), np.ones(6)) for _ in range(2))
    without = Stepper(VARIANTS[name], layer_of(4, 2), np.ones(6))
    gradient = np.full(6, 0.3)
    for _ in range(3):
        halved(gradient, decay=0.5)
        half(gradient)
        without(gradient, decay=0.0)
    assert (half.flat[:4] != halved.flat[:4]).all()
    assert (without.flat[:4] != halved.flat[:4]).all()
    np.testing.assert_array_equal(half.flat[4:], without.flat[4:])


@pytest.mark.parametrize("optimizer", [SGD(), SGD(momentum=0.9), Adam(), RMSprop(), Adagrad()], ids=repr)
def test_without_decay_a_zero_gradient_moves_nothing(optimizer):
    step = Stepper(optimizer, layer_of(4, 2), np.ones(6, np.float32))
    for _ in range(3):
        step(np.zeros(6))
    np.testing.assert_array_equal(step.flat, 1.0)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_bounds_of_chunks_leave_no_trace(name, monkeypatch):
    n, rng = 2 * CHUNK + 74, np.random.default_rng(1)
    start, gradients = rng.normal(size=n).astype(np.float32), rng.normal(size=(2, n)).astype(np.float32)
    results = []
    for chunk in (CHUNK, CHUNK // 5, 10 * CHUNK):
        monkeypatch.setattr("mlpcli.nn.steps.CHUNK", chunk)
        step = Stepper(VARIANTS[name], layer_of(n - 10, 10), start.copy())
        for gradient in gradients:
            step(gradient)
        results.append([step.flat.tobytes(), *(values.tobytes() for values in step.state.values())])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("name", VARIANTS)
def test_single_precision_stays_single(name):
    rng = np.random.default_rng(2)
    step = Stepper(VARIANTS[name], layer_of(6, 3), rng.normal(size=9).astype(np.float32))
    for _ in range(20):
        step(rng.normal(size=9))
    assert {step.flat.dtype, *(values.dtype for values in step.state.values())} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_state_is_arrays_that_a_copy_continues_from(name):
    rng = np.random.default_rng(3)
    gradients, flat = rng.normal(size=(30, 9)).astype(np.float32), rng.normal(size=9).astype(np.float32)
    whole = Stepper(VARIANTS[name], layer_of(6, 3), flat.copy())
    part = Stepper(VARIANTS[name], layer_of(6, 3), flat.copy())
    for gradient in gradients[:13]:
        whole(gradient)
        part(gradient)
    state = {key: values.copy() for key, values in part.state.items()}
    part = Stepper(VARIANTS[name], layer_of(6, 3), part.flat.copy(), state, count=13)
    for gradient in gradients[13:]:
        whole(gradient)
        part(gradient)
    np.testing.assert_array_equal(part.flat, whole.flat)


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(momentum=0.9),
        SGD(momentum=0.5, nesterov=True),
        Adam(beta1=0.5, beta2=0.9),
        AdamW(beta2=0.9),
        RMSprop(decay=0.9, momentum=0.9),
    ],
    ids=repr,
)
def test_a_memory_that_fades_does_not_stay_in_denormal_numbers(optimizer):
    step, smallest = Stepper(optimizer, layer_of(40, 10), np.ones(50, np.float32)), np.finfo(np.float32).tiny
    step(np.full(50, 1e-3))
    for _ in range(2000):
        step(np.zeros(50), 0.01)
        if step.count % FLUSH_EVERY == 0:
            for values in step.state.values():
                assert ((values == 0) | (np.abs(values) >= smallest)).all()
    assert all((values == 0).all() for values in step.state.values())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_gradients_are_not_forgotten_where_epsilon_is_small(dtype):
    """Squares below any gradient's size count: a step of Adam goes as far, however small the gradient."""
    step = Stepper(Adam(epsilon=1e-37 if dtype == np.float32 else 1e-300), layer_of(1, 1), np.zeros(2, dtype))
    for _ in range(3 * FLUSH_EVERY):
        before = step.flat.copy()
        step(np.full(2, 1e-16), 1.0)
        np.testing.assert_allclose(before - step.flat, 1.0, rtol=1e-3)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_optimizer_descends_a_bowl(name):
    target = np.array([1.0, 1.0, 1.0])
    step = Stepper(VARIANTS[name], layer_of(2, 1), np.array([3.0, -2.0, 5.0]))
    before = np.abs(step.flat - target).max()
    for _ in range(400):
        step(step.flat - target, decay=0.0)
    assert np.abs(step.flat - target).max() < before / 2


# Parameter groups


@pytest.mark.parametrize("gradient_clip", [None, 0.05])
@pytest.mark.parametrize("name", VARIANTS)
def test_ntk_moves_weights_as_the_explicit_reparametrisation_does(name, gradient_clip):
    """With w = v / sqrt(fan_in), training v by the plain optimizer and w by the multipliers is the same."""
    network = Network(5, (Dense(width=4), Activation(function="tanh"), Dense(width=3)), "softmax")
    rng, optimizer = np.random.default_rng(1), VARIANTS[name]
    X, y = rng.normal(size=(9, 5)), np.eye(3)[rng.integers(3, size=9)]
    root = np.ones(network.n_parameters)
    for placed in network.tensors:
        if placed.tensor.group == "weights":
            root[placed.span] = math.sqrt(placed.tensor.fan_in)
    flat = network.init(rng, np.float64)
    w = flat.copy()
    plain = Stepper(UpdateSpec(optimizer=optimizer, gradient_clip=gradient_clip), network, flat * root)
    ntk = UpdateSpec(optimizer=optimizer, is_ntk=True, gradient_clip=gradient_clip)
    by_group = Stepper(ntk, network, flat.copy())
    of_w, of_group = (np.empty_like(flat) for _ in range(2))
    costs = (
        LossAndGradient(network, CrossEntropy(), w, of_w),
        LossAndGradient(network, CrossEntropy(), by_group.flat, of_group),
    )
    for _ in range(30):
        w[...] = plain.flat / root
        for cost in costs:
            cost(X, y)
        plain(of_w / root, 0.05)
        by_group(of_group, 0.05)
    np.testing.assert_allclose(by_group.flat, plain.flat / root, rtol=1e-10, atol=1e-13)


def test_multipliers_go_by_parameter_group():
    layers = (
        PeriodicEmbedding(columns=(0,), frequencies=2, outputs=1), InputScale(), Dense(width=3), LayerNorm(),
        Activation(function="relu", is_learnt=True), Residual(layers=(Dense(width=3),)), Dense(width=1),
    )  # fmt: skip
    network = Network(2, layers)
    rates = {"weights": 2.0, "biases": 3.0, "scale": 4.0, "slopes": 5.0, "norm": 6.0, "periodic": 7.0, "embedding": 8.0}
    flat = np.zeros(network.n_parameters)
    Stepper(UpdateSpec(optimizer=SGD(), multipliers=Multipliers(**rates)), network, flat)(np.ones(flat.size), 1.0)
    for placed in network.tensors:
        np.testing.assert_array_equal(flat[placed.span], -rates[placed.tensor.group])


def test_groups_that_are_alike_are_one():
    network = Network(4, (InputScale(), Dense(width=3), LayerNorm(), Dense(width=1)))
    (group,) = parameter_groups(network, UpdateSpec(optimizer=SGD()))
    assert (group.start, group.stop) == (0, network.n_parameters)
    decaying = parameter_groups(network, UpdateSpec(optimizer=SGD(weight_decay=0.1)))
    assert [(group.start, group.stop, group.l2_penalty) for group in decaying] == [
        (0, 15, 0.1),
        (15, network.n_parameters, 0.0),
    ]


# Clipping and averages


def test_a_gradient_that_is_too_long_is_cut_to_length_and_another_is_left_alone():
    gradient, groups = np.array([3.0, 4.0]), parameter_groups(layer_of(1, 1), UpdateSpec(optimizer=SGD()))
    clip_gradient_norm(gradient, 10.0, groups)
    np.testing.assert_array_equal(gradient, [3.0, 4.0])
    clip_gradient_norm(gradient, 1.0, groups)
    np.testing.assert_allclose(gradient, [0.6, 0.8])
    for size in (1e30, 1e-30):  # squares that float32 cannot hold
        extreme = np.array([3.0 * size, 4.0 * size], np.float32)
        clip_gradient_norm(extreme, size, groups)
        np.testing.assert_allclose(extreme, [0.6 * size, 0.8 * size], rtol=1e-6)


def test_a_norm_that_is_not_finite_is_not_taken_for_a_step_of_length_zero():
    groups = parameter_groups(layer_of(1, 1), UpdateSpec(optimizer=SGD()))
    for gradient in (np.array([1e200, 1.0]), np.array([np.inf, 1.0], np.float32)):
        with np.errstate(over="ignore"):
            clip_gradient_norm(gradient, 1.0, groups)
        assert np.isnan(gradient).all()


def test_a_step_clips_before_the_rule_and_averages_after_it():
    spec = UpdateSpec(optimizer=SGD(), gradient_clip=1.0, averaging=ExponentialAverage())
    step = Stepper(spec, Network(2, (Dense(width=1, has_bias=False),)), np.zeros(2))
    step(np.array([3.0, 4.0]), 1.0, average_weight=0.25)
    np.testing.assert_allclose(step.flat, [-0.6, -0.8])
    np.testing.assert_allclose(step.state["average"], [-0.15, -0.2])
