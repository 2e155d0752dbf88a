"""What stands between the products of a step, line by line: activations, their derivatives, losses.

A line is what a neuron has for each row of a batch. It is long and contiguous, so that the innermost loops, which go
along it, become vector instructions.
"""

import math

from numba import njit

from mlpcli.extras.coverage import ELU, GELU, LEAKY_RELU, MISH, RELU, SELU, SIGMOID, SILU, SOFTMAX, SOFTPLUS, TANH
from mlpcli.extras.loops.arguments import LOSSES
from mlpcli.extras.loops.elementary import FUSED, exp, expm1_of_negative, log1p_of_exp, sigmoid, tanh, tanh_of_softplus
from mlpcli.nn.activations import GELU_CUBE, GELU_ROOT, LEAK, MOST_NEGATIVE, SELU_ALPHA, SELU_SCALE


@njit
def has_slope(code):
    """Whether f' has to be kept, because f does not tell it."""
    return code in (SILU, GELU, MISH)


@njit(fastmath=FUSED, error_model="numpy")
def _activate_simple(code, x, b):
    """f(x + b) over `x`, for a derivative that comes from f."""
    dtype, n = x.dtype.type, x.size
    zero = dtype(0.0)
    if code == RELU:
        for r in range(n):
            z = x[r] + b
            x[r] = zero if z < zero else z
    elif code == LEAKY_RELU:
        for r in range(n):
            z = x[r] + b
            x[r] = z * dtype(LEAK) if z < zero else z
    elif code == TANH:
        for r in range(n):
            x[r] = tanh(x[r] + b, dtype)
    elif code == SIGMOID:
        for r in range(n):
            x[r] = sigmoid(x[r] + b, dtype)
    elif code == ELU:
        for r in range(n):
            z = x[r] + b
            x[r] = expm1_of_negative(z, dtype) + (zero if z < zero else z)
    elif code == SELU:
        for r in range(n):
            z = x[r] + b
            below = dtype(SELU_ALPHA) * expm1_of_negative(z, dtype)
            x[r] = dtype(SELU_SCALE) * (below + (zero if z < zero else z))
    elif code == SOFTPLUS:
        for r in range(n):
            z = x[r] + b
            x[r] = log1p_of_exp(-abs(z), dtype) + (zero if z < zero else z)
    else:
        for r in range(n):
            x[r] += b


@njit(fastmath=FUSED, error_model="numpy")
def _activate_with_slope(code, x, b, slope):
    """f into `x`, and f' over z in `slope`, where the one does not tell the other."""
    dtype, n = x.dtype.type, x.size
    one, half = dtype(1.0), dtype(0.5)
    if code == SILU:
        for r in range(n):
            z = slope[r] + b
            y = sigmoid(z, dtype)
            x[r] = z * y
            slope[r] = y + z * y * (one - y)
    elif code == GELU:
        for r in range(n):
            z = slope[r] + b
            square = dtype(GELU_CUBE) * z * z
            t = tanh(dtype(GELU_ROOT) * z * (one + square), dtype)
            share = half * (one + t)
            x[r] = z * share
            slope[r] = share * (one + z * (one - t) * dtype(GELU_ROOT) * (one + dtype(3.0) * square))
    else:
        for r in range(n):
            z = slope[r] + b
            t, y = tanh_of_softplus(z, dtype), sigmoid(z, dtype)
            x[r] = z * t
            slope[r] = t + z * y * (one - t * t)


@njit(error_model="numpy")
def activate(code, a, b, slope, lines, columns):
    """f(z + b) into `a`, in these lines and columns, which are pairs of start and stop.

    z stands in `a`, or in `slope` where `has_slope`; `slope` will then hold f' for `differentiate`.
    """
    start, stop = columns
    for j in range(lines[0], lines[1]):
        if has_slope(code):
            _activate_with_slope(code, a[j][start:stop], b[j], slope[j][start:stop])
        else:
            _activate_simple(code, a[j][start:stop], b[j])


@njit(fastmath=FUSED, error_model="numpy")
def differentiate(code, d, a, slope, lines, columns):
    """`d` *= f' in these lines and columns, from what `activate` left in `a` and `slope`."""
    dtype = a.dtype.type
    zero, one = dtype(0.0), dtype(1.0)
    start, stop = columns
    n = stop - start
    for j in range(lines[0], lines[1]):
        g, x, f = d[j][start:stop], a[j][start:stop], slope[j][start:stop]
        if code == RELU:
            for r in range(n):
                g[r] = g[r] if x[r] > zero else g[r] * zero
        elif code == LEAKY_RELU:
            for r in range(n):
                g[r] *= one if x[r] > zero else dtype(LEAK)
        elif code == TANH:
            for r in range(n):
                g[r] *= one - x[r] * x[r]
        elif code == SIGMOID:
            for r in range(n):
                g[r] *= x[r] * (one - x[r])
        elif code == ELU:
            for r in range(n):
                g[r] *= one if x[r] > zero else x[r] + one
        elif code == SELU:
            for r in range(n):
                g[r] *= dtype(SELU_SCALE) if x[r] > zero else x[r] + dtype(SELU_SCALE * SELU_ALPHA)
        elif code == SOFTPLUS:
            for r in range(n):
                g[r] *= -expm1_of_negative(-x[r], dtype)
        elif has_slope(code):
            for r in range(n):
                g[r] *= f[r]


@njit(fastmath=FUSED, error_model="numpy")
def _softmax(z, delta, y, scratch, columns):
    """softmax(z) - y into `delta`, and the cross entropy of each row into a line of `scratch`."""
    dtype = z.dtype.type
    losses, largest, total, mass = scratch[LOSSES], scratch[1], scratch[2], scratch[3]
    start, stop = columns
    for r in range(start, stop):
        largest[r] = z[0, r]
        total[r] = losses[r] = mass[r] = dtype(0.0)
    for j in range(1, z.shape[0]):
        for r in range(start, stop):
            largest[r] = largest[r] if z[j, r] <= largest[r] else z[j, r]
    for j in range(z.shape[0]):
        for r in range(start, stop):
            below = z[j, r] - largest[r]
            losses[r] -= y[j, r] * below
            mass[r] += y[j, r]
            e = exp(dtype(MOST_NEGATIVE) if below < dtype(MOST_NEGATIVE) else below, dtype)
            total[r] += e
            delta[j, r] = e
    for r in range(start, stop):
        losses[r] += dtype(math.log(total[r])) * mass[r]
    for j in range(z.shape[0]):
        for r in range(start, stop):
            delta[j, r] = delta[j, r] / total[r] - y[j, r]


@njit(fastmath=FUSED, error_model="numpy")
def judge_lines(code, z, delta, y, scratch, columns):
    """d loss / d z into `delta`, and the loss of each row into a line of `scratch`, for an output with its partner."""
    dtype = z.dtype.type
    losses = scratch[LOSSES]
    start, stop = columns
    if code == SOFTMAX:
        _softmax(z, delta, y, scratch, columns)
        return
    for r in range(start, stop):
        losses[r] = dtype(0.0)
    for j in range(z.shape[0]):
        for r in range(start, stop):
            x, t = z[j, r], y[j, r]
            if code == SIGMOID:
                delta[j, r] = sigmoid(x, dtype) - t
                positive = x if x > dtype(0.0) else dtype(0.0)
                losses[r] += (positive - t * x) + log1p_of_exp(-abs(x), dtype)
            else:
                delta[j, r] = x - t
                losses[r] += dtype(0.5) * (x - t) * (x - t)
