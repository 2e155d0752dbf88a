"""Steps of gradient descent as one compiled loop: Numba, and nothing but plain loops over numbers.

Batches are held turned over, (n_features, n_rows): the innermost loop of every product then runs over the rows, which
are many and contiguous however narrow a layer is, and the compiler makes vector instructions of it. A batch is taken in
tiles of at most `TILE` rows, so that all layers of a tile stay in the cache; gradients add up over the tiles.

All of it stands in one file because Numba's cache looks at the file of the outermost function alone: a change anywhere
else would not be seen. Constants are cast to the dtype of the arrays, for Numba would compute with float64 otherwise.
Multiply-adds are rounded once, and sums taken in the order that suits the machine: the same one every time. What NaN
and infinity do is left alone. Division is NumPy's: the check for zero that Python asks for ends vector instructions.
"""

# Types are Numba's to find; the one function that is called from outside has its shapes in its docstring.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import math

import numpy as np
from numba import float32, njit
from numba.extending import overload

from mlpcli.extras.coverage import ADAMW, LEAKY_RELU, MISH, PLAIN, RELU, SIGMOID, SILU, SOFTMAX, TANH
from mlpcli.nn.activations import LEAK, MOST_NEGATIVE, MOST_POSITIVE

TILE = 128

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
def _multiply(W, below, out, n):
    """`out` += W @ below over the first `n` columns, in blocks of 4 x 4 weights: few loads for each product."""
    n_out, n_in = W.shape
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
        z0, start = out[j], blocks_in if j < blocks_out else 0
        for i in range(start, blocks_in, 4):
            a0, a1, a2, a3 = below[i], below[i + 1], below[i + 2], below[i + 3]
            u0, u1, u2, u3 = W[j, i], W[j, i + 1], W[j, i + 2], W[j, i + 3]
            for r in range(n):
                z0[r] += (u0 * a0[r] + u1 * a1[r]) + (u2 * a2[r] + u3 * a3[r])
        for i in range(blocks_in, n_in):
            a0, u0 = below[i], W[j, i]
            for r in range(n):
                z0[r] += u0 * a0[r]


@njit(fastmath=SUMS, error_model="numpy")
def _dot(a, b, n):
    total = a.dtype.type(0.0)
    for r in range(n):
        total += a[r] * b[r]
    return total


@njit(fastmath=SUMS, error_model="numpy")
def _add_products(delta, below, W, n):
    """`W` += delta @ below.T over the first `n` columns, in blocks of 2 x 4 sums."""
    n_out, n_in = W.shape
    blocks_out, blocks_in = n_out - n_out % 2, n_in - n_in % 4
    zero = W.dtype.type(0.0)
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
                W[j, k] += s
                W[j + 1, k] += t
    for j in range(n_out):
        for i in range(blocks_in if j < blocks_out else 0, n_in):
            W[j, i] += _dot(delta[j], below[i], n)


@njit(fastmath=FUSED, error_model="numpy")
def _activate(code, a, slope, n):
    """z in `a` becomes f(z), and f'(z) goes to `slope`, over the first `n` columns."""
    dtype = a.dtype.type
    zero, one = dtype(0.0), dtype(1.0)
    for j in range(a.shape[0]):
        x, f = a[j], slope[j]
        if code == RELU:
            for r in range(n):
                f[r] = one if x[r] > zero else zero
                x[r] = zero if x[r] < zero else x[r]
        elif code == LEAKY_RELU:
            for r in range(n):
                f[r] = one if x[r] > zero else dtype(LEAK)
                x[r] *= f[r]
        elif code == TANH:
            for r in range(n):
                y = _tanh(x[r], dtype)
                f[r] = one - y * y
                x[r] = y
        elif code == SIGMOID:
            for r in range(n):
                y = _sigmoid(x[r], dtype)
                f[r] = y * (one - y)
                x[r] = y
        elif code == SILU:
            for r in range(n):
                y = _sigmoid(x[r], dtype)
                x[r] *= y
                f[r] = y + x[r] * (one - y)
        elif code == MISH:
            for r in range(n):
                t, s = _tanh_of_softplus(x[r], dtype), _sigmoid(x[r], dtype)
                f[r] = t + x[r] * s * (one - t * t)
                x[r] *= t
        else:
            for r in range(n):
                f[r] = one


@njit(fastmath=FUSED, error_model="numpy")
def _softmax(z, delta, y, scratch, n):
    """softmax(z) - y into `delta`, and the cross entropy of each row into `scratch[0]`."""
    dtype = z.dtype.type
    losses, largest, total, mass = scratch[0], scratch[1], scratch[2], scratch[3]
    for r in range(n):
        largest[r] = z[0, r]
        total[r] = losses[r] = mass[r] = dtype(0.0)
    for j in range(1, z.shape[0]):
        for r in range(n):
            largest[r] = largest[r] if z[j, r] <= largest[r] else z[j, r]
    for j in range(z.shape[0]):
        for r in range(n):
            below = z[j, r] - largest[r]
            losses[r] -= y[j, r] * below
            mass[r] += y[j, r]
            e = _exp(dtype(MOST_NEGATIVE) if below < dtype(MOST_NEGATIVE) else below, dtype)
            total[r] += e
            delta[j, r] = e
    for r in range(n):
        losses[r] += dtype(math.log(total[r])) * mass[r]
    for j in range(z.shape[0]):
        for r in range(n):
            delta[j, r] = delta[j, r] / total[r] - y[j, r]


@njit(fastmath=FUSED, error_model="numpy")
def _output(code, z, delta, y, scratch, n):
    """d loss / d z into `delta`, and the loss of each row into `scratch[0]`, for an output with its partner."""
    dtype = z.dtype.type
    losses = scratch[0]
    if code == SOFTMAX:
        _softmax(z, delta, y, scratch, n)
        return
    for r in range(n):
        losses[r] = dtype(0.0)
    for j in range(z.shape[0]):
        for r in range(n):
            x, t = z[j, r], y[j, r]
            if code == SIGMOID:
                delta[j, r] = _sigmoid(x, dtype) - t
                positive = x if x > dtype(0.0) else dtype(0.0)
                losses[r] += (positive - t * x) + dtype(math.log1p(math.exp(-abs(x))))
            else:
                delta[j, r] = x - t
                losses[r] += dtype(0.5) * (x - t) * (x - t)


@njit(error_model="numpy")
def _sweep(values):
    for j in range(values.size):
        if abs(values[j]) < NEGLIGIBLE:
            values[j] = 0.0


@njit(fastmath=FUSED, error_model="numpy")
def _momentum_step(flat, grad, velocity, momentum, is_nesterov, rate):
    dtype = flat.dtype.type
    rate, momentum = dtype(rate), dtype(momentum)
    if momentum == 0:
        for j in range(flat.size):
            flat[j] -= rate * grad[j]
    elif is_nesterov:
        for j in range(flat.size):
            velocity[j] = momentum * velocity[j] + grad[j]
            flat[j] -= rate * (momentum * velocity[j] + grad[j])
    else:
        for j in range(flat.size):
            velocity[j] = momentum * velocity[j] + grad[j]
            flat[j] -= rate * velocity[j]


@njit(fastmath=FUSED, error_model="numpy")
def _adam_step(flat, grad, mean, square, beta1, beta2, epsilon, count, rate):
    dtype = flat.dtype.type
    new1, new2, kept2 = dtype(1.0 - beta1), dtype(1.0 - beta2), dtype(beta2)
    correction = math.sqrt(1.0 - beta2**count)
    small, step = dtype(epsilon * correction), dtype(rate * correction / (1.0 - beta1**count))
    for j in range(flat.size):
        mean[j] += new1 * (grad[j] - mean[j])
        square[j] = kept2 * square[j] + new2 * (grad[j] * grad[j])
        flat[j] -= step * (mean[j] / (np.sqrt(square[j]) + small))


@njit(error_model="numpy")
def _clip(grad, largest):
    squares = 0.0
    for j in range(grad.size):
        squares += float(grad[j]) * float(grad[j])
    norm = math.sqrt(squares)
    if norm > largest:
        factor = grad.dtype.type(largest / norm)
        for j in range(grad.size):
            grad[j] *= factor


@njit(fastmath=FUSED, error_model="numpy")
def _update(code, options, rate, n_weights, flat, grad, first, second, count):
    """One step of the optimizer; `options` as `engine.optimizer_options` lays them out."""
    dtype = flat.dtype.type
    decay = options[0]
    if code == ADAMW:
        kept = dtype(1.0 - rate * decay)
        for j in range(n_weights):
            flat[j] *= kept
    elif decay:
        lost = dtype(decay)
        for j in range(n_weights):
            grad[j] += lost * flat[j]
    if code == PLAIN:
        _momentum_step(flat, grad, first, options[1], options[2] > 0, rate)
    else:
        _adam_step(flat, grad, first, second, options[1], options[2], options[3], count, rate)
    if count % FLUSH_EVERY == 0:
        _sweep(first)
        _sweep(second)


@njit(error_model="numpy")
def _gather(rows, X, codes, targets, below, y):
    """The inputs and targets of `rows`, turned over."""
    for r in range(rows.size):
        row = rows[r]
        for i in range(X.shape[1]):
            below[i, r] = X[row, i]
        of = codes[row] if codes.size else row
        for j in range(targets.shape[1]):
            y[j, r] = targets[of, j]


@njit(error_model="numpy")
def _layer(buffer, start, n_rows):
    return buffer[start * TILE : (start + n_rows) * TILE].reshape(n_rows, TILE)


@njit(error_model="numpy")
def _tile(n, sizes, codes, n_weights, flat, grad, buffers, y, row_weights, n_batch, scratch):
    """Forward and backward over the first `n` columns of a tile; adds to `grad`, returns the sum of the losses.

    `buffers` are activations (inputs first), slopes and deltas, each layer's rows behind those of the layer below.
    """
    a, slope, delta = buffers
    dtype, ones = flat.dtype.type, scratch[5]
    n_layers = sizes.size - 1
    here, weight, bias = 0, 0, n_weights
    for layer in range(n_layers):
        n_in, n_out = sizes[layer], sizes[layer + 1]
        below, z = _layer(a, here, n_in), _layer(a, here + n_in, n_out)
        for j in range(n_out):
            b = flat[bias + j]
            for r in range(n):
                z[j, r] = b
        _multiply(flat[weight : weight + n_in * n_out].reshape(n_out, n_in), below, z, n)
        here, weight, bias = here + n_in, weight + n_in * n_out, bias + n_out
        if layer < n_layers - 1:
            _activate(codes[0], z, _layer(slope, here, n_out), n)
    d = _layer(delta, here, sizes[n_layers])
    _output(codes[1], _layer(a, here, sizes[n_layers]), d, y, scratch, n)
    total = 0.0
    for r in range(n):
        factor = row_weights[r]
        total += float(scratch[0, r] * factor)
        scratch[0, r] = factor * dtype(1.0 / n_batch)
    for j in range(sizes[n_layers]):
        for r in range(n):
            d[j, r] *= scratch[0, r]
    for layer in range(n_layers - 1, -1, -1):
        n_in, n_out = sizes[layer], sizes[layer + 1]
        here, weight, bias = here - n_in, weight - n_in * n_out, bias - n_out
        d, below = _layer(delta, here + n_in, n_out), _layer(a, here, n_in)
        _add_products(d, below, grad[weight : weight + n_in * n_out].reshape(n_out, n_in), n)
        for j in range(n_out):
            grad[bias + j] += _dot(d[j], ones, n)
        if layer:
            d_below, f = _layer(delta, here, n_in), _layer(slope, here, n_in)
            for i in range(n_in):
                for r in range(n):
                    d_below[i, r] = dtype(0.0)
            _multiply(flat[weight : weight + n_in * n_out].reshape(n_out, n_in).T, d, d_below, n)
            for i in range(n_in):
                for r in range(n):
                    d_below[i, r] *= f[i, r]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def run_steps(
    first_step, last_step, batch_size, order, X, class_codes, targets, weights, sizes, codes, n_weights, flat, grad,
    buffers, y, scratch, options, rates, moments, count, clip,
):  # fmt: skip
    """Steps `first_step` to `last_step` (excluded) of an epoch, on rows drawn in `order` (n_rows,).

    `X` (n_rows, n_in); `targets` (n_rows, n_out), or by class with `class_codes` (n_rows,), else empty; `weights`
    (n_rows,) or empty; `codes` hidden activation, output and optimizer; `y` (n_out, TILE), `scratch` (6, TILE); `rates`
    the learning rate of each step; `count` steps taken before; `clip` 0 for none. Returns the sum of the losses of the
    rows seen, and the step at which it stopped being finite, else -1.
    """
    total = 0.0
    inputs = _layer(buffers[0], 0, sizes[0])
    row_weights = scratch[4]
    scratch[5, :] = 1.0
    for step in range(first_step, last_step):
        start, stop = step * batch_size, min((step + 1) * batch_size, order.size)
        grad[:] = 0.0
        loss = 0.0
        for tile in range(start, stop, TILE):
            rows = order[tile : min(tile + TILE, stop)]
            _gather(rows, X, class_codes, targets, inputs, y)
            for r in range(rows.size):
                row_weights[r] = weights[rows[r]] if weights.size else 1.0
            loss += _tile(
                rows.size, sizes, codes, n_weights, flat, grad, buffers, y, row_weights, stop - start, scratch
            )
        if not math.isfinite(loss):
            return total, step
        total += loss
        if clip > 0:
            _clip(grad, clip)
        count += 1
        _update(codes[2], options, rates[step], n_weights, flat, grad, moments[0], moments[1], count)
    return total, -1
