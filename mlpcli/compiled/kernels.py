"""What each instruction does: forward, backward, and the gradient of a piece of its tensors.

`n` is the number of rows of the batch, `columns` the first and last of those that are wanted: a part of the rows.
"""

import math

import numpy as np
from numba import njit

from mlpcli.compiled import codes, elementwise
from mlpcli.compiled.codes import INNER
from mlpcli.compiled.elementary import FUSED
from mlpcli.compiled.intrinsics import call_gemm32, call_gemm64
from mlpcli.nn.layers import EPSILON, dropout_threshold

TAKEN_AT_ONCE = 16  # rows that are turned over together, which a cache line holds
lowest_of = njit(dropout_threshold)


@njit(**INNER)
def gemm(blas, turns_a, turns_b, m, n, k, A, step_a, B, step_b, C, step_c):
    """C (m, n) = A (m, k) B (k, n); see `intrinsics`."""
    if blas.is_wide:
        call_gemm64(blas.address, turns_a, turns_b, m, n, k, A, step_a, B, step_b, C, step_c)
    else:
        call_gemm32(blas.address, turns_a, turns_b, m, n, k, A, step_a, B, step_b, C, step_c)


@njit(**INNER)
def panel(lines, start, width, n):
    """The values of `width` neurons from line `start` on."""
    return lines[start * n : (start + width) * n]


@njit(**INNER)
def take(rows, stride, first, width, n, y, columns):
    """Columns of the gathered rows, turned over."""
    for start in range(columns[0], columns[1], TAKEN_AT_ONCE):
        stop = min(start + TAKEN_AT_ONCE, columns[1])
        for i in range(width):
            for r in range(start, stop):
                y[i * n + r] = rows[r * stride + first + i]


@njit(**INNER)
def operand(op, program, stride, n, start):
    """What goes into a product, from row `start` on: an array, whether it lies row by row, and from line to line."""
    if op.x < 0:
        return program.rows[op.first + start * stride :], True, stride
    return program.lines[op.x * n + start :], False, n


@njit(**INNER)
def forward(op, blas, program, stride, flat, n, neurons, columns, key, factor):
    """The output of some neurons (of dense layers; all of others) in these columns; `stride` is the width of a row."""
    code, n_in, n_out, lines = op.code, op.n_in, op.n_out, program.lines
    start, stop = columns
    x, y = panel(lines, max(op.x, 0), n_in, n), panel(lines, op.y, n_out, n)
    if code == codes.DENSE:
        j, end = neurons
        source, by_rows, step = operand(op, program, stride, n, start)
        W, own = flat[op.p0 + j * n_in :], y[j * n + start :]
        gemm(blas, False, by_rows, end - j, stop - start, n_in, W, n_in, source, step, own, n)
        if op.p1 >= 0:
            for neuron in range(j, end):
                elementwise.shift(y[neuron * n + start : neuron * n + stop], flat[op.p1 + neuron])
    elif code == codes.EMBED:
        source, by_rows, step = operand(op, program, stride, n, start)
        gemm(blas, True, by_rows, n_out, stop - start, n_in, flat[op.p0 :], n_out, source, step, y[start:], n)
    elif code == codes.PERIODIC:
        _wave(op, blas, program, flat, x, y, n, columns)
    elif code == codes.TAKE:
        take(program.rows, stride, op.first, n_in, n, y, columns)
    elif code == codes.NORM:
        _normalize(op, lines, flat, x, y, n, columns)
    else:
        # A whole panel is one line, where neurons have nothing of their own.
        is_one = stop - start == n and (code == codes.ACTIVATION or code == codes.ADD or code == codes.COPY)
        for j in range(1 if is_one else n_in):
            i, e = (0, n_in * n) if is_one else (j * n + start, j * n + stop)
            source, out, spare = x[i:e], y[i:e], lines[max(op.spare, 0) * n + i : max(op.spare, 0) * n + e]
            if code == codes.ACTIVATION:
                elementwise.activate(op.option, source, out, spare)
            elif code == codes.LEARNT:
                excess = lines[(op.spare + n_in) * n + i : (op.spare + n_in) * n + e]
                elementwise.activate(op.option, source, out, spare)
                elementwise.mix(flat[op.p0 + j], source, out, spare, excess)
            elif code == codes.DROPOUT:
                salt, lowest = program.salts[op.size0 + j] ^ key, lowest_of(op.option, factor)
                elementwise.drop(source, out, spare, salt, lowest, start)
            elif code == codes.SCALE:
                elementwise.scale(flat[op.p0 + j], source, out)
            elif code == codes.ADD:
                elementwise.add(spare, source, out)
            elif code == codes.COPY:
                elementwise.copy(source, out)


@njit(**INNER)
def _wave(op, blas, program, flat, x, y, n, columns):
    """See `nn.embeddings.PeriodicEmbedding`; cos and sin are kept."""
    count, k, m, n_in, lines = op.size0, op.size1, op.size2, op.n_in, program.lines
    start, stop = columns
    for j in range(n_in):
        elementwise.copy(x[j * n + start : j * n + stop], y[j * n + start : j * n + stop])
    for i in range(count):
        column = program.columns[op.option + i]
        own = x[column * n + start : column * n + stop]
        cos, sin = panel(lines, op.spare + i * k, k, n), panel(lines, op.spare + (count + i) * k, k, n)
        for c in range(k):
            at = i * k + c
            elementwise.waves(
                own,
                flat[op.p0 + at],
                flat[op.p1 + at],
                cos[c * n + start : c * n + stop],
                sin[c * n + start : c * n + stop],
            )
        v = y[(n_in + i * m) * n : (n_in + (i + 1) * m) * n]
        gemm(blas, False, False, m, stop - start, k, flat[op.p2 + i * m * k :], k, cos[start:], n, v[start:], n)
        for c in range(m):
            elementwise.shift(v[c * n + start : c * n + stop], flat[op.p3 + i * m + c])


@njit(fastmath=FUSED, **INNER)
def _normalize(op, lines, flat, x, y, n, columns):
    """See `nn.layers.LayerNorm`; the spare panels are the normalized values, then 1 / deviation and a spare line."""
    dtype, width = x.dtype.type, op.n_in
    start, stop = columns
    normal = panel(lines, op.spare, width, n)
    rstd, mean = panel(lines, op.spare + width, 1, n), panel(lines, op.spare + width + 1, 1, n)
    over = dtype(1.0 / width)
    mean[start:stop] = dtype(0.0)
    rstd[start:stop] = dtype(0.0)
    for j in range(width):
        elementwise.add(mean[start:stop], x[j * n + start : j * n + stop], mean[start:stop])
    for r in range(start, stop):
        mean[r] *= over
    for j in range(width):
        line, source = normal[j * n : (j + 1) * n], x[j * n : (j + 1) * n]
        for r in range(start, stop):
            line[r] = source[r] - mean[r]
            rstd[r] += line[r] * line[r]
    for r in range(start, stop):
        rstd[r] = dtype(1.0) / np.sqrt(rstd[r] * over + dtype(EPSILON))
    for j in range(width):
        line, out, gain, offset = normal[j * n : (j + 1) * n], y[j * n : (j + 1) * n], flat[op.p0 + j], flat[op.p1 + j]
        for r in range(start, stop):
            line[r] *= rstd[r]
            out[r] = gain * line[r] + offset


@njit(**INNER)
def backward(op, blas, program, flat, n, neurons, columns):
    """d cost / d x, of some inputs (of dense layers; all of others) in these columns."""
    code, n_in, n_out, lines = op.code, op.n_in, op.n_out, program.lines
    start, stop = columns
    if op.dx < 0 or code == codes.TAKE:
        return
    dx, dy = panel(lines, op.dx, n_in, n), panel(lines, op.dy, n_out, n)
    if code == codes.DENSE:
        i, end = neurons
        W, own = flat[op.p0 + i :], dx[i * n :]
        gemm(blas, True, False, end - i, stop - start, n_out, W, n_in, dy[start:], n, own[start:], n)
        return
    if code == codes.EMBED:
        gemm(blas, False, False, n_in, stop - start, n_out, flat[op.p0 :], n_out, dy[start:], n, dx[start:], n)
        return
    if code == codes.NORM:
        _normalize_backward(op, lines, flat, dx, dy, n, columns)
        return
    is_one = stop - start == n and code != codes.SCALE
    for j in range(1 if is_one else n_in):
        i, e = (0, n_in * n) if is_one else (j * n + start, j * n + stop)
        d, out, spare = dy[i:e], dx[i:e], lines[max(op.spare, 0) * n + i : max(op.spare, 0) * n + e]
        if code == codes.SCALE:
            elementwise.scale(flat[op.p0 + j], d, out)
        elif code == codes.SKIP:
            elementwise.add(d, spare, out)
        elif code == codes.ADD or code == codes.COPY or code == codes.PERIODIC:
            elementwise.copy(d, out)
        else:
            elementwise.multiply(d, spare, out)


@njit(fastmath=FUSED, **INNER)
def _normalize_backward(op, lines, flat, dx, dy, n, columns):
    """dx = (d - mean(d) - normal mean(d normal)) / deviation, d = dy gain; means over the neurons of a row."""
    dtype, width = dx.dtype.type, op.n_in
    start, stop = columns
    normal, rstd = panel(lines, op.spare, width, n), panel(lines, op.spare + width, 1, n)
    mean, along = panel(lines, op.spare + width + 1, 1, n), panel(lines, op.spare + width + 2, 1, n)
    mean[start:stop] = dtype(0.0)
    along[start:stop] = dtype(0.0)
    for j in range(width):
        elementwise.scale(flat[op.p0 + j], dy[j * n + start : j * n + stop], dx[j * n + start : j * n + stop])
        elementwise.add(mean[start:stop], dx[j * n + start : j * n + stop], mean[start:stop])
        elementwise.add_product(
            dx[j * n + start : j * n + stop], normal[j * n + start : j * n + stop], along[start:stop]
        )
    over = dtype(1.0 / width)
    for j in range(width):
        line, out = normal[j * n : (j + 1) * n], dx[j * n : (j + 1) * n]
        for r in range(start, stop):
            out[r] = (out[r] - mean[r] * over - line[r] * along[r] * over) * rstd[r]


@njit(**INNER)
def fill_gradient(op, blas, program, stride, flat, grad, n, first, last):
    """The gradient of an instruction's tensors, of its neurons (inputs, columns) from first to last, over all rows."""
    code, n_in, n_out, lines = op.code, op.n_in, op.n_out, program.lines
    x, dy = panel(lines, max(op.x, 0), n_in, n), panel(lines, max(op.dy, 0), n_out, n)
    if code == codes.DENSE:
        source, by_rows, step = operand(op, program, stride, n, 0)
        own, dW = dy[first * n :], grad[op.p0 + first * n_in :]
        gemm(blas, False, not by_rows, last - first, n_in, n, own, n, source, step, dW, n_in)
        if op.p1 >= 0:
            for j in range(first, last):
                grad[op.p1 + j] = elementwise.total_of(dy[j * n : (j + 1) * n])
    elif code == codes.EMBED:
        source, by_rows, step = operand(op, program, stride, n, 0)
        gemm(blas, by_rows, True, n_in, n_out, n, source, step, dy, n, grad[op.p0 :], n_out)
    elif code == codes.PERIODIC:
        _wave_gradient(op, blas, program, flat, grad, x, dy, n, first, last)
    else:
        for j in range(first, last):
            line = dy[j * n : (j + 1) * n]
            if code == codes.LEARNT:
                grad[op.p0 + j] = elementwise.dot(line, panel(lines, op.spare + n_in + j, 1, n))
            elif code == codes.SCALE:
                grad[op.p0 + j] = elementwise.dot(line, x[j * n : (j + 1) * n])
            elif code == codes.NORM:
                grad[op.p0 + j] = elementwise.dot(line, panel(lines, op.spare + j, 1, n))
                grad[op.p1 + j] = elementwise.total_of(line)


@njit(**INNER)
def _wave_gradient(op, blas, program, flat, grad, x, dy, n, first, last):
    """Of the columns of a periodic embedding from first to last; uses up cos and sin."""
    count, k, m, n_in, lines = op.size0, op.size1, op.size2, op.n_in, program.lines
    for i in range(first, last):
        column = program.columns[op.option + i]
        own = x[column * n : (column + 1) * n]
        cos, sin = panel(lines, op.spare + i * k, k, n), panel(lines, op.spare + (count + i) * k, k, n)
        dv = dy[(n_in + i * m) * n : (n_in + (i + 1) * m) * n]
        gemm(blas, False, True, m, k, n, dv, n, cos, n, grad[op.p2 + i * m * k :], k)
        for c in range(m):
            grad[op.p3 + i * m + c] = elementwise.total_of(dv[c * n : (c + 1) * n])
        gemm(blas, True, False, k, n, m, flat[op.p2 + i * m * k :], k, dv, n, cos, n)
        elementwise.multiply(cos, sin, cos)
        for c in range(k):
            line = cos[c * n : (c + 1) * n]
            grad[op.p1 + i * k + c] = -elementwise.total_of(line)
            grad[op.p0 + i * k + c] = flat.dtype.type(-2.0 * math.pi) * elementwise.dot(line, own)
