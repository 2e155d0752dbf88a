"""The flat vectors in parts: stretches that are trained in one way, blocks that fit the cache.

A block of `BLOCK` numbers stays in the second-level cache, which makes Adam on two million parameters a third faster
than operations on whole vectors; and two threads can work on different blocks, longer ones (`training/neurons.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

BLOCK = 32_768
# The arrays of an optimizer's state that have an entry for each parameter; beside them it may hold what is not its own.
BLOCKWISE = ("velocity", "mean", "square", "square_sum")


@dataclass(frozen=True)
class Stretch:
    """A part of the flat vector that is trained in its own way.

    `rate` multiplies the learning rate; `decay_rate` does so where the rate says how much weights shrink; `epsilon`
    multiplies the optimizer's epsilon.
    """

    start: int
    stop: int
    rate: float = 1.0
    decay_rate: float = 1.0
    epsilon: float = 1.0


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the flat vectors that fits the cache: views, the optimizer's state for it, scratch of its length.

    `rate`, `decay_rate` and `epsilon` are those of its stretch.
    """

    flat: Array
    grad: Array
    weights: Array  # the part of `flat` that is weights: decay leaves biases alone
    state: Mapping[str, Array]
    scratch: Array
    rate: float
    decay_rate: float
    epsilon: float


def lay_blocks(
    flat: Array,
    grad: Array,
    state: Mapping[str, NDArray[Any]],
    n_weights: int,
    pieces: Sequence[tuple[Stretch, int, int]],
) -> tuple[Block, ...]:
    """The blocks of these pieces (stretch, start, stop), on one scratch."""
    scratch = np.empty(max((stop - start for _, start, stop in pieces), default=0), flat.dtype)
    blocks = []
    for stretch, start, stop in pieces:
        own = {name: values[start:stop] for name, values in state.items() if name in BLOCKWISE}
        weights = flat[start : max(start, min(stop, n_weights))]
        factors = (stretch.rate, stretch.decay_rate, stretch.epsilon)
        blocks.append(Block(flat[start:stop], grad[start:stop], weights, own, scratch[: stop - start], *factors))
    return tuple(blocks)
