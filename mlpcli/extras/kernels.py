"""Steps of gradient descent as one compiled loop: Numba, plain loops over numbers, and BLAS for large products.

Batches are held turned over, (n_features, n_rows): the innermost loop of every pass then runs over the rows, which are
many and contiguous however narrow a layer is, and the compiler makes vector instructions of it. Products of small
networks are loops of that kind, too; of large ones they are BLAS's, called by its address.

Threads may share a step. Each goes forward and backward with a part of the rows; or, in a layer of many weights, for a
part of the neurons, so that each thread reads but a part of the weights. Then it makes the gradients of a part of the
neurons' weights, and moves these. Threads meet where one needs what another has made; results do not depend on which
is first.

All of it stands in one file because Numba's cache looks at the file of the outermost function alone: a change anywhere
else would not be seen. Constants are cast to the dtype of the arrays, for Numba would compute with float64 otherwise.
Multiply-adds are rounded once, and sums taken in the order that suits the machine: the same one every time. What NaN
and infinity do is left alone. Division is NumPy's: the check for zero that Python asks for ends vector instructions.
"""

# Types are Numba's to find; the one function that is called from outside has its shapes in its docstring.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,call-arg"

import math

import numpy as np
from numba import float32, njit
from numba.extending import overload

from mlpcli.extras.arguments import LINE
from mlpcli.extras.coverage import (
    ADAM,
    ADAMW,
    ELU,
    GELU,
    IDENTITY,
    LEAKY_RELU,
    MISH,
    PLAIN,
    RELU,
    SELU,
    SIGMOID,
    SILU,
    SOFTMAX,
    SOFTPLUS,
    TANH,
)
from mlpcli.extras.intrinsics import atomic_add, atomic_load, call_gemm32, call_gemm64, call_nap
from mlpcli.nn.activations import GELU_CUBE, GELU_ROOT, LEAK, MOST_NEGATIVE, MOST_POSITIVE, SELU_ALPHA, SELU_SCALE

MOST_SPINS = 10_000  # some 30 us

# As in nn.optimizers: running averages are swept before they become denormal numbers.
FLUSH_EVERY = 16
NEGLIGIBLE = 1e-30

FUSED = {"contract"}
SUMS = {"contract", "reassoc", "nsz"}

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693145751953125  # ln 2 in two parts: this one has few bits, so that a multiple of it is exact
LN2_LOW = 1.42860682030941723212e-6


def _series(r):
    """exp(r) - 1 for |r| <= ln(2) / 2: as many terms of its Taylor series as the dtype shows."""


def _atanh_series(t):
    """atanh(s) / s from t = s s, for t <= 1 / 9."""


def _power_of_two(k):
    """2 to the whole number `k`."""


@overload(_series, jit_options={"fastmath": FUSED, "error_model": "numpy"})
def _series_of(r):
    if r == float32:
        return _series32
    return _series64


def _series32(r):
    q = np.float32(1 / 5040) * r + np.float32(1 / 720)
    q = q * r + np.float32(1 / 120)
    q = q * r + np.float32(1 / 24)
    q = q * r + np.float32(1 / 6)
    q = q * r + np.float32(0.5)
    return q * r * r + r


def _series64(r):
    q = r / 6227020800.0 + 1 / 479001600
    q = q * r + 1 / 39916800
    q = q * r + 1 / 3628800
    q = q * r + 1 / 362880
    q = q * r + 1 / 40320
    q = q * r + 1 / 5040
    q = q * r + 1 / 720
    q = q * r + 1 / 120
    q = q * r + 1 / 24
    q = q * r + 1 / 6
    q = q * r + 0.5
    return q * r * r + r


@overload(_atanh_series, jit_options={"fastmath": FUSED, "error_model": "numpy"})
def _atanh_series_of(t):
    if t == float32:
        return _atanh_series32
    return _atanh_series64


def _atanh_series32(t):
    q = np.float32(1 / 15) * t + np.float32(1 / 13)
    q = q * t + np.float32(1 / 11)
    q = q * t + np.float32(1 / 9)
    q = q * t + np.float32(1 / 7)
    q = q * t + np.float32(1 / 5)
    q = q * t + np.float32(1 / 3)
    return q * t + np.float32(1.0)


def _atanh_series64(t):
    q = t / 33.0 + 1 / 31
    q = q * t + 1 / 29
    q = q * t + 1 / 27
    q = q * t + 1 / 25
    q = q * t + 1 / 23
    q = q * t + 1 / 21
    q = q * t + 1 / 19
    q = q * t + 1 / 17
    q = q * t + 1 / 15
    q = q * t + 1 / 13
    q = q * t + 1 / 11
    q = q * t + 1 / 9
    q = q * t + 1 / 7
    q = q * t + 1 / 5
    q = q * t + 1 / 3
    return q * t + 1.0


@overload(_power_of_two)
def _power_of_two_of(k):
    if k == float32:
        return lambda k: np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)
    return lambda k: np.int64((np.int64(k) + np.int64(1023)) << np.int64(52)).view(np.float64)


@njit(fastmath=FUSED, error_model="numpy")
def _exp_parts(x, dtype):
    """`(s, q)` with exp(x) = s + s q, for |x| up to 80; s q + (s - 1) is exp(x) - 1 with all its digits."""
    k = np.floor(x * dtype(LOG2_E) + dtype(0.5))
    r = (x - k * dtype(LN2_HIGH)) - k * dtype(LN2_LOW)
    # NaN has no whole number; it goes on through r.
    return _power_of_two(k if x == x else dtype(0.0)), _series(r)


@njit(fastmath=FUSED, error_model="numpy")
def _exp(x, dtype):
    s, q = _exp_parts(x, dtype)
    return s + s * q


@njit(fastmath=FUSED, error_model="numpy")
def _sigmoid(z, dtype):
    x = -z
    x = dtype(MOST_POSITIVE) if x > dtype(MOST_POSITIVE) else x
    x = dtype(-MOST_POSITIVE) if x < dtype(-MOST_POSITIVE) else x
    return dtype(1.0) / (dtype(1.0) + _exp(x, dtype))


@njit(fastmath=FUSED, error_model="numpy")
def _tanh(z, dtype):
    x = z + z
    x = dtype(40.0) if x > dtype(40.0) else x
    x = dtype(-40.0) if x < dtype(-40.0) else x
    s, q = _exp_parts(x, dtype)
    e = s * q + (s - dtype(1.0))
    return e / (e + dtype(2.0))


@njit(fastmath=FUSED, error_model="numpy")
def _tanh_of_softplus(z, dtype):
    x = dtype(20.0) if z > dtype(20.0) else z
    x = dtype(MOST_NEGATIVE) if x < dtype(MOST_NEGATIVE) else x
    e = _exp(x, dtype)
    e = e * (e + dtype(2.0))
    return e / (e + dtype(2.0))


@njit(fastmath=SUMS, error_model="numpy")
def _multiply(W, below, out):
    """`out` = W @ below, in blocks of 4 x 4 weights: few loads for each product."""
    n_out, n_in = W.shape
    n = out.shape[1]
    out[:] = W.dtype.type(0.0)
    blocks_out, blocks_in = n_out - n_out % 4, n_in - n_in % 4
    for j in range(0, blocks_out, 4):
        z0, z1, z2, z3 = out[j], out[j + 1], out[j + 2], out[j + 3]
        for i in range(0, blocks_in, 4):
            a0, a1, a2, a3 = below[i], below[i + 1], below[i + 2], below[i + 3]
            u0, u1, u2, u3 = W[j, i], W[j, i + 1], W[j, i + 2], W[j, i + 3]
            v0, v1, v2, v3 = W[j + 1, i], W[j + 1, i + 1], W[j + 1, i + 2], W[j + 1, i + 3]
            w0, w1, w2, w3 = W[j + 2, i], W[j + 2, i + 1], W[j + 2, i + 2], W[j + 2, i + 3]
            x0, x1, x2, x3 = W[j + 3, i], W[j + 3, i + 1], W[j + 3, i + 2], W[j + 3, i + 3]
            for r in range(n):
                b0, b1, b2, b3 = a0[r], a1[r], a2[r], a3[r]
                z0[r] += (u0 * b0 + u1 * b1) + (u2 * b2 + u3 * b3)
                z1[r] += (v0 * b0 + v1 * b1) + (v2 * b2 + v3 * b3)
                z2[r] += (w0 * b0 + w1 * b1) + (w2 * b2 + w3 * b3)
                z3[r] += (x0 * b0 + x1 * b1) + (x2 * b2 + x3 * b3)
    for j in range(n_out):
        z0, first = out[j], blocks_in if j < blocks_out else 0
        for i in range(first, blocks_in, 4):
            a0, a1, a2, a3 = below[i], below[i + 1], below[i + 2], below[i + 3]
            u0, u1, u2, u3 = W[j, i], W[j, i + 1], W[j, i + 2], W[j, i + 3]
            for r in range(n):
                z0[r] += (u0 * a0[r] + u1 * a1[r]) + (u2 * a2[r] + u3 * a3[r])
        for i in range(blocks_in, n_in):
            a0, u0 = below[i], W[j, i]
            for r in range(n):
                z0[r] += u0 * a0[r]


@njit(fastmath=SUMS, error_model="numpy")
def _sum(a):
    total = a.dtype.type(0.0)
    for r in range(a.size):
        total += a[r]
    return total


@njit(fastmath=SUMS, error_model="numpy")
def _dot(a, b):
    total = a.dtype.type(0.0)
    for r in range(a.size):
        total += a[r] * b[r]
    return total


@njit(fastmath=SUMS, error_model="numpy")
def _multiply_turned(delta, below, out):
    """`out` = delta @ below.T, in blocks of 2 x 4 sums."""
    n_out, n_in = out.shape
    n = delta.shape[1]
    blocks_out, blocks_in = n_out - n_out % 2, n_in - n_in % 4
    zero = out.dtype.type(0.0)
    for j in range(0, blocks_out, 2):
        d0, d1 = delta[j], delta[j + 1]
        for i in range(0, blocks_in, 4):
            a0, a1, a2, a3 = below[i], below[i + 1], below[i + 2], below[i + 3]
            s0, s1, s2, s3, t0, t1, t2, t3 = zero, zero, zero, zero, zero, zero, zero, zero
            for r in range(n):
                d, e, b0, b1, b2, b3 = d0[r], d1[r], a0[r], a1[r], a2[r], a3[r]
                s0 += d * b0
                s1 += d * b1
                s2 += d * b2
                s3 += d * b3
                t0 += e * b0
                t1 += e * b1
                t2 += e * b2
                t3 += e * b3
            for k, s, t in ((i, s0, t0), (i + 1, s1, t1), (i + 2, s2, t2), (i + 3, s3, t3)):
                out[j, k] = s
                out[j + 1, k] = t
    for j in range(n_out):
        for i in range(blocks_in if j < blocks_out else 0, n_in):
            out[j, i] = _dot(delta[j], below[i])


@njit(fastmath=FUSED, error_model="numpy")
def _expm1_of_negative(z, dtype):
    """exp(z) - 1 below zero, and 0 above."""
    x = z if z < dtype(0.0) else dtype(0.0)
    x = dtype(MOST_NEGATIVE) if x < dtype(MOST_NEGATIVE) else x
    s, q = _exp_parts(x, dtype)
    return s * q + (s - dtype(1.0))


@njit(fastmath=FUSED, error_model="numpy")
def _log1p_of_exp(z, dtype):
    """log(1 + exp(z)) for z <= 0, as 2 atanh(e / (2 + e)): its last digits hold for small e, too."""
    e = _exp(dtype(MOST_NEGATIVE) if z < dtype(MOST_NEGATIVE) else z, dtype)
    s = e / (e + dtype(2.0))
    return dtype(2.0) * s * _atanh_series(s * s)


@njit
def _has_slope(code):
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
            x[r] = _tanh(x[r] + b, dtype)
    elif code == SIGMOID:
        for r in range(n):
            x[r] = _sigmoid(x[r] + b, dtype)
    elif code == ELU:
        for r in range(n):
            z = x[r] + b
            x[r] = _expm1_of_negative(z, dtype) + (zero if z < zero else z)
    elif code == SELU:
        for r in range(n):
            z = x[r] + b
            below = dtype(SELU_ALPHA) * _expm1_of_negative(z, dtype)
            x[r] = dtype(SELU_SCALE) * (below + (zero if z < zero else z))
    elif code == SOFTPLUS:
        for r in range(n):
            z = x[r] + b
            x[r] = _log1p_of_exp(-abs(z), dtype) + (zero if z < zero else z)
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
            y = _sigmoid(z, dtype)
            x[r] = z * y
            slope[r] = y + z * y * (one - y)
    elif code == GELU:
        for r in range(n):
            z = slope[r] + b
            square = dtype(GELU_CUBE) * z * z
            t = _tanh(dtype(GELU_ROOT) * z * (one + square), dtype)
            share = half * (one + t)
            x[r] = z * share
            slope[r] = share * (one + z * (one - t) * dtype(GELU_ROOT) * (one + dtype(3.0) * square))
    else:
        for r in range(n):
            z = slope[r] + b
            t, y = _tanh_of_softplus(z, dtype), _sigmoid(z, dtype)
            x[r] = z * t
            slope[r] = t + z * y * (one - t * t)


@njit(error_model="numpy")
def _activate(code, a, b, slope, lines, columns):
    """f(z + b) into `a`, in these lines and columns, which are pairs of start and stop.

    z stands in `a`, or in `slope` where `_has_slope`; `slope` will then hold f' for `_differentiate`.
    """
    start, stop = columns
    for j in range(lines[0], lines[1]):
        if _has_slope(code):
            _activate_with_slope(code, a[j][start:stop], b[j], slope[j][start:stop])
        else:
            _activate_simple(code, a[j][start:stop], b[j])


@njit(fastmath=FUSED, error_model="numpy")
def _differentiate(code, d, a, slope, lines, columns):
    """`d` *= f' in these lines and columns, from what `_activate` left in `a` and `slope`."""
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
                g[r] *= -_expm1_of_negative(-x[r], dtype)
        elif _has_slope(code):
            for r in range(n):
                g[r] *= f[r]


@njit(fastmath=FUSED, error_model="numpy")
def _softmax(z, delta, y, scratch, columns):
    """softmax(z) - y into `delta`, and the cross entropy of each row into `scratch[0]`."""
    dtype = z.dtype.type
    losses, largest, total, mass = scratch[0], scratch[1], scratch[2], scratch[3]
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
            e = _exp(dtype(MOST_NEGATIVE) if below < dtype(MOST_NEGATIVE) else below, dtype)
            total[r] += e
            delta[j, r] = e
    for r in range(start, stop):
        losses[r] += dtype(math.log(total[r])) * mass[r]
    for j in range(z.shape[0]):
        for r in range(start, stop):
            delta[j, r] = delta[j, r] / total[r] - y[j, r]


@njit(fastmath=FUSED, error_model="numpy")
def _output(code, z, delta, y, scratch, columns):
    """d loss / d z into `delta`, and the loss of each row into `scratch[0]`, for an output with its partner."""
    dtype = z.dtype.type
    losses = scratch[0]
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
                delta[j, r] = _sigmoid(x, dtype) - t
                positive = x if x > dtype(0.0) else dtype(0.0)
                losses[r] += (positive - t * x) + _log1p_of_exp(-abs(x), dtype)
            else:
                delta[j, r] = x - t
                losses[r] += dtype(0.5) * (x - t) * (x - t)


@njit(error_model="numpy")
def _sweep(values):
    for j in range(values.size):
        values[j] = 0.0 if abs(values[j]) < NEGLIGIBLE else values[j]


@njit(fastmath=FUSED, error_model="numpy")
def _momentum_step(flat, grad, velocity, decay, momentum, is_nesterov, rate):
    dtype = flat.dtype.type
    rate, momentum, decay = dtype(rate), dtype(momentum), dtype(decay)
    if momentum == 0:
        for j in range(flat.size):
            flat[j] -= rate * (grad[j] + decay * flat[j])
    elif is_nesterov:
        for j in range(flat.size):
            g = grad[j] + decay * flat[j]
            velocity[j] = momentum * velocity[j] + g
            flat[j] -= rate * (momentum * velocity[j] + g)
    else:
        for j in range(flat.size):
            velocity[j] = momentum * velocity[j] + (grad[j] + decay * flat[j])
            flat[j] -= rate * velocity[j]


@njit(fastmath=FUSED, error_model="numpy")
def _adam_step(flat, grad, mean, square, decay, shrinkage, beta1, beta2, epsilon, count, rate):
    """`decay` is coupled, Adam's; `shrinkage` of `flat` before the step is AdamW's, 1 for none."""
    dtype = flat.dtype.type
    new1, new2, kept2, decay, shrinkage = (
        dtype(1.0 - beta1),
        dtype(1.0 - beta2),
        dtype(beta2),
        dtype(decay),
        dtype(shrinkage),
    )
    correction = math.sqrt(1.0 - beta2**count)
    small, step = dtype(epsilon * correction), dtype(rate * correction / (1.0 - beta1**count))
    for j in range(flat.size):
        g = grad[j] + decay * flat[j]
        mean[j] += new1 * (g - mean[j])
        square[j] = kept2 * square[j] + new2 * (g * g)
        flat[j] = shrinkage * flat[j] - step * (mean[j] / (np.sqrt(square[j]) + small))


@njit(fastmath=FUSED, error_model="numpy")
def _root_step(flat, grad, square, velocity, decay, memory, addition, epsilon, momentum, rate):
    """RMSprop's running mean of squares with `memory` m and `addition` 1 - m; Adagrad's sum has 1 for both."""
    dtype = flat.dtype.type
    memory, addition, decay = dtype(memory), dtype(addition), dtype(decay)
    rate, momentum, epsilon = dtype(rate), dtype(momentum), dtype(epsilon)
    if momentum == 0:
        for j in range(flat.size):
            g = grad[j] + decay * flat[j]
            square[j] = memory * square[j] + addition * (g * g)
            flat[j] -= rate * (g / (np.sqrt(square[j]) + epsilon))
    else:
        for j in range(flat.size):
            g = grad[j] + decay * flat[j]
            square[j] = memory * square[j] + addition * (g * g)
            velocity[j] = momentum * velocity[j] + g / (np.sqrt(square[j]) + epsilon)
            flat[j] -= rate * velocity[j]


@njit(error_model="numpy")
def _step_part(code, options, rate, decay, small, flat, grad, first, second, count):
    """The optimizer's step on parameters that all have this weight decay."""
    epsilon = options[2] * small
    if code == PLAIN:
        _momentum_step(flat, grad, first, decay, options[0], options[1] > 0, rate)
    elif code == ADAM:
        _adam_step(flat, grad, first, second, decay, 1.0, options[0], options[1], epsilon, count, rate)
    elif code == ADAMW:
        _adam_step(flat, grad, first, second, 0.0, 1.0 - decay, options[0], options[1], epsilon, count, rate)
    else:
        _root_step(flat, grad, first, second, decay, options[0], options[1], epsilon, options[3], rate)


@njit(error_model="numpy", cache=True, nogil=True)
def update_block(code, options, rate, decay, small, n_weights, flat, grad, first, second, count):
    """A step of the optimizer in one pass over parameters (n,), the first `n_weights` of which are weights.

    `options` as `coverage.optimizer_options` lays them out; `decay` what is added of a weight to its gradient or, for
    AdamW, lost of it; `small` multiplies epsilon. `first` and `second` (n,) are the optimizer's state, or empty.
    """
    f, s, n = min(first.size, n_weights), min(second.size, n_weights), n_weights
    _step_part(code, options, rate, decay, small, flat[:n], grad[:n], first[:f], second[:s], count)
    _step_part(code, options, rate, 0.0, small, flat[n:], grad[n:], first[f:], second[s:], count)
    if count % FLUSH_EVERY == 0:
        _sweep(first)
        _sweep(second)


@njit
def _part(n, place, n_threads):
    return n * place // n_threads, n * (place + 1) // n_threads


@njit(error_model="numpy")
def _meet(team):
    """Wait until all threads are here; whether they go on.

    Spinning is for the moment that others take on cores of their own; where they have none, it would keep them from it.
    """
    if team.n_threads == 1:
        return True
    wanted = (atomic_add(team.meeting, 0, 1) // team.n_threads + 1) * team.n_threads
    spins = 0
    while atomic_load(team.meeting, 0) < wanted:
        if atomic_load(team.meeting, LINE):
            return False
        spins += 1
        if spins > MOST_SPINS:
            call_nap(team.nap.address, team.nap.duration)
    return True


@njit(error_model="numpy")
def _layout(A):
    """Whether a matrix lies in memory turned over, and how far it is from one of its lines there to the next."""
    if A.strides[1] == A.itemsize:
        return False, max(A.strides[0] // A.itemsize, A.shape[1])
    return True, max(A.strides[1] // A.itemsize, A.shape[0])


@njit(error_model="numpy")
def multiply_blas(blas, A, B, out):
    """`out` (m, n) = `A` (m, k) @ `B` (k, n); the factors may be turned over, and all be parts of larger arrays."""
    if out.size == 0:
        return
    (turns_a, step_a), (turns_b, step_b), (_, step) = _layout(A), _layout(B), _layout(out)
    (m, n), k = out.shape, A.shape[1]
    if blas.is_wide:
        call_gemm64(blas.address, turns_a, turns_b, m, n, k, A, step_a, B, step_b, out, step)
    else:
        call_gemm32(blas.address, turns_a, turns_b, m, n, k, A, step_a, B, step_b, out, step)


@njit(error_model="numpy")
def _panel(buffer, start, n_lines, n):
    """A layer's lines (n_lines, n) in a buffer of which `start` lines lie before them."""
    return buffer[start * n : (start + n_lines) * n].reshape(n_lines, n)


@njit(error_model="numpy")
def _entries(layer, shape, buffers, n):
    """What a layer sees, (n_in, n): the inputs, turned over by `_gather`, or what the layer below it gives."""
    if layer:
        return _panel(buffers.a, shape.neurons[layer - 1], shape.sizes[layer], n)
    return _panel(buffers.inputs, 0, shape.sizes[0], n)


@njit(error_model="numpy")
def _entries_blas(layer, shape, buffers, n):
    """The same where `_gather` has left the inputs as rows."""
    if layer:
        return _entries(layer, shape, buffers, n)[:, :n]
    return buffers.inputs[: n * shape.sizes[0]].reshape(n, shape.sizes[0]).T[:, :n]


@njit(error_model="numpy")
def _gather(rows, blas, data, buffers, columns):
    """Inputs, targets and weights of those of the batch's `rows` that these columns are."""
    X, codes, n = data.X, data.class_codes, rows.size
    n_in, n_out = X.shape[1], data.targets.shape[1]
    y, row_weights = _panel(buffers.y, 0, n_out, n), buffers.scratch[4]
    for r in range(columns[0], columns[1]):
        source, row = X[rows[r]], rows[r]
        if blas.address:
            place = buffers.inputs[r * n_in : (r + 1) * n_in]
            for i in range(n_in):
                place[i] = source[i]
        else:
            for i in range(n_in):
                buffers.inputs[i * n + r] = source[i]
        of = codes[row] if codes.size else row
        for j in range(n_out):
            y[j, r] = data.targets[of, j]
        row_weights[r] = data.weights[row] if data.weights.size else 1.0


@njit(error_model="numpy")
def _forward(place, team, blas, shape, flat, buffers, n):
    """Every layer's a, the last one's z + b; whether the threads go on."""
    n_layers, was_by_neurons = shape.sizes.size - 1, False
    for layer in range(n_layers):
        n_in, n_out, by_neurons = shape.sizes[layer], shape.sizes[layer + 1], shape.by_neurons[layer]
        if (by_neurons or was_by_neurons) and not _meet(team):
            return False
        was_by_neurons = by_neurons
        (j, end_j), (r, end_r) = (0, n_out), (0, n)
        if by_neurons:
            j, end_j = _part(n_out, place, team.n_threads)
        else:
            r, end_r = _part(n, place, team.n_threads)
        code = IDENTITY if layer == n_layers - 1 else shape.hidden
        above, weight, bias = shape.neurons[layer], shape.weights[layer], shape.biases[layer]
        W = flat[weight : weight + n_in * n_out].reshape(n_out, n_in)
        a, slope = _panel(buffers.a, above, n_out, n), _panel(buffers.slope, above, n_out, n)
        z = slope if _has_slope(code) else a
        if blas.address:
            below = _entries_blas(layer, shape, buffers, n)
            multiply_blas(blas, W[j:end_j, :n_in], below[:, r:end_r], z[j:end_j, r:end_r])
        else:
            _multiply(W, _entries(layer, shape, buffers, n), z)
        _activate(code, a, flat[bias : bias + n_out], slope, (j, end_j), (r, end_r))
    return not was_by_neurons or _meet(team)


@njit(error_model="numpy")
def _judge(place, team, shape, buffers, n):
    """d cost / d z of the outputs for the thread's rows; leaves the sum of their losses."""
    n_out, dtype = shape.sizes[-1], buffers.a.dtype.type
    start, stop = _part(n, place, team.n_threads)
    z, delta = _panel(buffers.a, shape.neurons[-1], n_out, n), _panel(buffers.delta, shape.neurons[-1], n_out, n)
    losses, factors, row_weights = buffers.scratch[0], buffers.scratch[1], buffers.scratch[4]
    _output(shape.output, z, delta, _panel(buffers.y, 0, n_out, n), buffers.scratch, (start, stop))
    total = 0.0
    for r in range(start, stop):
        total += float(losses[r] * row_weights[r])
        factors[r] = row_weights[r] * dtype(1.0 / n)
    for j in range(n_out):
        for r in range(start, stop):
            delta[j, r] *= factors[r]
    buffers.sums[0, place] = total


@njit(error_model="numpy")
def _backward(place, team, blas, shape, flat, buffers, n):
    """Every layer's delta; whether the threads go on, all of them then through with it."""
    was_by_neurons = False
    for layer in range(shape.sizes.size - 2, 0, -1):
        n_in, n_out, by_neurons = shape.sizes[layer], shape.sizes[layer + 1], shape.by_neurons[layer]
        if (by_neurons or was_by_neurons) and not _meet(team):
            return False
        was_by_neurons = by_neurons
        (i, end_i), (r, end_r) = (0, n_in), (0, n)
        if by_neurons:
            i, end_i = _part(n_in, place, team.n_threads)
        else:
            r, end_r = _part(n, place, team.n_threads)
        weight, below = shape.weights[layer], shape.neurons[layer - 1]
        W = flat[weight : weight + n_in * n_out].reshape(n_out, n_in)
        delta = _panel(buffers.delta, shape.neurons[layer], n_out, n)
        out = _panel(buffers.delta, below, n_in, n)
        a, slope = _panel(buffers.a, below, n_in, n), _panel(buffers.slope, below, n_in, n)
        if blas.address:
            multiply_blas(blas, W[:n_out, i:end_i].T, delta[:, r:end_r], out[i:end_i, r:end_r])
        else:
            _multiply(W.T, delta, out)
        _differentiate(shape.hidden, out, a, slope, (i, end_i), (r, end_r))
    return _meet(team)


@njit(error_model="numpy")
def _fill_gradient(piece, blas, shape, buffers, gradient, n):
    """The gradient of a piece's weights and biases; returns where it lies."""
    layer, first, last, at = piece[0], piece[1], piece[2], piece[3]
    n_in, n_out = shape.sizes[layer], shape.sizes[layer + 1]
    biases = at + (last - first) * n_in
    delta = _panel(buffers.delta, shape.neurons[layer], n_out, n)[first:last]
    out = gradient[at:biases].reshape(last - first, n_in)
    if blas.address:
        multiply_blas(blas, delta[:, :n], _entries_blas(layer, shape, buffers, n).T, out[:, :n_in])
    else:
        _multiply_turned(delta, _entries(layer, shape, buffers, n), out)
    for j in range(last - first):
        gradient[biases + j] = _sum(delta[j])
    return gradient[at : biases + last - first]


@njit(error_model="numpy")
def _move(piece, shape, rules, state, gradient, step, count):
    """The optimizer's step on a piece's weights and biases."""
    layer, first, last, n_in = piece[0], piece[1], piece[2], shape.sizes[piece[0]]
    rate, decay = rules.rates[step], rules.decay
    if rules.code == ADAMW:
        decay *= rate
    n_weights = (last - first) * n_in
    for start, size, at, lost in (
        (shape.weights[layer] + first * n_in, n_weights, 0, decay),
        (shape.biases[layer] + first, last - first, n_weights, 0.0),
    ):
        stop = start + size
        old, older = state.first[start:stop], state.second[start:stop]
        grad = gradient[at : at + size]
        _step_part(rules.code, rules.options, rate, lost, 1.0, state.flat[start:stop], grad, old, older, count)
        if count % FLUSH_EVERY == 0:
            _sweep(old)
            _sweep(older)


@njit(error_model="numpy")
def _descend(share, team, blas, shape, rules, state, buffers, n, step, count):
    """Gradients of the thread's pieces, and the steps on them; whether the threads go on.

    Without a clip, a piece's gradient is still in the cache when the step comes to it.
    """
    squares = 0.0
    for number in range(len(share.pieces)):
        piece = share.pieces[number]
        gradient = _fill_gradient(piece, blas, shape, buffers, share.gradient, n)
        if rules.clip == 0:
            _move(piece, shape, rules, state, gradient, step, count)
        else:
            for value in gradient:
                squares += float(value) * float(value)
    if rules.clip > 0:
        buffers.sums[1, share.place] = squares
        if not _meet(team):
            return False
        norm = math.sqrt(buffers.sums[1].sum())
        factor = state.flat.dtype.type(rules.clip / norm if norm > rules.clip else 1.0)
        for number in range(len(share.pieces)):
            piece = share.pieces[number]
            size = (piece[2] - piece[1]) * (shape.sizes[piece[0]] + 1)
            gradient = share.gradient[piece[3] : piece[3] + size]
            gradient *= factor
            _move(piece, shape, rules, state, gradient, step, count)
    return _meet(team)


@njit(cache=True, nogil=True, error_model="numpy")
def run_steps(
    share, team, blas, first_step, last_step, batch_size, order, data, shape, rules, state, buffers, count, total
):  # fmt: skip
    """Steps `first_step` to `last_step` (excluded) of an epoch, on rows drawn in `order` (n_rows,): one thread's share.

    All threads of the team must call it at the same time. `count` is the number of steps taken before, `total` the sum
    of the losses of the rows seen before. Returns that sum as it is then, and the step at which it stopped being
    finite, else -1; both the same in all.
    """
    for step in range(first_step, last_step):
        rows = order[step * batch_size : min((step + 1) * batch_size, order.size)]
        n, place = rows.size, share.place
        _gather(rows, blas, data, buffers, _part(n, place, team.n_threads))
        if not _forward(place, team, blas, shape, state.flat, buffers, n):
            break
        _judge(place, team, shape, buffers, n)
        if not _backward(place, team, blas, shape, state.flat, buffers, n):
            break
        loss = buffers.sums[0].sum()
        if not math.isfinite(loss):
            return total, step
        total += loss
        count += 1
        if not _descend(share, team, blas, shape, rules, state, buffers, n, step, count):
            break
    return total, -1


@njit(error_model="numpy", cache=True, nogil=True)
def activate_lines(code, a, b, slope):
    """f(z + b) into `a` (n_lines, n_rows), `b` (n_lines,).

    z stands in `a`, or in `slope` (n_lines, n_rows) where f does not tell f', which will then take its place.
    """
    _activate(code, a, b, slope, (0, a.shape[0]), (0, a.shape[1]))


@njit(error_model="numpy", cache=True, nogil=True)
def differentiate_lines(code, delta, a, slope):
    """`delta` *= f', from what `activate_lines` left in `a` and `slope`; all are (n_lines, n_rows)."""
    _differentiate(code, delta, a, slope, (0, a.shape[0]), (0, a.shape[1]))


@njit(fastmath=FUSED, error_model="numpy", cache=True, nogil=True)
def drop_lines(a, draws, kept, h, lowest, factor):
    """`kept` becomes 0 where `draws` are below `lowest`, else `factor`; `h` is `a` times it."""
    scale, zero = a.dtype.type(factor), a.dtype.type(0.0)
    for j in range(a.shape[0]):
        x, drawn, u, out = a[j], draws[j], kept[j], h[j]
        for r in range(x.size):
            u[r] = scale if drawn[r] >= lowest else zero
            out[r] = x[r] * u[r]


@njit(fastmath=FUSED, error_model="numpy", cache=True, nogil=True)
def activate_output(code, z, b, a):
    """`z` += `b`, then identity, sigmoid or softmax of it into `a`; (n_out, n_rows), `b` (n_out,)."""
    dtype = z.dtype.type
    n_out, n = z.shape
    for j in range(n_out):
        for r in range(n):
            x = z[j, r] + b[j]
            z[j, r] = x
            a[j, r] = _sigmoid(x, dtype) if code == SIGMOID else x
    if code == SOFTMAX:
        largest, total = z[0].copy(), np.zeros(n, z.dtype)
        for j in range(1, n_out):
            for r in range(n):
                largest[r] = largest[r] if z[j, r] <= largest[r] else z[j, r]
        for j in range(n_out):
            for r in range(n):
                below = z[j, r] - largest[r]
                e = _exp(dtype(MOST_NEGATIVE) if below < dtype(MOST_NEGATIVE) else below, dtype)
                total[r] += e
                a[j, r] = e
        for j in range(n_out):
            for r in range(n):
                a[j, r] /= total[r]


@njit(error_model="numpy", cache=True, nogil=True)
def sum_losses(code, z, y, row_weights, scratch):
    """Row losses times row weights, added up: softmax, sigmoid or identity outputs with their partner.

    `z`, `y` and `scratch` are (n_out, n_rows), `row_weights` (n_rows,) or empty.
    """
    lines = np.empty((4, z.shape[1]), z.dtype)
    _output(code, z, scratch, y, lines, (0, z.shape[1]))
    total = 0.0
    for r in range(z.shape[1]):
        total += float(lines[0, r] * row_weights[r] if row_weights.size else lines[0, r])
    return total


@njit(fastmath=FUSED, error_model="numpy", cache=True, nogil=True)
def subtract_targets(a, y, row_weights, delta):
    """(a - y) times row weight over the number of rows into `delta`; (n_out, n_rows), `row_weights` or empty."""
    n_out, n = a.shape
    factor = a.dtype.type(1.0 / n)
    for j in range(n_out):
        for r in range(n):
            delta[j, r] = (a[j, r] - y[j, r]) * factor
        if row_weights.size:
            for r in range(n):
                delta[j, r] *= row_weights[r]
