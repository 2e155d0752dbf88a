"""The multi-layer perceptron: z(l) = W(l) a(l-1) + b(l), a(l) = f(z(l)), and its gradient by backpropagation.

Rows are samples, so a layer is `Z = A @ W.T + b`, and backwards `dW = delta.T @ A`, `dA = delta @ W`. With several
members every array has a leading axis, and the same lines compute all members at once. The forward and the backward
pass allocate next to nothing: a `Workspace` holds every buffer for the largest batch, and a shorter batch uses the
leading part of the same buffers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.architecture import Network as Network
from mlpcli.nn.hidden import mix_slopes, normalize, normalize_backward, split_slopes
from mlpcli.nn.losses import Loss, mean_row_loss
from mlpcli.nn.parameters import Parameters
from mlpcli.nn.passes import Draws, Passes
from mlpcli.nn.workspace import Buffers, by_member
from mlpcli.nn.workspace import Workspace as Workspace

Array = NDArray[np.floating[Any]]
# Takes the number of a layer (from 0), its delta (n_rows, n_out) and its entries (n_rows, n_in).
Keep = Callable[[int, Array, Array], None]

# Rows scored at once outside training: large enough for the matrix product, small enough for the cache.
SCORING_ROWS = 4096
# Rows of a block whose outputs are wanted for good, and its numbers of the widest layer; one network has one size.
PREDICTED_ROWS, PREDICTED_CELLS = 2048, 1 << 17
# Numbers drawn for dropout at once: an array that stays in the first-level cache.
DRAWN_AT_ONCE = 16_384


@dataclass(frozen=True)
class Dropout:
    """The neurons that one training step switches off: a share of them, drawn from the generator of each member.

    `drawn` (n_rows, n_out) of each hidden layer is what was drawn before, by `draw`, for rows that are a part of the
    step's.
    """

    share: float
    rngs: tuple[np.random.Generator, ...]
    drawn: Sequence[Draws] = ()


def forward(
    parameters: Parameters, X: Array, workspace: Workspace, dropout: Dropout | None = None
) -> tuple[Array, Array]:
    """Logits z and outputs a of the last layer, both (n_rows, n_out), as views into the workspace.

    `X` is (n_rows, n_in) of the parameters' dtype; with members everything has a leading axis, but `X` may be without
    one and is then the same for all. `dropout` is given in training only.
    """
    network, passes, buffers = workspace.network, workspace.passes, workspace.rows(X.shape[-2])
    last = network.n_layers - 1
    h = X if buffers.front is None else buffers.front.forward(parameters, X)
    for layer, name in enumerate(workspace.activations):
        np.matmul(h, _transposed(parameters.W[layer]), out=buffers.z[layer])
        if layer == last:
            _activate(passes.activate_keeping_z, name, by_member(parameters.b[layer], 1), buffers, layer)
            break
        if network.is_normalized:
            gain = parameters.tensors[f"gain{layer + 1}"]
            normalize(buffers.z[layer], gain, buffers.normal[layer], buffers.spread[layer])
        activate = passes.activate_keeping_z if network.learns_slopes else passes.activate
        _activate(activate, name, (parameters.b[layer].reshape(-1),), buffers, layer)
        below, h = h, buffers.a[layer]
        if network.learns_slopes:
            slope, h = parameters.tensors[f"slope{layer + 1}"], buffers.h[layer]
            mix_slopes(buffers.z[layer], buffers.a[layer], slope, buffers.excess[layer], h)
        if dropout is not None:
            h = _drop(passes, h, buffers, layer, dropout)
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
    share: float = 1.0,
    keep: Keep | None = None,
) -> None:
    """Gradient of the batch's cost into `gradient`, after `forward` on the same `X`.

    The cost of each member is the mean over its rows of row loss times row weight (weights are 1 where `row_weights`
    (n_rows,) is None). Rows that are a `share` of the step's give that much of its gradient. `keep` gets the delta and
    the entries of each layer in place of the product that makes the gradient of its weights of them.
    """
    network, passes, buffers = workspace.network, workspace.passes, workspace.rows(X.shape[-2])
    last = network.n_layers - 1
    inputs = X if buffers.front is None else buffers.front.entries
    rows = zip(by_member(y, 2), by_member(row_weights, 1, network.members), strict=True)
    views = (buffers.zs[last], buffers.as_[last], buffers.deltas[last], buffers.scratches[last])
    for (own, weights), z, a, delta, scratch in zip(rows, *views, strict=True):
        passes.output_delta(loss, network.output_activation, z, a, own, weights, delta, scratch)
    if share != 1.0:
        np.multiply(buffers.delta[last], share, out=buffers.delta[last])
    for layer in range(last, -1, -1):
        delta = buffers.delta[layer]
        below = inputs if layer == 0 else workspace.seen_above(buffers, layer - 1, uses_dropout)
        if keep is None:
            np.matmul(_transposed(delta), below, out=gradient.W[layer])
        else:
            keep(layer, delta, below)
        if layer == last or not network.is_normalized:
            np.matmul(buffers.ones, delta, out=gradient.b[layer])
        if layer == 0:
            break
        delta_below = buffers.delta[layer - 1]
        _send_back(delta, parameters.W[layer], out=delta_below)
        if workspace.adds_input[layer]:
            delta_below += buffers.passed[layer]
        if workspace.adds_input[layer - 1]:
            buffers.passed[layer - 1][...] = delta_below
        _hidden_backward(parameters, gradient, workspace, layer - 1, buffers, uses_dropout)
    if buffers.front is not None:
        # The entries' delta takes the place of the entries, which the product above was the last to need.
        np.matmul(buffers.delta[0], parameters.W[0], out=inputs)
        buffers.front.backward(parameters, gradient, X, inputs)


def _hidden_backward(
    parameters: Parameters,
    gradient: Parameters,
    workspace: Workspace,
    layer: int,
    buffers: Buffers,
    uses_dropout: bool,
) -> None:
    """Turn the delta of what a hidden layer gives, in place, into that of its product."""
    network, passes = workspace.network, workspace.passes
    delta, through = buffers.delta[layer], buffers.deltas[layer]
    kept: tuple[Array | None] = buffers.kepts[layer] if uses_dropout else (None,)
    differentiate = passes.differentiate_at_z if network.learns_slopes else passes.differentiate
    if network.learns_slopes:
        if uses_dropout:
            delta *= buffers.kept[layer]
            kept = (None,)
        name, through = f"slope{layer + 1}", buffers.hs[layer]
        split_slopes(
            delta, parameters.tensors[name], buffers.excess[layer], gradient.tensors[name], out=buffers.h[layer]
        )
    views = (buffers.zs[layer], buffers.as_[layer], buffers.scratches[layer])
    for part, factors, z, a, scratch in zip(through, kept, *views, strict=True):
        differentiate(network.activation, part, factors, z, a, scratch)
    if network.learns_slopes:
        delta += buffers.h[layer]
    if network.is_normalized:
        np.matmul(buffers.ones, delta, out=gradient.b[layer])  # the bias comes after the normalization
        gain = f"gain{layer + 1}"
        normalize_backward(
            delta, parameters.tensors[gain], buffers.normal[layer], buffers.spread[layer], gradient.tensors[gain]
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


def scoring_rows(network: Network, n_rows: int) -> int:
    """Rows of a block when `n_rows` rows are scored: all members together fill the buffers of one."""
    return max(1, min(SCORING_ROWS // network.members, n_rows))


def predict(network: Network, parameters: Parameters, X: Array) -> Array:
    """Outputs (n_rows, n_out) of the network, the mean over its members, for inputs `X` (n_rows, n_in).

    Blocks have one size, the last one is filled up: BLAS rounds by the number of rows, and the outputs of a row must
    not depend, not even in their last digit, on how many rows stand beside it.
    """
    block = max(64, min(PREDICTED_ROWS, PREDICTED_CELLS // max(network.widths))) // network.members or 1
    workspace = Workspace(network, block, parameters.flat.dtype)
    outputs = np.empty((X.shape[0], network.sizes[-1]), parameters.flat.dtype)
    # Inputs far outside what training saw may overflow on the way, where most activations saturate; the caller looks at
    # what comes out.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, X.shape[0], block):
            rows = X[start : start + block]
            n_rows = len(rows)
            if n_rows < block:
                rows = np.concatenate([rows, np.zeros((block - n_rows, X.shape[1]), X.dtype)])
            _, a = forward(parameters, rows, workspace)
            outputs[start : start + n_rows] = (a if network.members == 1 else a.mean(axis=0))[:n_rows]
    return outputs


def batch_losses(workspace: Workspace, loss: Loss, y: Array, row_weights: Array | None = None) -> list[float]:
    """Each member's cost of the batch that `forward` has just gone through, the mean over its rows."""
    network, buffers = workspace.network, workspace.rows(y.shape[-2])
    rows = zip(by_member(y, 2), by_member(row_weights, 1, network.members), strict=True)
    views = (buffers.zs[-1], buffers.as_[-1], buffers.scratches[-1])
    return [
        workspace.passes.batch_loss(loss, network.output_activation, z, a, own, weights, scratch)
        for (own, weights), z, a, scratch in zip(rows, *views, strict=True)
    ]


def mean_loss(network: Network, loss: Loss, z: Array, a: Array, y: Array, row_weights: Array | None = None) -> float:
    """The batch's cost: mean of row loss times row weight."""
    return mean_row_loss(loss, network.output_activation, z, a, y, row_weights)


def _send_back(delta: Array, W: Array, out: Array) -> None:
    """`delta` (n_rows, n_out) @ `W` (n_out, n_in), member by member."""
    if W.shape[-2] == 1:
        np.multiply(delta, W, out=out)  # the same numbers; BLAS takes five times as long for a product of vectors
    else:
        np.matmul(delta, W, out=out)


def _transposed(array: Array) -> Array:
    """Rows and columns exchanged, member by member."""
    return array.T if array.ndim == 2 else array.swapaxes(1, 2)


def _activate(
    activate: Callable[[str, Array, Array, Array, Array], None],
    name: str,
    biases: tuple[Array, ...],
    buffers: Buffers,
    layer: int,
) -> None:
    views = (buffers.zs[layer], biases, buffers.as_[layer], buffers.scratches[layer])
    for z, b, a, scratch in zip(*views, strict=True):
        activate(name, z, b, a, scratch)


def _drop(passes: Passes, a: Array, buffers: Buffers, layer: int, dropout: Dropout) -> Array:
    """Inverted dropout: the kept neurons are scaled up, so that prediction needs no change."""
    if dropout.drawn:
        passes.drop(a, dropout.drawn[layer], buffers.kept[layer], buffers.h[layer], dropout.share)
        return buffers.h[layer]
    views = (by_member(array, 2) for array in (a, buffers.kept[layer], buffers.h[layer]))
    for part, factors, h, rng in zip(*views, dropout.rngs, strict=True):
        for neurons, draws in draw(rng, *part.shape):
            passes.drop(part[:, neurons], draws, factors[:, neurons], h[:, neurons], dropout.share)
    return buffers.h[layer]


def draw(rng: np.random.Generator, n_rows: int, width: int) -> Iterator[tuple[slice, Draws]]:
    """Whole numbers (n_rows, n) uniform below 2^16, four from each number of the generator, some neurons at a time."""
    at_once = max(1, DRAWN_AT_ONCE // n_rows)
    for start in range(0, width, at_once):
        neurons = slice(start, min(start + at_once, width))
        size = (neurons.stop - start) * n_rows
        yield neurons, rng.bit_generator.random_raw(-(-size // 4)).view(np.uint16)[:size].reshape(-1, n_rows).T
