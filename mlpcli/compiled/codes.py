"""Integer codes of instructions, activations, update rules and BLAS options; does not import Numba."""

from typing import Any

# No function allocates an array, so none counts references: two atomic additions for each slice take half of a step of
# a tiny network and a tenth of a step of a large one. A function that returns just a slice must be inlined.
UNCOUNTED: dict[str, Any] = {"error_model": "numpy", "_nrt": False}
# Options of functions that only compiled code calls: without wrappers for Python, and with NumPy's division, compiling
# takes two thirds of the time.
INTERNAL: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, **UNCOUNTED}
CACHE_LINE = 16  # int64 values between two counters, so that they are on different cache lines
# Constants of cblas.h.
ROW_MAJOR, NO_TRANS, TRANS = 101, 111, 112

# Instructions.
DENSE, ACTIVATION, PARAMETRIC, DROPOUT, SCALE, PERIODIC, EMBED, TAKE, COPY, SKIP, ADD, NORM = range(12)
# Activations; softmax is for outputs only.
IDENTITY, RELU, LEAKY_RELU, SIGMOID, TANH, ELU, SELU, SOFTPLUS, SILU, GELU, MISH, SOFTMAX = range(12)
ACTIVATION_CODES = {
    "identity": IDENTITY, "relu": RELU, "leaky_relu": LEAKY_RELU, "sigmoid": SIGMOID, "tanh": TANH, "elu": ELU,
    "selu": SELU, "softplus": SOFTPLUS, "silu": SILU, "gelu": GELU, "mish": MISH,
}  # fmt: skip
# Update rules, see `program.RULES`; ROOT divides by the root of a sum of squared gradients.
SGD, MOMENTUM, NESTEROV, ADAM, ROOT, ROOT_MOMENTUM = range(6)
