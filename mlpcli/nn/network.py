"""A network: layers over one flat vector of parameters; its outputs, its cost and the gradient of that.

z(l) = W(l) a(l-1) + b(l), a(l) = f(z(l)). Rows are samples, so a layer is Z = A W', and backwards dW = delta' A,
dA = delta W.
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
from mlpcli.nn.layers import GROUPS, Activation, Allocator, Array, Dense, Noise, Product, Softmax, Tensor, Tensors
from mlpcli.nn.losses import Loss

# Rows of a block of outputs, and numbers of the widest layer in it: enough for the matrix product, and in the cache.
PREDICTED_ROWS, PREDICTED_CELLS = 2048, 1 << 17
TILE = 64


@dataclass(frozen=True)
class Placed:
    """A tensor of a network: its name in files, its name in the chain, and its place in the flat vector."""

    name: str
    key: str
    tensor: Tensor
    place: slice


@dataclass(frozen=True)
class Network:
    """n -> N -> ... -> M: the layers up to the logits z, and the activation that makes outputs of them."""

    n_in: int
    layers: tuple[AnyLayer, ...]
    output: str = "identity"

    @cached_property
    def chain(self) -> Chain:
        """The layers as one."""
        return Chain(layers=self.layers)

    @property
    def n_out(self) -> int:
        """Width of the outputs."""
        return self.chain.n_out(self.n_in)

    @cached_property
    def tensors(self) -> tuple[Placed, ...]:
        """Every tensor in the order of the flat vector: by parameter group, so that few chunks are stepped alike.

        Names are those of the formula, counted from the inputs on: W1, b1, W2, b2.
        """
        counts, numbers, named = Counter[str](), dict[str, int](), []
        for key, tensor in self.chain.tensors(self.n_in).items():
            layer, _, own = key.rpartition(".")
            if layer not in numbers:  # the first tensor of a layer counts the layers of its kind
                counts[own] += 1
                numbers[layer] = counts[own]
            named.append((f"{own}{numbers[layer]}", key, tensor))
        start, placed = 0, []
        for name, key, tensor in sorted(named, key=lambda one: GROUPS.index(one[2].group)):
            placed.append(Placed(name, key, tensor, slice(start, start := start + prod(tensor.shape))))
        return tuple(placed)

    @property
    def n_parameters(self) -> int:
        """Length of the flat vector."""
        return self.tensors[-1].place.stop if self.tensors else 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """n -> N -> ... -> M: the inputs, and the neurons of each dense layer."""
        return (self.n_in, *(layer.width for layer, _ in self.dense_layers))

    @property
    def dense_layers(self) -> tuple[tuple[Dense, str], ...]:
        """Every dense layer in order, with the name of the activation behind it, "" for none."""
        return tuple(_dense_layers(self.layers, self.output))

    def bind(self, flat: Array) -> Tensors:
        """What layers take as parameters, or gradient: views of `flat` (n_parameters,), layer by layer."""
        return self.chain.bind({one.key: flat[one.place].reshape(one.tensor.shape) for one in self.tensors})

    def views(self, flat: Array) -> dict[str, Array]:
        """Every tensor by its name in files, as views of `flat` (n_parameters,)."""
        return {one.name: flat[one.place].reshape(one.tensor.shape) for one in self.tensors}

    def init(self, rng: np.random.Generator, dtype: DTypeLike = np.float32, x: Array | None = None) -> Array:
        """Fresh parameters; `x` (n_rows, n_in) are rows for starts that go by data."""
        flat = np.empty(self.n_parameters, dtype)
        self.chain.init(self.bind(flat), rng, x)
        return flat

    def buffers(self, n_rows: int, dtype: DTypeLike, is_training: bool, matmul: Product = np.matmul) -> Any:
        """Arrays for `forward` and, in training, `backward` on so many rows."""
        return self.chain.buffers(self.n_in, Allocator(n_rows, np.dtype(dtype), is_training, matmul), needs_dx=False)

    def outputs(self, z: Array) -> Array:
        """The outputs a (n_rows, n_out) of logits z, as a new array; those of sigmoids are float64.

        A sigmoid near 1 has its say in 1 - a, of which float32 keeps nothing.
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
    found: list[tuple[Dense, str]] = []
    for layer in layers:
        if isinstance(layer, Dense):
            found.append((layer, output))
        elif isinstance(layer, Activation) and found:
            found[-1] = (found[-1][0], layer.function)
        elif isinstance(layer, Chain):
            found += _dense_layers(layer.layers, output)
    return found


class Predictor:
    """Outputs of a network for blocks of up to `n_rows` rows, in buffers that it keeps."""

    def __init__(self, network: Network, flat: Array, n_rows: int) -> None:
        self.network, self.n_rows, self._dtype = network, n_rows, flat.dtype
        self._params = network.bind(flat)
        self._buffers: dict[int, Any] = {}

    def logits(self, x: Array) -> Array:
        """z (n_rows, n_out) in a buffer that the next call overwrites."""
        return self.network.chain.forward(x, self._params, self._buffers_for(len(x)))

    def each_layer(self, x: Array) -> Iterator[Array]:
        """What each layer makes of `x` (n_rows, n_in), in buffers that the next call overwrites."""
        for layer, own, kept in zip(self.network.layers, self._params, self._buffers_for(len(x)), strict=True):
            x = layer.forward(x, own, kept)
            yield x

    def _buffers_for(self, n_rows: int) -> Any:
        if n_rows not in self._buffers:
            self._buffers[n_rows] = self.network.buffers(n_rows, self._dtype, is_training=False)
        return self._buffers[n_rows]

    def blocks(self, X: Array) -> Iterator[tuple[slice, Array]]:
        """Rows of `X` (n_rows, n_in) and their logits, block after block."""
        for start in range(0, len(X), self.n_rows):
            rows = slice(start, min(start + self.n_rows, len(X)))
            yield rows, self.logits(X[rows])


def predict(network: Network, flat: Array, X: Array) -> Array:
    """Outputs (n_rows, n_out) for inputs `X` (n_rows, n_in)."""
    a = np.empty((len(X), network.n_out), np.float64 if network.output == "sigmoid" else flat.dtype)
    for rows, predictor, whole in _whole_blocks(network, flat, X):
        a[rows] = network.outputs(predictor.logits(whole))[: len(a[rows])]
    return a


def hidden_layers(network: Network, flat: Array, X: Array) -> list[Array]:
    """What each hidden layer makes of `X` (n_rows, n_in), from the inputs on: (n_rows, width) behind its activation.

    Of a residual layer it is the sum.
    """
    places = [i for i, layer in enumerate(network.layers) if isinstance(layer, Activation | Residual)]
    widths = network.chain.widths(network.n_in)
    found = [np.empty((len(X), widths[place + 1]), flat.dtype) for place in places]
    for rows, predictor, whole in _whole_blocks(network, flat, X):
        outputs = list(predictor.each_layer(whole))
        for a, place in zip(found, places, strict=True):
            a[rows] = outputs[place][: len(a[rows])]
    return found


def _whole_blocks(network: Network, flat: Array, X: Array) -> Iterator[tuple[slice, Predictor, Array]]:
    """Where the rows of a block stand, what predicts them, and these rows, filled up.

    Blocks have one size, a multiple of 64, and the last one is filled up: BLAS takes the rows beyond a multiple of its
    tiles (of 64 rows at most) another way, and the outputs of a row must not depend, not even in their last digit, on
    where it stands or how many rows stand beside it.
    """
    fitting = min(PREDICTED_ROWS, PREDICTED_CELLS // max(network.chain.widths(network.n_in)))
    n = max(TILE, fitting // TILE * TILE)
    predictor = Predictor(network, flat, n)
    # Inputs far outside what training saw may overflow on the way, where most activations saturate; the caller looks at
    # what comes out.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(X), n):
            rows = X[start : start + n]
            whole = rows if len(rows) == n else np.concatenate([rows, np.zeros((n - len(rows), X.shape[1]), X.dtype)])
            yield slice(start, start + n), predictor, whole


class LossAndGradient:
    """The cost of a batch at the parameters `flat`, a pure function of them, the rows and the noise.

    The cost is the mean over the rows of row loss times row weight; its gradient goes into `gradient`. Buffers are
    kept for each number of rows: whole batches, and the short last one.
    """

    def __init__(self, network: Network, loss: Loss, flat: Array, gradient: Array, matmul: Product = np.matmul) -> None:
        self.network, self.loss, self._dtype, self._matmul = network, loss, flat.dtype, matmul
        self._params, self._gradient = network.bind(flat), network.bind(gradient)
        self._has_partner = network.output == loss.partner
        self._output = Softmax() if network.output == "softmax" else Activation(function=network.output)
        self._by_rows: dict[int, Any] = {}

    def __call__(self, X: Array, y: Array, weights: Array | None = None, noise: Noise | None = None) -> float:
        """The cost; `X` (n_rows, n_in), `y` (n_rows, n_out), `weights` (n_rows,) of rows."""
        if (n := len(X)) not in self._by_rows:
            self._by_rows[n] = self._make_buffers(n)
        buffers, output, delta = self._by_rows[n]
        chain = self.network.chain
        z = chain.forward(X, self._params, buffers, noise)
        if self._has_partner:
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
        new, n_out = Allocator(n_rows, self._dtype, is_training=True), self.network.n_out
        output = None if self._has_partner else self._output.buffers(n_out, new, needs_dx=True)
        return self.network.buffers(n_rows, self._dtype, True, self._matmul), output, new(n_out)
