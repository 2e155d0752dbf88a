"""One step of an optimizer on the whole vector, block after block."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.blocks import BLOCK, Block, Stretch, lay_blocks
from mlpcli.nn.optimizers import Optimizer, State

Array = NDArray[np.floating[Any]]

# A running average decays by a constant factor and ends in denormal numbers, which are many times slower on every
# x86 core. Sweeping what is below any useful size to zero this often is cheaper than one slow step.
FLUSH_EVERY = 16
NEGLIGIBLE = 1e-30

# Takes a step on a block, given the learning rate, the number of the step (from 1) and the factor of weight decay.
Update = Callable[[Block, float, int, float], None]


def numpy_update(optimizer: Optimizer) -> Update:
    """The optimizer's own update, with the sweep of denormal numbers."""

    def update(block: Block, learning_rate: float, step: int, decay: float) -> None:
        optimizer.update(block, learning_rate, step, decay)
        if step % FLUSH_EVERY == 0:
            _flush(block)

    return update


def bind(
    optimizer: Optimizer,
    flat: Array,
    grad: Array,
    state: State,
    n_weights: int,
    stretches: Sequence[Stretch] = (),
    update: Update | None = None,
    block_size: int = BLOCK,
) -> Callable[..., None]:
    """A function that takes a step with a given learning rate, from what is in `grad`, on `flat` and `state` in place.

    Its second argument, 1 if not given, multiplies weight decay. `stretches` cover the vector; without any it is one.
    `update` takes the step on a block of at most `block_size` numbers, `numpy_update(optimizer)` if none is given; the
    size does not change a bit of the result.
    """
    update_block = update or numpy_update(optimizer)
    pieces = [
        (stretch, start, min(start + block_size, stretch.stop))
        for stretch in stretches or (Stretch(0, flat.size),)
        for start in range(stretch.start, stretch.stop, block_size)
    ]
    blocks, count = lay_blocks(flat, grad, state, n_weights, pieces), state["step"]

    def take_step(learning_rate: float, decay: float = 1.0) -> None:
        step = int(count) + 1
        count.fill(step)
        for block in blocks:
            update_block(block, learning_rate, step, decay)

    return take_step


def _flush(block: Block) -> None:
    for values in block.state.values():
        np.abs(values, out=block.scratch)
        np.greater_equal(block.scratch, NEGLIGIBLE, out=block.scratch)
        values *= block.scratch
