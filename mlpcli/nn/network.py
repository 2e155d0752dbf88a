"""A network: layers over one flat vector of parameters; its outputs, and the cost of a batch with its gradient.

z(l) = W(l) a(l-1) + b(l), a(l) = f(z(l)). Rows are samples: forward Z = A W' + b, backward dW = delta' A, dA = delta W.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.nn.activations import ACTIVATIONS, softmax
from mlpcli.nn.chain import AnyLayer, Chain, Residual
from mlpcli.nn.layers import GROUPS, Activation, Allocator, Array, Dense, MatMul, Noise, Softmax, Tensor, Tensors
from mlpcli.nn.losses import Loss

# Most rows of a prediction batch, and most numbers of its widest layer: large for BLAS, but small for the cache.
MAX_BATCH_ROWS, MAX_BATCH_VALUES = 2048, 1 << 17
BLAS_TILE_ROWS = 64


@dataclass(frozen=True)
class FlatTensor:
    """A tensor in the flat vector: its name in files (`W1`), its key in the chain (`0.W`), and its span."""

    name: str
    key: str
    tensor: Tensor
    span: slice


@dataclass(frozen=True)
class Network:
    """n -> N -> ... -> M: the layers up to the logits z, and the output activation."""

    n_in: int
    layers: tuple[AnyLayer, ...]
    output: str = "identity"

    @cached_property
    def chain(self) -> Chain:
        """All layers as one layer."""
        return Chain(layers=self.layers)

    @property
    def n_out(self) -> int:
        """Number of outputs M."""
        return self.chain.n_out(self.n_in)

    @cached_property
    def tensors(self) -> tuple[FlatTensor, ...]:
        """All tensors in the order of the flat vector: by parameter group, so that the optimizer updates few chunks.

        Names are those of the formula, numbered from the inputs: W1, b1, W2, b2.
        """
        counts, numbers, named = Counter[str](), dict[str, int](), []
        for key, tensor in self.chain.tensors(self.n_in).items():
            layer, _, name = key.rpartition(".")
            if layer not in numbers:  # the first tensor of a layer counts the layers of its kind
                counts[name] += 1
                numbers[layer] = counts[name]
            named.append((f"{name}{numbers[layer]}", key, tensor))
        start, tensors = 0, []
        for name, key, tensor in sorted(named, key=lambda item: GROUPS.index(item[2].group)):
            tensors.append(FlatTensor(name, key, tensor, slice(start, start := start + prod(tensor.shape))))
        return tuple(tensors)

    @property
    def n_parameters(self) -> int:
        """Length of the flat vector."""
        return self.tensors[-1].span.stop if self.tensors else 0

    @property
    def weight_shapes(self) -> tuple[tuple[int, ...], ...]:
        """(n_out, n_in) of every weight matrix."""
        return tuple(item.tensor.shape for item in self.tensors if item.tensor.group == "weights")

    @property
    def sizes(self) -> tuple[int, ...]:
        """(n, N, ..., M): the number of inputs, and of neurons of each dense layer."""
        return (self.n_in, *(layer.width for layer, _ in self.dense_layers))

    @property
    def dense_layers(self) -> tuple[tuple[Dense, str], ...]:
        """Every dense layer in order, with the name of the activation after it."""
        return tuple(_dense_layers(self.layers, self.output))

    def unflatten(self, flat: Array) -> Tensors:
        """Views of `flat` (n_parameters,) by layer, as `forward` and `backward` take parameters and gradient."""
        return self.chain.unflatten({item.key: flat[item.span].reshape(item.tensor.shape) for item in self.tensors})

    def named_views(self, flat: Array) -> dict[str, Array]:
        """Views of `flat` (n_parameters,) by name in files: W1, b1, ..."""
        return {item.name: flat[item.span].reshape(item.tensor.shape) for item in self.tensors}

    def init(self, rng: np.random.Generator, dtype: DTypeLike = np.float32, x: Array | None = None) -> Array:
        """Initial parameters (n_parameters,); data-driven initializers need training rows `x` (n_rows, n_in)."""
        flat = np.empty(self.n_parameters, dtype)
        for item in self.tensors:
            flat[item.span] = item.tensor.start
        self.chain.init(self.unflatten(flat), rng, x)
        return flat

    def buffers(self, n_rows: int, dtype: DTypeLike, is_training: bool, matmul: MatMul = np.matmul) -> Any:
        """Arrays for `forward` and, if `is_training`, `backward` on batches of `n_rows` rows."""
        return self.chain.buffers(self.n_in, Allocator(n_rows, np.dtype(dtype), is_training, matmul), needs_dx=False)

    def outputs(self, z: Array) -> Array:
        """The outputs a (n_rows, n_out) of logits z, as a new array; float64 for sigmoid.

        For a sigmoid near 1 the information is in 1 - a, which float32 rounds to 0.
        """
        if self.output == "sigmoid":
            z = z.astype(np.float64)
        a = np.empty_like(z)
        if self.output == "softmax":
            softmax(z, a)
        else:
            ACTIVATIONS[self.output].evaluate(z, a, None, np.empty_like(z))
        return a


def _dense_layers(layers: tuple[AnyLayer, ...], output: str) -> list[tuple[Dense, str]]:
    pairs: list[tuple[Dense, str]] = []
    for layer in layers:
        if isinstance(layer, Dense):
            pairs.append((layer, output))
        elif isinstance(layer, Activation) and pairs:
            pairs[-1] = (pairs[-1][0], layer.function)
        elif isinstance(layer, Chain):
            pairs += _dense_layers(layer.layers, output)
    return pairs


class Predictor:
    """Forward passes of a network, in buffers that are reused for batches of the same size."""

    def __init__(self, network: Network, flat: Array) -> None:
        self.network, self._params, self._dtype = network, network.unflatten(flat), flat.dtype
        self._buffers: dict[int, Any] = {}

    def logits(self, x: Array) -> Array:
        """z (n_rows, n_out) in a buffer that the next call overwrites."""
        return self.network.chain.forward(x, self._params, self._buffers_for(len(x)))

    def layer_outputs(self, x: Array) -> Iterator[Array]:
        """The output of each layer for `x` (n_rows, n_in), in buffers that the next call overwrites."""
        for layer, params, buffers in zip(self.network.layers, self._params, self._buffers_for(len(x)), strict=True):
            x = layer.forward(x, params, buffers)
            yield x

    def _buffers_for(self, n_rows: int) -> Any:
        if n_rows not in self._buffers:
            self._buffers[n_rows] = self.network.buffers(n_rows, self._dtype, is_training=False)
        return self._buffers[n_rows]


def predict(network: Network, flat: Array, X: Array) -> Array:
    """Outputs (n_rows, n_out) for inputs `X` (n_rows, n_in)."""
    a = np.empty((len(X), network.n_out), np.float64 if network.output == "sigmoid" else flat.dtype)
    for rows, predictor, padded in _padded_batches(network, flat, X):
        a[rows] = network.outputs(predictor.logits(padded))[: len(a[rows])]
    return a


def hidden_activations(network: Network, flat: Array, X: Array) -> list[Array]:
    """Activations (n_rows, width) of each hidden layer for `X` (n_rows, n_in); of a residual layer, its sum."""
    indices = [i for i, layer in enumerate(network.layers) if isinstance(layer, Activation | Residual)]
    widths = network.chain.widths(network.n_in)
    hidden = [np.empty((len(X), widths[i + 1]), flat.dtype) for i in indices]
    for rows, predictor, padded in _padded_batches(network, flat, X):
        outputs = list(predictor.layer_outputs(padded))
        for a, i in zip(hidden, indices, strict=True):
            a[rows] = outputs[i][: len(a[rows])]
    return hidden


def _padded_batches(network: Network, flat: Array, X: Array) -> Iterator[tuple[slice, Predictor, Array]]:
    """The slice of each batch, the predictor, and the rows of the batch.

    Batches have one size, a multiple of 64, and the last is padded with zeros: BLAS uses another kernel for the rows
    beyond a multiple of its tile (at most 64 rows), and the outputs of a row must be bit-identical whatever its
    position and the number of rows.
    """
    n_fitting = min(MAX_BATCH_ROWS, MAX_BATCH_VALUES // max(network.chain.widths(network.n_in)))
    n = max(BLAS_TILE_ROWS, n_fitting // BLAS_TILE_ROWS * BLAS_TILE_ROWS)
    predictor = Predictor(network, flat)
    # Inputs far outside the training data may overflow inside the network; the caller checks the outputs.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(X), n):
            batch = X[start : start + n]
            n_missing = n - len(batch)
            padded = np.concatenate([batch, np.zeros((n_missing, X.shape[1]), X.dtype)]) if n_missing else batch
            yield slice(start, start + n), predictor, padded


class LossAndGradient:
    """The cost of a batch and its gradient: a pure function of the parameters `flat`, the rows and the noise.

    The cost is the mean over rows of row loss times row weight; its gradient is written into `gradient`. Buffers are
    allocated once per batch size: full batches, and the shorter last one.
    """

    def __init__(self, network: Network, loss: Loss, flat: Array, gradient: Array, matmul: MatMul = np.matmul) -> None:
        self.network, self.loss, self._dtype, self._matmul = network, loss, flat.dtype, matmul
        self._params, self._gradient = network.unflatten(flat), network.unflatten(gradient)
        self._is_canonical = network.output == loss.canonical_activation
        self._output = Softmax() if network.output == "softmax" else Activation(function=network.output)
        self._buffers_by_size: dict[int, Any] = {}

    def __call__(self, X: Array, y: Array, weights: Array | None = None, noise: Noise | None = None) -> float:
        """The cost; `X` (n_rows, n_in), targets `y` (n_rows, n_out), row `weights` (n_rows,)."""
        if (n := len(X)) not in self._buffers_by_size:
            self._buffers_by_size[n] = self._make_buffers(n)
        buffers, output, delta = self._buffers_by_size[n]
        chain = self.network.chain
        z = chain.forward(X, self._params, buffers, noise)
        if self._is_canonical:
            losses = self.loss.losses_and_delta(z, y, delta)
        else:
            a = self._output.forward(z, {}, output)
            losses = self.loss.values(a, y)
            self.loss.gradient(a, y, delta)
            self._output.backward(delta, {}, {}, output)
        if weights is not None:
            losses *= weights
            delta *= weights[:, None]
        delta *= 1.0 / n
        chain.backward(delta, self._params, self._gradient, buffers)
        return float(np.add.reduce(losses)) / n

    def _make_buffers(self, n_rows: int) -> tuple[Any, Any, NDArray[Any]]:
        allocate, n_out = Allocator(n_rows, self._dtype, is_training=True), self.network.n_out
        output = None if self._is_canonical else self._output.buffers(n_out, allocate, needs_dx=True)
        return self.network.buffers(n_rows, self._dtype, True, self._matmul), output, allocate(n_out)
