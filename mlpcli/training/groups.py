"""Members in groups: each group runs an epoch by itself, on a thread of its own where there are several.

A group is a narrower network where its members see numbers in one way, and fewer parameters stay in the cache. Members
share nothing during an epoch, so threads meet once for each, and their number does not change a bit of the result.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.groups import Group, split_members
from mlpcli.nn.network import Network
from mlpcli.nn.parameters import Parameters, view_parameters
from mlpcli.nn.passes import NUMPY, Passes
from mlpcli.training.engine import Engine, EpochResult, NumpyEngine, OptimizerState, Plan
from mlpcli.training.members import epoch_rows
from mlpcli.training.samples import Samples
from mlpcli.training.shards import ShardedEngine


def numpy_engine(
    network: Network,
    plan: Plan,
    train: Samples,
    folds: NDArray[np.int64] | None = None,
    passes: Passes = NUMPY,
) -> Engine:
    """The engine for a network of any number of members; `folds` (n_rows,) is the fold of each row, if any."""
    rows = epoch_rows(plan.member_rows, network.members, train.n_rows, plan.seed, folds, plan.chunk_rows)
    if network.members == 1:
        kind = NumpyEngine if plan.n_threads == 1 else ShardedEngine
        return kind(network, plan, train, rows, passes)
    alone = replace(plan, n_threads=1)
    groups = split_members(network, plan.n_threads)
    engines = [NumpyEngine(group.network, alone, train, rows.of(group.members), passes) for group in groups]
    return GroupedEngine(groups, engines, plan.n_threads)


class GroupedEngine:
    """Runs the groups of a network's members, each with an engine of its own, on up to `n_threads` threads."""

    def __init__(self, groups: Sequence[Group], engines: Sequence[Engine], n_threads: int) -> None:
        self.groups, self.engines = groups, engines
        self.n_steps = sum(engine.n_steps for engine in engines)
        self._n_threads = min(n_threads, len(groups))

    @property
    def steps_taken(self) -> int:
        """Of all groups; see `Engine`."""
        return sum(engine.steps_taken for engine in self.engines)

    def run(
        self, parameters: Parameters, optimizer_state: OptimizerState, epoch: int, must_stop: Callable[[], bool]
    ) -> EpochResult | None:
        """One pass over all rows of each member; see `Engine`."""
        is_over = Event()

        def run_group(group: Group, engine: Engine) -> EpochResult | None:
            with np.errstate(all="ignore"):  # the caller's choice does not reach another thread
                return _run_group(
                    group, engine, parameters, optimizer_state, epoch, lambda: is_over.is_set() or must_stop()
                )

        pairs = zip(self.groups, self.engines, strict=True)
        if self._n_threads == 1:
            results = [run_group(*pair) for pair in pairs]
        else:
            with ThreadPoolExecutor(self._n_threads, "members") as threads:
                futures = [threads.submit(run_group, *pair) for pair in pairs]
                try:
                    wait(futures, return_when=FIRST_EXCEPTION)
                finally:  # one has failed, or Ctrl-C came: the others need not go on to the end of their epoch
                    is_over.set()
            results = [future.result() for future in futures]
        whole = [result for result in results if result is not None]
        if len(whole) < len(self.groups):
            return None
        losses: dict[int, float] = {}
        for group, result in zip(self.groups, whole, strict=True):
            losses |= dict(zip(group.members, result.losses, strict=True))
        optimizer_state["step"] += self.engines[0].n_steps
        return EpochResult(tuple(losses[member] for member in sorted(losses)), whole[-1].learning_rate)


def _run_group(
    group: Group,
    engine: Engine,
    parameters: Parameters,
    optimizer_state: OptimizerState,
    epoch: int,
    must_stop: Callable[[], bool],
) -> EpochResult | None:
    """An epoch of a group, on its part of the parameters and of what the optimizer keeps for each of them."""
    vectors = {name: values for name, values in optimizer_state.items() if values.size == parameters.flat.size}
    own = view_parameters(group.network, group.take(parameters.flat))
    own_state = {
        name: group.take(vectors[name]) if name in vectors else values.copy()
        for name, values in optimizer_state.items()
    }
    result = engine.run(own, own_state, epoch, must_stop)
    group.put(own.flat, parameters.flat)
    for name, values in vectors.items():
        group.put(own_state[name], values)
    return result
