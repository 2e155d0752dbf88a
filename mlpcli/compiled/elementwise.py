"""Element-wise kernels along a line, which is what one neuron has for each row of a batch.

A line is long and contiguous, so that the loops become vector instructions. Constants are cast to the dtype of the
line, for Numba would compute with float64 otherwise.
"""

import math

import numpy as np
from numba import float32, njit
from numba.extending import overload

from mlpcli.compiled import codes
from mlpcli.compiled.codes import INNER
from mlpcli.compiled.elementary import (
    FUSED,
    exp,
    expm1_of_negative,
    log1p_of_exp,
    sigmoid,
    tanh,
    tanh_of_softplus,
)
from mlpcli.nn.activations import GELU_CUBE, GELU_ROOT, LEAK, MOST_NEGATIVE, SELU_ALPHA, SELU_SCALE
from mlpcli.nn.layers import GOLDEN_RATIO, HASH_ROUNDS

SUMS = {"contract", "reassoc", "nsz"}  # sums may be made in any order
(SHIFT1, FACTOR1), (SHIFT2, FACTOR2) = HASH_ROUNDS


@njit(fastmath=FUSED, **INNER)
def activate(code, z, a, slope):
    """f(z) into `a`, f'(z) into `slope`."""
    dtype = z.dtype.type
    zero, one, half = dtype(0.0), dtype(1.0), dtype(0.5)
    if code == codes.RELU:
        for r in range(z.size):
            a[r] = zero if z[r] < zero else z[r]
            slope[r] = one if z[r] > zero else zero
    elif code == codes.LEAKY_RELU:
        for r in range(z.size):
            s = one if z[r] > zero else dtype(LEAK)
            a[r], slope[r] = z[r] * s, s
    elif code == codes.TANH:
        for r in range(z.size):
            t = tanh(z[r], dtype)
            a[r], slope[r] = t, one - t * t
    elif code == codes.SIGMOID:
        for r in range(z.size):
            s = sigmoid(z[r], dtype)
            a[r], slope[r] = s, s * (one - s)
    elif code == codes.ELU:
        for r in range(z.size):
            e = expm1_of_negative(z[r], dtype)
            a[r], slope[r] = e + (zero if z[r] < zero else z[r]), e + one
    elif code == codes.SELU:
        for r in range(z.size):
            e = dtype(SELU_SCALE * SELU_ALPHA) * expm1_of_negative(z[r], dtype)
            a[r] = e + dtype(SELU_SCALE) * (zero if z[r] < zero else z[r])
            slope[r] = dtype(SELU_SCALE) if z[r] > zero else e + dtype(SELU_SCALE * SELU_ALPHA)
    elif code == codes.SOFTPLUS:
        for r in range(z.size):
            x = log1p_of_exp(-abs(z[r]), dtype) + (zero if z[r] < zero else z[r])
            a[r], slope[r] = x, -expm1_of_negative(-x, dtype)
    elif code == codes.SILU:
        for r in range(z.size):
            s = sigmoid(z[r], dtype)
            a[r], slope[r] = z[r] * s, s + z[r] * s * (one - s)
    elif code == codes.GELU:
        for r in range(z.size):
            square = dtype(GELU_CUBE) * z[r] * z[r]
            t = tanh(dtype(GELU_ROOT) * z[r] * (one + square), dtype)
            s = half * (one + t)
            a[r] = z[r] * s
            slope[r] = s * (one + z[r] * (one - t) * dtype(GELU_ROOT) * (one + dtype(3.0) * square))
    elif code == codes.MISH:
        for r in range(z.size):
            t, s = tanh_of_softplus(z[r], dtype), sigmoid(z[r], dtype)
            a[r], slope[r] = z[r] * t, t + z[r] * s * (one - t * t)
    else:
        for r in range(z.size):
            a[r], slope[r] = z[r], one


@njit(fastmath=FUSED, **INNER)
def mix(s, z, a, slope, excess):
    """a = z + s (f(z) - z) from f(z) in `a`, and its slope; `excess` = f(z) - z."""
    one = z.dtype.type(1.0)
    for r in range(z.size):
        excess[r] = a[r] - z[r]
        a[r] = z[r] + s * excess[r]
        slope[r] = one + s * (slope[r] - one)


@njit(**INNER)
def drop(x, h, mask, salt, lowest, first):
    """`mask` becomes 0 or the factor of what is kept, `h` is `x` times it; row `first` of the batch is the first."""
    kept, zero = mask.dtype.type(1.0 / (1.0 - lowest / 65536.0)), mask.dtype.type(0.0)
    threshold = np.uint32(lowest << 16)
    for r in range(x.size):
        bits = np.uint32(np.uint32(np.uint32(first + r) * np.uint32(GOLDEN_RATIO)) ^ salt)
        bits = np.uint32(np.uint32(bits ^ (bits >> np.uint32(SHIFT1))) * np.uint32(FACTOR1))
        bits = np.uint32(np.uint32(bits ^ (bits >> np.uint32(SHIFT2))) * np.uint32(FACTOR2))
        mask[r] = kept if bits >= threshold else zero
        h[r] = x[r] * mask[r]


@njit(fastmath=FUSED, **INNER)
def scale(s, x, y):
    """y = s x."""
    for r in range(x.size):
        y[r] = s * x[r]


@njit(fastmath=FUSED, **INNER)
def copy(x, y):
    """y = x."""
    for r in range(x.size):
        y[r] = x[r]


@njit(fastmath=FUSED, **INNER)
def multiply(a, b, out):
    """a times b."""
    for r in range(a.size):
        out[r] = a[r] * b[r]


@njit(fastmath=FUSED, **INNER)
def add(a, b, out):
    """a plus b."""
    for r in range(a.size):
        out[r] = a[r] + b[r]


@njit(fastmath=FUSED, **INNER)
def shift(x, c):
    """x += c."""
    for r in range(x.size):
        x[r] += c


@njit(fastmath=SUMS, **INNER)
def total_of(a):
    """The sum of a line."""
    total = a.dtype.type(0.0)
    for r in range(a.size):
        total += a[r]
    return total


@njit(fastmath=SUMS, **INNER)
def squares_of(a):
    """The sum of squares, in float64 whatever the dtype."""
    total = 0.0
    for r in range(a.size):
        total += np.float64(a[r]) * np.float64(a[r])
    return total


@njit(fastmath=SUMS, **INNER)
def dot(a, b):
    """The sum of products."""
    total = a.dtype.type(0.0)
    for r in range(a.size):
        total += a[r] * b[r]
    return total


@njit(fastmath=FUSED, **INNER)
def add_product(a, b, out):
    """out += a b."""
    for r in range(a.size):
        out[r] += a[r] * b[r]


def waves(x, frequency, phase, cos, sin):
    """cos and sin of 2 pi x frequency + phase."""


@overload(waves, jit_options={"fastmath": FUSED, "error_model": "numpy"})
def _waves_of(x, frequency, phase, cos, sin):
    return _waves32 if x.dtype == float32 else _waves64


def _waves32(x, frequency, phase, cos, sin):
    # In turns t of [-1/2, 1/2]: cos = 1 - 2 s^2 and sin = 2 s c, s and c being the Taylor series of pi t.
    f, p, one, two = frequency, phase * np.float32(0.15915494309189535), np.float32(1.0), np.float32(2.0)
    for r in range(x.size):
        u = x[r] * f + p
        t = (u - np.floor(u + np.float32(0.5))) * np.float32(math.pi)
        q = t * t
        s = np.float32(-2.5052108385441720e-08) * q + np.float32(2.7557319223985893e-06)
        s = s * q + np.float32(-1.9841269841269841e-04)
        s = s * q + np.float32(8.3333333333333333e-03)
        s = s * q + np.float32(-1.6666666666666667e-01)
        s = (s * q + one) * t
        c = np.float32(2.0876756987868099e-09) * q + np.float32(-2.7557319223985888e-07)
        c = c * q + np.float32(2.4801587301587302e-05)
        c = c * q + np.float32(-1.3888888888888889e-03)
        c = c * q + np.float32(4.1666666666666664e-02)
        c = c * q + np.float32(-0.5)
        c = c * q + one
        cos[r] = one - two * s * s
        sin[r] = two * s * c


def _waves64(x, frequency, phase, cos, sin):
    for r in range(x.size):
        angle = (2.0 * math.pi) * x[r] * frequency + phase
        cos[r], sin[r] = math.cos(angle), math.sin(angle)


@njit(fastmath=FUSED, **INNER)
def softmax_losses(z, delta, y, lines, n, columns):
    """softmax(z) - y into `delta`, and the cross entropy of each row into the first of four `lines`.

    `z`, `delta` and `y` are panels of `n` rows, of which those from `columns[0]` to `columns[1]` are meant.
    """
    dtype = z.dtype.type
    losses, largest, total, mass = lines[0], lines[1], lines[2], lines[3]
    start, stop = columns
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


@njit(fastmath=FUSED, **INNER)
def sigmoid_losses(z, delta, y, losses):
    """sigmoid(z) - y into `delta`, and the binary cross entropy of a line added to `losses`."""
    dtype = z.dtype.type
    for r in range(z.size):
        delta[r] = sigmoid(z[r], dtype) - y[r]
        positive = z[r] if z[r] > dtype(0.0) else dtype(0.0)
        losses[r] += (positive - y[r] * z[r]) + log1p_of_exp(-abs(z[r]), dtype)


@njit(fastmath=FUSED, **INNER)
def squared_losses(z, delta, y, losses):
    """z - y into `delta`, and half its square added to `losses`."""
    half = z.dtype.type(0.5)
    for r in range(z.size):
        delta[r] = z[r] - y[r]
        losses[r] += half * delta[r] * delta[r]
