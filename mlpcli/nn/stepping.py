"""One step of an optimizer on the whole vector: block after block, on several threads where that pays."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.blocks import BLOCK, Block, Stretch, lay_blocks
from mlpcli.nn.optimizers import Optimizer, State

Array = NDArray[np.floating[Any]]

# With fewer blocks than this, handing work to another thread costs more than it brings.
BLOCKS_WORTH_THREADS = 8

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
    n_threads: int = 1,
    stretches: Sequence[Stretch] = (),
    update: Update | None = None,
    block_size: int = BLOCK,
) -> Callable[..., None]:
    """A function that takes a step with a given learning rate, from what is in `grad`, on `flat` and `state` in place.

    Its second argument, 1 if not given, multiplies weight decay. `stretches` cover the vector; without any it is one.
    Threads share the blocks, each with its own; how many there are does not change a bit of the result. `update` takes
    the step on a block of at most `block_size` numbers, `numpy_update(optimizer)` if none is given.
    """
    update_block = update or numpy_update(optimizer)
    pieces = [
        (stretch, start, min(start + block_size, stretch.stop))
        for stretch in stretches or (Stretch(0, flat.size),)
        for start in range(stretch.start, stretch.stop, block_size)
    ]
    n_groups = n_threads if len(pieces) >= BLOCKS_WORTH_THREADS else 1
    groups = [lay_blocks(flat, grad, state, n_weights, pieces[n::n_groups]) for n in range(n_groups)]
    count = state["step"]

    def run(blocks: Sequence[Block], learning_rate: float, step: int, decay: float) -> None:
        for block in blocks:
            update_block(block, learning_rate, step, decay)

    def run_quietly(blocks: Sequence[Block], learning_rate: float, step: int, decay: float) -> None:
        with np.errstate(all="ignore"):  # the caller's choice does not reach another thread
            run(blocks, learning_rate, step, decay)

    def take_step(learning_rate: float, decay: float = 1.0) -> None:
        step = int(count) + 1
        count.fill(step)
        others = [_workers(n_groups - 1).submit(run_quietly, group, learning_rate, step, decay) for group in groups[1:]]
        run(groups[0], learning_rate, step, decay)
        for other in others:
            other.result()

    return take_step


@cache
def _workers(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n, thread_name_prefix="optimizer")


def _flush(block: Block) -> None:
    for values in block.state.values():
        np.abs(values, out=block.scratch)
        np.greater_equal(block.scratch, NEGLIGIBLE, out=block.scratch)
        values *= block.scratch
