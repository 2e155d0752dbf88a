"""The function that runs steps of an epoch of any program; Numba keeps it on the disk.

LLVM optimizes a function again in every one that calls it, so those of this file are put into `run_steps` before; and
Numba compiles one anew for each type of its arguments, of which a literal 0 in a tuple, and an array that cannot be
written, are types of their own.

Numba forgets compiled code when the file of such a function has changed, and looks at no other. `SOURCES` is a digest
of the files that it is made of: whoever changes one of them writes the new digest here (a test says which it is), and
so changes this file.
"""

import math

from numba import njit

from mlpcli.compiled import codes, elementwise
from mlpcli.compiled.barrier import part_of, wait_for_all
from mlpcli.compiled.codes import INNER
from mlpcli.compiled.kernels import backward, fill_gradient, forward, panel
from mlpcli.compiled.updates import update
from mlpcli.nn.steps import FLUSH_EVERY

SOURCES = "cb0e276a9b41b730"


@njit(cache=True, nogil=True, error_model="numpy")
def run_steps(rank, team, blas, program, data, steps, optimizer, state, scratch, smallest, total):
    """One thread's share of some steps; all threads of the team must call it at the same time.

    Returns `total` plus the losses of the rows, and the step at which they stopped being finite, else -1; both the same
    in all. What the arguments are: see `arguments`.
    """
    stride, (first, last) = data.X.shape[1], part_of(program.n_blocks, rank, team.n_threads)
    for step in range(steps.first, steps.last):
        rows = steps.order[step * steps.batch_size : min((step + 1) * steps.batch_size, steps.order.size)]
        n, key, values = rows.size, steps.keys[step], steps.values[step]
        for block in range(first, last):
            gather(rows, data, program, scratch, part_of(n, block, program.n_blocks))
        if not go_forward(rank, team, blas, program, stride, state.flat, n, key, values[5]):
            break
        for block in range(first, last):
            judge(program, scratch, data.weights.size > 0, n, part_of(n, block, program.n_blocks))
        if not go_backward(rank, team, blas, program, state.flat, n):
            break
        loss = 0.0
        for r in range(n):
            loss += float(scratch.lines[0, r])
        if not math.isfinite(loss):
            return total, step
        total += loss
        count = steps.n_taken + step + 1
        if not descend(rank, team, blas, program, stride, optimizer, state, scratch, n, values, count, smallest):
            break
    return total, -1


@njit(inline="always", **INNER)
def gather(rows, data, program, scratch, columns):
    """Inputs, targets and weights of some rows of a batch."""
    n, n_in, n_out = rows.size, data.X.shape[1], program.n_out
    for r in range(columns[0], columns[1]):
        row = rows[r]
        source, place = data.X[row], program.rows[r * n_in : (r + 1) * n_in]
        for i in range(n_in):
            place[i] = source[i]
        of = data.class_codes[row] if data.class_codes.size else row
        for j in range(n_out):
            scratch.y[j * n + r] = data.targets[of, j]
        if data.weights.size:
            scratch.lines[4, r] = data.weights[row]


@njit(inline="always", **INNER)
def go_forward(rank, team, blas, program, stride, flat, n, key, factor):
    """The thread's blocks or chunks of every instruction; whether the threads go on."""
    was_chunked = False
    for k in range(len(program.ops)):
        op = program.ops[k]
        if (op.chunks or was_chunked) and not wait_for_all(team):
            return False
        was_chunked = op.chunks > 0
        parts = op.chunks if was_chunked else program.n_blocks
        first, last = part_of(parts, rank, team.n_threads)
        for part in range(first, last):
            neurons = part_of(op.n_out, part, parts) if was_chunked else part_of(op.n_out, 0, 1)
            columns = part_of(n, 0, 1) if was_chunked else part_of(n, part, parts)
            forward(op, blas, program, stride, flat, n, neurons, columns, key, factor)
    return not was_chunked or wait_for_all(team)


@njit(inline="always", **INNER)
def judge(program, scratch, has_weights, n, columns):
    """d cost / d z for some rows; their losses, summed."""
    n_out, (start, stop) = program.n_out, columns
    z, delta = panel(program.lines, program.logits, n_out, n), panel(program.lines, program.delta, n_out, n)
    y, losses = scratch.y[: n_out * n], scratch.lines[0][start:stop]
    if program.output == codes.SOFTMAX:
        elementwise.softmax_losses(z, delta, y, scratch.lines, n, columns)
    else:
        losses[:] = 0
        for j in range(n_out):
            i, e = j * n + start, j * n + stop
            own, d, t = z[i:e], delta[i:e], y[i:e]
            if program.output == codes.SIGMOID:
                elementwise.sigmoid_losses(own, d, t, losses)
            else:
                elementwise.squared_losses(own, d, t, losses)
    weights, factor = scratch.lines[4][start:stop], delta.dtype.type(1.0 / n)
    for j in range(n_out):
        d = delta[j * n + start : j * n + stop]
        if has_weights:
            elementwise.multiply(d, weights, d)
        elementwise.scale(factor, d, d)
    if has_weights:
        elementwise.multiply(losses, weights, losses)


@njit(inline="always", **INNER)
def go_backward(rank, team, blas, program, flat, n):
    """The thread's blocks or chunks of every instruction, from the last on; whether the threads go on."""
    was_chunked = False
    for k in range(len(program.ops) - 1, -1, -1):
        op = program.ops[k]
        if op.dx < 0:
            continue
        if (op.chunks or was_chunked) and not wait_for_all(team):
            return False
        was_chunked = op.chunks > 0
        parts = op.chunks if was_chunked else program.n_blocks
        first, last = part_of(parts, rank, team.n_threads)
        for part in range(first, last):
            neurons = part_of(op.n_in, part, parts) if was_chunked else part_of(op.n_in, 0, 1)
            columns = part_of(n, 0, 1) if was_chunked else part_of(n, part, parts)
            backward(op, blas, program, flat, n, neurons, columns)
    return wait_for_all(team)


@njit(inline="always", **INNER)
def descend(rank, team, blas, program, stride, optimizer, state, scratch, n, values, count, smallest):
    """Gradients of the thread's pieces, and the steps on them; whether the threads go on.

    Without clipping, the gradient of a piece is still in the cache when the step comes to it.
    """
    first, last = program.shares[rank], program.shares[rank + 1]
    for number in range(first, last):
        piece = program.pieces[number]
        fill_gradient(program.ops[piece[0]], blas, program, stride, state.flat, state.gradient, n, piece[1], piece[2])
        if optimizer.clip == 0:
            _move(number, program, optimizer, state, values, count, smallest)
        else:
            scratch.squares[number] = _squares(number, program, state)
    if optimizer.clip > 0:
        if not wait_for_all(team):
            return False
        total = 0.0
        for number in range(len(scratch.squares)):
            total += scratch.squares[number]
        norm = math.sqrt(total)
        factor = optimizer.clip / norm if norm > optimizer.clip else 1.0
        factor = state.flat.dtype.type(factor if math.isfinite(norm) else math.nan)
        for number in range(first, last):
            for place in range(*_updates_of(number, program)):
                own = state.gradient[program.updates[place, 0] : program.updates[place, 1]]
                elementwise.scale(factor, own, own)
            _move(number, program, optimizer, state, values, count, smallest)
    return wait_for_all(team)


@njit(**INNER)
def _updates_of(number, program):
    """The updates of a piece, which lie in the order in which pieces were made: from the last one on."""
    first = program.pieces[number, 3]
    return first, program.pieces[number - 1, 3] if number else len(program.updates) - 1


@njit(**INNER)
def _squares(number, program, state):
    total = 0.0
    for place in range(*_updates_of(number, program)):
        start, stop, group = program.updates[place]
        total += program.groups[group, 4] * elementwise.squares_of(state.gradient[start:stop])
    return total


@njit(inline="always", **INNER)
def _move(number, program, optimizer, state, values, count, smallest):
    """The optimizer's step on the tensors of a piece."""
    for place in range(*_updates_of(number, program)):
        i, j = program.updates[place, 0], program.updates[place, 1]
        group = program.groups[program.updates[place, 2]]
        update(
            optimizer.code, optimizer.numbers, values, group, state.flat[i:j], state.gradient[i:j], state.first[i:j],
            state.second[i:j], state.average[i:j], count % FLUSH_EVERY == 0, smallest,
        )  # fmt: skip
