"""Update rules of the optimizers, each in one pass over the parameters: see `nn.optimizers` and `nn.steps`."""

import numpy as np
from numba import njit

from mlpcli.compiled import codes
from mlpcli.compiled.codes import INTERNAL
from mlpcli.compiled.elementary import FUSED
from mlpcli.compiled.elementwise import copy


def _with_direction(direction):
    """Compile an update by `direction(j, d, first, second, a, b, c, epsilon)`, `d` being element j of the gradient.

    `first` and `second` are the arrays of the state; `a`, `b` and `c` the hyperparameters, see `program.RULES`.
    """
    direction = njit(fastmath=FUSED, **INTERNAL)(direction)

    @njit(fastmath=FUSED, **INTERNAL)
    def update_range(w, g, rate, coupled, shrink, first, second, a, b, c, epsilon):
        for j in range(w.size):
            d = g[j] + coupled * w[j]
            w[j] = shrink * w[j] - rate * direction(j, d, first, second, a, b, c, epsilon)
            g[j] = g.dtype.type(0.0)

    return update_range


@_with_direction
def _sgd(j, d, first, second, a, b, c, epsilon):
    return d


@_with_direction
def _momentum(j, d, first, second, a, b, c, epsilon):
    first[j] = a * first[j] + d
    return first[j]


@_with_direction
def _nesterov(j, d, first, second, a, b, c, epsilon):
    first[j] = a * first[j] + d
    return a * first[j] + d


@_with_direction
def _adam(j, d, first, second, a, b, c, epsilon):
    first[j] = a * first[j] + d
    second[j] = b * second[j] + d * d
    return first[j] / (np.sqrt(second[j]) + epsilon)


@_with_direction
def _root(j, d, first, second, a, b, c, epsilon):
    first[j] = a * first[j] + b * (d * d)
    return d / (np.sqrt(first[j]) + epsilon)


@_with_direction
def _root_momentum(j, d, first, second, a, b, c, epsilon):
    first[j] = a * first[j] + b * (d * d)
    second[j] = c * second[j] + d / (np.sqrt(first[j]) + epsilon)
    return second[j]


@njit(fastmath=FUSED, **INTERNAL)
def _average(average, w, weight):
    for j in range(w.size):
        average[j] += weight * (w[j] - average[j])


@njit(**INTERNAL)
def _flush_denormals(values, smallest_normal):
    zero = values.dtype.type(0.0)
    for j in range(values.size):
        values[j] = values[j] if abs(values[j]) >= smallest_normal else zero


@njit(**INTERNAL)
def update(code, hyperparameters, values, group, w, g, first, second, average, is_flush_step, smallest_normal):
    """Update a range of the flat vector and reset its gradient to 0; arrays that an optimizer does not have are empty.

    `group` are the `ParameterGroup.factors`, `values` the `StepValues`.
    """
    dtype = w.dtype.type
    coupled, shrink = dtype(group[2] * values[1]), dtype(1.0 - values[0] * group[3] * values[1])
    rate, epsilon = dtype(values[0] * group[0] * values[3]), dtype(values[4] * group[1])
    a, b, c = dtype(hyperparameters[0]), dtype(hyperparameters[1]), dtype(hyperparameters[2])
    arguments = (w, g, rate, coupled, shrink, first, second, a, b, c, epsilon)
    if code == codes.ADAM:
        _adam(*arguments)
    elif code == codes.MOMENTUM:
        _momentum(*arguments)
    elif code == codes.NESTEROV:
        _nesterov(*arguments)
    elif code == codes.SGD:
        _sgd(*arguments)
    elif code == codes.ROOT:
        _root(*arguments)
    else:
        _root_momentum(*arguments)
    if average.size:
        if values[2] >= 1.0:
            copy(w, average)
        else:
            _average(average, w, dtype(values[2]))
    if is_flush_step:
        _flush_denormals(first, smallest_normal)
        _flush_denormals(second, smallest_normal)
