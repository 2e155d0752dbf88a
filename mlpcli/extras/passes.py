"""Compiled passes for the NumPy loop: each goes over its arrays once, where NumPy would for every operation.

Gathering a batch, clipping a gradient and adding up its rows are left to NumPy: one call each, and as quick.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.extras import kernels
from mlpcli.extras.coverage import HIDDEN, IDENTITY, MOMENTS, OPTIMIZERS, OUTPUTS, SIGMOID, SOFTMAX, optimizer_options
from mlpcli.nn.blocks import Block
from mlpcli.nn.losses import Loss
from mlpcli.nn.optimizers import AdamW, Optimizer
from mlpcli.nn.passes import Draws, NumpyPasses, lowest_kept
from mlpcli.nn.stepping import Update

Array = NDArray[np.floating[Any]]

KEEPING_Z = {"softmax": SOFTMAX, "sigmoid": SIGMOID, "identity": IDENTITY}
EMPTY = {np.dtype(kind): np.empty(0, kind) for kind in ("f4", "f8")}


class CompiledPasses(NumpyPasses):
    """Passes of Numba's making; NumPy's where the loss or the output activation is a rare one."""

    # One pass needs no cache, so a block is what makes the calls few and leaves two threads something to share.
    block_size = 131_072

    def activate(self, name: str, z: Array, b: Array, a: Array, scratch: Array) -> None:
        """See `Passes`; where f does not tell f', it is f' that stays in `z`."""
        kernels.activate_lines(HIDDEN[name], a.T, b, z.T)

    def activate_keeping_z(self, name: str, z: Array, b: Array, a: Array, scratch: Array) -> None:
        """See `Passes`."""
        if name in KEEPING_Z:
            kernels.activate_output(KEEPING_Z[name], z.T, b, a.T)
        else:
            super().activate_keeping_z(name, z, b, a, scratch)

    def drop(self, a: Array, draws: Draws, kept: Array, h: Array, dropout: float) -> None:
        """See `Passes`."""
        kernels.drop_lines(a.T, draws.T, kept.T, h.T, lowest_kept(dropout), 1.0 / (1.0 - dropout))

    def differentiate(self, name: str, delta: Array, kept: Array | None, z: Array, a: Array, scratch: Array) -> None:
        """See `Passes`."""
        if kept is not None:
            delta *= kept
        kernels.differentiate_lines(HIDDEN[name], delta.T, a.T, z.T)

    def batch_loss(
        self, loss: Loss, name: str, z: Array, a: Array, y: Array, row_weights: Array | None, scratch: Array
    ) -> float:
        """See `Passes`."""
        if loss.name not in OUTPUTS or name != loss.partner:
            return super().batch_loss(loss, name, z, a, y, row_weights, scratch)
        weights = EMPTY[z.dtype] if row_weights is None else row_weights
        total: float = kernels.sum_losses(OUTPUTS[loss.name], z.T, y.T, weights, scratch.T)
        return total / len(y)

    def output_delta(
        self, loss: Loss, name: str, z: Array, a: Array, y: Array, row_weights: Array | None, delta: Array,
        scratch: Array,
    ) -> None:  # fmt: skip
        """See `Passes`; with its partner, the delta of these losses is a - y."""
        if loss.name in OUTPUTS and name == loss.partner:
            kernels.subtract_targets(a.T, y.T, EMPTY[z.dtype] if row_weights is None else row_weights, delta.T)
        else:
            super().output_delta(loss, name, z, a, y, row_weights, delta, scratch)

    def update(self, optimizer: Optimizer) -> Update:
        """See `Passes`."""
        code, numbers, names = OPTIMIZERS[type(optimizer)], optimizer_options(optimizer), MOMENTS[optimizer.name]
        is_decoupled = isinstance(optimizer, AdamW)

        def update(block: Block, learning_rate: float, step: int, decay: float) -> None:
            none = EMPTY[block.flat.dtype]
            first, second = (*(block.state[name] for name in names if name in block.state), none, none)[:2]
            decay *= optimizer.weight_decay
            if is_decoupled:
                decay *= learning_rate * block.decay_rate
            kernels.update_block(
                code, numbers, learning_rate * block.rate, decay, block.epsilon, block.weights.size, block.flat,
                block.grad, first, second, step,
            )  # fmt: skip

        return update
