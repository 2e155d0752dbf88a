"""The kernels of each instruction: forward, backward, and the gradient of a tile of its tensors.

Arrays are feature-major: a panel (width, n) holds the values of `width` neurons for the `n` rows of the batch.
`batch_range` is (start, stop) of the rows to compute.
"""

import math

import numpy as np
from numba import njit

from mlpcli.compiled import codes, elementwise
from mlpcli.compiled.codes import INTERNAL, UNCOUNTED
from mlpcli.compiled.elementary import FUSED
from mlpcli.compiled.intrinsics import call_gemm32, call_gemm64
from mlpcli.nn.layers import EPSILON, dropout_threshold

TRANSPOSED_ROWS = 16  # rows that are transposed together: float32 values of a cache line
threshold_of = njit(dropout_threshold, **UNCOUNTED)


@njit(**INTERNAL)
def gemm(blas, trans_a, trans_b, m, n, k, A, lda, B, ldb, C, ldc, adds=False):
    """C (m, n) = A (m, k) B (k, n), or C += A B, with the arguments of BLAS; see `intrinsics`."""
    if blas.is_ilp64:
        call_gemm64(blas.address, trans_a, trans_b, m, n, k, A, lda, B, ldb, C, ldc, adds)
    else:
        call_gemm32(blas.address, trans_a, trans_b, m, n, k, A, lda, B, ldb, C, ldc, adds)


@njit(inline="always", **INTERNAL)
def panel(workspace, start, width, n):
    """The panel of `width` neurons that begins at neuron `start` of the workspace."""
    return workspace[start * n : (start + width) * n]


@njit(**INTERNAL)
def take(op, program, n, y, batch_range):
    """Columns of the gathered rows, transposed into a panel."""
    rows, first, stride = program.rows, op.first, program.n_in
    for start in range(batch_range[0], batch_range[1], TRANSPOSED_ROWS):
        stop = min(start + TRANSPOSED_ROWS, batch_range[1])
        for i in range(op.n_in):
            for r in range(start, stop):
                y[i * n + r] = rows[r * stride + first + i]


@njit(**INTERNAL)
def operand(op, program, n, start):
    """Input of a matrix product from row `start` on: the array, whether it is row-major, and its leading dimension."""
    if op.x < 0:
        return program.rows[op.first + start * program.n_in :], True, program.n_in
    return program.workspace[op.x * n + start :], False, n


@njit(**INTERNAL)
def forward(op, blas, program, flat, n, neurons, batch_range, key, factor):
    """Compute the output of `neurons` for `batch_range`."""
    code, n_in, n_out, workspace = op.code, op.n_in, op.n_out, program.workspace
    (first, last), (start, stop) = neurons, batch_range
    x, y = panel(workspace, max(op.x, 0), n_in, n), panel(workspace, op.y, n_out, n)
    if code == codes.DENSE or code == codes.EMBED:  # W (n_out, n_in), or a table (n_in, n_out) without biases
        is_table = code == codes.EMBED
        source, is_row_major, step = operand(op, program, n, start)
        W, lda, own = flat[op.p0 + first * n_in :], n_out if is_table else n_in, y[first * n + start :]
        gemm(blas, is_table, is_row_major, last - first, stop - start, n_in, W, lda, source, step, own, n)
        if op.p1 >= 0:
            for j in range(first, last):
                elementwise.add_scalar(y[j * n + start : j * n + stop], flat[op.p1 + j])
    elif code == codes.PERIODIC:
        _periodic(op, blas, program, flat, x, y, n, batch_range)
    elif code == codes.TAKE:
        take(op, program, n, y, batch_range)
    elif code == codes.NORM:
        _normalize(op, workspace, flat, x, y, n, batch_range)
    else:
        # Without parameters per neuron, all rows of these neurons are one contiguous array.
        is_contiguous = stop - start == n and (code == codes.ACTIVATION or code == codes.ADD or code == codes.COPY)
        for j in range(first, first + 1 if is_contiguous else last):
            i, e = (first * n, last * n) if is_contiguous else (j * n + start, j * n + stop)
            source, out, saved = x[i:e], y[i:e], workspace[max(op.saved, 0) * n + i : max(op.saved, 0) * n + e]
            if code == codes.ACTIVATION:
                elementwise.activate(op.option, source, out, saved)
            elif code == codes.PARAMETRIC:
                residual = workspace[(op.saved + n_in) * n + i : (op.saved + n_in) * n + e]
                elementwise.activate(op.option, source, out, saved)
                elementwise.parametric(flat[op.p0 + j], source, out, saved, residual)
            elif code == codes.DROPOUT:
                salt, threshold = program.salts[op.size0 + j] ^ key, threshold_of(op.option, factor)
                elementwise.drop(source, out, saved, salt, threshold, start)
            elif code == codes.SCALE:
                elementwise.scale(flat[op.p0 + j], source, out)
            elif code == codes.ADD:
                elementwise.add(saved, source, out)
            elif code == codes.COPY:
                elementwise.copy(source, out)


@njit(**INTERNAL)
def _periodic(op, blas, program, flat, x, y, n, batch_range):
    """See `nn.embeddings.PeriodicEmbedding`; cos and sin are saved for the gradient."""
    count, k, m, n_in, workspace = op.size0, op.size1, op.size2, op.n_in, program.workspace
    start, stop = batch_range
    for j in range(n_in):
        elementwise.copy(x[j * n + start : j * n + stop], y[j * n + start : j * n + stop])
    for i in range(count):
        column = program.columns[op.option + i]
        own = x[column * n + start : column * n + stop]
        cos, sin = panel(workspace, op.saved + i * k, k, n), panel(workspace, op.saved + (count + i) * k, k, n)
        for c in range(k):
            at, begin, end = i * k + c, c * n + start, c * n + stop
            elementwise.waves(own, flat[op.p0 + at], flat[op.p1 + at], cos[begin:end], sin[begin:end])
        v = y[(n_in + i * m) * n : (n_in + (i + 1) * m) * n]
        gemm(blas, False, False, m, stop - start, k, flat[op.p2 + i * m * k :], k, cos[start:], n, v[start:], n)
        for c in range(m):
            elementwise.add_scalar(v[c * n + start : c * n + stop], flat[op.p3 + i * m + c])


@njit(fastmath=FUSED, **INTERNAL)
def _normalize(op, workspace, flat, x, y, n, batch_range):
    """See `nn.layers.LayerNorm`; saves the normalized values and rstd, followed by scratch for means."""
    dtype, width = x.dtype.type, op.n_in
    start, stop = batch_range
    normal = panel(workspace, op.saved, width, n)
    rstd, mean = panel(workspace, op.saved + width, 1, n), panel(workspace, op.saved + width + 1, 1, n)
    over = dtype(1.0 / width)
    mean[start:stop] = dtype(0.0)
    rstd[start:stop] = dtype(0.0)
    for j in range(width):
        elementwise.add(mean[start:stop], x[j * n + start : j * n + stop], mean[start:stop])
    elementwise.scale(over, mean[start:stop], mean[start:stop])
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


@njit(**INTERNAL)
def backward(op, blas, program, flat, n, neurons, batch_range):
    """Compute d cost / d x for `batch_range`, of the inputs `neurons` only."""
    code, n_in, n_out, workspace = op.code, op.n_in, op.n_out, program.workspace
    (first, last), (start, stop) = neurons, batch_range
    if op.dx < 0 or code == codes.TAKE:
        return
    dx, dy = panel(workspace, op.dx, n_in, n), panel(workspace, op.dy, n_out, n)
    if code == codes.DENSE or code == codes.EMBED:
        is_table = code == codes.EMBED
        W, lda, own = flat[op.p0 + first :], n_out if is_table else n_in, dx[first * n + start :]
        gemm(blas, not is_table, False, last - first, stop - start, n_out, W, lda, dy[start:], n, own, n)
        return
    if code == codes.NORM:
        _normalize_backward(op, workspace, flat, dx, dy, n, batch_range)
        return
    is_contiguous = stop - start == n and code != codes.SCALE
    for j in range(first, first + 1 if is_contiguous else last):
        i, e = (first * n, last * n) if is_contiguous else (j * n + start, j * n + stop)
        d, out, saved = dy[i:e], dx[i:e], workspace[max(op.saved, 0) * n + i : max(op.saved, 0) * n + e]
        if code == codes.SCALE:
            elementwise.scale(flat[op.p0 + j], d, out)
        elif code == codes.SKIP:
            elementwise.add(d, saved, out)
        elif code == codes.ADD or code == codes.COPY or code == codes.PERIODIC:
            elementwise.copy(d, out)
        else:
            elementwise.multiply(d, saved, out)


@njit(fastmath=FUSED, **INTERNAL)
def _normalize_backward(op, workspace, flat, dx, dy, n, batch_range):
    """dx = (d - mean(d) - normal mean(d normal)) rstd, d = dy gain; means over the neurons of a row."""
    dtype, width = dx.dtype.type, op.n_in
    start, stop = batch_range
    normal, rstd = panel(workspace, op.saved, width, n), panel(workspace, op.saved + width, 1, n)
    mean, along = panel(workspace, op.saved + width + 1, 1, n), panel(workspace, op.saved + width + 2, 1, n)
    mean[start:stop] = dtype(0.0)
    along[start:stop] = dtype(0.0)
    for j in range(width):
        i, e = j * n + start, j * n + stop
        elementwise.scale(flat[op.p0 + j], dy[i:e], dx[i:e])
        elementwise.add(mean[start:stop], dx[i:e], mean[start:stop])
        elementwise.add_product(dx[i:e], normal[i:e], along[start:stop])
    over = dtype(1.0 / width)
    for j in range(width):
        line, out = normal[j * n : (j + 1) * n], dx[j * n : (j + 1) * n]
        for r in range(start, stop):
            out[r] = (out[r] - mean[r] * over - line[r] * along[r] * over) * rstd[r]


@njit(**INTERNAL)
def fill_gradient(op, blas, program, flat, grad, n, first, last):
    """Compute the gradient of the tensors of an instruction for its neurons `first` to `last`, over all rows.

    `grad` is 0: a product that adds to it is faster than one that overwrites it, which OpenBLAS does in two passes.
    """
    code, n_in, n_out, workspace = op.code, op.n_in, op.n_out, program.workspace
    x, dy = panel(workspace, max(op.x, 0), n_in, n), panel(workspace, max(op.dy, 0), n_out, n)
    if code == codes.DENSE:
        source, is_row_major, step = operand(op, program, n, 0)
        own, dW = dy[first * n :], grad[op.p0 + first * n_in :]
        gemm(blas, False, not is_row_major, last - first, n_in, n, own, n, source, step, dW, n_in, True)
        if op.p1 >= 0:
            for j in range(first, last):
                grad[op.p1 + j] = elementwise.sum_of(dy[j * n : (j + 1) * n])
    elif code == codes.EMBED:
        source, is_row_major, step = operand(op, program, n, 0)
        gemm(blas, is_row_major, True, n_in, n_out, n, source, step, dy, n, grad[op.p0 :], n_out)
    elif code == codes.PERIODIC:
        _periodic_gradient(op, blas, program, flat, grad, x, dy, n, first, last)
    else:
        for j in range(first, last):
            line = dy[j * n : (j + 1) * n]
            if code == codes.PARAMETRIC:
                grad[op.p0 + j] = elementwise.dot(line, panel(workspace, op.saved + n_in + j, 1, n))
            elif code == codes.SCALE:
                grad[op.p0 + j] = elementwise.dot(line, x[j * n : (j + 1) * n])
            elif code == codes.NORM:
                grad[op.p0 + j] = elementwise.dot(line, panel(workspace, op.saved + j, 1, n))
                grad[op.p1 + j] = elementwise.sum_of(line)


@njit(**INTERNAL)
def _periodic_gradient(op, blas, program, flat, grad, x, dy, n, first, last):
    """The same for the columns `first` to `last` of a periodic embedding; overwrites cos and sin."""
    count, k, m, n_in, workspace = op.size0, op.size1, op.size2, op.n_in, program.workspace
    for i in range(first, last):
        column = program.columns[op.option + i]
        own = x[column * n : (column + 1) * n]
        cos, sin = panel(workspace, op.saved + i * k, k, n), panel(workspace, op.saved + (count + i) * k, k, n)
        dv = dy[(n_in + i * m) * n : (n_in + (i + 1) * m) * n]
        gemm(blas, False, True, m, k, n, dv, n, cos, n, grad[op.p2 + i * m * k :], k)
        for c in range(m):
            grad[op.p3 + i * m + c] = elementwise.sum_of(dv[c * n : (c + 1) * n])
        gemm(blas, True, False, k, n, m, flat[op.p2 + i * m * k :], k, dv, n, cos, n)
        elementwise.multiply(cos, sin, cos)
        for c in range(k):
            line = cos[c * n : (c + 1) * n]
            grad[op.p1 + i * k + c] = -elementwise.sum_of(line)
            grad[op.p0 + i * k + c] = flat.dtype.type(-2.0 * math.pi) * elementwise.dot(line, own)
