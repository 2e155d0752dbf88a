"""Optimizers' steps, each in one pass over the parameters."""

import math

import numpy as np
from numba import njit

from mlpcli.extras.coverage import ADAM, ADAMW, PLAIN
from mlpcli.extras.loops.elementary import FUSED
from mlpcli.nn.stepping import FLUSH_EVERY, NEGLIGIBLE


@njit(fastmath=FUSED, error_model="numpy")
def _momentum_step(flat, grad, velocity, decay, momentum, is_nesterov, rate):
    dtype = flat.dtype.type
    rate, momentum, decay = dtype(rate), dtype(momentum), dtype(decay)
    if momentum == 0:
        for j in range(flat.size):
            flat[j] -= rate * (grad[j] + decay * flat[j])
    elif is_nesterov:
        for j in range(flat.size):
            g = grad[j] + decay * flat[j]
            velocity[j] = momentum * velocity[j] + g
            flat[j] -= rate * (momentum * velocity[j] + g)
    else:
        for j in range(flat.size):
            velocity[j] = momentum * velocity[j] + (grad[j] + decay * flat[j])
            flat[j] -= rate * velocity[j]


@njit(fastmath=FUSED, error_model="numpy")
def _adam_step(flat, grad, mean, square, decay, shrinkage, beta1, beta2, epsilon, count, rate):
    """`decay` is coupled, Adam's; `shrinkage` of `flat` before the step is AdamW's, 1 for none."""
    dtype = flat.dtype.type
    new1, new2, kept2, decay, shrinkage = (
        dtype(1.0 - beta1),
        dtype(1.0 - beta2),
        dtype(beta2),
        dtype(decay),
        dtype(shrinkage),
    )
    correction = math.sqrt(1.0 - beta2**count)
    small, step = dtype(epsilon * correction), dtype(rate * correction / (1.0 - beta1**count))
    for j in range(flat.size):
        g = grad[j] + decay * flat[j]
        mean[j] += new1 * (g - mean[j])
        square[j] = kept2 * square[j] + new2 * (g * g)
        flat[j] = shrinkage * flat[j] - step * (mean[j] / (np.sqrt(square[j]) + small))


@njit(fastmath=FUSED, error_model="numpy")
def _root_step(flat, grad, square, velocity, decay, memory, addition, epsilon, momentum, rate):
    """RMSprop's running mean of squares with `memory` m and `addition` 1 - m; Adagrad's sum has 1 for both."""
    dtype = flat.dtype.type
    memory, addition, decay = dtype(memory), dtype(addition), dtype(decay)
    rate, momentum, epsilon = dtype(rate), dtype(momentum), dtype(epsilon)
    if momentum == 0:
        for j in range(flat.size):
            g = grad[j] + decay * flat[j]
            square[j] = memory * square[j] + addition * (g * g)
            flat[j] -= rate * (g / (np.sqrt(square[j]) + epsilon))
    else:
        for j in range(flat.size):
            g = grad[j] + decay * flat[j]
            square[j] = memory * square[j] + addition * (g * g)
            velocity[j] = momentum * velocity[j] + g / (np.sqrt(square[j]) + epsilon)
            flat[j] -= rate * velocity[j]


@njit(error_model="numpy")
def _sweep(values):
    """Set to zero what is too small to count, before it becomes so small that it is slow."""
    smallest, zero = values.dtype.type(NEGLIGIBLE), values.dtype.type(0.0)
    for j in range(values.size):
        values[j] = zero if abs(values[j]) < smallest else values[j]


@njit(error_model="numpy")
def move(code, options, rate, decay, small, flat, grad, first, second, count):
    """The optimizer's step on parameters that all have this weight decay."""
    epsilon = options[2] * small
    if code == PLAIN:
        _momentum_step(flat, grad, first, decay, options[0], options[1] > 0, rate)
    elif code == ADAM:
        _adam_step(flat, grad, first, second, decay, 1.0, options[0], options[1], epsilon, count, rate)
    elif code == ADAMW:
        _adam_step(flat, grad, first, second, 0.0, 1.0 - decay, options[0], options[1], epsilon, count, rate)
    else:
        _root_step(flat, grad, first, second, decay, options[0], options[1], epsilon, options[3], rate)
    if count % FLUSH_EVERY == 0:
        _sweep(first)
        _sweep(second)
