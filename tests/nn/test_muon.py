"""Muon: what orthogonalization gives, which tensors it moves, and the steps of torch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.nn.layers import Activation, Dense
from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import AdamW, Muon, orthogonalized
from mlpcli.nn.steps import UpdateSpec, parameter_groups
from tests.nn.test_steps import Stepper

SHAPES = [(6, 4), (4, 6), (5, 5), (1, 3)]


def matrix(shape, seed=0):
    """Singular values from 0.2 to 1, so that five steps bring all of them near 1."""
    rng = np.random.default_rng(seed)
    U, _, V = np.linalg.svd(rng.normal(size=shape), full_matrices=False)
    return U * rng.uniform(0.2, 1.0, min(shape)) @ V


def network():
    return Network(3, (Dense(width=5), Activation(function="tanh"), Dense(width=4), Dense(width=2)))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SHAPES), st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_it_keeps_the_singular_vectors_and_brings_the_values_near_one(shape, seed, size):
    G = matrix(shape, seed)
    U, _, V = np.linalg.svd(G, full_matrices=False)
    inner = U.T @ orthogonalized(G * size) @ V.T
    np.testing.assert_allclose(inner, np.diag(np.diag(inner)), atol=1e-9)
    assert (np.diag(inner) > 0.65).all()
    assert (np.diag(inner) < 1.25).all()
    np.testing.assert_allclose(U @ inner @ V, orthogonalized(G * size), atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_turns_with_its_argument(shape):
    G, rng = matrix(shape), np.random.default_rng(1)
    Q, R = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in shape)
    np.testing.assert_allclose(orthogonalized(Q @ G @ R), Q @ orthogonalized(G) @ R, atol=1e-9)
    np.testing.assert_allclose(orthogonalized(G.T), orthogonalized(G).T, atol=1e-12)


def test_its_values_are_those_of_the_published_polynomial():
    """On a diagonal matrix each value goes its own way: s -> 3.4445 s - 4.7750 s^3 + 2.0315 s^5, five times."""
    s = np.array([0.9, 0.4, 0.05])
    expected = s / (np.linalg.norm(s) + 1e-7)
    for _ in range(5):
        expected = 3.4445 * expected - 4.7750 * expected**3 + 2.0315 * expected**5
    np.testing.assert_allclose(np.diag(orthogonalized(np.diag(s))), expected, rtol=1e-12)


def test_a_matrix_of_zeros_stays_where_it_is():
    assert not orthogonalized(np.zeros((3, 4))).any()


def test_hidden_matrices_are_stepped_whole_and_the_rest_as_by_adamw():
    optimizer = Muon(learning_rate=0.02, adamw_factor=0.1, weight_decay=0.3)
    groups = parameter_groups(network(), UpdateSpec(optimizer=optimizer))
    assert [group.matrix_shape for group in groups if group.matrix_shape] == [(5, 3), (4, 5)]
    rng, flat = np.random.default_rng(0), np.random.default_rng(1).normal(size=network().n_parameters)
    muon, peer = (Stepper(one, network(), flat.copy()) for one in (
        optimizer, AdamW(learning_rate=0.002, beta2=0.95, weight_decay=0.3)))  # fmt: skip
    for _ in range(5):
        gradient = rng.normal(size=len(flat))
        muon(gradient, 0.02)
        peer(gradient, 0.002)
    for group in groups:
        own = slice(group.start, group.stop)
        if group.matrix_shape is None:
            np.testing.assert_allclose(muon.flat[own], peer.flat[own], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
@pytest.mark.parametrize("nesterov", [True, False])
def test_two_steps_are_those_of_the_published_update(shape, nesterov):
    """Jordan's muon_update: momentum by lerp, Nesterov, orthogonal, times sqrt(max(1, n_out / n_in)); decay first."""
    n_out, n_in = shape
    layers = (Dense(width=n_out, has_bias=False), Dense(width=1, has_bias=False))
    rng = np.random.default_rng(4)
    flat, n = rng.normal(size=n_out * n_in + n_out), n_out * n_in
    W, m = flat[:n].reshape(shape).copy(), np.zeros(shape)
    step = Stepper(Muon(momentum=0.9, nesterov=nesterov, weight_decay=0.5), Network(n_in, layers), flat)
    for _ in range(2):
        g = rng.normal(size=len(flat))
        step(g, 0.1)
        G = g[:n].reshape(shape)
        m = m + (1 - 0.9) * (G - m)
        W *= 1 - 0.1 * 0.5
        W -= 0.1 * max(1.0, n_out / n_in) ** 0.5 * orthogonalized(G + 0.9 * (m - G) if nesterov else m)
    np.testing.assert_allclose(step.flat[:n].reshape(shape), W, rtol=1e-12)


@pytest.mark.parametrize("shape", [(8, 3), (3, 8), (6, 6)])
def test_steps_agree_with_torch_as_far_as_its_bfloat16_goes(shape):
    torch = pytest.importorskip("torch", reason="torch is the reference of optimizers")
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("torch before 2.9 has no Muon")
    n_out, n_in = shape
    layers = (Dense(width=n_out, has_bias=False), Dense(width=1, has_bias=False))
    flat, n = np.random.default_rng(0).normal(size=n_out * n_in + n_out).astype(np.float32), n_out * n_in
    weights = torch.tensor(flat[:n].reshape(shape), requires_grad=True)
    peer = torch.optim.Muon([weights], lr=0.05, weight_decay=0.1, momentum=0.9, nesterov=True)
    step = Stepper(Muon(momentum=0.9, weight_decay=0.1), Network(n_in, layers), flat)
    for number in range(10):
        gradient = np.zeros(len(flat), np.float32)
        gradient[:n] = matrix(shape, number).ravel()
        weights.grad = torch.tensor(gradient[:n].reshape(shape))
        peer.step()
        step(gradient, 0.05)
    np.testing.assert_allclose(step.flat[:n], weights.detach().numpy().ravel(), atol=0.05 * 10 * 0.02)
