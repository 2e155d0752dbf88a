"""`run_steps` runs steps of an epoch of any program; Numba caches it on disk.

LLVM optimizes a function again in each of its callers, so the functions of this file are inlined into `run_steps`; and
Numba compiles a function again for each combination of argument types, of which a literal 0 in a tuple and a read-only
array are types of their own.

Numba invalidates its cache only when the file of the cached function changes. `SOURCES` is a digest of all files that
it is compiled from: after a change to one of them, write the new digest here (a test says which it is).
"""

import math

from numba import njit

from mlpcli.compiled import codes, elementwise
from mlpcli.compiled.barrier import split_range, wait_at_barrier
from mlpcli.compiled.codes import INTERNAL, UNCOUNTED
from mlpcli.compiled.kernels import backward, fill_gradient, forward, panel
from mlpcli.compiled.updates import update
from mlpcli.nn.steps import FLUSH_EVERY

SOURCES = "4012cae790897643"


@njit(cache=True, nogil=True, **UNCOUNTED)
def run_steps(rank, thread_group, blas, program, data, steps, optimizer, state, scratch, smallest_normal, total):
    """Run one thread's work of the given steps; all threads of the group must call it concurrently.

    Returns `total` plus the losses of all rows, and the step with the first non-finite loss or -1; the same in every
    thread. The arguments are described in `arguments`.
    """
    stride, (first, last) = data.X.shape[1], split_range(program.n_blocks, rank, thread_group.n_threads)
    for step in range(steps.first, steps.last):
        rows = steps.order[step * steps.batch_size : min((step + 1) * steps.batch_size, steps.order.size)]
        n, key, values = rows.size, steps.keys[step], steps.values[step]
        for block in range(first, last):
            gather(rows, data, program, scratch, split_range(n, block, program.n_blocks))
        if not forward_pass(rank, thread_group, blas, program, stride, state.flat, n, key, values[5]):
            break
        for block in range(first, last):
            output_delta(program, scratch, data.weights.size > 0, n, split_range(n, block, program.n_blocks))
        if not backward_pass(rank, thread_group, blas, program, state.flat, n):
            break
        loss = 0.0
        for r in range(n):
            loss += float(scratch.row_values[0, r])
        if not math.isfinite(loss):
            return total, step
        total += loss
        count = steps.n_taken + step + 1
        if not update_parameters(
            rank, thread_group, blas, program, stride, optimizer, state, scratch, n, values, count, smallest_normal
        ):
            break
    return total, -1


@njit(inline="always", **INTERNAL)
def gather(rows, data, program, scratch, batch_range):
    """Copy inputs, targets and weights of the rows of `batch_range`."""
    n, n_in, n_out = rows.size, data.X.shape[1], program.n_out
    for r in range(batch_range[0], batch_range[1]):
        row = rows[r]
        source, target = data.X[row], program.rows[r * n_in : (r + 1) * n_in]
        for i in range(n_in):
            target[i] = source[i]
        target_row = data.class_codes[row] if data.class_codes.size else row
        for j in range(n_out):
            scratch.y[j * n + r] = data.targets[target_row, j]
        if data.weights.size:
            scratch.row_values[4, r] = data.weights[row]


@njit(**INTERNAL)
def needs_barrier(op, before):
    """Whether an instruction reads what other threads write in the one before it, which has `before` chunks."""
    return (op.chunks or before) and (op.code == codes.DENSE or op.chunks != before)


@njit(inline="always", **INTERNAL)
def forward_pass(rank, thread_group, blas, program, stride, flat, n, key, factor):
    """This thread's blocks or chunks of every instruction; returns False if a thread failed."""
    before = 0
    for k in range(len(program.ops)):
        op = program.ops[k]
        if needs_barrier(op, before) and not wait_at_barrier(thread_group):
            return False
        before, parts = op.chunks, op.chunks if op.chunks else program.n_blocks
        first, last = split_range(parts, rank, thread_group.n_threads)
        for part in range(first, last):
            neurons = split_range(op.n_out, part, parts) if op.chunks else split_range(op.n_out, 0, 1)
            batch_range = split_range(n, 0, 1) if op.chunks else split_range(n, part, parts)
            forward(op, blas, program, stride, flat, n, neurons, batch_range, key, factor)
    return not before or wait_at_barrier(thread_group)


@njit(inline="always", **INTERNAL)
def output_delta(program, scratch, has_weights, n, batch_range):
    """Compute losses and d cost / d z of the rows of `batch_range`."""
    n_out, (start, stop) = program.n_out, batch_range
    z, delta = panel(program.workspace, program.logits, n_out, n), panel(program.workspace, program.delta, n_out, n)
    y, losses = scratch.y[: n_out * n], scratch.row_values[0][start:stop]
    if program.output == codes.SOFTMAX:
        elementwise.softmax_losses(z, delta, y, scratch.row_values, n, batch_range)
    else:
        losses[:] = 0
        for j in range(n_out):
            i, e = j * n + start, j * n + stop
            own, d, t = z[i:e], delta[i:e], y[i:e]
            if program.output == codes.SIGMOID:
                elementwise.sigmoid_losses(own, d, t, losses)
            else:
                elementwise.squared_losses(own, d, t, losses)
    weights, factor = scratch.row_values[4][start:stop], delta.dtype.type(1.0 / n)
    for j in range(n_out):
        d = delta[j * n + start : j * n + stop]
        if has_weights:
            elementwise.multiply(d, weights, d)
        elementwise.scale(factor, d, d)
    if has_weights:
        elementwise.multiply(losses, weights, losses)


@njit(inline="always", **INTERNAL)
def backward_pass(rank, thread_group, blas, program, flat, n):
    """This thread's blocks or chunks of every instruction, in reverse; returns False if a thread failed."""
    before = 0
    for k in range(len(program.ops) - 1, -1, -1):
        op = program.ops[k]
        if op.dx < 0:
            continue
        if needs_barrier(op, before) and not wait_at_barrier(thread_group):
            return False
        before, parts = op.chunks, op.chunks if op.chunks else program.n_blocks
        first, last = split_range(parts, rank, thread_group.n_threads)
        for part in range(first, last):
            neurons = split_range(op.n_in, part, parts) if op.chunks else split_range(op.n_in, 0, 1)
            batch_range = split_range(n, 0, 1) if op.chunks else split_range(n, part, parts)
            backward(op, blas, program, flat, n, neurons, batch_range)
    return wait_at_barrier(thread_group)


@njit(inline="always", **INTERNAL)
def update_parameters(
    rank, thread_group, blas, program, stride, optimizer, state, scratch, n, values, count, smallest_normal
):
    """Compute the gradient of this thread's tiles and update their parameters; returns False if a thread failed.

    Without clipping, a tile is updated directly after its gradient, while that is in the cache.
    """
    for number in range(len(program.tiles)):
        if program.tile_ranks[number] != rank:
            continue
        tile = program.tiles[number]
        fill_gradient(program.ops[tile[0]], blas, program, stride, state.flat, state.gradient, n, tile[1], tile[2])
        if optimizer.clip == 0:
            _update_tile(number, program, optimizer, state, values, count, smallest_normal)
        else:
            scratch.squares[number] = _squared_norm(number, program, state)
    if optimizer.clip > 0:
        if not wait_at_barrier(thread_group):
            return False
        total = 0.0
        for number in range(len(scratch.squares)):
            total += scratch.squares[number]
        norm = math.sqrt(total)
        factor = optimizer.clip / norm if norm > optimizer.clip else 1.0
        factor = state.flat.dtype.type(factor if math.isfinite(norm) else math.nan)
        for number in range(len(program.tiles)):
            if program.tile_ranks[number] != rank:
                continue
            for index in range(program.tiles[number, 3], program.tiles[number, 4]):
                own = state.gradient[program.updates[index, 0] : program.updates[index, 1]]
                elementwise.scale(factor, own, own)
            _update_tile(number, program, optimizer, state, values, count, smallest_normal)
    return wait_at_barrier(thread_group)


@njit(**INTERNAL)
def _squared_norm(number, program, state):
    total = 0.0
    for index in range(program.tiles[number, 3], program.tiles[number, 4]):
        start, stop, group = program.updates[index]
        total += program.groups[group, 4] * elementwise.sum_of_squares(state.gradient[start:stop])
    return total


@njit(inline="always", **INTERNAL)
def _update_tile(number, program, optimizer, state, values, count, smallest_normal):
    """Update the parameters of a tile."""
    for index in range(program.tiles[number, 3], program.tiles[number, 4]):
        i, j = program.updates[index, 0], program.updates[index, 1]
        group = program.groups[program.updates[index, 2]]
        update(
            optimizer.code, optimizer.hyperparameters, values, group, state.flat[i:j], state.gradient[i:j],
            state.first[i:j], state.second[i:j], state.average[i:j], count % FLUSH_EVERY == 0, smallest_normal,
        )  # fmt: skip
