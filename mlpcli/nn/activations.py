"""Activations: a function and its derivative, evaluated together.

`evaluate(z, a, derivative, scratch)` writes f(z) into `a` and, unless `derivative` is None, f'(z) into `derivative`;
`scratch` holds intermediate values. All are (n_rows, width) and distinct from `z`; nothing is allocated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Evaluate = Callable[[Array, Array, Array | None, Array], None]

# exp beyond these is denormal or infinite in float32; the activations saturate long before.
MOST_NEGATIVE = -70.0
MOST_POSITIVE = 80.0
LEAK = 0.01  # slope of leaky_relu below zero (Maas et al. 2013)
SELU_SCALE = 1.0507009873554805  # Klambauer et al. 2017, equation 14
SELU_ALPHA = 1.6732632423543772
GELU_ROOT = 0.7978845608028654  # sqrt(2 / pi)
GELU_CUBE = 0.044715


@dataclass(frozen=True)
class ActivationFunction:
    """An activation; `initializer` is what `auto` selects for the weights of the Dense before it."""

    evaluate: Evaluate
    doc: str
    initializer: str = "glorot_uniform"
    is_for_outputs_only: bool = False


def _identity(z: Array, a: Array, derivative: Array | None, scratch: Array) -> None:
    a[...] = z
    if derivative is not None:
        derivative[...] = 1.0


def _sigmoid(z: Array, a: Array, derivative: Array | None, scratch: Array) -> None:
    logistic(z, a)
    if derivative is not None:
        np.subtract(1.0, a, out=derivative)
        derivative *= a


def _tanh(z: Array, a: Array, derivative: Array | None, scratch: Array) -> None:
    np.tanh(z, out=a)
    if derivative is not None:
        np.multiply(a, a, out=derivative)
        np.subtract(1.0, derivative, out=derivative)


def _relu(z: Array, a: Array, derivative: Array | None, scratch: Array) -> None:
    np.maximum(z, 0.0, out=a)
    if derivative is not None:
        np.greater(z, 0.0, out=derivative)


def _leaky_relu(z: Array, a: Array, derivative: Array | None, scratch: Array) -> None:
    np.multiply(z, LEAK, out=scratch)
    np.maximum(z, scratch, out=a)
    if derivative is not None:
        np.greater(z, 0.0, out=derivative)
        derivative *= 1.0 - LEAK
        derivative += LEAK


def _elu(z: Array, a: Array, derivative: Array | None, scratch: Array) -> None:
    np.minimum(z, 0.0, out=scratch)
    np.expm1(scratch, out=a)
    if derivative is not None:
        np.add(a, 1.0, out=derivative)
    np.maximum(z, 0.0, out=scratch)
    a += scratch


def _selu(z: Array, a: Array, derivative: Array | None, scratch: Array) -> None:
    np.minimum(z, 0.0, out=scratch)
    np.expm1(scratch, out=a)
    a *= SELU_SCALE * SELU_ALPHA
    if derivative is not None:
        # scale alpha exp(z) up to zero, scale above.
        np.greater(z, 0.0, out=scratch)
        scratch *= SELU_SCALE * (1.0 - SELU_ALPHA)
        np.add(a, SELU_SCALE * SELU_ALPHA, out=derivative)
        derivative += scratch
    np.maximum(z, 0.0, out=scratch)
    scratch *= SELU_SCALE
    a += scratch


def _softplus(z: Array, a: Array, derivative: Array | None, scratch: Array) -> None:
    np.abs(z, out=scratch)
    np.negative(scratch, out=scratch)
    np.maximum(scratch, MOST_NEGATIVE, out=scratch)
    np.exp(scratch, out=scratch)
    np.log1p(scratch, out=scratch)
    np.maximum(z, 0.0, out=a)
    a += scratch
    if derivative is not None:
        np.negative(a, out=derivative)
        np.expm1(derivative, out=derivative)
        np.negative(derivative, out=derivative)


def _silu(z: Array, a: Array, derivative: Array | None, scratch: Array) -> None:
    logistic(z, scratch)
    np.multiply(z, scratch, out=a)
    if derivative is not None:
        # s + z s (1 - s) = s + a (1 - s)
        np.subtract(1.0, scratch, out=derivative)
        derivative *= a
        derivative += scratch


def _gelu(z: Array, a: Array, derivative: Array | None, scratch: Array) -> None:
    # t = tanh(g), g = root (z + cube z^3); f = z (1 + t) / 2
    np.multiply(z, z, out=a)
    a *= GELU_CUBE
    np.add(a, 1.0, out=scratch)
    scratch *= z
    scratch *= GELU_ROOT
    np.tanh(scratch, out=scratch)
    if derivative is not None:
        # f' = (1 + t) / 2 (1 + z (1 - t) g'), g' = root (1 + 3 cube z^2)
        a *= 3.0
        a += 1.0
        a *= GELU_ROOT
        np.subtract(1.0, scratch, out=derivative)
        derivative *= z
        derivative *= a
        derivative += 1.0
    scratch += 1.0
    scratch *= 0.5
    if derivative is not None:
        derivative *= scratch
    np.multiply(z, scratch, out=a)


def _mish(z: Array, a: Array, derivative: Array | None, scratch: Array) -> None:
    # t = tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2), e = exp(z); saturated to 1 well before z = 20.
    e = np.exp(np.clip(z, MOST_NEGATIVE, 20.0, out=scratch), out=scratch)
    np.add(e, 2.0, out=a)
    a *= e
    if derivative is None:
        np.add(a, 2.0, out=scratch)
        a /= scratch
        a *= z
        return
    np.add(a, 2.0, out=derivative)
    t = np.divide(a, derivative, out=a)
    # f' = t + z sigmoid(z) (1 - t^2), sigmoid(z) = e / (1 + e)
    np.multiply(t, t, out=derivative)
    np.subtract(1.0, derivative, out=derivative)
    derivative *= z
    derivative *= e
    e += 1.0
    derivative /= e
    derivative += t
    a *= z


def _exp(z: Array, a: Array, derivative: Array | None, scratch: Array) -> None:
    np.exp(z, out=a)
    if derivative is not None:
        derivative[...] = a


def logistic(z: Array, out: Array) -> None:
    """1 / (1 + exp(-z)): this form keeps the relative precision of small outputs, which the one with tanh loses."""
    np.negative(z, out=out)
    np.minimum(out, MOST_POSITIVE, out=out)
    np.exp(out, out=out)
    out += 1.0
    np.reciprocal(out, out=out)


def softmax(z: Array, out: Array) -> None:
    """exp(z) / sum(exp(z)) over the outputs of each row."""
    np.subtract(z, np.maximum.reduce(z, axis=1, keepdims=True), out=out)
    np.maximum(out, MOST_NEGATIVE, out=out)
    np.exp(out, out=out)
    out /= np.add.reduce(out, axis=1, keepdims=True)


ACTIVATIONS: dict[str, ActivationFunction] = {
    "identity": ActivationFunction(_identity, "z"),
    "sigmoid": ActivationFunction(_sigmoid, "1 / (1 + exp(-z))"),
    "tanh": ActivationFunction(_tanh, "tanh(z)"),
    "relu": ActivationFunction(_relu, "max(z, 0)", "he_uniform"),
    "leaky_relu": ActivationFunction(_leaky_relu, "z above 0, 0.01 z below", "he_uniform"),
    "elu": ActivationFunction(_elu, "z above 0, exp(z) - 1 below", "he_uniform"),
    "selu": ActivationFunction(_selu, "scaled elu that keeps mean 0 and variance 1", "lecun_normal"),
    "softplus": ActivationFunction(_softplus, "log(1 + exp(z))", "he_uniform"),
    "silu": ActivationFunction(_silu, "z sigmoid(z), also swish", "he_uniform"),
    "gelu": ActivationFunction(_gelu, "z Phi(z), in its tanh approximation", "he_uniform"),
    "mish": ActivationFunction(_mish, "z tanh(softplus(z))", "he_uniform"),
    "exp": ActivationFunction(_exp, "exp(z): positive outputs, for poisson", is_for_outputs_only=True),
}
# Softmax is not element-wise, so it is a layer: `layers.Softmax`.
OUTPUT_ACTIVATIONS = (*ACTIVATIONS, "softmax")
