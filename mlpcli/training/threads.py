"""How many threads a training and its matrix products use."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise

from threadpoolctl import threadpool_info, threadpool_limits

from mlpcli.machine import available_cores
from mlpcli.nn.network import SCORING_ROWS, Network

# Multiply-adds of the largest product from which a second thread of BLAS pays, also on a busy machine, where OpenBLAS's
# waiting threads cost more than they bring (measured on two cores).
PRODUCT_WORTH_THREADS = 30_000_000
# Of the multiply-adds of a step, what each of the threads that share it must have, and of its rows (measured on two:
# docs/performance.md). Compiled threads meet in a tenth of the time.
SHARE_WORTH_A_THREAD = 50_000_000
SHARE_WORTH_A_COMPILED_THREAD = 10_000_000
ROWS_WORTH_A_THREAD = 32
# Multiply-adds of a step of one member from which members run beside each other: below, most of a step is Python, which
# only one thread runs at a time (measured: docs/performance.md).
MEMBER_WORTH_A_THREAD = 2_000_000


def choose_threads(sizes: Sequence[int]) -> int:
    """Threads of BLAS for blocks of rows that are scored: one unless the largest product is large."""
    largest = max(n_in * n_out for n_in, n_out in pairwise(sizes)) * SCORING_ROWS
    return available_cores() if largest >= PRODUCT_WORTH_THREADS else 1


def training_threads(
    asked: int | str, network: Network, batch_size: int, worth_a_thread: int = SHARE_WORTH_A_THREAD
) -> int:
    """Threads of a training: the user's number, or for "auto" as many of the cores as have enough to do.

    They share the members or, of a single one, each step, of which each must have `worth_a_thread` multiply-adds; a
    matrix product has one thread.
    """
    if asked != "auto":
        return int(asked)
    if network.members > 1:
        is_worth_it = step_work(network, batch_size) >= MEMBER_WORTH_A_THREAD
        return min(available_cores(), network.members) if is_worth_it else 1
    most = min(step_work(network, batch_size) // worth_a_thread, batch_size // ROWS_WORTH_A_THREAD)
    return max(1, min(available_cores(), most))


def step_work(network: Network, batch_size: int) -> int:
    """Multiply-adds of the matrix products of a step of one member: three for each layer, but two for the first."""
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
