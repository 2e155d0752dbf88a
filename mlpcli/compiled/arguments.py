"""Argument bundles of the compiled epoch; does not import Numba."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]

# Fields of an instruction: its code; widths of input and output; the first neurons in the workspace of their panels (x
# and y) and deltas (dx and dy), -1 for the gathered rows or if no delta is needed; the first column of the gathered
# rows; the panel saved for the backward pass; an option and sizes; offsets of its tensors in the flat vector; the
# number of chunks of neurons it is split into, 0 if it is split into blocks of rows.
FIELDS = (
    "code", "n_in", "n_out", "x", "y", "dx", "dy", "first", "saved", "option", "size0", "size1", "size2", "p0", "p1",
    "p2", "p3", "chunks",
)  # fmt: skip
INSTRUCTION = np.dtype([(name, np.int64) for name in FIELDS])


class Blas(NamedTuple):
    """The address of cblas gemm for the dtype, 0 for none, and whether its integers have 64 bits (ILP64)."""

    address: int
    is_ilp64: bool


class ThreadGroup(NamedTuple):
    """The threads that share a step.

    `counters` (2 x CACHE_LINE,): item 0 counts arrivals at barriers, item CACHE_LINE is 1 after a thread failed.
    `sleep` is the address of a function by which a thread yields its core.
    """

    n_threads: int
    counters: IntArray
    sleep: int


class Program(NamedTuple):
    """A network as a table of instructions, with the memory that it needs for a batch.

    Small layers are split into `n_blocks` blocks of rows, large ones into chunks of neurons, see `division`.

    A panel is the feature-major (width, n_rows) array of a layer's values, a range of `workspace`; `rows` is the batch
    as gathered, row-major. `tiles` (n_tiles, 5) are the units of the gradient and the update: instruction, first and
    last of its neurons (or columns), first and last of its updates; `tile_ranks` (n_tiles,) are the ranks of their
    threads. `updates` (n_updates, 3) are start, stop and parameter group of a range of the flat vector,
    `groups` (n_groups, 5) the `ParameterGroup.factors`. `salts` are those of dropout, `columns` the numeric columns of
    periodic embeddings. `logits` and `delta` are the panels of z and d cost / d z, `output` the output activation,
    `y` (n_out x batch_size,) the targets. `row_values` (5, batch_size) has losses, 3 rows for softmax, and row weights.
    `squares` (n_tiles,) are the squared norms of the gradient of each tile.
    """

    ops: Any
    tiles: IntArray
    tile_ranks: IntArray
    updates: IntArray
    groups: FloatArray
    salts: NDArray[np.uint32]
    columns: IntArray
    workspace: FloatArray
    rows: FloatArray
    logits: int
    delta: int
    n_in: int
    n_out: int
    output: int
    n_blocks: int
    y: FloatArray
    row_values: FloatArray
    squares: FloatArray


class Data(NamedTuple):
    """All training rows.

    `X` (n_rows, n_in); `targets` (n_rows, n_out), or (n_classes, n_out) with `class_codes` (n_rows,), which are else
    empty; `weights` (n_rows,) or empty.
    """

    X: FloatArray
    class_codes: NDArray[np.int32]
    targets: FloatArray
    weights: FloatArray


class Steps(NamedTuple):
    """Steps `first` to `last` (excluded) of an epoch, on batches of the shuffled rows `order` (n_rows,).

    `values` (n_steps, 6) are the `StepValues` of each step, `keys` (n_steps,) seed their noise.
    `n_taken` is the number of steps before the epoch.
    """

    first: int
    last: int
    batch_size: int
    order: IntArray
    values: FloatArray
    keys: NDArray[np.uint32]
    n_taken: int


class Optimizer(NamedTuple):
    """Code and hyperparameters of the update rule; the largest gradient norm, 0 for no clipping; its state.

    The gradient (0 between steps), two state arrays and the average are (n_parameters,), or empty if there is none.
    """

    code: int
    hyperparameters: FloatArray
    clip: float
    smallest_normal: Any
    gradient: FloatArray
    first: FloatArray
    second: FloatArray
    average: FloatArray


class Training(NamedTuple):
    """All that the calls of `epoch.run_steps` for a member share; `flat` are its parameters (n_parameters,)."""

    threads: ThreadGroup
    blas: Blas
    program: Program
    data: Data
    flat: FloatArray
    optimizer: Optimizer
