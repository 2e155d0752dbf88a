"""How many threads a training and its matrix products use."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise

from threadpoolctl import threadpool_info, threadpool_limits

from mlpcli.machine import available_cores
from mlpcli.nn.network import Network

# Multiply-adds of the largest product from which a second thread of BLAS pays, also on a busy machine, where OpenBLAS's
# waiting threads cost more than they bring (measured on two cores).
PRODUCT_WORTH_THREADS = 30_000_000
# Multiply-adds of a step of training from which threads share it: they cost little there on a machine that others keep
# busy too (measured: docs/performance.md).
STEP_WORTH_THREADS = 100_000_000


def choose_threads(asked: int | str, sizes: Sequence[int], batch_size: int) -> int:
    """Threads of BLAS for blocks of rows: the user's number, or for "auto" one unless the largest product is large."""
    if asked != "auto":
        return int(asked)
    largest = max(n_in * n_out for n_in, n_out in pairwise(sizes)) * batch_size
    return available_cores() if largest >= PRODUCT_WORTH_THREADS else 1


def training_threads(asked: int | str, network: Network, batch_size: int) -> int:
    """Threads of a training: the user's number, or for "auto" as many as there are cores, where they have enough to do.

    They share the members or, of a single one, each step; a matrix product has one thread.
    """
    if asked != "auto":
        return int(asked)
    if network.members > 1:
        return min(available_cores(), network.members)
    return available_cores() if step_work(network, batch_size) >= STEP_WORTH_THREADS else 1


def step_work(network: Network, batch_size: int) -> int:
    """Multiply-adds of the matrix products of a step: three for each layer, but two for the first."""
    products = [n_in * n_out for n_in, n_out in pairwise(network.widths)]
    return batch_size * (3 * sum(products) - products[0])


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
