"""Networks in C in fixed-point arithmetic: 16-bit weights, 32-bit values, 64-bit sums.

A value is an integer divided by a power of two, chosen to leave a headroom of a factor of 256 over typical values.
Inputs are quantized before the first layer, and outputs converted to float after the last one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.errors import MlpError
from mlpcli.export.c.names import declared
from mlpcli.export.c.runtime import LOGISTIC_BITS, fixed_runtime

Values = NDArray[np.float64]

WEIGHT_BITS, VALUE_BITS = 15, 31
HEADROOM = 256.0
# One bit is left for a fraction.
LARGEST = 2.0 ** (VALUE_BITS - 1) / HEADROOM
# No weight of a network needs larger shifts.
MOST_BITS = 30
# The sum of fewer than 2^16 products of 15 and 31 bits and a bias below 2^62 stays below 2^63.
MOST_INPUTS = 1 << 16


class FixedNetworks:
    """As `Networks`, in integers: `text` has the functions of all networks, `names` their names.

    `X` (n_rows, n_in) are typical inputs, from which scales are computed. Raises MlpError for an unsupported layer.
    """

    def __init__(self, networks: Sequence[Mapping[str, Any]], X: Values) -> None:
        self.names = [f"network_{number}" for number in range(1, len(networks) + 1)]
        self.factors = [f"{float(one['count'])!r} * " if one["count"] > 1 else "" for one in networks]
        self.n_out = 0
        self._n_arrays = 0
        parts = [self._function(name, network, X) for name, network in zip(self.names, networks, strict=True)]
        functions = "".join(parts)
        self.text = fixed_runtime("fixed_logistic(" in functions) + functions

    def _function(self, name: str, network: Mapping[str, Any], X: Values) -> str:
        layers, output = network["layers"], network["output"]
        if output not in ("identity", "sigmoid", "softmax"):
            raise MlpError(f"--fixed-point does not support the output activation {output}.")
        arrays, lines = "", []
        column = "i"
        if layers[0]["layer"] == "select":
            indices, layers = layers[0]["indices"], layers[1:]
            arrays, selected = self._array("int", indices)
            X, column = X[:, indices], f"{selected}[i]"
        typical, bits, width, max_width = X, bits_for(X), X.shape[1], X.shape[1]
        lines.append(f"for (i = 0; i < {width}; i++)\n        a[i] = fixed(x[{column}], {bits});")
        here, there = "a", "b"
        for layer in layers:
            if layer["layer"] == "dense":
                W, b = dense_arrays(layer)
                typical = typical @ W.T + b
                declared_arrays, names, own = self._dense(W, b, bits, bits_for(typical))
                arrays += declared_arrays
                lines.append(f"fixed_dense({here}, {width}, {', '.join(names)}, {len(W)}, {there});")
                here, there, bits, width = there, here, own, len(W)
                max_width = max(max_width, width)
            elif layer["layer"] == "activation" and layer["function"] in ACTIVATIONS and layer["slope"] is None:
                line, bits = activation(layer["function"], here, width, bits)
                lines += line
                typical = ACTIVATIONS[layer["function"]](typical)
            else:
                kind = layer["layer"]
                what = f"the activation {layer['function']}" if kind == "activation" else f"layers of kind {kind}"
                raise MlpError(
                    f"--fixed-point does not support {what}, only dense layers with {', '.join(ACTIVATIONS)}. "
                    "Leave it out."
                )
        lines.append(f"for (i = 0; i < {width}; i++)\n        out[i] = (float){here}[i] / {2**bits}.0f;")
        if output == "softmax":
            lines.append(f"softmax({width}, out);")
        self.n_out = width
        body = "".join(f"    {line}\n" for line in [f"int32_t a[{max_width}], b[{max_width}];", "int i;", *lines])
        return f"{arrays}\nstatic void {name}(const float *x, float *out)\n{{\n{body}}}\n"

    def _dense(self, W: Values, b: Values, bits: int, out_bits: int) -> tuple[str, list[str], int]:
        """The arrays of a layer, their names, and the number of fractional bits of its outputs."""
        if W.shape[1] >= MOST_INPUTS:
            raise MlpError(
                f"--fixed-point: a layer of {W.shape[1]} inputs; its sums fit into 64 bits below {MOST_INPUTS}."
            )
        weight_bits = np.minimum(np.floor(np.log2((2**WEIGHT_BITS - 1) / row_maxima(W))), MOST_BITS).astype(int)
        weights = np.rint(W * 2.0 ** weight_bits[:, None]).astype(int)
        biases = np.rint(b * 2.0 ** (weight_bits + bits))
        if np.abs(biases).max() >= 2.0**62:
            raise MlpError("--fixed-point: a bias is too large beside its weights.")
        items = (
            ("int16_t", weights.ravel()),
            ("int64_t", biases.astype(np.int64)),
            ("int", weight_bits + bits - out_bits),
        )
        texts, names = zip(*(self._array(kind, values.tolist()) for kind, values in items), strict=True)
        return "".join(texts), list(names), out_bits

    def _array(self, kind: str, values: Sequence[int]) -> tuple[str, str]:
        """The definition of an array, and its name."""
        self._n_arrays += 1
        name = f"fixed_{self._n_arrays}"
        return declared(f"static const {kind} {name}", [str(value) for value in values]), name


ACTIVATIONS: dict[str, Callable[[Values], Values]] = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0.0),
    "leaky_relu": lambda z: np.where(z > 0.0, z, 0.01 * z),
    "sigmoid": lambda z: 1.0 / (1.0 + np.exp(-np.clip(z, -700.0, 700.0))),
    "tanh": np.tanh,
}


def activation(function: str, here: str, width: int, bits: int) -> tuple[list[str], int]:
    """The lines that compute f(z) in place, and the number of fractional bits of the result."""
    texts = {
        "relu": (f"{here}[i] < 0 ? 0 : {here}[i]", bits),
        "leaky_relu": (f"{here}[i] < 0 ? {here}[i] / 100 : {here}[i]", bits),
        "sigmoid": (f"fixed_logistic({here}[i], {bits})", LOGISTIC_BITS),
        "tanh": (f"2 * fixed_logistic({here}[i], {bits - 1}) - {2**LOGISTIC_BITS}", LOGISTIC_BITS),
    }
    if function == "identity":
        return [], bits
    text, after = texts[function]
    return [f"for (i = 0; i < {width}; i++)\n        {here}[i] = {text};"], after


def bits_for(values: Values) -> int:
    """The number of fractional bits with which values `HEADROOM` times as large still fit into 32 bits.

    Raises MlpError for values that leave no fractional bit, or are not finite.
    """
    largest = max(float(np.abs(values).max(initial=0.0)), 1e-3)
    if not largest <= LARGEST:
        raise MlpError(
            f"--fixed-point: inputs or sums of up to {largest:.1g} leave no bits for a fraction; {LARGEST:.2g} is the "
            "limit. Scale the inputs (preprocess.numeric: standardize), or leave it out."
        )
    return min(math.floor(VALUE_BITS - math.log2(largest * HEADROOM)), MOST_BITS)


def dense_arrays(layer: Mapping[str, Any]) -> tuple[Values, Values]:
    """W (n_out, n_in) and b (n_out,)."""
    W = np.asarray(layer["W"], np.float64)
    return W, np.zeros(len(W)) if layer["b"] is None else np.asarray(layer["b"], np.float64)


def row_maxima(W: Values) -> Values:
    """The largest absolute weight of each output (n_out,)."""
    largest: Values = np.maximum(np.abs(W).max(axis=1), 1e-6)
    return largest
