"""How many threads a training uses: members are shared among them, and small products are slower on two than on one."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise

from threadpoolctl import threadpool_info, threadpool_limits

from mlpcli.machine import available_cores
from mlpcli.nn.network import Network

# Multiply-adds of the largest product of a step from which a second thread pays, also on a busy machine, where
# OpenBLAS's waiting threads cost more than they bring (measured on two cores).
PRODUCT_WORTH_THREADS = 30_000_000


def choose_threads(asked: int | str, sizes: Sequence[int], batch_size: int) -> int:
    """The user's number, or for "auto": one thread unless the largest product of a step is large."""
    if asked != "auto":
        return int(asked)
    largest = max(n_in * n_out for n_in, n_out in pairwise(sizes)) * batch_size
    return available_cores() if largest >= PRODUCT_WORTH_THREADS else 1


def training_threads(asked: int | str, network: Network, batch_size: int) -> int:
    """The same for a training; several members are shared among as many threads as there are cores."""
    if asked == "auto" and network.members > 1:
        return min(available_cores(), network.members)
    return choose_threads(asked, network.sizes, batch_size)


def product_threads(network: Network, n_threads: int) -> int:
    """How many threads a matrix product of the training gets: with several members the threads share these."""
    return 1 if network.members > 1 else n_threads


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
