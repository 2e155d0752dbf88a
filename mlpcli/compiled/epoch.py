"""`run_steps` runs steps of an epoch of any program; Numba caches it on disk.

LLVM optimizes a function again in each of its callers, so the functions of this file are inlined into `run_steps`; and
Numba compiles a function again for each combination of argument types, of which a literal 0 in a tuple and a read-only
array are types of their own.

Numba invalidates its cache only when the file of the cached function changes. `SOURCES` is a digest of all files that
it is compiled from: after a change to one of them, write the new digest here (a test says which it is). It is part of
the cache's name too, since a cache that names a class which is no longer in `arguments` cannot be read at all.
"""

import math

from numba import njit

from mlpcli.compiled import codes, elementwise
from mlpcli.compiled.barrier import split_range, wait_at_barrier
from mlpcli.compiled.codes import INTERNAL, UNCOUNTED
from mlpcli.compiled.kernels import backward, fill_gradient, forward, panel
from mlpcli.compiled.updates import update
from mlpcli.nn.steps import FLUSH_EVERY

SOURCES = "a6a5a87f5bca5faf"


def _named_by_sources(function):
    function.__qualname__ += f"_{SOURCES}"
    return function


@njit(cache=True, nogil=True, **UNCOUNTED)
@_named_by_sources
def run_steps(rank, training, steps, total):
    """Run one thread's work of the given steps; all threads of the group must call it concurrently.

    Returns `total` plus the losses of all rows, and the step with the first non-finite loss or -1; the same in every
    thread. The arguments are described in `arguments`.
    """
    program = training.program
    first, last = split_range(program.n_blocks, rank, training.threads.n_threads)
    for step in range(steps.first, steps.last):
        rows = steps.order[step * steps.batch_size : min((step + 1) * steps.batch_size, steps.order.size)]
        n, key, values = rows.size, steps.keys[step], steps.values[step]
        for block in range(first, last):
            gather(rows, training.data, program, split_range(n, block, program.n_blocks))
        if not run_pass(True, rank, training, n, key, values[5]):
            break
        for block in range(first, last):
            output_delta(program, training.data.weights.size > 0, n, split_range(n, block, program.n_blocks))
        if not run_pass(False, rank, training, n, key, values[5]):
            break
        loss = 0.0
        for r in range(n):
            loss += float(program.row_values[0, r])
        if not math.isfinite(loss):
            return total, step
        total += loss
        if not update_parameters(rank, training, n, values, steps.n_taken + step + 1):
            break
    return total, -1


@njit(inline="always", **INTERNAL)
def gather(rows, data, program, batch_range):
    """Copy inputs, targets and weights of the rows of `batch_range`."""
    n, n_in, n_out = rows.size, program.n_in, program.n_out
    for r in range(batch_range[0], batch_range[1]):
        row = rows[r]
        source, target = data.X[row], program.rows[r * n_in : (r + 1) * n_in]
        for i in range(n_in):
            target[i] = source[i]
        target_row = data.class_codes[row] if data.class_codes.size else row
        for j in range(n_out):
            program.y[j * n + r] = data.targets[target_row, j]
        if data.weights.size:
            program.row_values[4, r] = data.weights[row]


@njit(inline="always", **INTERNAL)
def run_pass(is_forward, rank, training, n, key, factor):
    """This thread's blocks or chunks of every instruction, in reverse for the backward pass.

    A barrier precedes an instruction that reads what other threads write in the one before it, which has `before`
    chunks. Returns False if a thread failed.
    """
    program, blas, flat, before = training.program, training.blas, training.flat, 0
    for k in range(len(program.ops)):
        op = program.ops[k if is_forward else len(program.ops) - 1 - k]
        if not is_forward and op.dx < 0:
            continue
        needs_barrier = (op.chunks or before) and (op.code == codes.DENSE or op.chunks != before)
        if needs_barrier and not wait_at_barrier(training.threads):
            return False
        before, parts = op.chunks, op.chunks if op.chunks else program.n_blocks
        width = op.n_out if is_forward else op.n_in
        first, last = split_range(parts, rank, training.threads.n_threads)
        for part in range(first, last):
            neurons = split_range(width, part, parts) if op.chunks else split_range(width, 0, 1)
            batch_range = split_range(n, 0, 1) if op.chunks else split_range(n, part, parts)
            if is_forward:
                forward(op, blas, program, flat, n, neurons, batch_range, key, factor)
            else:
                backward(op, blas, program, flat, n, neurons, batch_range)
    return (is_forward and not before) or wait_at_barrier(training.threads)


@njit(inline="always", **INTERNAL)
def output_delta(program, has_weights, n, batch_range):
    """Compute losses and d cost / d z of the rows of `batch_range`."""
    n_out, (start, stop) = program.n_out, batch_range
    z, delta = panel(program.workspace, program.logits, n_out, n), panel(program.workspace, program.delta, n_out, n)
    y, losses = program.y[: n_out * n], program.row_values[0][start:stop]
    if program.output == codes.SOFTMAX:
        elementwise.softmax_losses(z, delta, y, program.row_values, n, batch_range)
    else:
        losses[:] = 0
        for j in range(n_out):
            i, e = j * n + start, j * n + stop
            own, d, t = z[i:e], delta[i:e], y[i:e]
            if program.output == codes.SIGMOID:
                elementwise.sigmoid_losses(own, d, t, losses)
            else:
                elementwise.squared_losses(own, d, t, losses)
    weights, factor = program.row_values[4][start:stop], delta.dtype.type(1.0 / n)
    for j in range(n_out):
        d = delta[j * n + start : j * n + stop]
        if has_weights:
            elementwise.multiply(d, weights, d)
        elementwise.scale(factor, d, d)
    if has_weights:
        elementwise.multiply(losses, weights, losses)


@njit(inline="always", **INTERNAL)
def update_parameters(rank, training, n, values, count):
    """Compute the gradient of this thread's tiles and update their parameters; returns False if a thread failed.

    Without clipping, a tile is updated directly after its gradient, while that is in the cache.
    """
    program, optimizer, flat = training.program, training.optimizer, training.flat
    for number in range(len(program.tiles)):
        if program.tile_ranks[number] != rank:
            continue
        tile = program.tiles[number]
        fill_gradient(program.ops[tile[0]], training.blas, program, flat, optimizer.gradient, n, tile[1], tile[2])
        if optimizer.clip == 0:
            _update_tile(number, program, flat, optimizer, flat.dtype.type(1.0), values, count)
        else:
            program.squares[number] = _squared_norm(number, program, optimizer.gradient)
    if optimizer.clip > 0:
        if not wait_at_barrier(training.threads):
            return False
        total = 0.0
        for number in range(len(program.squares)):
            total += program.squares[number]
        norm = math.sqrt(total)
        factor = optimizer.clip / norm if norm > optimizer.clip else 1.0
        factor = flat.dtype.type(factor if math.isfinite(norm) else math.nan)
        for number in range(len(program.tiles)):
            if program.tile_ranks[number] == rank:
                _update_tile(number, program, flat, optimizer, factor, values, count)
    return wait_at_barrier(training.threads)


@njit(**INTERNAL)
def _squared_norm(number, program, gradient):
    total = 0.0
    for index in range(program.tiles[number, 3], program.tiles[number, 4]):
        start, stop, group = program.updates[index]
        total += program.groups[group, 4] * elementwise.sum_of_squares(gradient[start:stop])
    return total


@njit(inline="always", **INTERNAL)
def _update_tile(number, program, flat, optimizer, factor, values, count):
    """Update the parameters of a tile from its gradient times `factor`."""
    for index in range(program.tiles[number, 3], program.tiles[number, 4]):
        i, j = program.updates[index, 0], program.updates[index, 1]
        group, gradient = program.groups[program.updates[index, 2]], optimizer.gradient[i:j]
        if factor != 1:
            elementwise.scale(factor, gradient, gradient)
        update(
            optimizer.code, optimizer.hyperparameters, values, group, flat[i:j], gradient, optimizer.first[i:j],
            optimizer.second[i:j], optimizer.average[i:j], count % FLUSH_EVERY == 0, optimizer.smallest_normal,
        )  # fmt: skip
