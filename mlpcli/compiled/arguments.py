"""What the compiled epoch is given, in bundles; imports no Numba."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]

# Of an instruction: its code; lines of input and output, where their panels and those of their deltas begin (-1: the
# gathered rows, or nothing below learns); the first column of the rows; spare panels; an option and sizes; where its
# tensors begin in the flat vector; into how many chunks of neurons it is cut, 0 where the rows are cut into blocks.
FIELDS = (
    "code", "n_in", "n_out", "x", "y", "dx", "dy", "first", "spare", "option", "size0", "size1", "size2", "p0", "p1",
    "p2", "p3", "chunks",
)  # fmt: skip
OP = np.dtype([(name, np.int64) for name in FIELDS])


class Sleep(NamedTuple):
    """The address of a function that lets a thread sleep, and for how long, in that function's unit."""

    address: int
    duration: int


class Blas(NamedTuple):
    """The address of BLAS's product for the dtype, 0 for none, and whether its integers have 64 bits."""

    address: int
    is_wide: bool


class Team(NamedTuple):
    """The threads that share a step.

    `counters` (2 x LINE,) holds at 0 how many have come to a barrier so far, and at LINE whether one has failed.
    """

    n_threads: int
    counters: IntArray
    sleep: Sleep


class Program(NamedTuple):
    """A network as instructions.

    The rows of a batch are cut into `n_blocks` blocks, and what is large into chunks of neurons, whatever the number of
    threads: BLAS rounds by the sizes of its matrices, and the result must not hang on how many share the work.

    A panel is the (width, n_rows) values of a layer's neurons, a contiguous part of `lines`; `rows` is the batch as
    gathered, row by row. `pieces` (n_pieces, 4) are instruction, first and last of its neurons (or columns) whose
    gradient is made at once, and where its updates begin; thread t has the pieces from `shares[t]` to `shares[t + 1]`.
    `updates` (n_updates, 3) are start, stop and number of the parameter group, `groups` (n_groups, 5) see
    `updates.update`. `salts` are those of dropout, `columns` those of periodic embeddings.
    """

    ops: Any
    pieces: IntArray
    shares: IntArray
    updates: IntArray
    groups: FloatArray
    salts: NDArray[np.uint32]
    columns: IntArray
    lines: FloatArray
    rows: FloatArray
    logits: int
    delta: int
    n_out: int
    output: int
    n_blocks: int


class Data(NamedTuple):
    """All training rows.

    `X` (n_rows, n_in); `targets` (n_rows, n_out), or by class with `class_codes` (n_rows,), else empty; `weights`
    (n_rows,) or empty.
    """

    X: FloatArray
    class_codes: NDArray[np.int32]
    targets: FloatArray
    weights: FloatArray


class Steps(NamedTuple):
    """Which steps of an epoch to take: `first` to `last` (excluded), on the rows drawn in `order` (n_rows,).

    `values` (n_steps, 6) are the `StepValues` of each step, `keys` (n_steps,) seed its noise. `n_taken` steps were
    taken before the epoch.
    """

    first: int
    last: int
    batch_size: int
    order: IntArray
    values: FloatArray
    keys: NDArray[np.uint32]
    n_taken: int


class Optimizer(NamedTuple):
    """Code and numbers of the rule, and the largest norm of a gradient or 0."""

    code: int
    numbers: FloatArray
    clip: float


class State(NamedTuple):
    """All parameters, their gradient, and what is kept for each of them: (n_parameters,), or empty."""

    flat: FloatArray
    gradient: FloatArray
    first: FloatArray
    second: FloatArray
    average: FloatArray


class Scratch(NamedTuple):
    """Targets of a batch (n_out x batch_size,); losses of its rows, three lines for softmax, weights (5, batch_size).

    `squares` (n_pieces,) are those of each piece's gradient.
    """

    y: FloatArray
    lines: FloatArray
    squares: FloatArray
