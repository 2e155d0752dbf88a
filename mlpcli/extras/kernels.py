"""The compiled functions that are called from outside; Numba keeps them on the disk.

Numba forgets compiled code when the file of such a function has changed, and looks at no other. `SOURCES` is a digest
of the files that these are made of: whoever changes one of them writes the new digest here (a test says which it is),
and so changes this file.
"""

import math

import numpy as np
from numba import njit

from mlpcli.extras.coverage import SIGMOID, SOFTMAX
from mlpcli.extras.loops.arguments import LOSSES, SCRATCH_LINES
from mlpcli.extras.loops.elementary import FUSED, exp, sigmoid
from mlpcli.extras.loops.lines import activate, differentiate, judge_lines
from mlpcli.extras.loops.meetings import part_of
from mlpcli.extras.loops.optimizing import move
from mlpcli.extras.loops.steps import descend, gather, go_backward, go_forward, judge
from mlpcli.nn.activations import MOST_NEGATIVE

SOURCES = "8b2d5ad1f9a80a2a"


@njit(cache=True, nogil=True, error_model="numpy")
def run_steps(share, team, blas, steps, data, shape, rules, state, buffers):
    """One thread's share of some steps; all threads of the team must call it at the same time.

    Returns the sum of the losses as it is then, and the step at which it stopped being finite, else -1; both the same
    in all. What the arguments are: see `loops.arguments`.
    """
    count, total, place = steps.taken, steps.total, share.place
    for step in range(steps.first, steps.last):
        rows = steps.order[step * steps.batch_size : min((step + 1) * steps.batch_size, steps.order.size)]
        n = rows.size
        gather(rows, blas, data, buffers, part_of(n, place, team.n_threads))
        if not go_forward(place, team, blas, shape, state.flat, buffers, n):
            break
        judge(place, team, shape, buffers, n)
        if not go_backward(place, team, blas, shape, state.flat, buffers, n):
            break
        loss = buffers.sums[0].sum()
        if not math.isfinite(loss):
            return total, step
        total += loss
        count += 1
        if not descend(share, team, blas, shape, rules, state, buffers, n, step, count):
            break
    return total, -1


@njit(error_model="numpy", cache=True, nogil=True)
def update_block(code, options, rate, decay, small, n_weights, flat, grad, first, second, count):
    """A step of the optimizer in one pass over parameters (n,), the first `n_weights` of which are weights.

    `options` as `coverage.optimizer_options` lays them out; `decay` what is added of a weight to its gradient or, for
    AdamW, lost of it; `small` multiplies epsilon. `first` and `second` (n,) are the optimizer's state, or empty.
    """
    f, s, n = min(first.size, n_weights), min(second.size, n_weights), n_weights
    move(code, options, rate, decay, small, flat[:n], grad[:n], first[:f], second[:s], count)
    move(code, options, rate, 0.0, small, flat[n:], grad[n:], first[f:], second[s:], count)


@njit(error_model="numpy", cache=True, nogil=True)
def activate_lines(code, a, b, slope):
    """f(z + b) into `a` (n_lines, n_rows), `b` (n_lines,).

    z stands in `a`, or in `slope` (n_lines, n_rows) where f does not tell f', which will then take its place.
    """
    activate(code, a, b, slope, (0, a.shape[0]), (0, a.shape[1]))


@njit(error_model="numpy", cache=True, nogil=True)
def differentiate_lines(code, delta, a, slope):
    """`delta` *= f', from what `activate_lines` left in `a` and `slope`; all are (n_lines, n_rows)."""
    differentiate(code, delta, a, slope, (0, a.shape[0]), (0, a.shape[1]))


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
            a[j, r] = sigmoid(x, dtype) if code == SIGMOID else x
    if code == SOFTMAX:
        largest, total = z[0].copy(), np.zeros(n, z.dtype)
        for j in range(1, n_out):
            for r in range(n):
                largest[r] = largest[r] if z[j, r] <= largest[r] else z[j, r]
        for j in range(n_out):
            for r in range(n):
                below = z[j, r] - largest[r]
                e = exp(dtype(MOST_NEGATIVE) if below < dtype(MOST_NEGATIVE) else below, dtype)
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
    lines = np.empty((SCRATCH_LINES, z.shape[1]), z.dtype)
    judge_lines(code, z, scratch, y, lines, (0, z.shape[1]))
    total = 0.0
    for r in range(z.shape[1]):
        total += float(lines[LOSSES, r] * row_weights[r] if row_weights.size else lines[LOSSES, r])
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
