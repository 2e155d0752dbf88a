"""The passes over a batch that stand between the matrix products, and how NumPy makes them.

A step of training is matrix products and passes. The products are always NumPy's; who makes the passes is a choice:
`NumpyPasses` takes one NumPy call for each operation, and an object with the same methods may take fewer. Shapes: `z`,
`a`, `h`, `kept`, `delta` and `scratch` are (n_rows, n_out), laid out as `nn.network.Workspace` does; `b` is (n_out,);
`row_weights` are (n_rows,) or None.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.blocks import BLOCK
from mlpcli.nn.losses import Loss, mean_row_loss
from mlpcli.nn.optimizers import Optimizer
from mlpcli.nn.stepping import Update, numpy_update

Array = NDArray[np.floating[Any]]
Draws = NDArray[np.uint16]  # uniform whole numbers: in steps of 2^-16, fine enough for a share


def lowest_kept(dropout: float) -> np.uint16:
    """Draws from here on keep their neuron; the largest always does."""
    return np.uint16(min(round(dropout * 2**16), 2**16 - 1))


class Passes(Protocol):
    """Whoever makes the passes."""

    @property
    def block_size(self) -> int:
        """How much of the parameter vector one call of an update gets."""

    def activate(self, name: str, z: Array, b: Array, a: Array, scratch: Array) -> None:
        """f(z + b) into `a`; what `differentiate` will need stays in `z`, which may be `a` itself."""

    def activate_keeping_z(self, name: str, z: Array, b: Array, a: Array, scratch: Array) -> None:
        """`z` += `b`, and f(z) into `a`, for layers of which more than the next layer sees z."""

    def drop(self, a: Array, draws: Draws, kept: Array, h: Array, dropout: float) -> None:
        """`kept` becomes 0 where `draws` / 2^16 is below `dropout`, else 1 / (1 - `dropout`); `a` times it is `h`."""

    def differentiate(self, name: str, delta: Array, kept: Array | None, z: Array, a: Array, scratch: Array) -> None:
        """`delta` times `kept`, where it is given, times f', after `activate`; uses up `z` and `a`."""

    def differentiate_at_z(
        self, name: str, delta: Array, kept: Array | None, z: Array, a: Array, scratch: Array
    ) -> None:
        """The same after `activate_keeping_z`."""

    def batch_loss(
        self, loss: Loss, name: str, z: Array, a: Array, y: Array, row_weights: Array | None, scratch: Array
    ) -> float:
        """The batch's cost: mean of row loss times row weight; `name` is the output activation."""

    def output_delta(
        self, loss: Loss, name: str, z: Array, a: Array, y: Array, row_weights: Array | None, delta: Array,
        scratch: Array,
    ) -> None:  # fmt: skip
        """d cost / d z into `delta`; uses up `z` and `a`."""

    def update(self, optimizer: Optimizer) -> Update:
        """What takes the optimizer's step on a block."""


class NumpyPasses:
    """A NumPy call for each operation; there is nothing these cannot do."""

    block_size = BLOCK

    def activate(self, name: str, z: Array, b: Array, a: Array, scratch: Array) -> None:
        """See `Passes`."""
        z += b
        ACTIVATIONS[name].apply(z, a, scratch)

    activate_keeping_z = activate

    def drop(self, a: Array, draws: Draws, kept: Array, h: Array, dropout: float) -> None:
        """See `Passes`."""
        np.greater_equal(draws, lowest_kept(dropout), out=kept)
        kept *= 1.0 / (1.0 - dropout)
        np.multiply(a, kept, out=h)

    def differentiate(self, name: str, delta: Array, kept: Array | None, z: Array, a: Array, scratch: Array) -> None:
        """See `Passes`."""
        if kept is not None:
            delta *= kept
        ACTIVATIONS[name].backward(delta, z, a, scratch)

    differentiate_at_z = differentiate

    def batch_loss(
        self, loss: Loss, name: str, z: Array, a: Array, y: Array, row_weights: Array | None, scratch: Array
    ) -> float:
        """See `Passes`."""
        if row_weights is None and name == loss.partner:
            return loss.total(z, a, y, scratch) / len(y)
        return mean_row_loss(loss, name, z, a, y, row_weights)

    def output_delta(
        self, loss: Loss, name: str, z: Array, a: Array, y: Array, row_weights: Array | None, delta: Array,
        scratch: Array,
    ) -> None:  # fmt: skip
        """For a likelihood with its partner, d loss / d z is a - y."""
        if loss.is_likelihood and name == loss.partner:
            np.subtract(a, y, out=delta)
        else:
            loss.gradient(a, y, delta)
            ACTIVATIONS[name].backward(delta, z, a, scratch)
        if row_weights is not None:
            delta *= row_weights[:, None]
        delta *= 1.0 / len(y)

    def update(self, optimizer: Optimizer) -> Update:
        """See `Passes`."""
        return numpy_update(optimizer)


NUMPY = NumpyPasses()
