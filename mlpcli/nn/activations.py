"""Activations: a function and its derivative, evaluated together.

`evaluate(z, a, slope, spare)` writes f(z) into `a` and, unless `slope` is None, f'(z) into `slope`; `spare` holds
intermediate values. All are (n_rows, width), none of them is `z`, and nothing is allocated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Evaluate = Callable[[Array, Array, Array | None, Array], None]

# exp beyond these is denormal or infinite in float32; the results are saturated long before.
MOST_NEGATIVE = -70.0
MOST_POSITIVE = 80.0
LEAK = 0.01  # slope of leaky_relu below zero (Maas et al. 2013)
SELU_SCALE = 1.0507009873554805  # Klambauer et al. 2017, equation 14
SELU_ALPHA = 1.6732632423543772
GELU_ROOT = 0.7978845608028654  # sqrt(2 / pi)
GELU_CUBE = 0.044715


@dataclass(frozen=True)
class ActivationFunction:
    """One activation; `initializer` is what `auto` chooses for the weights of a layer below it."""

    evaluate: Evaluate
    doc: str
    initializer: str = "glorot_uniform"
    is_for_outputs_only: bool = False


def _identity(z: Array, a: Array, slope: Array | None, spare: Array) -> None:
    a[...] = z
    if slope is not None:
        slope[...] = 1.0


def _sigmoid(z: Array, a: Array, slope: Array | None, spare: Array) -> None:
    logistic(z, a)
    if slope is not None:
        np.subtract(1.0, a, out=slope)
        slope *= a


def _tanh(z: Array, a: Array, slope: Array | None, spare: Array) -> None:
    np.tanh(z, out=a)
    if slope is not None:
        np.multiply(a, a, out=slope)
        np.subtract(1.0, slope, out=slope)


def _relu(z: Array, a: Array, slope: Array | None, spare: Array) -> None:
    np.maximum(z, 0.0, out=a)
    if slope is not None:
        np.greater(z, 0.0, out=slope)


def _leaky_relu(z: Array, a: Array, slope: Array | None, spare: Array) -> None:
    np.multiply(z, LEAK, out=spare)
    np.maximum(z, spare, out=a)
    if slope is not None:
        np.greater(z, 0.0, out=slope)
        slope *= 1.0 - LEAK
        slope += LEAK


def _elu(z: Array, a: Array, slope: Array | None, spare: Array) -> None:
    np.minimum(z, 0.0, out=spare)
    np.expm1(spare, out=a)
    if slope is not None:
        np.add(a, 1.0, out=slope)
    np.maximum(z, 0.0, out=spare)
    a += spare


def _selu(z: Array, a: Array, slope: Array | None, spare: Array) -> None:
    np.minimum(z, 0.0, out=spare)
    np.expm1(spare, out=a)
    a *= SELU_SCALE * SELU_ALPHA
    if slope is not None:
        # scale alpha exp(z) up to zero, scale above.
        np.greater(z, 0.0, out=spare)
        spare *= SELU_SCALE * (1.0 - SELU_ALPHA)
        np.add(a, SELU_SCALE * SELU_ALPHA, out=slope)
        slope += spare
    np.maximum(z, 0.0, out=spare)
    spare *= SELU_SCALE
    a += spare


def _softplus(z: Array, a: Array, slope: Array | None, spare: Array) -> None:
    np.abs(z, out=spare)
    np.negative(spare, out=spare)
    np.maximum(spare, MOST_NEGATIVE, out=spare)
    np.exp(spare, out=spare)
    np.log1p(spare, out=spare)
    np.maximum(z, 0.0, out=a)
    a += spare
    if slope is not None:
        np.negative(a, out=slope)
        np.expm1(slope, out=slope)
        np.negative(slope, out=slope)


def _silu(z: Array, a: Array, slope: Array | None, spare: Array) -> None:
    logistic(z, spare)
    np.multiply(z, spare, out=a)
    if slope is not None:
        # s + z s (1 - s) = s + a (1 - s)
        np.subtract(1.0, spare, out=slope)
        slope *= a
        slope += spare


def _gelu(z: Array, a: Array, slope: Array | None, spare: Array) -> None:
    # t = tanh(g), g = root (z + cube z^3); f = z (1 + t) / 2
    np.multiply(z, z, out=a)
    a *= GELU_CUBE
    np.add(a, 1.0, out=spare)
    spare *= z
    spare *= GELU_ROOT
    np.tanh(spare, out=spare)
    if slope is not None:
        # f' = (1 + t) / 2 (1 + z (1 - t) g'), g' = root (1 + 3 cube z^2)
        a *= 3.0
        a += 1.0
        a *= GELU_ROOT
        np.subtract(1.0, spare, out=slope)
        slope *= z
        slope *= a
        slope += 1.0
    spare += 1.0
    spare *= 0.5
    if slope is not None:
        slope *= spare
    np.multiply(z, spare, out=a)


def _mish(z: Array, a: Array, slope: Array | None, spare: Array) -> None:
    # t = tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2), e = exp(z); saturated to 1 well before z = 20.
    e = np.exp(np.clip(z, MOST_NEGATIVE, 20.0, out=spare), out=spare)
    np.add(e, 2.0, out=a)
    a *= e
    if slope is None:
        np.add(a, 2.0, out=spare)
        a /= spare
        a *= z
        return
    np.add(a, 2.0, out=slope)
    t = np.divide(a, slope, out=a)
    # f' = t + z sigmoid(z) (1 - t^2), sigmoid(z) = e / (1 + e)
    np.multiply(t, t, out=slope)
    np.subtract(1.0, slope, out=slope)
    slope *= z
    slope *= e
    e += 1.0
    slope /= e
    slope += t
    a *= z


def _exp(z: Array, a: Array, slope: Array | None, spare: Array) -> None:
    np.exp(z, out=a)
    if slope is not None:
        slope[...] = a


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
    "leaky_relu": ActivationFunction(_leaky_relu, "z above zero, 0.01 z below", "he_uniform"),
    "elu": ActivationFunction(_elu, "z above zero, exp(z) - 1 below", "he_uniform"),
    "selu": ActivationFunction(_selu, "scaled elu that keeps mean 0 and variance 1", "lecun_normal"),
    "softplus": ActivationFunction(_softplus, "log(1 + exp(z))", "he_uniform"),
    "silu": ActivationFunction(_silu, "z sigmoid(z), also swish", "he_uniform"),
    "gelu": ActivationFunction(_gelu, "z Phi(z), in its tanh approximation", "he_uniform"),
    "mish": ActivationFunction(_mish, "z tanh(softplus(z))", "he_uniform"),
    "exp": ActivationFunction(_exp, "exp(z): positive outputs, for poisson", is_for_outputs_only=True),
}
# Softmax has no derivative of one number by another, so it is a layer of its own: see `layers.Softmax`.
OUTPUT_ACTIVATIONS = (*ACTIVATIONS, "softmax")
