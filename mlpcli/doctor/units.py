"""Checks of dead or saturated hidden units, and of vanishing or exploding gradients."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.doctor.finding import Finding
from mlpcli.messages import format_count
from mlpcli.nn.chain import AnyLayer, Residual
from mlpcli.nn.layers import Activation, Array
from mlpcli.nn.losses import Loss
from mlpcli.nn.network import LossAndGradient, Network

BATCH_ROWS = 1024
# A unit is dead if its range is below this fraction of the largest range in its layer.
NEGLIGIBLE = 1e-6
# A sigmoid or tanh unit is saturated if its slope is below FLAT of the steepest, in NEARLY_ALL of the rows.
FLAT, NEARLY_ALL = 0.04, 0.95
# Fractions of dead or saturated units of a layer that are reported.
MANY_DEAD, MANY_SATURATED = 1 / 3, 0.5
# Ratio of the root mean square gradients of two layers that is reported.
FAR_APART = 1e4


class UnitCounts:
    """The range of each hidden unit over rows, and the number of rows where it is saturated."""

    def __init__(self, network: Network, flat: Array) -> None:
        self.network, self._flat = network, flat
        self.n_rows = 0
        self.layers: list[tuple[str, Array, Array, NDArray[np.int64]]] = []  # activation, lowest, highest, saturated

    def add(self, X: Array) -> None:
        """Count rows (n_rows, n_in)."""
        params = self.network.unflatten(self._flat)
        for start in range(0, len(X), BATCH_ROWS):
            x = X[start : start + BATCH_ROWS]
            buffers = self.network.buffers(len(x), self._flat.dtype, is_training=False)
            with np.errstate(all="ignore"):
                activations = list(_activations(self.network.layers, params, buffers, x))
            for index, (layer, a) in enumerate(activations):
                low, high, n_flat = a.min(axis=0), a.max(axis=0), _n_flat(layer, a)
                if index < len(self.layers):
                    _, previous_low, previous_high, previous = self.layers[index]
                    low, high = np.minimum(low, previous_low), np.maximum(high, previous_high)
                    n_flat = n_flat + previous
                self.layers[index : index + 1] = [(layer.function, low, high, n_flat)]
            self.n_rows += len(x)

    @property
    def dead(self) -> list[NDArray[np.bool_]]:
        """For each hidden layer, which units are constant over all rows (width,)."""
        ranges = [high - low for _, low, high, _ in self.layers]
        return [layer <= NEGLIGIBLE * max(float(layer.max(initial=0.0)), 1e-30) for layer in ranges]

    @property
    def saturated(self) -> list[NDArray[np.bool_]]:
        """For each hidden layer, which units are saturated (width,)."""
        return [n_flat >= NEARLY_ALL * self.n_rows for _, _, _, n_flat in self.layers]


def _activations(layers: Sequence[AnyLayer], params: Any, buffers: Any, x: Array) -> Iterator[tuple[Activation, Array]]:
    """Each activation in order, including those in residual layers, and its output (n_rows, width)."""
    for layer, layer_params, layer_buffers in zip(layers, params, buffers, strict=True):
        if isinstance(layer, Residual):
            yield from _activations(layer.layers, layer_params, layer_buffers[0], x)
        x = layer.forward(x, layer_params, layer_buffers)
        if isinstance(layer, Activation):
            yield layer, x


def _n_flat(layer: Activation, a: Array) -> NDArray[np.int64]:
    """The number of rows in which each unit is saturated (width,)."""
    if layer.is_learnt or layer.function not in ("sigmoid", "tanh"):
        return np.zeros(a.shape[1], np.int64)
    slopes = 4.0 * a * (1.0 - a) if layer.function == "sigmoid" else 1.0 - a * a
    return np.asarray(np.count_nonzero(slopes < FLAT, axis=0), np.int64)


def idle_units(members: Sequence[UnitCounts], rate_key: str, activation: str) -> list[Finding]:
    """Layers with many dead or saturated units, counted over all members."""
    findings: list[Finding] = []
    for number in range(min((len(member.layers) for member in members), default=0)):
        n_rows = members[0].n_rows
        for what, state, min_fraction in (("dead", "dead", MANY_DEAD), ("saturated", "saturated", MANY_SATURATED)):
            units = np.concatenate([getattr(member, state)[number] for member in members])
            n = int(units.sum())
            if n < 2 or n < min_fraction * len(units):
                continue
            values = {"layer": number + 1, what: n, "units": len(units), "rows": n_rows}
            fact = f"{n} of {format_count(len(units), 'unit')} of hidden layer {number + 1}"
            if what == "dead":
                other = "leaky_relu" if activation == "relu" else "tanh"
                findings.append(
                    Finding(
                        f"{fact} are constant over all rows ({format_count(n_rows, 'row')})",
                        "They contribute nothing and no longer learn (dead units).",
                        f"Try a smaller {rate_key}, or model.activation: {other}",
                        values,
                    )
                )
            else:
                findings.append(
                    Finding(
                        f"{fact} are saturated, at an end of their {activation} in {NEARLY_ALL:.0%} of the rows "
                        f"or more",
                        "Their gradient is almost 0, so they barely learn.",
                        f"Try a smaller {rate_key}, preprocess.numeric: standardize, or model.activation: relu",
                        values,
                    )
                )
    return findings


def gradient_sizes(network: Network, loss: Loss, flat: Array, X: Array, y: Array) -> NDArray[np.float64]:
    """The root mean square gradient of a row in each weight matrix, from the first layer on (n_layers,).

    The gradients of rows cancel out in a converged network. With a random sign for each row they do not: the norm of
    their sum is that of one row times the square root of their number.
    """
    gradient, signs = np.zeros_like(flat), np.random.default_rng(0).choice([-1.0, 1.0], len(X))
    with np.errstate(all="ignore"):
        LossAndGradient(network, loss, flat, gradient)(X, y, (signs * np.sqrt(len(X))).astype(flat.dtype))
    views = network.named_views(gradient)
    weight_names = [named.name for named in network.tensors if named.tensor.group == "weights"]
    sizes = [float(np.sqrt(np.mean(np.square(views[name], dtype=np.float64)))) for name in weight_names]
    return np.asarray(sizes, np.float64)


def uneven_gradient(fresh: NDArray[np.float64], trained: NDArray[np.float64], activation: str) -> list[Finding]:
    """A gradient that vanishes or explodes both before and after training; sizes as from `gradient_sizes`.

    A training that has recovered from a bad start is not reported.
    """
    if len(fresh) < 2 or not (np.isfinite(fresh).all() and np.isfinite(trained).all()):
        return []
    ratios = [_ratio(sizes) for sizes in (fresh, trained)]
    if all(ratio < 1.0 / FAR_APART for ratio in ratios):
        what, ratio_text = "vanishes", f"1/{1.0 / max(ratios[1], 1e-30):.1e}"
    elif all(ratio > FAR_APART for ratio in ratios):
        what, ratio_text = "explodes", f"{ratios[1]:.1e}"
    else:
        return []
    remedy = "relu" if activation in ("sigmoid", "tanh") else "tanh"
    return [
        Finding(
            f"the gradient {what} in backpropagation: that of layer 1 is {ratio_text} of that of layer {len(fresh)}",
            "The first layers hardly learn."
            if what == "vanishes"
            else ("The first layers take steps that are too large."),
            f"Try model.layer_norm: true, model.residual: true, fewer model.layers, or model.activation: {remedy}",
            {"first": float(trained[0]), "last": float(trained[-1]), "layers": len(fresh)},
        )
    ]


def _ratio(sizes: NDArray[np.float64]) -> float:
    return float(sizes[0] / sizes[-1]) if sizes[-1] > 0.0 else 1.0 if sizes[0] == 0.0 else np.inf
