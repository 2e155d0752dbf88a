"""Division of a step into blocks of rows, chunks of neurons and tiles of weights; does not import Numba.

It depends on the work only: BLAS rounds by the sizes of its matrices, and results must not depend on the number of
threads.
"""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from mlpcli.compiled import codes
from mlpcli.nn.network import Network
from mlpcli.training.threads import step_work

# Smallest number of rows of a block: BLAS packs the weights again for each.
MIN_BLOCK_ROWS, MAX_BLOCKS = 64, 8
# Smallest number of multiply-adds of a step per block.
MIN_BLOCK_WORK = 10_000_000
# Layers with at least so many weights are split into chunks of neurons instead of blocks of rows: half of these
# weights, in float32, fill half of an L2 cache, and reading all of them in every thread costs more than a barrier.
# Smallest number of neurons of a chunk: BLAS packs the rows again for each.
MIN_CHUNKED_WEIGHTS, MIN_CHUNK_NEURONS, MAX_CHUNKS = 262_144, 256, 8
# Weights per tile: few enough that the gradient is in the cache when the optimizer reads it, many enough for BLAS,
# which packs the inputs again for each: that costs as much as the products of so many more neurons.
TILE_WEIGHTS, MIN_TILE_WEIGHTS, PACKING_NEURONS = 262_144, 16_384, 48
# Instructions that may be split like the dense layer before them: a neuron needs no other.
NEURON_WISE = {codes.ACTIVATION, codes.PARAMETRIC, codes.DROPOUT}


def is_shared(network: Network, batch_size: int) -> bool:
    """Whether threads can share a step."""
    return step_work(network, batch_size) >= 2 * MIN_BLOCK_WORK


def blocks_per_step(network: Network, batch_size: int) -> int:
    """Number of blocks of rows: a power of two, which balances 2, 4 or 8 threads."""
    n = min(MAX_BLOCKS, batch_size // MIN_BLOCK_ROWS, step_work(network, batch_size) // MIN_BLOCK_WORK)
    return 1 << max(0, n.bit_length() - 1)


def max_threads(network: Network, batch_size: int) -> int:
    """Most threads that can share a step."""
    if not is_shared(network, batch_size):
        return 1
    return max(
        blocks_per_step(network, batch_size), *(_dense_chunks(n_in, n_out) for n_out, n_in in network.weight_shapes)
    )


def assign_chunks(ops: list[dict[str, int]]) -> None:
    """Write `chunks` of each instruction, see `Program`."""
    before = {"y": -1, "chunks": 0}
    for op in ops:
        if op["code"] == codes.DENSE:
            op["chunks"] = _dense_chunks(op["n_in"], op["n_out"])
        elif op["code"] in NEURON_WISE and op["x"] == before["y"]:
            op["chunks"] = before["chunks"]
        else:
            op["chunks"] = 0
        before = op


def _dense_chunks(n_in: int, n_out: int) -> int:
    """Number of chunks of neurons of a dense layer, at least 2; 0 if it is split into blocks of rows."""
    if n_in * n_out < MIN_CHUNKED_WEIGHTS:
        return 0
    n_chunks = min(MAX_CHUNKS, n_out // MIN_CHUNK_NEURONS)
    return n_chunks if n_chunks > 1 else 0


def tile_bounds(n_neurons: int, n_in: int, n_parts: int) -> NDArray[np.int64]:
    """Bounds of the tiles of `n_neurons` with `n_in` weights each: `n_parts` tiles, more or fewer by their sizes."""
    n_weights = n_neurons * n_in
    n_tiles = max(ceil(n_weights / TILE_WEIGHTS), min(n_parts, n_weights // MIN_TILE_WEIGHTS), 1)
    return np.arange(min(n_tiles, n_neurons) + 1) * n_neurons // min(n_tiles, n_neurons)


def tile_ranks(ops: NDArray[np.void], tiles: NDArray[np.int64], n_threads: int) -> NDArray[np.int64]:
    """The rank of the thread of each tile: all have about the same work, of their own chunks if possible."""
    n_in, n_neurons = np.maximum(ops["n_in"][tiles[:, 0]], 1), tiles[:, 2] - tiles[:, 1]
    work = n_in * (n_neurons + PACKING_NEURONS)
    by_place = np.argsort((tiles[:, 1] + tiles[:, 2]) / ops["n_out"][tiles[:, 0]], kind="stable")
    ranks, ends = np.zeros(len(tiles), np.int64), np.cumsum(work[by_place])
    ranks[by_place] = (ends - work[by_place] / 2) * n_threads // ends[-1]
    return ranks
