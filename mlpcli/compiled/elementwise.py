"""Element-wise kernels over the values of a neuron for the rows of a batch, which are contiguous.

LLVM vectorizes the loops. Constants are cast to the dtype of the arrays, otherwise Numba computes in float64.
"""

import math

import numpy as np
from numba import njit

from mlpcli.compiled import codes
from mlpcli.compiled.codes import INTERNAL
from mlpcli.compiled.elementary import (
    FUSED,
    cos_sin,
    exp,
    expm1_of_negative,
    log1p_of_exp,
    sigmoid,
    tanh,
    tanh_of_softplus,
)
from mlpcli.nn.activations import GELU_CUBE, GELU_ROOT, LEAK, MOST_NEGATIVE, SELU_ALPHA, SELU_SCALE
from mlpcli.nn.layers import GOLDEN_RATIO, HASH_ROUNDS

SUMS = {"contract", "reassoc", "nsz"}  # sums may be reordered
(SHIFT1, FACTOR1), (SHIFT2, FACTOR2) = HASH_ROUNDS


@njit(fastmath=FUSED, **INTERNAL)
def activate(code, z, a, derivative):
    """Write f(z) into `a` and f'(z) into `derivative`."""
    dtype = z.dtype.type
    zero, one, half = dtype(0.0), dtype(1.0), dtype(0.5)
    if code == codes.RELU:
        for r in range(z.size):
            a[r] = zero if z[r] < zero else z[r]
            derivative[r] = one if z[r] > zero else zero
    elif code == codes.LEAKY_RELU:
        for r in range(z.size):
            s = one if z[r] > zero else dtype(LEAK)
            a[r], derivative[r] = z[r] * s, s
    elif code == codes.TANH:
        for r in range(z.size):
            t = tanh(z[r], dtype)
            a[r], derivative[r] = t, one - t * t
    elif code == codes.SIGMOID:
        for r in range(z.size):
            s = sigmoid(z[r], dtype)
            a[r], derivative[r] = s, s * (one - s)
    elif code == codes.ELU:
        for r in range(z.size):
            e = expm1_of_negative(z[r], dtype)
            a[r], derivative[r] = e + (zero if z[r] < zero else z[r]), e + one
    elif code == codes.SELU:
        for r in range(z.size):
            e = dtype(SELU_SCALE * SELU_ALPHA) * expm1_of_negative(z[r], dtype)
            a[r] = e + dtype(SELU_SCALE) * (zero if z[r] < zero else z[r])
            derivative[r] = dtype(SELU_SCALE) if z[r] > zero else e + dtype(SELU_SCALE * SELU_ALPHA)
    elif code == codes.SOFTPLUS:
        for r in range(z.size):
            x = log1p_of_exp(-abs(z[r]), dtype) + (zero if z[r] < zero else z[r])
            a[r], derivative[r] = x, -expm1_of_negative(-x, dtype)
    elif code == codes.SILU:
        for r in range(z.size):
            s = sigmoid(z[r], dtype)
            a[r], derivative[r] = z[r] * s, s + z[r] * s * (one - s)
    elif code == codes.GELU:
        for r in range(z.size):
            square = dtype(GELU_CUBE) * z[r] * z[r]
            t = tanh(dtype(GELU_ROOT) * z[r] * (one + square), dtype)
            s = half * (one + t)
            a[r] = z[r] * s
            derivative[r] = s * (one + z[r] * (one - t) * dtype(GELU_ROOT) * (one + dtype(3.0) * square))
    elif code == codes.MISH:
        for r in range(z.size):
            t, s = tanh_of_softplus(z[r], dtype), sigmoid(z[r], dtype)
            a[r], derivative[r] = z[r] * t, t + z[r] * s * (one - t * t)
    else:
        for r in range(z.size):
            a[r], derivative[r] = z[r], one


@njit(fastmath=FUSED, **INTERNAL)
def parametric(s, z, a, derivative, residual):
    """Replace f(z) in `a` by z + s (f(z) - z), and f'(z) by its derivative; `residual` = f(z) - z."""
    one = z.dtype.type(1.0)
    for r in range(z.size):
        residual[r] = a[r] - z[r]
        a[r] = z[r] + s * residual[r]
        derivative[r] = one + s * (derivative[r] - one)


@njit(**INTERNAL)
def drop(x, h, mask, salt, threshold, first):
    """Dropout: `mask` is 0 or 1 / (1 - rate), h = x mask; `first` is the position of x[0] in the batch."""
    kept, zero = mask.dtype.type(1.0 / (1.0 - threshold / 65536.0)), mask.dtype.type(0.0)
    lowest_kept = np.uint32(threshold << 16)
    for r in range(x.size):
        bits = np.uint32(np.uint32(np.uint32(first + r) * np.uint32(GOLDEN_RATIO)) ^ salt)
        bits = np.uint32(np.uint32(bits ^ (bits >> np.uint32(SHIFT1))) * np.uint32(FACTOR1))
        bits = np.uint32(np.uint32(bits ^ (bits >> np.uint32(SHIFT2))) * np.uint32(FACTOR2))
        mask[r] = kept if bits >= lowest_kept else zero
        h[r] = x[r] * mask[r]


@njit(fastmath=FUSED, **INTERNAL)
def scale(s, x, y):
    """y = s x."""
    for r in range(x.size):
        y[r] = s * x[r]


@njit(fastmath=FUSED, **INTERNAL)
def copy(x, y):
    """y = x."""
    for r in range(x.size):
        y[r] = x[r]


@njit(fastmath=FUSED, **INTERNAL)
def multiply(a, b, out):
    """out = a b."""
    for r in range(a.size):
        out[r] = a[r] * b[r]


@njit(fastmath=FUSED, **INTERNAL)
def add(a, b, out):
    """out = a + b."""
    for r in range(a.size):
        out[r] = a[r] + b[r]


@njit(fastmath=FUSED, **INTERNAL)
def add_scalar(x, c):
    """x += c."""
    for r in range(x.size):
        x[r] += c


@njit(fastmath=SUMS, **INTERNAL)
def sum_of(a):
    """The sum of the elements."""
    total = a.dtype.type(0.0)
    for r in range(a.size):
        total += a[r]
    return total


@njit(fastmath=SUMS, **INTERNAL)
def sum_of_squares(a):
    """The sum of squares, in float64."""
    total = 0.0
    for r in range(a.size):
        total += np.float64(a[r]) * np.float64(a[r])
    return total


@njit(fastmath=SUMS, **INTERNAL)
def dot(a, b):
    """The dot product."""
    total = a.dtype.type(0.0)
    for r in range(a.size):
        total += a[r] * b[r]
    return total


@njit(fastmath=FUSED, **INTERNAL)
def add_product(a, b, out):
    """out += a b."""
    for r in range(a.size):
        out[r] += a[r] * b[r]


@njit(fastmath=FUSED, **INTERNAL)
def waves(x, frequency, phase, cos, sin):
    """Write cos and sin of 2 pi x frequency + phase."""
    for r in range(x.size):
        cos[r], sin[r] = cos_sin((x[r], frequency, phase), x.dtype.type)


@njit(fastmath=FUSED, **INTERNAL)
def softmax_losses(z, delta, y, row_values, n, batch_range):
    """Write softmax(z) - y into `delta`, and the cross entropy of each row into row_values[0]; rows 1 to 3 are scratch.

    `z`, `delta` and `y` are panels of `n` rows, of which those of `batch_range` are computed.
    """
    dtype = z.dtype.type
    losses, largest, total, mass = row_values[0], row_values[1], row_values[2], row_values[3]
    start, stop = batch_range
    for r in range(start, stop):
        largest[r] = z[r]
        total[r] = losses[r] = mass[r] = dtype(0.0)
    for j in range(n, z.size, n):
        own = z[j : j + n]
        for r in range(start, stop):
            largest[r] = largest[r] if own[r] <= largest[r] else own[r]
    for j in range(0, z.size, n):
        own, d, t = z[j : j + n], delta[j : j + n], y[j : j + n]
        for r in range(start, stop):
            below = own[r] - largest[r]
            losses[r] -= t[r] * below
            mass[r] += t[r]
            e = exp(below if below > dtype(MOST_NEGATIVE) else dtype(MOST_NEGATIVE), dtype)
            total[r] += e
            d[r] = e
    for r in range(start, stop):
        losses[r] += dtype(math.log(total[r])) * mass[r]
    for j in range(0, z.size, n):
        d, t = delta[j : j + n], y[j : j + n]
        for r in range(start, stop):
            d[r] = d[r] / total[r] - t[r]


@njit(fastmath=FUSED, **INTERNAL)
def sigmoid_losses(z, delta, y, losses):
    """Write sigmoid(z) - y into `delta`, and add the binary cross entropy to `losses`."""
    dtype = z.dtype.type
    for r in range(z.size):
        delta[r] = sigmoid(z[r], dtype) - y[r]
        positive = z[r] if z[r] > dtype(0.0) else dtype(0.0)
        losses[r] += (positive - y[r] * z[r]) + log1p_of_exp(-abs(z[r]), dtype)


@njit(fastmath=FUSED, **INTERNAL)
def squared_losses(z, delta, y, losses):
    """Write z - y into `delta`, and add half its square to `losses`."""
    half = z.dtype.type(0.5)
    for r in range(z.size):
        delta[r] = z[r] - y[r]
        losses[r] += half * delta[r] * delta[r]
