"""The multi-layer perceptron: z(l) = W(l) a(l-1) + b(l), a(l) = f(z(l)), and its gradient by backpropagation.

Rows are samples, so a layer is `Z = A @ W.T + b`, and backwards `dW = delta.T @ A`, `dA = delta @ W`. The forward
and the backward pass allocate nothing: a `Workspace` holds every buffer for the largest batch, and a shorter batch uses
leading rows of the same buffers. What a step does allocate is a few arrays as small as the outputs, for the loss.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.initializers import Normal, Uniform, draw_layer
from mlpcli.nn.losses import Loss, row_losses
from mlpcli.nn.parameters import Parameters, allocate_parameters

Array = NDArray[np.floating[Any]]

# Rows scored at once outside training: large enough for the matrix product, small enough for the cache.
SCORING_ROWS = 4096


@dataclass(frozen=True)
class Network:
    """The shape of a perceptron; with `Parameters` it is the whole function.

    `sizes` n -> N -> ... -> M; `activation` for hidden layers and `output_activation` are keys of ACTIVATIONS;
    `dropout` is the share of hidden neurons switched off in each training step.
    """

    sizes: tuple[int, ...]
    activation: str
    output_activation: str
    dropout: float = 0.0

    @property
    def n_layers(self) -> int:
        """Layers with weights."""
        return len(self.sizes) - 1

    def activation_of(self, layer: int) -> str:
        """Name of the activation behind layer `layer` (from 0)."""
        return self.output_activation if layer == self.n_layers - 1 else self.activation


def initialize(
    network: Network, initializer: str | Normal | Uniform, rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> Parameters:
    """Fresh parameters; `initializer` "auto" takes each layer's from its activation."""
    parameters = allocate_parameters(network.sizes, dtype)
    for layer, (W, b) in enumerate(zip(parameters.W, parameters.b, strict=True)):
        chosen = ACTIVATIONS[network.activation_of(layer)].initializer if initializer == "auto" else initializer
        draw_layer(chosen, W, b, rng)
    return parameters


@dataclass(frozen=True)
class _Buffers:
    """What one batch needs, layer by layer; all (n_rows, sizes[layer + 1])."""

    z: tuple[Array, ...]
    a: tuple[Array, ...]
    h: tuple[Array, ...]  # a after dropout: what the next layer sees
    kept: tuple[Array, ...]  # dropout factors: 0, or 1 / (1 - dropout)
    delta: tuple[Array, ...]
    scratch: tuple[Array, ...]
    ones: Array  # (n_rows,): ones @ delta sums the rows faster than delta.sum(axis=0)


class Workspace:
    """Preallocated buffers for batches of up to `max_rows` rows."""

    def __init__(self, network: Network, max_rows: int, dtype: DTypeLike = np.float32) -> None:
        def batch(width: int) -> Array:
            return np.empty((max_rows, width), dtype)

        self.network = network
        self.max_rows = max_rows
        self.activations = tuple(ACTIVATIONS[network.activation_of(layer)] for layer in range(network.n_layers))
        widths = network.sizes[1:]
        a = tuple(batch(width) for width in widths)
        # The output keeps its z for the losses on logits; a hidden layer only where its derivative needs it.
        z = tuple(
            batch(width)
            if layer == network.n_layers - 1 or ACTIVATIONS[network.activation_of(layer)].needs_z
            else a[layer]
            for layer, width in enumerate(widths)
        )
        kept = tuple(batch(width) for width in widths[:-1]) if network.dropout else ()
        h = tuple(batch(width) for width in widths[:-1]) if network.dropout else a[:-1]
        delta = tuple(batch(width) for width in widths)
        scratch = tuple(batch(width) for width in widths)
        self._full = _Buffers(z, a, h, kept, delta, scratch, np.ones(max_rows, dtype))
        self._by_rows = {max_rows: self._full}

    def rows(self, n_rows: int) -> _Buffers:
        """Buffers for a batch of `n_rows` <= `max_rows`; views, made once for each size seen."""
        if n_rows not in self._by_rows:
            full = self._full
            self._by_rows[n_rows] = _Buffers(
                z=_leading(full.z, n_rows),
                a=_leading(full.a, n_rows),
                h=_leading(full.h, n_rows),
                kept=_leading(full.kept, n_rows),
                delta=_leading(full.delta, n_rows),
                scratch=_leading(full.scratch, n_rows),
                ones=full.ones[:n_rows],
            )
        return self._by_rows[n_rows]


def forward(
    parameters: Parameters, X: Array, workspace: Workspace, dropout_rng: np.random.Generator | None = None
) -> tuple[Array, Array]:
    """Logits z and outputs a of the last layer, both (n_rows, n_out), as views into the workspace.

    `X` is (n_rows, n_in) of the parameters' dtype; `dropout_rng` is given in training with dropout only.
    """
    buffers = workspace.rows(X.shape[0])
    last = len(parameters.W) - 1
    h = X
    for layer, activation in enumerate(workspace.activations):
        z, a = buffers.z[layer], buffers.a[layer]
        np.matmul(h, parameters.W[layer].T, out=z)
        z += parameters.b[layer]
        activation.apply(z, a, buffers.scratch[layer])
        h = a
        if dropout_rng is not None and layer < last:
            h = _drop(a, buffers.kept[layer], buffers.h[layer], workspace.network.dropout, dropout_rng)
    return buffers.z[last], buffers.a[last]


def backward(
    parameters: Parameters,
    gradient: Parameters,
    X: Array,
    y: Array,
    loss: Loss,
    workspace: Workspace,
    row_weights: Array | None = None,
    uses_dropout: bool = False,
) -> None:
    """Gradient of the batch's cost into `gradient`, after `forward` on the same `X`.

    The cost is the mean over the batch of row loss times row weight (weights are 1 where `row_weights` (n_rows,) is
    None).
    """
    network = workspace.network
    n_rows = X.shape[0]
    buffers = workspace.rows(n_rows)
    last = network.n_layers - 1
    delta = buffers.delta[last]
    _output_delta(network, loss, buffers, y)
    if row_weights is not None:
        delta *= row_weights[:, None]
    delta *= 1.0 / n_rows
    for layer in range(last, -1, -1):
        delta = buffers.delta[layer]
        below = X if layer == 0 else (buffers.h if uses_dropout else buffers.a)[layer - 1]
        np.matmul(delta.T, below, out=gradient.W[layer])
        np.matmul(buffers.ones, delta, out=gradient.b[layer])
        if layer == 0:
            return
        delta_below = buffers.delta[layer - 1]
        np.matmul(delta, parameters.W[layer], out=delta_below)
        if uses_dropout:
            delta_below *= buffers.kept[layer - 1]
        workspace.activations[layer - 1].backward(
            delta_below, buffers.z[layer - 1], buffers.a[layer - 1], buffers.scratch[layer - 1]
        )


def output_blocks(
    network: Network, parameters: Parameters, X: Array, workspace: Workspace
) -> Iterator[tuple[slice, Array, Array]]:
    """Rows, logits and outputs, block after block; the arrays are overwritten by the next block."""
    block = workspace.max_rows
    for start in range(0, X.shape[0], block):
        rows = slice(start, min(start + block, X.shape[0]))
        z, a = forward(parameters, X[rows], workspace)
        yield rows, z, a


def predict(network: Network, parameters: Parameters, X: Array) -> Array:
    """Outputs (n_rows, n_out) of the network for inputs `X` (n_rows, n_in)."""
    workspace = Workspace(network, min(SCORING_ROWS, max(X.shape[0], 1)), parameters.flat.dtype)
    outputs = np.empty((X.shape[0], network.sizes[-1]), parameters.flat.dtype)
    # Inputs far outside what training saw may overflow on the way, where most activations saturate; the caller looks at
    # what comes out.
    with np.errstate(over="ignore", invalid="ignore"):
        for rows, _, a in output_blocks(network, parameters, X, workspace):
            outputs[rows] = a
    return outputs


def batch_loss(workspace: Workspace, loss: Loss, y: Array, row_weights: Array | None = None) -> float:
    """The cost of the batch that `forward` has just gone through: mean of row loss times row weight."""
    buffers = workspace.rows(y.shape[0])
    z, a = buffers.z[-1], buffers.a[-1]
    if row_weights is None and workspace.network.output_activation == loss.partner:
        total: float = loss.total(z, a, y, buffers.scratch[-1])
        return total / len(y)
    return mean_loss(workspace.network, loss, z, a, y, row_weights)


def mean_loss(network: Network, loss: Loss, z: Array, a: Array, y: Array, row_weights: Array | None = None) -> float:
    """The batch's cost: mean of row loss times row weight."""
    losses = row_losses(loss, network.output_activation, z, a, y)
    if row_weights is not None:
        losses = losses * row_weights
    return float(losses.mean())


def _leading(buffers: tuple[Array, ...], n_rows: int) -> tuple[Array, ...]:
    return tuple(buffer[:n_rows] for buffer in buffers)


def _drop(a: Array, kept: Array, h: Array, dropout: float, rng: np.random.Generator) -> Array:
    """Inverted dropout: the kept neurons are scaled up, so that prediction needs no change."""
    rng.random(dtype=kept.dtype, out=kept)
    np.greater_equal(kept, dropout, out=kept)
    kept *= 1.0 / (1.0 - dropout)
    np.multiply(a, kept, out=h)
    return h


def _output_delta(network: Network, loss: Loss, buffers: _Buffers, y: Array) -> None:
    """d loss / d z of the last layer; for a likelihood with its partner that is a - y."""
    z, a, delta, scratch = buffers.z[-1], buffers.a[-1], buffers.delta[-1], buffers.scratch[-1]
    if loss.is_likelihood and network.output_activation == loss.partner:
        np.subtract(a, y, out=delta)
        return
    loss.gradient(a, y, delta)
    ACTIVATIONS[network.output_activation].backward(delta, z, a, scratch)
