"""Update rules of the optimizers, each in one pass over the parameters: see `nn.optimizers` and `nn.steps`."""

import numpy as np
from numba import njit

from mlpcli.compiled import codes
from mlpcli.compiled.codes import INTERNAL
from mlpcli.compiled.elementary import FUSED
from mlpcli.compiled.elementwise import copy


@njit(fastmath=FUSED, **INTERNAL)
def _sgd(w, g, v, momentum, is_nesterov, rate, coupled, shrink):
    zero = g.dtype.type(0.0)
    if momentum == 0:
        for j in range(w.size):
            w[j] = shrink * w[j] - rate * (g[j] + coupled * w[j])
            g[j] = zero
    elif is_nesterov:
        for j in range(w.size):
            d = g[j] + coupled * w[j]
            v[j] = momentum * v[j] + d
            w[j] = shrink * w[j] - rate * (momentum * v[j] + d)
            g[j] = zero
    else:
        for j in range(w.size):
            v[j] = momentum * v[j] + (g[j] + coupled * w[j])
            w[j] = shrink * w[j] - rate * v[j]
            g[j] = zero


@njit(fastmath=FUSED, **INTERNAL)
def _adam(w, g, m, v, beta1, beta2, epsilon, rate, coupled, shrink):
    zero = g.dtype.type(0.0)
    for j in range(w.size):
        d = g[j] + coupled * w[j]
        m[j] = beta1 * m[j] + d
        v[j] = beta2 * v[j] + d * d
        w[j] = shrink * w[j] - rate * (m[j] / (np.sqrt(v[j]) + epsilon))
        g[j] = zero


@njit(fastmath=FUSED, **INTERNAL)
def _root_mean_square(w, g, v, u, decay, increment, momentum, epsilon, rate, coupled, shrink):
    zero = g.dtype.type(0.0)
    if momentum == 0:
        for j in range(w.size):
            d = g[j] + coupled * w[j]
            v[j] = decay * v[j] + increment * (d * d)
            w[j] = shrink * w[j] - rate * (d / (np.sqrt(v[j]) + epsilon))
            g[j] = zero
    else:
        for j in range(w.size):
            d = g[j] + coupled * w[j]
            v[j] = decay * v[j] + increment * (d * d)
            u[j] = momentum * u[j] + d / (np.sqrt(v[j]) + epsilon)
            w[j] = shrink * w[j] - rate * u[j]
            g[j] = zero


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

    `hyperparameters` are those of `program.RULES`, `group` the `ParameterGroup.factors`, `values` the `StepValues`.
    """
    dtype = w.dtype.type
    rate = dtype(values[0] * group[0] * values[3])
    epsilon = dtype(values[4] * group[1])
    coupled, shrink = dtype(group[2] * values[1]), dtype(1.0 - values[0] * group[3] * values[1])
    a, b, c = dtype(hyperparameters[0]), dtype(hyperparameters[1]), dtype(hyperparameters[2])
    if code == codes.MOMENTUM_RULE:
        _sgd(w, g, first, a, b > 0, rate, coupled, shrink)
    elif code == codes.ADAM_RULE:
        _adam(w, g, first, second, a, b, epsilon, rate, coupled, shrink)
    else:
        _root_mean_square(w, g, first, second, a, b, c, epsilon, rate, coupled, shrink)
    if average.size:
        if values[2] >= 1.0:
            copy(w, average)
        else:
            _average(average, w, dtype(values[2]))
    if is_flush_step:
        _flush_denormals(first, smallest_normal)
        _flush_denormals(second, smallest_normal)
