"""Which trainings the compiled loops can run, and the numbers they know the parts by; imports no Numba."""

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from mlpcli.training.engine import Plan

# Of hidden and output activations.
IDENTITY, RELU, LEAKY_RELU, SIGMOID, TANH, ELU, SELU, SOFTPLUS, SILU, GELU, MISH, SOFTMAX = range(12)
HIDDEN = {
    "identity": IDENTITY,
    "relu": RELU,
    "leaky_relu": LEAKY_RELU,
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "elu": ELU,
    "selu": SELU,
    "softplus": SOFTPLUS,
    "silu": SILU,
    "gelu": GELU,
    "mish": MISH,
}
# By loss; the output activation must be the loss's partner.
OUTPUTS = {"cross_entropy": SOFTMAX, "binary_cross_entropy": SIGMOID, "squared_error": IDENTITY}
PLAIN, ADAM, ADAMW, ROOT_MEAN_SQUARE = range(4)
OPTIMIZERS = {SGD: PLAIN, Adam: ADAM, AdamW: ADAMW, RMSprop: ROOT_MEAN_SQUARE, Adagrad: ROOT_MEAN_SQUARE}
# What the loops keep between steps, in their order; the names are those of the optimizer's own state.
MOMENTS = {
    "sgd": ("velocity",),
    "adam": ("mean", "square"),
    "adamw": ("mean", "square"),
    "rmsprop": ("square", "velocity"),
    "adagrad": ("square_sum",),
}


def runs_whole_epochs(network: Network, plan: Plan) -> bool:
    """Whether the loop over whole epochs has everything that this training needs; the passes always have."""
    is_plain = network.is_plain and plan.is_plain and not network.dropout
    return is_plain and plan.loss.name in OUTPUTS and network.output_activation == plan.loss.partner


def optimizer_options(optimizer: Optimizer) -> NDArray[np.float64]:
    """Momentum and whether it is Nesterov's; or Adam's beta1, beta2 and epsilon.

    Of those that divide by a root of squares: how much of the old squares stays, how much of the new one is added,
    epsilon, momentum.
    """
    match optimizer:
        case SGD():
            numbers = [optimizer.momentum, float(optimizer.nesterov)]
        case Adam() | AdamW():
            numbers = [optimizer.beta1, optimizer.beta2, optimizer.epsilon]
        case RMSprop():
            numbers = [optimizer.decay, 1.0 - optimizer.decay, optimizer.epsilon, optimizer.momentum]
        case Adagrad():
            numbers = [1.0, 1.0, optimizer.epsilon]
    return np.array([*numbers, 0.0, 0.0][:4])
