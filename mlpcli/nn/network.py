"""The multi-layer perceptron: z(l) = W(l) a(l-1) + b(l), a(l) = f(z(l)), and its gradient by backpropagation.

Rows are samples, so a layer is `Z = A @ W.T + b`, and backwards `dW = delta.T @ A`, `dA = delta @ W`. With several
members every array has a leading axis, and the same lines compute all members at once. The forward and the backward
pass allocate next to nothing: a `Workspace` holds every buffer for the largest batch, and a shorter batch uses the
leading part of the same buffers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.architecture import Network as Network
from mlpcli.nn.front import FrontPass
from mlpcli.nn.hidden import mix_slopes, normalize, normalize_backward, split_slopes
from mlpcli.nn.losses import Loss, row_losses
from mlpcli.nn.parameters import Parameters

Array = NDArray[np.floating[Any]]

# Rows scored at once outside training: large enough for the matrix product, small enough for the cache.
SCORING_ROWS = 4096


@dataclass(frozen=True)
class Dropout:
    """The neurons that one training step switches off: a share of them, drawn from `rng`."""

    share: float
    rng: np.random.Generator


class _Buffers:
    """What a batch of `n_rows` rows needs, layer by layer; all (n_rows, widths[layer + 1]), behind the members' axis.

    `h` is what the next layer sees: a, or what slopes, dropout and the layer's input make of it.
    """

    def __init__(self, network: Network, n_rows: int, take: Callable[[str, tuple[int, ...]], Array]) -> None:
        leading = (network.members,) if network.members > 1 else ()
        last, widths = network.n_layers - 1, network.widths[1:]

        def layers(name: str, first: int, until: int) -> tuple[Array, ...]:
            return tuple(take(f"{name}{layer}", (*leading, n_rows, widths[layer])) for layer in range(first, until))

        self.a = layers("a", 0, last + 1)
        # The output keeps its z for the losses on logits; a hidden layer only where a derivative needs it.
        keeps_z = network.learns_slopes or ACTIVATIONS[network.activation].needs_z
        self.z = (*(layers("z", 0, last) if keeps_z else self.a[:last]), *layers("z", last, last + 1))
        has_own_h = network.dropout or network.is_residual or network.learns_slopes
        self.h = layers("h", 0, last) if has_own_h else self.a[:last]
        self.kept = layers("kept", 0, last) if network.dropout else ()
        self.delta = layers("delta", 0, last + 1)
        self.scratch = layers("scratch", 0, last + 1)
        self.excess = layers("excess", 0, last) if network.learns_slopes else ()
        self.normal = layers("normal", 0, last) if network.is_normalized else ()
        self.spread = tuple(np.empty((*leading, n_rows, 1), a.dtype) for a in self.normal)
        self.passed = layers("passed", 0, last) if network.is_residual else ()
        self.ones = np.ones(n_rows, self.a[0].dtype)  # ones @ delta sums the rows faster than delta.sum(axis=0)
        self.front = None if network.front.is_empty else FrontPass(network, n_rows, self.a[0].dtype)
        self.n_rows = n_rows


class Workspace:
    """Preallocated buffers for batches of up to `max_rows` rows (of each member)."""

    def __init__(self, network: Network, max_rows: int, dtype: DTypeLike = np.float32) -> None:
        self.network = network
        self.max_rows = max_rows
        self.activations = tuple(ACTIVATIONS[network.activation_of(layer)] for layer in range(network.n_layers))
        self.adds_input = tuple(network.adds_input(layer) for layer in range(network.n_layers))
        self._dtype = dtype
        self._pool: dict[str, Array] = {}
        self._by_rows = {max_rows: _Buffers(network, max_rows, self._take)}

    def rows(self, n_rows: int) -> _Buffers:
        """Buffers for a batch of `n_rows` <= `max_rows`; made once for each size seen, on the same memory."""
        if n_rows not in self._by_rows:
            self._by_rows[n_rows] = _Buffers(self.network, n_rows, self._take)
        return self._by_rows[n_rows]

    def entries(self, layer: int, X: Array) -> Array:
        """What layer `layer` has seen of the batch `X` that `forward` has just gone through, without dropout."""
        buffers = self.rows(X.shape[-2])
        if layer:
            return _seen_above(self, buffers, layer - 1, uses_dropout=False)
        return X if buffers.front is None else buffers.front.entries

    def _take(self, name: str, shape: tuple[int, ...]) -> Array:
        """The leading part of the buffer of that name; the largest batch, which comes first, makes it."""
        size = int(np.prod(shape))
        if name not in self._pool:
            self._pool[name] = np.empty(size, self._dtype)
        return self._pool[name][:size].reshape(shape)


def forward(
    parameters: Parameters, X: Array, workspace: Workspace, dropout: Dropout | None = None
) -> tuple[Array, Array]:
    """Logits z and outputs a of the last layer, both (n_rows, n_out), as views into the workspace.

    `X` is (n_rows, n_in) of the parameters' dtype; with members everything has a leading axis, but `X` may be without
    one and is then the same for all. `dropout` is given in training only.
    """
    network, buffers = workspace.network, workspace.rows(X.shape[-2])
    last = network.n_layers - 1
    h = X if buffers.front is None else buffers.front.forward(parameters, X)
    for layer, activation in enumerate(workspace.activations):
        z, a = buffers.z[layer], buffers.a[layer]
        np.matmul(h, _transposed(parameters.W[layer]), out=z)
        z += _over_rows(parameters.b[layer])
        if layer == last:
            activation.apply(_flat(z), _flat(a), _flat(buffers.scratch[layer]))
            break
        if network.is_normalized:
            gain, shift = parameters.tensors[f"gain{layer + 1}"], parameters.tensors[f"shift{layer + 1}"]
            normalize(z, gain, shift, buffers.normal[layer], buffers.spread[layer])
        activation.apply(z, a, buffers.scratch[layer])
        below, h = h, a
        if network.learns_slopes:
            h = buffers.h[layer]
            mix_slopes(z, a, parameters.tensors[f"slope{layer + 1}"], buffers.excess[layer], h)
        if dropout is not None:
            h = _drop(h, buffers.kept[layer], buffers.h[layer], dropout)
        if workspace.adds_input[layer]:
            h = np.add(h, below, out=buffers.h[layer])
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

    The cost of each member is the mean over its rows of row loss times row weight (weights are 1 where `row_weights`
    (n_rows,) is None).
    """
    network = workspace.network
    buffers = workspace.rows(X.shape[-2])
    last = network.n_layers - 1
    inputs = X if buffers.front is None else buffers.front.entries
    delta = buffers.delta[last]
    _output_delta(network, loss, buffers, y)
    if row_weights is not None:
        delta *= row_weights[..., None]
    delta *= 1.0 / buffers.n_rows
    for layer in range(last, -1, -1):
        delta = buffers.delta[layer]
        below = inputs if layer == 0 else _seen_above(workspace, buffers, layer - 1, uses_dropout)
        np.matmul(_transposed(delta), below, out=gradient.W[layer])
        np.matmul(buffers.ones, delta, out=gradient.b[layer])
        if layer == 0:
            break
        delta_below = buffers.delta[layer - 1]
        np.matmul(delta, parameters.W[layer], out=delta_below)
        if workspace.adds_input[layer]:
            delta_below += buffers.passed[layer]
        if workspace.adds_input[layer - 1]:
            buffers.passed[layer - 1][...] = delta_below
        if uses_dropout:
            delta_below *= buffers.kept[layer - 1]
        _hidden_backward(parameters, gradient, workspace, buffers, layer - 1)
    if buffers.front is not None:
        # The entries' delta takes the place of the entries, which the product above was the last to need.
        np.matmul(buffers.delta[0], parameters.W[0], out=inputs)
        if workspace.adds_input[0]:
            inputs += buffers.passed[0]
        buffers.front.backward(parameters, gradient, X, inputs)


def _hidden_backward(
    parameters: Parameters, gradient: Parameters, workspace: Workspace, buffers: _Buffers, layer: int
) -> None:
    """Turn the delta of a hidden layer's activation, in place, into that of its product."""
    network, activation = workspace.network, workspace.activations[layer]
    delta, z, a, scratch = buffers.delta[layer], buffers.z[layer], buffers.a[layer], buffers.scratch[layer]
    if network.learns_slopes:
        name = f"slope{layer + 1}"
        through = buffers.h[layer]
        split_slopes(delta, parameters.tensors[name], buffers.excess[layer], gradient.tensors[name], through)
        activation.backward(through, z, a, scratch)
        delta += through
    else:
        activation.backward(delta, z, a, scratch)
    if network.is_normalized:
        gain, shift = f"gain{layer + 1}", f"shift{layer + 1}"
        normalize_backward(
            delta, parameters.tensors[gain], buffers.normal[layer], buffers.spread[layer],
            gradient.tensors[gain], gradient.tensors[shift],
        )  # fmt: skip


def output_blocks(
    network: Network, parameters: Parameters, X: Array, workspace: Workspace
) -> Iterator[tuple[slice, Array, Array]]:
    """Rows, logits and outputs, block after block; the arrays are overwritten by the next block."""
    block = workspace.max_rows
    for start in range(0, X.shape[0], block):
        rows = slice(start, min(start + block, X.shape[0]))
        z, a = forward(parameters, X[rows], workspace)
        yield rows, z, a


def scoring_rows(network: Network, n_rows: int) -> int:
    """Rows of a block when `n_rows` rows are scored: all members together fill the buffers of one."""
    return max(1, min(SCORING_ROWS // network.members, n_rows))


def predict(network: Network, parameters: Parameters, X: Array) -> Array:
    """Outputs (n_rows, n_out) of the network, the mean over its members, for inputs `X` (n_rows, n_in)."""
    workspace = Workspace(network, scoring_rows(network, X.shape[0]), parameters.flat.dtype)
    outputs = np.empty((X.shape[0], network.sizes[-1]), parameters.flat.dtype)
    # Inputs far outside what training saw may overflow on the way, where most activations saturate; the caller looks at
    # what comes out.
    with np.errstate(over="ignore", invalid="ignore"):
        for rows, _, a in output_blocks(network, parameters, X, workspace):
            outputs[rows] = a if network.members == 1 else a.mean(axis=0)
    return outputs


def batch_loss(workspace: Workspace, loss: Loss, y: Array, row_weights: Array | None = None) -> float:
    """The cost of the batch that `forward` has just gone through, the mean over its rows and the members."""
    buffers = workspace.rows(y.shape[-2])
    z, a = buffers.z[-1], buffers.a[-1]
    if row_weights is None and workspace.network.output_activation == loss.partner:
        n_losses: int = y.size // y.shape[-1]
        total: float = loss.total(_flat(z), _flat(a), _flat(y), _flat(buffers.scratch[-1]))
        return total / n_losses
    weights = None if row_weights is None else row_weights.ravel()
    return mean_loss(workspace.network, loss, _flat(z), _flat(a), _flat(y), weights)


def mean_loss(network: Network, loss: Loss, z: Array, a: Array, y: Array, row_weights: Array | None = None) -> float:
    """The batch's cost: mean of row loss times row weight."""
    losses = row_losses(loss, network.output_activation, z, a, y)
    if row_weights is not None:
        losses = losses * row_weights
    return float(losses.mean())


def _transposed(array: Array) -> Array:
    """Rows and columns exchanged, member by member."""
    return array.T if array.ndim == 2 else array.swapaxes(1, 2)


def _over_rows(vector: Array) -> Array:
    """A vector, or one for each member, ready to be added to all rows."""
    return vector if vector.ndim == 1 else vector[:, None, :]


def _flat(array: Array) -> Array:
    """The rows of all members one after the other."""
    return array if array.ndim == 2 else array.reshape(-1, array.shape[-1])


def _seen_above(workspace: Workspace, buffers: _Buffers, layer: int, uses_dropout: bool) -> Array:
    """What the layer above `layer` has seen."""
    has_own = uses_dropout or workspace.network.learns_slopes or workspace.adds_input[layer]
    return (buffers.h if has_own else buffers.a)[layer]


def _drop(a: Array, kept: Array, h: Array, dropout: Dropout) -> Array:
    """Inverted dropout: the kept neurons are scaled up, so that prediction needs no change."""
    dropout.rng.random(dtype=kept.dtype, out=kept)
    np.greater_equal(kept, dropout.share, out=kept)
    kept *= 1.0 / (1.0 - dropout.share)
    np.multiply(a, kept, out=h)
    return h


def _output_delta(network: Network, loss: Loss, buffers: _Buffers, y: Array) -> None:
    """d loss / d z of the last layer; for a likelihood with its partner that is a - y."""
    z, a, delta, scratch = buffers.z[-1], buffers.a[-1], buffers.delta[-1], buffers.scratch[-1]
    if loss.is_likelihood and network.output_activation == loss.partner:
        np.subtract(a, y, out=delta)
        return
    loss.gradient(a, y, delta)
    ACTIVATIONS[network.output_activation].backward(_flat(delta), _flat(z), _flat(a), _flat(scratch))
