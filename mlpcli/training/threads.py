"""How many threads a training and its matrix products use."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from mlpcli.machine import available_cores
from mlpcli.nn.network import Network

Array = NDArray[np.floating[Any]]

# Multiply-adds of a step of one member from which members run beside each other: below, most of a step is Python, which
# only one thread runs at a time (measured: docs/performance.md).
MEMBER_WORTH_A_THREAD = 2_000_000

# Multiply-adds of a chunk of a product, at least: beginning it on another thread takes some 50 us.
WORK_OF_A_CHUNK, MOST_CHUNKS = 25_000_000, 8


def chunks_of_product(work: int) -> int:
    """Into how many chunks a product of so many multiply-adds is cut: a power of two, which 2, 4 or 8 threads share."""
    return min(MOST_CHUNKS, 1 << max(0, (work // WORK_OF_A_CHUNK).bit_length() - 1))


class SharedProducts:
    """Matrix products for `nn.layers.Allocator`, whose chunks are shared by threads within the `with` block.

    BLAS rounds by the sizes of its matrices and by its own threads. Chunks depend on the work alone and BLAS has one
    thread in each, so that the number of threads changes no bit.
    """

    def __init__(self, n_threads: int) -> None:
        self._n_threads = n_threads
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> "SharedProducts":
        if self._n_threads > 1:
            self._pool = ThreadPoolExecutor(self._n_threads - 1, "product")
        return self

    def __exit__(self, *fault: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        self._pool = None

    def __call__(self, A: Array, B: Array, out: Array) -> Array:
        """A (m, k) times B (k, n) into `out` (m, n), cut where its lines lie one after the other in memory."""
        n_chunks = chunks_of_product(A.shape[0] * B.size)
        if n_chunks == 1:
            return np.matmul(A, B, out=out)
        is_by_rows = out.strides[0] > out.strides[1]
        n_lines = out.shape[0 if is_by_rows else 1]
        cuts = [slice(n_lines * i // n_chunks, n_lines * (i + 1) // n_chunks) for i in range(n_chunks)]
        if is_by_rows:
            pieces = [(A[cut], B, out[cut]) for cut in cuts]
        else:
            pieces = [(A, B[:, cut], out[:, cut]) for cut in cuts]
        self._multiply_all(pieces)
        return out

    def _multiply_all(self, pieces: Sequence[tuple[Array, Array, Array]]) -> None:
        """In turns: a thread that is done takes the next piece."""
        waiting = iter(pieces)  # `next` of a list's iterator is atomic

        def multiply() -> None:
            with np.errstate(all="ignore"):  # the caller's choice does not reach another thread
                for A, B, out in waiting:
                    np.matmul(A, B, out=out)

        n_others = 0 if self._pool is None else min(self._n_threads, len(pieces)) - 1
        others = [self._pool.submit(multiply) for _ in range(n_others)] if self._pool is not None else []
        multiply()
        for other in others:
            other.result()


def member_threads(n_members: int, work: int) -> int:
    """Threads for members that are trained beside each other, each step of one being so many multiply-adds."""
    return min(available_cores(), n_members) if work >= MEMBER_WORTH_A_THREAD else 1


def product_threads(network: Network, batch_size: int) -> int:
    """Threads that can share the largest product of a step in NumPy's engine."""
    weights = [prod(one.tensor.shape) for one in network.tensors if one.tensor.group == "weights"]
    return chunks_of_product(max(weights, default=0) * batch_size)


def step_work(network: Network, batch_size: int) -> int:
    """Multiply-adds of the matrix products of a step: three for each weight and row."""
    weights = sum(prod(one.tensor.shape) for one in network.tensors if one.tensor.group == "weights")
    return 3 * weights * batch_size


def blas_threads(n_threads: int) -> AbstractContextManager[object]:
    """Within the context, BLAS uses at most this many threads."""
    limits: AbstractContextManager[object] = threadpool_limits(n_threads, user_api="blas")
    return limits


def blas_name() -> str:
    """The BLAS libraries of this process and what they were chosen for: `openblas 0.3.29 (Haswell)`."""
    names = [
        f"{info.get('internal_api')} {info.get('version') or '?'} ({info.get('architecture') or '?'})"
        for info in threadpool_info()
        if info.get("user_api") == "blas"
    ]
    return ", ".join(dict.fromkeys(names)) or "unknown"
