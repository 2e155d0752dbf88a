"""Optimizers: one step by hand, many steps against torch, and what every one of them must keep to."""

import math
from typing import get_args

import numpy as np
import pytest

from mlpcli.nn.blocks import BLOCK
from mlpcli.nn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from mlpcli.nn.stepping import FLUSH_EVERY, NEGLIGIBLE, bind

VARIANTS = {
    "sgd": SGD(),
    "sgd_decay": SGD(weight_decay=0.1),
    "momentum": SGD(momentum=0.9, weight_decay=0.1),
    "nesterov": SGD(momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": Adam(weight_decay=0.1),
    "adamw": AdamW(weight_decay=0.1),
    "rmsprop": RMSprop(weight_decay=0.1),
    "rmsprop_momentum": RMSprop(momentum=0.9, weight_decay=0.1),
    "adagrad": Adagrad(weight_decay=0.1),
}
DECAYING = {name: optimizer for name, optimizer in VARIANTS.items() if optimizer.weight_decay}


def test_every_optimizer_is_checked_here():
    assert {type(optimizer) for optimizer in VARIANTS.values()} == set(get_args(Optimizer))


def update(optimizer, flat, grad, state, learning_rate, n_weights, **more):
    bind(optimizer, flat, grad, state, n_weights, **more)(learning_rate)


def run(optimizer, flat, grads, n_weights=0, learning_rate=0.1, **more):
    """Take one step for each of `grads`; the gradients are copied, as an update may use them up."""
    state = optimizer.start(flat)
    for grad in grads:
        update(optimizer, flat, grad.copy(), state, learning_rate, n_weights, **more)
    return flat, state


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        # Parameter 1, gradients 0.5 then -0.2, learning rate 0.1.
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
    flat = np.array([1.0])
    state = optimizer.start(flat)
    seen = []
    for grad in (0.5, -0.2):
        update(optimizer, flat, np.array([grad]), state, 0.1, n_weights=1)
        seen.append(flat[0])
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
    elif isinstance(optimizer, Adam | AdamW):
        kind = torch.optim.Adam if isinstance(optimizer, Adam) else torch.optim.AdamW
        peer = kind(groups, betas=(optimizer.beta1, optimizer.beta2), eps=optimizer.epsilon, **shared)
    elif isinstance(optimizer, RMSprop):
        more = {"alpha": optimizer.decay, "eps": optimizer.epsilon, "momentum": optimizer.momentum}
        peer = torch.optim.RMSprop(groups, **more, **shared)
    else:
        peer = torch.optim.Adagrad(groups, eps=optimizer.epsilon, **shared)

    state = optimizer.start(flat)
    for step in range(100):
        learning_rate = 0.01 / (1 + 0.1 * step)
        grad = (rng.normal(size=n) * 10.0 ** rng.uniform(-3, 1, n)).astype(dtype)
        for group in peer.param_groups:
            group["lr"] = learning_rate
        weights.grad, biases.grad = torch.tensor(grad[:n_weights]), torch.tensor(grad[n_weights:])
        peer.step()
        update(optimizer, flat, grad, state, learning_rate, n_weights)
    expected = np.concatenate([weights.detach().numpy(), biases.detach().numpy()])
    rtol = 2e-5 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(flat, expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", DECAYING)
def test_weight_decay_shrinks_weights_and_leaves_biases_alone(name):
    flat, _ = run(VARIANTS[name], np.ones(6), [np.zeros(6)] * 3, n_weights=4)
    assert (flat[:4] < 1.0).all()
    np.testing.assert_array_equal(flat[4:], 1.0)


@pytest.mark.parametrize("optimizer", [SGD(), SGD(momentum=0.9), Adam(), RMSprop(), Adagrad()], ids=repr)
def test_without_decay_a_zero_gradient_moves_nothing(optimizer):
    flat, _ = run(optimizer, np.ones(6, np.float32), [np.zeros(6, np.float32)] * 3, n_weights=4)
    np.testing.assert_array_equal(flat, 1.0)


@pytest.mark.parametrize("n", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 77])
@pytest.mark.parametrize("name", ["nesterov", "adam", "adamw", "rmsprop_momentum", "adagrad"])
def test_the_bounds_of_blocks_leave_no_trace(name, n):
    rng = np.random.default_rng(1)
    start, grads = rng.normal(size=n).astype(np.float32), rng.normal(size=(2, n)).astype(np.float32)
    for n_weights in (n, BLOCK - 3, n - 5):
        in_blocks, state = run(VARIANTS[name], start.copy(), grads, n_weights)
        whole, whole_state = run(VARIANTS[name], start.copy(), grads, n_weights, block_size=n)
        np.testing.assert_array_equal(in_blocks, whole)
        for key in state:
            np.testing.assert_array_equal(state[key], whole_state[key])


@pytest.mark.parametrize("n_weights", [0, 5, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 20])
def test_decay_stops_where_the_biases_begin_wherever_that_is(n_weights):
    n = BLOCK + 20
    for optimizer in (SGD(weight_decay=0.1), AdamW(weight_decay=0.1)):
        flat, _ = run(optimizer, np.ones(n), [np.zeros(n)], n_weights)
        np.testing.assert_array_equal(flat < 1.0, np.arange(n) < n_weights)


@pytest.mark.parametrize("name", VARIANTS)
def test_single_precision_stays_single(name):
    rng = np.random.default_rng(2)
    flat, state = run(VARIANTS[name], rng.normal(size=9).astype(np.float32), rng.normal(size=(20, 9)).astype("f4"), 5)
    assert flat.dtype == np.float32
    assert {values.dtype for key, values in state.items() if key != "step"} <= {np.dtype(np.float32)}
    assert state["step"] == 20


@pytest.mark.parametrize("name", VARIANTS)
def test_the_state_is_arrays_that_a_copy_continues_from(name):
    rng = np.random.default_rng(3)
    grads = rng.normal(size=(30, 9)).astype(np.float32)
    flat = rng.normal(size=9).astype(np.float32)
    whole, _ = run(VARIANTS[name], flat.copy(), grads, 5)
    part, state = run(VARIANTS[name], flat.copy(), grads[:13], 5)
    state = {key: values.copy() for key, values in state.items()}
    assert all(isinstance(values, np.ndarray) for values in state.values())
    for grad in grads[13:]:
        update(VARIANTS[name], part, grad.copy(), state, 0.1, 5)
    np.testing.assert_array_equal(part, whole)


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
def test_a_memory_that_fades_never_ends_in_denormal_numbers(optimizer):
    flat = np.ones(50, np.float32)
    state = optimizer.start(flat)
    smallest = np.finfo(np.float32).tiny
    update(optimizer, flat, np.full(50, 1e-3, np.float32), state, 0.01, 50)
    for _ in range(1500):
        update(optimizer, flat, np.zeros(50, np.float32), state, 0.01, 50)
        for key, values in state.items():
            assert key == "step" or ((values == 0) | (np.abs(values) >= smallest)).all()
    assert all((values == 0).all() for key, values in state.items() if key != "step")


def test_only_what_is_negligible_is_flushed():
    optimizer = SGD(momentum=0.9)
    flat = np.ones(4)
    state = optimizer.start(flat)
    state["step"][...] = FLUSH_EVERY - 1
    state["velocity"][:] = [1e-20, -1e-20, NEGLIGIBLE / 10, -NEGLIGIBLE / 10]
    update(optimizer, flat, np.zeros(4), state, 0.1, 4)
    np.testing.assert_allclose(state["velocity"], [0.9e-20, -0.9e-20, 0, 0], rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_optimizer_descends_a_bowl(name):
    optimizer = VARIANTS[name]
    flat, target = np.array([3.0, -2.0, 5.0]), np.array([1.0, 1.0, 1.0])
    state, before = optimizer.start(flat), np.abs(flat - target).max()
    for _ in range(400):
        update(optimizer, flat, flat - target, state, 0.1, n_weights=0)
    assert np.abs(flat - target).max() < before / 2


@pytest.mark.parametrize("name", VARIANTS)
def test_the_size_of_a_block_does_not_change_a_bit(name):
    rng = np.random.default_rng(5)
    flat = rng.normal(size=BLOCK * 9 + 7).astype(np.float32)
    grads = [rng.normal(size=flat.size).astype(np.float32) for _ in range(3)]
    results = []
    for block_size in (BLOCK, BLOCK // 5, 10 * BLOCK):
        own = flat.copy()
        state = VARIANTS[name].start(own)
        for grad in grads:
            update(VARIANTS[name], own, grad.copy(), state, 0.1, BLOCK * 4, block_size=block_size)
        results.append([own.tobytes(), *(values.tobytes() for values in state.values())])
    assert results[0] == results[1] == results[2]


def test_a_bound_optimizer_takes_the_same_steps_as_one_bound_anew():
    rng = np.random.default_rng(6)
    flat, other = (np.ones(10) for _ in range(2))
    state, other_state = Adam().start(flat), Adam().start(other)
    grad = np.empty(10)
    take_step = bind(Adam(), flat, grad, state, 5)
    for _ in range(20):
        grad[...] = rng.normal(size=10)
        update(Adam(), other, grad.copy(), other_state, 0.1, 5)
        take_step(0.1)
    assert np.array_equal(flat, other)
    assert state["step"] == other_state["step"] == 20
