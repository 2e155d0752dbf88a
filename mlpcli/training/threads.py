"""Number of threads of a training, and matrix products that are shared by threads."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from mlpcli.machine import available_cores
from mlpcli.nn.network import Network

Array = NDArray[np.floating[Any]]

# Smallest number of multiply-adds of a step for which members run on threads: in smaller steps, most of the time is
# spent in Python, which holds the GIL (measured: docs/performance.md).
MIN_MEMBER_WORK = 2_000_000

# Smallest number of multiply-adds of a chunk of a product: starting one on another thread takes some 50 us.
MIN_CHUNK_WORK, MAX_CHUNKS = 25_000_000, 8


def product_chunks(work: int) -> int:
    """Number of chunks of a product of `work` multiply-adds: a power of two, which balances 2, 4 or 8 threads."""
    return min(MAX_CHUNKS, 1 << max(0, (work // MIN_CHUNK_WORK).bit_length() - 1))


class SharedProducts:
    """A `matmul` for `nn.layers.Allocator`, whose chunks are shared by a thread pool within the `with` block.

    The rounding of BLAS depends on the sizes of its matrices and on its threads. Chunks depend on the work only and
    each is computed by one BLAS thread, so that results do not depend on the number of threads.
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
        """Write A (m, k) @ B (k, n) into `out` (m, n), split along the outer axis of `out` in memory."""
        n_chunks = product_chunks(A.shape[0] * B.size)
        if n_chunks == 1:
            return np.matmul(A, B, out=out)
        is_row_major = out.strides[0] > out.strides[1]
        length = out.shape[0 if is_row_major else 1]
        cuts = [slice(length * i // n_chunks, length * (i + 1) // n_chunks) for i in range(n_chunks)]
        if is_row_major:
            chunks = [(A[cut], B, out[cut]) for cut in cuts]
        else:
            chunks = [(A, B[:, cut], out[:, cut]) for cut in cuts]
        self._multiply_all(chunks)
        return out

    def _multiply_all(self, chunks: Sequence[tuple[Array, Array, Array]]) -> None:
        """Multiply all chunks; a thread that is done takes the next one."""
        waiting = iter(chunks)  # `next` of a list's iterator is atomic

        def multiply() -> None:
            with np.errstate(all="ignore"):  # errstate is thread-local
                for A, B, out in waiting:
                    np.matmul(A, B, out=out)

        n_others = 0 if self._pool is None else min(self._n_threads, len(chunks)) - 1
        others = [self._pool.submit(multiply) for _ in range(n_others)] if self._pool is not None else []
        multiply()
        for other in others:
            other.result()


def member_threads(n_members: int, work: int) -> int:
    """Number of threads for training members in parallel, with `work` multiply-adds per step of a member."""
    return min(available_cores(), n_members) if work >= MIN_MEMBER_WORK else 1


def product_threads(network: Network, batch_size: int) -> int:
    """Most threads that can share the largest product of a step of the NumPy engine."""
    return product_chunks(max(map(prod, network.weight_shapes), default=0) * batch_size)


def step_work(network: Network, batch_size: int) -> int:
    """Multiply-adds of the matrix products of a step: three per weight and row."""
    return 3 * sum(map(prod, network.weight_shapes)) * batch_size


def blas_threads(n_threads: int) -> AbstractContextManager[object]:
    """Context in which BLAS uses at most `n_threads` threads."""
    limits: AbstractContextManager[object] = blas_libraries().limit(limits=n_threads)
    return limits


@cache
def blas_libraries() -> ThreadpoolController:
    """The BLAS libraries of this process, NumPy's among them: searching all its libraries takes milliseconds."""
    return ThreadpoolController().select(user_api="blas")


def blas_name() -> str:
    """The BLAS libraries of this process, with version and architecture: `openblas 0.3.29 (Haswell)`."""
    names = [
        f"{info.get('internal_api')} {info.get('version') or '?'} ({info.get('architecture') or '?'})"
        for info in blas_libraries().info()
    ]
    return ", ".join(dict.fromkeys(names)) or "unknown"
