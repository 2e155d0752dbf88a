"""What the compiled loop over the steps of an epoch is given, in bundles; imports no Numba."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]
RowArray = NDArray[np.signedinteger[Any]]  # int32, unless there are more rows than that holds
CodeArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]

LINE = 16  # numbers between two counters, so that they are never on the same line of a cache
# Of the constants in cblas.h.
ROW_MAJOR, AS_IT_IS, TURNED_OVER = 101, 111, 112
# Lines of `Buffers.scratch`; FACTORS, row weights over the number of rows, when the losses need it no more.
LOSSES, FACTORS, ROW_WEIGHTS, SCRATCH_LINES = 0, 1, 4, 5


class Nap(NamedTuple):
    """The address of a function that lets a thread sleep, and for how long, in that function's unit."""

    address: int
    duration: int


class Team(NamedTuple):
    """The threads that share a step: how many, where they count themselves, and how they wait.

    `meeting` (2 x LINE,) holds at 0 how many have come to a meeting so far, and at LINE whether all are to go home.
    """

    n_threads: int
    meeting: IntArray
    nap: Nap


class Blas(NamedTuple):
    """The address of BLAS's product for the dtype, 0 for none, and whether its integers have 64 bits."""

    address: int
    is_wide: bool


class Data(NamedTuple):
    """All training rows.

    `X` (n_rows, n_in); `targets` (n_rows, n_out), or by class with `class_codes` (n_rows,), else empty; `weights`
    (n_rows,) or empty.
    """

    X: FloatArray
    class_codes: CodeArray
    targets: FloatArray
    weights: FloatArray


class Shape(NamedTuple):
    """Of a network: its sizes, the codes of its activations, and where everything of a layer begins.

    `neurons` is where a layer's lines begin in `Buffers.a`, `slope` and `delta`; `weights` and `biases` are places in
    the parameter vector. Threads share the neurons of a layer where `by_neurons`, else the rows.
    """

    sizes: IntArray
    hidden: int
    output: int
    neurons: IntArray
    weights: IntArray
    biases: IntArray
    by_neurons: BoolArray


class Rules(NamedTuple):
    """Of the optimizer: code and numbers, weight decay, the learning rate of each step, the largest norm or 0."""

    code: int
    options: FloatArray
    decay: float
    rates: FloatArray
    clip: float


class State(NamedTuple):
    """All parameters, and what the optimizer keeps for each of them: (n_parameters,), or empty where it keeps less."""

    flat: FloatArray
    first: FloatArray
    second: FloatArray


class Buffers(NamedTuple):
    """What the threads share.

    `inputs` (batch_size x n_in,); `a`, `slope` and `delta` (batch_size x all neurons,), each layer's behind those of
    the layer below; `y` (n_out x batch_size,), `scratch` (SCRATCH_LINES, batch_size); `sums` (2, n_threads): of losses,
    and of squares of gradients.
    """

    inputs: FloatArray
    a: FloatArray
    slope: FloatArray
    delta: FloatArray
    y: FloatArray
    scratch: FloatArray
    sums: FloatArray


class Steps(NamedTuple):
    """Which steps of an epoch to take: `first` to `last` (excluded), on the rows drawn in `order` (n_rows,).

    `taken` is the number of steps that the optimizer took before, `total` the sum of the losses of the epoch's rows
    before.
    """

    first: int
    last: int
    batch_size: int
    order: RowArray
    taken: int
    total: float


class Share(NamedTuple):
    """A thread's own.

    Its number; `pieces` (n_pieces, 4) of the parameters it moves: layer, first neuron, last (excluded), and where in
    its `gradient` theirs goes, weights and then biases.
    """

    place: int
    pieces: IntArray
    gradient: FloatArray
