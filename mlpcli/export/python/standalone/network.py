"""Forward pass of one row: every layer and every activation."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import mul
from typing import Any

from mlpcli.export.python.standalone.cells import Vector

MOST_NEGATIVE, MOST_POSITIVE = -70.0, 80.0  # bounds for the exponents of softmax and sigmoid
LARGEST_LOG = 709.782712893384


def network_outputs(network: Mapping[str, Any], x: Vector) -> Vector:
    """The outputs of one network for one row."""
    z = _chain(network["layers"], x)
    return _softmax(z) if network["output"] == "softmax" else [*map(ACTIVATIONS[network["output"]], z)]


def _chain(layers: Iterable[Mapping[str, Any]], x: Vector) -> Vector:
    for layer in layers:
        x = LAYERS[layer["layer"]](layer, x)
    return x


def _dot(weights: Sequence[float], x: Sequence[float]) -> float:
    return math.fsum(map(mul, weights, x))


def _dense(layer: Mapping[str, Any], x: Vector) -> Vector:
    z = [_dot(weights, x) for weights in layer["W"]]
    return z if layer["b"] is None else [zi + bias for zi, bias in zip(z, layer["b"], strict=True)]


def _activation(layer: Mapping[str, Any], z: Vector) -> Vector:
    a = [*map(ACTIVATIONS[layer["function"]], z)]
    slopes = layer["slope"]
    return a if slopes is None else [zi + s * (f - zi) for zi, f, s in zip(z, a, slopes, strict=True)]


def _softmax(z: Vector) -> Vector:
    highest = max(z)
    powers = [math.exp(max(zi - highest, MOST_NEGATIVE)) for zi in z]
    return [power / sum(powers) for power in powers]


def _layer_norm(layer: Mapping[str, Any], x: Vector) -> Vector:
    mean = sum(x) / len(x)
    centered = [xi - mean for xi in x]
    deviation = math.sqrt(_dot(centered, centered) / len(x) + layer["epsilon"])
    return [xi / deviation * g + s for xi, g, s in zip(centered, layer["gain"], layer["shift"], strict=True)]


def _periodic(layer: Mapping[str, Any], x: Vector) -> Vector:
    h = list(x)
    columns = zip(layer["columns"], layer["frequency"], layer["phase"], layer["mixing"], layer["offset"], strict=True)
    for column, frequencies, phases, mixing, offsets in columns:
        waves = [math.cos(x[column] * f + phase) for f, phase in zip(frequencies, phases, strict=True)]
        h += [_dot(weights, waves) + offset for weights, offset in zip(mixing, offsets, strict=True)]
    return h


def _embed(layer: Mapping[str, Any], x: Vector) -> Vector:
    h = [x[index] for index in layer["kept"]]
    for first, table in zip(layer["firsts"], layer["tables"], strict=True):
        one_hot = x[first : first + len(table)]
        h += [_dot(one_hot, column) for column in zip(*table, strict=True)]
    return h


LAYERS: dict[str, Callable[[Mapping[str, Any], Vector], Vector]] = {
    "dense": _dense,
    "activation": _activation,
    "softmax": lambda _, z: _softmax(z),
    "layer_norm": _layer_norm,
    "scale": lambda layer, x: [xi * factor for xi, factor in zip(x, layer["factors"], strict=True)],
    "select": lambda layer, x: [x[index] for index in layer["indices"]],
    "periodic": _periodic,
    "embed": _embed,
    "residual": lambda layer, x: [xi + y for xi, y in zip(x, _chain(layer["layers"], x), strict=True)],
}


def _sigmoid(z: float) -> float:
    return 1.0 / (1.0 + math.exp(min(-z, MOST_POSITIVE)))


def _elu(z: float) -> float:
    return z if z > 0.0 else math.expm1(z)


def _gelu(z: float) -> float:
    return z * 0.5 * (1.0 + math.tanh(0.7978845608028654 * z * (1.0 + 0.044715 * z * z)))


def _mish(z: float) -> float:
    e = math.exp(min(max(z, MOST_NEGATIVE), 20.0))
    return z * e * (e + 2.0) / (e * (e + 2.0) + 2.0)


ACTIVATIONS: dict[str, Callable[[float], float]] = {
    "identity": lambda z: z,
    "sigmoid": _sigmoid,
    "tanh": math.tanh,
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: max(z, 0.01 * z),
    "elu": _elu,
    "selu": lambda z: 1.0507009873554805 * (z if z > 0.0 else 1.6732632423543772 * math.expm1(z)),
    "softplus": lambda z: max(z, 0.0) + math.log1p(math.exp(max(-abs(z), MOST_NEGATIVE))),
    "silu": lambda z: z * _sigmoid(z),
    "gelu": _gelu,
    "mish": _mish,
    "exp": lambda z: math.exp(z) if z < LARGEST_LOG else math.inf,
}
