"""The optimizers' rules, each in one pass over the parameters: see `nn.optimizers` and `nn.steps`."""

import numpy as np
from numba import njit

from mlpcli.compiled import codes
from mlpcli.compiled.codes import INNER
from mlpcli.compiled.elementary import FUSED
from mlpcli.compiled.elementwise import copy


@njit(fastmath=FUSED, **INNER)
def _sgd(w, g, v, momentum, is_nesterov, rate, coupled, kept):
    if momentum == 0:
        for j in range(w.size):
            w[j] = kept * w[j] - rate * (g[j] + coupled * w[j])
    elif is_nesterov:
        for j in range(w.size):
            d = g[j] + coupled * w[j]
            v[j] = momentum * v[j] + d
            w[j] = kept * w[j] - rate * (momentum * v[j] + d)
    else:
        for j in range(w.size):
            v[j] = momentum * v[j] + (g[j] + coupled * w[j])
            w[j] = kept * w[j] - rate * v[j]


@njit(fastmath=FUSED, **INNER)
def _adam(w, g, m, v, beta1, beta2, epsilon, rate, coupled, kept):
    for j in range(w.size):
        d = g[j] + coupled * w[j]
        m[j] = beta1 * m[j] + d
        v[j] = beta2 * v[j] + d * d
        w[j] = kept * w[j] - rate * (m[j] / (np.sqrt(v[j]) + epsilon))


@njit(fastmath=FUSED, **INNER)
def _root(w, g, v, u, memory, addition, momentum, epsilon, rate, coupled, kept):
    if momentum == 0:
        for j in range(w.size):
            d = g[j] + coupled * w[j]
            v[j] = memory * v[j] + addition * (d * d)
            w[j] = kept * w[j] - rate * (d / (np.sqrt(v[j]) + epsilon))
    else:
        for j in range(w.size):
            d = g[j] + coupled * w[j]
            v[j] = memory * v[j] + addition * (d * d)
            u[j] = momentum * u[j] + d / (np.sqrt(v[j]) + epsilon)
            w[j] = kept * w[j] - rate * u[j]


@njit(fastmath=FUSED, **INNER)
def _average(average, w, weight):
    for j in range(w.size):
        average[j] += weight * (w[j] - average[j])


@njit(**INNER)
def _flush(values, smallest):
    zero = values.dtype.type(0.0)
    for j in range(values.size):
        values[j] = values[j] if abs(values[j]) >= smallest else zero


@njit(**INNER)
def update(code, numbers, values, group, w, g, first, second, average, flushes, smallest):
    """A step on neighbours in the flat vector; what an optimizer does without is an empty array.

    `numbers` are the optimizer's (see `program.RULES`), `group` the factors of a `ParameterGroup`, `values` learning
    rate, decay factor, average weight, scale and epsilon of the step.
    """
    dtype = w.dtype.type
    rate = dtype(values[0] * group[0] * values[3])
    epsilon = dtype(values[4] * group[1])
    coupled, kept = dtype(group[2] * values[1]), dtype(1.0 - values[0] * group[3] * values[1])
    a, b, c = dtype(numbers[0]), dtype(numbers[1]), dtype(numbers[2])
    if code == codes.MOMENTUM_RULE:
        _sgd(w, g, first, a, b > 0, rate, coupled, kept)
    elif code == codes.ADAM_RULE:
        _adam(w, g, first, second, a, b, epsilon, rate, coupled, kept)
    else:
        _root(w, g, first, second, a, b, c, epsilon, rate, coupled, kept)
    if average.size:
        if values[2] >= 1.0:
            copy(w, average)
        else:
            _average(average, w, dtype(values[2]))
    if flushes:
        _flush(first, smallest)
        _flush(second, smallest)
