"""Activations: one record each, the function and its derivative together.

`apply(z, out, scratch)` writes f(z) into `out`. `backward(delta, z, a, scratch)` turns d cost / d a into d cost / d z
in place; `z` and `a` are further scratch to it, and hold nothing afterwards. All are (n_rows, n_out), and none is
allocated here. Where `needs_z` is false the derivative comes from `a` alone, and `z`, `a` and `out` may be one buffer.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.dataclass import dataclass

Array = NDArray[np.floating[Any]]

# exp beyond these is denormal or infinite in float32; the results are saturated long before.
MOST_NEGATIVE = -70.0
MOST_POSITIVE = 80.0

LEAK = 0.01  # slope of leaky_relu below zero (Maas et al. 2013)
SELU_SCALE = 1.0507009873554805  # Klambauer et al. 2017, equation 14
SELU_ALPHA = 1.6732632423543772
GELU_ROOT = 0.7978845608028654  # sqrt(2 / pi)
GELU_CUBE = 0.044715


@dataclass(frozen=True)
class Activation:
    """A function of the pre-activation and its derivative."""

    apply: Callable[[Array, Array, Array], None]
    backward: Callable[[Array, Array, Array, Array], None]
    needs_z: bool = False
    is_for_outputs_only: bool = False
    initializer: str = "glorot_uniform"  # what `auto` chooses for a layer with this activation
    doc: str = ""


def _identity(z: Array, out: Array, scratch: Array) -> None:
    if out is not z:
        out[...] = z


def _identity_backward(delta: Array, z: Array, a: Array, scratch: Array) -> None:
    """The slope is one."""


def _sigmoid(z: Array, out: Array, scratch: Array) -> None:
    # 1 / (1 + exp(-z)) keeps the relative precision of small outputs, which the form with tanh loses.
    np.negative(z, out=out)
    np.minimum(out, MOST_POSITIVE, out=out)
    np.exp(out, out=out)
    out += 1.0
    np.reciprocal(out, out=out)


def _sigmoid_backward(delta: Array, z: Array, a: Array, scratch: Array) -> None:
    np.subtract(1.0, a, out=scratch)
    scratch *= a
    delta *= scratch


def _tanh(z: Array, out: Array, scratch: Array) -> None:
    np.tanh(z, out=out)


def _tanh_backward(delta: Array, z: Array, a: Array, scratch: Array) -> None:
    np.multiply(a, a, out=scratch)
    np.subtract(1.0, scratch, out=scratch)
    delta *= scratch


def _relu(z: Array, out: Array, scratch: Array) -> None:
    np.maximum(z, 0.0, out=out)


def _relu_backward(delta: Array, z: Array, a: Array, scratch: Array) -> None:
    np.greater(a, 0.0, out=scratch)
    delta *= scratch


def _leaky_relu(z: Array, out: Array, scratch: Array) -> None:
    np.multiply(z, LEAK, out=scratch)
    np.maximum(z, scratch, out=out)


def _leaky_relu_backward(delta: Array, z: Array, a: Array, scratch: Array) -> None:
    np.greater(a, 0.0, out=scratch)
    scratch *= 1.0 - LEAK
    scratch += LEAK
    delta *= scratch


def _elu(z: Array, out: Array, scratch: Array) -> None:
    np.minimum(z, 0.0, out=scratch)
    np.expm1(scratch, out=scratch)
    np.maximum(z, 0.0, out=out)
    out += scratch


def _elu_backward(delta: Array, z: Array, a: Array, scratch: Array) -> None:
    np.minimum(a, 0.0, out=scratch)
    scratch += 1.0
    delta *= scratch


def _selu(z: Array, out: Array, scratch: Array) -> None:
    np.minimum(z, 0.0, out=scratch)
    np.expm1(scratch, out=scratch)
    scratch *= SELU_ALPHA
    np.maximum(z, 0.0, out=out)
    out += scratch
    out *= SELU_SCALE


def _selu_backward(delta: Array, z: Array, a: Array, scratch: Array) -> None:
    # a + scale*alpha is scale*alpha*exp(z) below zero; above, the slope is the scale alone.
    np.minimum(a, 0.0, out=scratch)
    scratch += SELU_SCALE * SELU_ALPHA
    delta *= scratch
    np.greater(a, 0.0, out=scratch)
    scratch *= 1.0 / SELU_ALPHA - 1.0
    scratch += 1.0
    delta *= scratch


def _softplus(z: Array, out: Array, scratch: Array) -> None:
    np.abs(z, out=scratch)
    np.negative(scratch, out=scratch)
    np.maximum(scratch, MOST_NEGATIVE, out=scratch)
    np.exp(scratch, out=scratch)
    np.log1p(scratch, out=scratch)
    np.maximum(z, 0.0, out=out)
    out += scratch


def _softplus_backward(delta: Array, z: Array, a: Array, scratch: Array) -> None:
    np.negative(a, out=scratch)
    np.expm1(scratch, out=scratch)
    np.negative(scratch, out=scratch)
    delta *= scratch


def _silu(z: Array, out: Array, scratch: Array) -> None:
    _sigmoid(z, scratch, scratch)
    np.multiply(z, scratch, out=out)


def _silu_backward(delta: Array, z: Array, a: Array, scratch: Array) -> None:
    # s + z s (1 - s) = s + a (1 - s)
    _sigmoid(z, scratch, scratch)
    np.subtract(1.0, scratch, out=z)
    a *= z
    a += scratch
    delta *= a


def _gelu(z: Array, out: Array, scratch: Array) -> None:
    _gelu_tanh(z, scratch)
    scratch += 1.0
    scratch *= 0.5
    np.multiply(z, scratch, out=out)


def _gelu_backward(delta: Array, z: Array, a: Array, scratch: Array) -> None:
    # (1 + t) / 2 (1 + z (1 - t) g'), t = tanh(g), g' = root (1 + 3 cube z^2)
    _gelu_tanh(z, scratch)
    np.multiply(z, z, out=a)
    a *= 3.0 * GELU_CUBE
    a += 1.0
    a *= z
    a *= GELU_ROOT
    np.subtract(1.0, scratch, out=z)
    a *= z
    a += 1.0
    scratch += 1.0
    scratch *= 0.5
    a *= scratch
    delta *= a


def _gelu_tanh(z: Array, out: Array) -> None:
    np.multiply(z, z, out=out)
    out *= GELU_CUBE
    out += 1.0
    out *= z
    out *= GELU_ROOT
    np.tanh(out, out=out)


def _mish(z: Array, out: Array, scratch: Array) -> None:
    _tanh_of_softplus(z, scratch, out)
    np.multiply(z, scratch, out=out)


def _mish_backward(delta: Array, z: Array, a: Array, scratch: Array) -> None:
    # t + z sigmoid(z) (1 - t^2), t = tanh(softplus(z))
    _tanh_of_softplus(z, scratch, a)
    _sigmoid(z, a, a)
    a *= z
    np.multiply(scratch, scratch, out=z)
    np.subtract(1.0, z, out=z)
    a *= z
    a += scratch
    delta *= a


def _tanh_of_softplus(z: Array, out: Array, scratch: Array) -> None:
    # tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2), e = exp(z); saturated to 1 well before z = 20.
    np.clip(z, MOST_NEGATIVE, 20.0, out=out)
    np.exp(out, out=out)
    np.add(out, 2.0, out=scratch)
    out *= scratch
    np.add(out, 2.0, out=scratch)
    out /= scratch


def _exp(z: Array, out: Array, scratch: Array) -> None:
    np.exp(z, out=out)


def _exp_backward(delta: Array, z: Array, a: Array, scratch: Array) -> None:
    delta *= a


def _softmax(z: Array, out: Array, scratch: Array) -> None:
    # Few columns and many rows: the maximum along the columns of a copy, and the sum as a product, take a third of the
    # time of reductions along the rows.
    top = np.maximum.reduce(z.T.copy(), axis=0)
    np.subtract(z, top[:, None], out=out)
    np.maximum(out, MOST_NEGATIVE, out=out)
    np.exp(out, out=out)
    out /= np.matmul(out, np.ones(out.shape[1], out.dtype))[:, None]


def _softmax_backward(delta: Array, z: Array, a: Array, scratch: Array) -> None:
    np.multiply(delta, a, out=scratch)
    delta -= scratch.sum(axis=1, keepdims=True)
    delta *= a


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(_identity, _identity_backward, doc="z"),
    "sigmoid": Activation(_sigmoid, _sigmoid_backward, doc="1 / (1 + exp(-z))"),
    "tanh": Activation(_tanh, _tanh_backward, doc="tanh(z)"),
    "relu": Activation(_relu, _relu_backward, initializer="he_uniform", doc="max(z, 0)"),
    "leaky_relu": Activation(
        _leaky_relu, _leaky_relu_backward, initializer="he_uniform", doc="z above zero, 0.01 z below"
    ),
    "elu": Activation(_elu, _elu_backward, initializer="he_uniform", doc="z above zero, exp(z) - 1 below"),
    "selu": Activation(
        _selu, _selu_backward, initializer="lecun_normal", doc="scaled elu that keeps mean 0 and variance 1"
    ),
    "softplus": Activation(_softplus, _softplus_backward, initializer="he_uniform", doc="log(1 + exp(z))"),
    "silu": Activation(_silu, _silu_backward, needs_z=True, initializer="he_uniform", doc="z sigmoid(z), also swish"),
    "gelu": Activation(
        _gelu, _gelu_backward, needs_z=True, initializer="he_uniform", doc="z Phi(z), in its tanh approximation"
    ),
    "mish": Activation(_mish, _mish_backward, needs_z=True, initializer="he_uniform", doc="z tanh(softplus(z))"),
    "exp": Activation(_exp, _exp_backward, is_for_outputs_only=True, doc="exp(z): positive outputs, for poisson"),
    "softmax": Activation(
        _softmax, _softmax_backward, is_for_outputs_only=True, doc="exp(z) / sum(exp(z)): probabilities of classes"
    ),
}
