"""How many threads a training and its matrix products use."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from math import prod

from threadpoolctl import threadpool_info, threadpool_limits

from mlpcli.machine import available_cores
from mlpcli.nn.network import Network

# Multiply-adds of the largest product from which a second thread of BLAS pays, also on a busy machine, where OpenBLAS's
# waiting threads cost more than they bring (measured on two cores).
PRODUCT_WORTH_THREADS = 30_000_000
SCORING_ROWS = 4096
# Multiply-adds of a step of one member from which members run beside each other: below, most of a step is Python, which
# only one thread runs at a time (measured: docs/performance.md).
MEMBER_WORTH_A_THREAD = 2_000_000


# Multiply-adds of a step of a single network from which BLAS gets all cores in NumPy's engine.
STEP_WORTH_BLAS_THREADS = 100_000_000


def choose_threads(sizes: Sequence[int]) -> int:
    """Threads of BLAS for blocks of rows that are scored: one unless the largest product is large."""
    largest = max(n_in * n_out for n_in, n_out in pairwise(sizes)) * SCORING_ROWS
    return available_cores() if largest >= PRODUCT_WORTH_THREADS else 1


def member_threads(n_members: int, work: int) -> int:
    """Threads for members that are trained beside each other, each step of one being so many multiply-adds."""
    return min(available_cores(), n_members) if work >= MEMBER_WORTH_A_THREAD else 1


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
