"""The parts of a step of gradient descent, each thread's share of them.

Batches are held turned over, (n_features, n_rows): what a pass goes over is contiguous, however narrow a layer is. Each
thread goes forward and backward with a part of the rows; or, in a layer of many weights, for a part of the neurons, so
that it reads but a part of the weights. Then it makes the gradients of a part of the neurons' weights, and moves these.
Threads meet where one needs what another has made; results do not depend on which of them is first.

Slices that take all of an axis (`W[j:end_j, :n_in]`) are for Numba: whole arrays and parts of them get one type, and a
function that is given either is compiled once.
"""

import math

from numba import njit

from mlpcli.extras.coverage import ADAMW, IDENTITY
from mlpcli.extras.loops.arguments import FACTORS, LOSSES, ROW_WEIGHTS
from mlpcli.extras.loops.lines import activate, differentiate, has_slope, judge_lines
from mlpcli.extras.loops.meetings import meet, part_of
from mlpcli.extras.loops.optimizing import move
from mlpcli.extras.loops.products import add_up, add_up_squares, multiply, multiply_blas, multiply_turned


@njit(error_model="numpy")
def _panel(buffer, start, n_lines, n):
    """A layer's lines (n_lines, n) in a buffer of which `start` lines lie before them."""
    return buffer[start * n : (start + n_lines) * n].reshape(n_lines, n)


@njit(error_model="numpy")
def _area(by_neurons, n_lines, n, place, team):
    """The thread's part of a layer's panel, as lines and columns from start to stop: some lines, or some columns."""
    if by_neurons:
        return part_of(n_lines, place, team.n_threads), (0, n)
    return (0, n_lines), part_of(n, place, team.n_threads)


@njit(error_model="numpy")
def _entries(layer, shape, buffers, n):
    """What a layer sees, (n_in, n): the inputs, turned over by `gather`, or what the layer below it gives."""
    if layer:
        return _panel(buffers.a, shape.neurons[layer - 1], shape.sizes[layer], n)
    return _panel(buffers.inputs, 0, shape.sizes[0], n)


@njit(error_model="numpy")
def _entries_blas(layer, shape, buffers, n):
    """The same where `gather` has left the inputs as rows."""
    if layer:
        return _entries(layer, shape, buffers, n)[:, :n]
    return buffers.inputs[: n * shape.sizes[0]].reshape(n, shape.sizes[0]).T[:, :n]


@njit(error_model="numpy")
def gather(rows, blas, data, buffers, columns):
    """Inputs, targets and weights of those of the batch's `rows` that these columns are, a pair of start and stop."""
    X, codes, n = data.X, data.class_codes, rows.size
    n_in, n_out = X.shape[1], data.targets.shape[1]
    y, row_weights = _panel(buffers.y, 0, n_out, n), buffers.scratch[ROW_WEIGHTS]
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
def go_forward(place, team, blas, shape, flat, buffers, n):
    """Every layer's a, the last one's z + b; whether the threads go on."""
    n_layers, was_by_neurons = shape.sizes.size - 1, False
    for layer in range(n_layers):
        n_in, n_out, by_neurons = shape.sizes[layer], shape.sizes[layer + 1], shape.by_neurons[layer]
        if (by_neurons or was_by_neurons) and not meet(team):
            return False
        was_by_neurons = by_neurons
        (j, end_j), (r, end_r) = _area(by_neurons, n_out, n, place, team)
        code = IDENTITY if layer == n_layers - 1 else shape.hidden
        above, weight, bias = shape.neurons[layer], shape.weights[layer], shape.biases[layer]
        W = flat[weight : weight + n_in * n_out].reshape(n_out, n_in)
        a, slope = _panel(buffers.a, above, n_out, n), _panel(buffers.slope, above, n_out, n)
        z = slope if has_slope(code) else a
        if blas.address:
            below = _entries_blas(layer, shape, buffers, n)
            multiply_blas(blas, W[j:end_j, :n_in], below[:, r:end_r], z[j:end_j, r:end_r])
        else:
            multiply(W, _entries(layer, shape, buffers, n), z)
        activate(code, a, flat[bias : bias + n_out], slope, (j, end_j), (r, end_r))
    return not was_by_neurons or meet(team)


@njit(error_model="numpy")
def judge(place, team, shape, buffers, n):
    """d cost / d z of the outputs for the thread's rows; leaves the sum of their losses."""
    n_out, dtype = shape.sizes[-1], buffers.a.dtype.type
    start, stop = part_of(n, place, team.n_threads)
    z, delta = _panel(buffers.a, shape.neurons[-1], n_out, n), _panel(buffers.delta, shape.neurons[-1], n_out, n)
    judge_lines(shape.output, z, delta, _panel(buffers.y, 0, n_out, n), buffers.scratch, (start, stop))
    losses, factors, row_weights = buffers.scratch[LOSSES], buffers.scratch[FACTORS], buffers.scratch[ROW_WEIGHTS]
    total = 0.0
    for r in range(start, stop):
        total += float(losses[r] * row_weights[r])
        factors[r] = row_weights[r] * dtype(1.0 / n)
    for j in range(n_out):
        for r in range(start, stop):
            delta[j, r] *= factors[r]
    buffers.sums[0, place] = total


@njit(error_model="numpy")
def go_backward(place, team, blas, shape, flat, buffers, n):
    """Every layer's delta; whether the threads go on, all of them then through with it."""
    was_by_neurons = False
    for layer in range(shape.sizes.size - 2, 0, -1):
        n_in, n_out, by_neurons = shape.sizes[layer], shape.sizes[layer + 1], shape.by_neurons[layer]
        if (by_neurons or was_by_neurons) and not meet(team):
            return False
        was_by_neurons = by_neurons
        (i, end_i), (r, end_r) = _area(by_neurons, n_in, n, place, team)
        weight, below = shape.weights[layer], shape.neurons[layer - 1]
        W = flat[weight : weight + n_in * n_out].reshape(n_out, n_in)
        delta = _panel(buffers.delta, shape.neurons[layer], n_out, n)
        out = _panel(buffers.delta, below, n_in, n)
        a, slope = _panel(buffers.a, below, n_in, n), _panel(buffers.slope, below, n_in, n)
        if blas.address:
            multiply_blas(blas, W[:n_out, i:end_i].T, delta[:, r:end_r], out[i:end_i, r:end_r])
        else:
            multiply(W.T, delta, out)
        differentiate(shape.hidden, out, a, slope, (i, end_i), (r, end_r))
    return meet(team)


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
        multiply_turned(delta, _entries(layer, shape, buffers, n), out)
    for j in range(last - first):
        gradient[biases + j] = add_up(delta[j])
    return gradient[at : biases + last - first]


@njit(error_model="numpy")
def _move_piece(piece, shape, rules, state, gradient, step, count):
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
        flat, old, older = state.flat[start:stop], state.first[start:stop], state.second[start:stop]
        move(rules.code, rules.options, rate, lost, 1.0, flat, gradient[at : at + size], old, older, count)


@njit(error_model="numpy")
def descend(share, team, blas, shape, rules, state, buffers, n, step, count):
    """Gradients of the thread's pieces, and the steps on them; whether the threads go on.

    Without a clip, a piece's gradient is still in the cache when the step comes to it.
    """
    squares = 0.0
    for number in range(len(share.pieces)):
        piece = share.pieces[number]
        gradient = _fill_gradient(piece, blas, shape, buffers, share.gradient, n)
        if rules.clip == 0:
            _move_piece(piece, shape, rules, state, gradient, step, count)
        else:
            squares += add_up_squares(gradient)
    if rules.clip > 0:
        buffers.sums[1, share.place] = squares
        if not meet(team):
            return False
        norm = math.sqrt(buffers.sums[1].sum())
        factor = state.flat.dtype.type(rules.clip / norm if norm > rules.clip else 1.0)
        for number in range(len(share.pieces)):
            piece = share.pieces[number]
            size = (piece[2] - piece[1]) * (shape.sizes[piece[0]] + 1)
            gradient = share.gradient[piece[3] : piece[3] + size]
            gradient *= factor
            _move_piece(piece, shape, rules, state, gradient, step, count)
    return meet(team)
