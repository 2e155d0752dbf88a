"""Numbers that stand for instructions, activations, rules and BLAS's options; imports no Numba."""

from typing import Any

# How functions are compiled that only compiled ones call. Without what Python would call them by, and with division as
# NumPy's, this takes two thirds of the time.
INNER: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
LINE = 16  # numbers between two counters, so that they are never on the same line of a cache
# Of the constants in cblas.h.
ROW_MAJOR, AS_IT_IS, TURNED_OVER = 101, 111, 112

# Instructions.
DENSE, ACTIVATION, LEARNT, DROPOUT, SCALE, PERIODIC, EMBED, TAKE, COPY, SKIP, ADD, NORM, SHIFT = range(13)
# Activations: softmax is one of outputs alone, the others are hidden ones.
IDENTITY, RELU, LEAKY_RELU, SIGMOID, TANH, ELU, SELU, SOFTPLUS, SILU, GELU, MISH, SOFTMAX = range(12)
FUNCTIONS = {
    "identity": IDENTITY, "relu": RELU, "leaky_relu": LEAKY_RELU, "sigmoid": SIGMOID, "tanh": TANH, "elu": ELU,
    "selu": SELU, "softplus": SOFTPLUS, "silu": SILU, "gelu": GELU, "mish": MISH,
}  # fmt: skip
# Rules of optimizers: with a velocity; with means of the gradient and of its square; divided by the root of a sum.
MOMENTUM_RULE, ADAM_RULE, ROOT_RULE = range(3)
