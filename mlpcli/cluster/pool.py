"""A pool of objects (Dask actors) on the workers of a cluster, each of which holds a shard of the data.

An object that is lost with its worker is created again on another worker: its state depends only on earlier calls of
`broadcast`, which are repeated. A worker that leaves the cluster, or exceeds a time limit, is treated as lost.
"""

from asyncio import CancelledError
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

from distributed import Client

from mlpcli.cluster.tasks import ANSWER_SECONDS, NO_WORKER_SECONDS, POLL_SECONDS
from mlpcli.errors import ClusterLost

# If more workers than this are lost in a row with the same shard, the shard is too large for any worker.
MAX_DEATHS = 3
START_SECONDS = 120.0  # for a worker to import its modules
REACH_SECONDS = 5.0  # for the test whether workers can be reached directly
Arguments = Callable[[int], tuple[Any, ...]]  # from the number of a shard to the arguments of a call


class _Lost(Exception):
    """An object was lost with its worker."""


class ActorHost:
    """The Dask actor on a worker: it holds one object, and returns exceptions of the object instead of raising them.

    So the exceptions that Dask raises are failures of the cluster only.
    """

    def __init__(self, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._object = make(*arguments)

    def call(self, method: str, *arguments: Any) -> tuple[Any, Exception | None]:
        """Call a method of the object; returns its result, or None and the exception that it raised."""
        try:
            return getattr(self._object, method)(*arguments), None
        except Exception as error:
            return None, error


@dataclass
class _Shard:
    """The object of a shard and its worker; `deaths` counts the workers lost with it since its last result."""

    number: int
    actor: Any = None
    worker: str = ""
    deaths: int = 0
    keep_alive: list[Any] = field(default_factory=list)  # Dask deletes the object without these futures


class ShardPool:
    """One object for each of `n_shards`, created by `make(*arguments(number))` on the workers of the client.

    `note` receives messages about lost workers.
    """

    def __init__(
        self,
        client: Client,
        make: Callable[..., Any],
        arguments: Arguments,
        n_shards: int,
        note: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.n_shards, self._client, self._make, self._arguments, self._note = n_shards, client, make, arguments, note
        self._broadcasts: dict[str, tuple[str, Arguments]] = {}
        self._live_workers: dict[str, int] = {}
        self._excluded: set[str] = set()
        self._last_checked = 0.0
        self._shards = [_Shard(number) for number in range(n_shards)]

    @property
    def workers(self) -> tuple[str, ...]:
        """The address of the worker of each shard, "" before its object is created."""
        return tuple(shard.worker for shard in self._shards)

    def broadcast(self, topic: str, method: str, arguments: Arguments) -> list[Any]:
        """As `call`, and repeated for each object that is created again; replaces the previous call of this topic."""
        self._broadcasts.pop(topic, None)
        results = self.call(method, arguments)
        self._broadcasts[topic] = (method, arguments)
        return results

    def call(
        self, method: str, arguments: Arguments, only: Sequence[int] | None = None, timeout: float | None = None
    ) -> list[Any]:
        """Call a method of each object, or of `only` these shards, in parallel; returns the results in their order.

        An object without a result after `timeout` seconds (None: no limit while its worker lives) is lost. Raises what
        a method raises, and ClusterLost if the scheduler or all workers are gone, or after MAX_DEATHS of a shard.
        """
        numbers = range(self.n_shards) if only is None else only
        results: dict[int, Any] = {}
        waiting = {number: self._start_call(number, method, arguments) for number in numbers}
        while waiting:
            for number in list(waiting):
                shard = self._shards[number]
                try:
                    results[number] = self._wait_for_result(shard, waiting[number], timeout)
                    shard.deaths = 0
                    del waiting[number]
                except _Lost:
                    self._mark_lost(shard)
                    waiting[number] = self._start_call(number, method, arguments)
        return [results[number] for number in numbers]

    def rebalance(self) -> None:
        """Move shards from loaded workers to new ones; their objects are created there at the next call."""
        free = [name for name in self._workers() if name not in self._excluded]
        loads = {shard.worker: self._load(shard.worker) for shard in self._shards if shard.actor is not None}
        loads |= {name: loads.get(name, 0) for name in free}
        while free:
            crowded, least = max(loads, key=lambda name: loads[name]), min(free, key=lambda name: loads[name])
            if loads[crowded] - loads[least] < 2:
                return
            shard = next(shard for shard in self._shards if shard.worker == crowded and shard.actor is not None)
            shard.actor, shard.keep_alive = None, []
            loads[crowded], loads[least] = loads[crowded] - 1, loads[least] + 1

    def _load(self, worker: str) -> int:
        """Number of objects on a worker."""
        return sum(shard.worker == worker and shard.actor is not None for shard in self._shards)

    def _start_call(self, number: int, method: str, arguments: Arguments) -> Any:
        """Start a call, and create the object first if needed; returns the future."""
        shard = self._shards[number]
        while True:
            try:
                if shard.actor is None:
                    self._create(shard)
                return _call_actor(shard.actor, method, arguments(number))
            except _Lost:
                self._mark_lost(shard)

    def _create(self, shard: _Shard) -> None:
        """Create the object on the least loaded worker, and repeat all broadcasts to it."""
        worker = self._least_loaded()
        name = f"mlp-shard-{shard.number}-{uuid4().hex}"
        future: Any = self._client.submit(
            ActorHost, self._make, self._arguments(shard.number), actor=True, workers=[worker], pure=False, key=name
        )
        shard.worker, shard.keep_alive = worker, [future]
        shard.actor = self._wait(worker, lambda seconds: future.result(timeout=seconds), START_SECONDS)
        for method, arguments in list(self._broadcasts.values()):
            self._wait_for_result(shard, _call_actor(shard.actor, method, arguments(shard.number)), None)

    def _wait_for_result(self, shard: _Shard, future: Any, timeout: float | None) -> Any:
        result, error = self._wait(shard.worker, lambda seconds: future.result(timeout=seconds), timeout)
        if error is not None:
            raise error
        return result

    def _wait(self, worker: str, result: Callable[[float], Any], timeout: float | None) -> Any:
        """Wait for a worker; raises _Lost if it is gone or exceeds `timeout`. `result(seconds)` waits that long."""
        started = monotonic()
        while True:
            try:
                return result(POLL_SECONDS)
            except TimeoutError as error:
                if worker not in self._workers():
                    raise _Lost from error
                if timeout is not None and monotonic() - started > timeout:
                    raise _Lost from error
            except (Exception, CancelledError) as error:  # from Dask: exceptions of the object are returned
                self._last_checked = 0.0
                self._workers()  # raises ClusterLost if the scheduler is gone
                raise _Lost from error

    def _mark_lost(self, shard: _Shard) -> None:
        self._excluded.add(shard.worker)  # a restarted worker has another address
        self._note(f"worker {shard.worker} is lost: its rows (shard {shard.number + 1}) are read by another.")
        shard.actor, shard.keep_alive, shard.deaths = None, [], shard.deaths + 1
        if shard.deaths > MAX_DEATHS:
            raise ClusterLost(
                f"shard {shard.number + 1} of {self.n_shards}: {shard.deaths} workers were lost with it, one after the "
                "other. Was there enough memory?"
            )

    def _least_loaded(self) -> str:
        started = monotonic()
        while not (names := {name for name in self._workers() if name not in self._excluded}):
            if monotonic() - started > NO_WORKER_SECONDS:
                raise no_worker()
            sleep(POLL_SECONDS)
        return min(names, key=lambda name: (self._load(name), name))

    def _workers(self) -> Mapping[str, int]:
        """Threads of each live worker, updated once a second; raises ClusterLost if the scheduler is gone."""
        if self._client.status != "running":
            raise scheduler_lost()
        if monotonic() - self._last_checked > 1.0:
            self._live_workers = live_workers(self._client)
            self._last_checked = monotonic()
        return self._live_workers


def _call_actor(actor: Any, method: str, arguments: tuple[Any, ...]) -> Any:
    try:
        return actor.call(method, *arguments)
    except RuntimeError as error:  # "Worker holding Actor was lost"
        raise _Lost from error


def wait_for_workers(client: Client) -> tuple[str, ...]:
    """Addresses of the current workers; waits for the first one. Raises ClusterLost after NO_WORKER_SECONDS."""
    started = monotonic()
    while not (workers := live_workers(client)):
        if monotonic() - started > NO_WORKER_SECONDS:
            raise no_worker()
        sleep(POLL_SECONDS)
    return tuple(sorted(workers))


def connect_directly(client: Client) -> None:
    """Connect the client directly to the workers if it reaches all; otherwise data goes through the scheduler."""
    workers = wait_for_workers(client)

    async def reach() -> None:
        for worker in workers:
            await client.rpc(worker).identity()

    with suppress(OSError, TimeoutError):
        client.sync(reach, callback_timeout=REACH_SECONDS)
        client.direct_to_workers = True


def live_workers(client: Client) -> dict[str, int]:
    """Threads of each worker; raises ClusterLost if the scheduler does not answer."""
    scheduler: Any = client.scheduler
    try:
        return dict(client.sync(scheduler.ncores, callback_timeout=ANSWER_SECONDS))
    except (OSError, TimeoutError) as error:
        raise scheduler_lost() from error


def scheduler_lost() -> ClusterLost:
    """The error for a scheduler that is gone."""
    return ClusterLost("the scheduler of the cluster is gone.")


def no_worker() -> ClusterLost:
    """The error for a cluster without workers."""
    return ClusterLost(
        f"the cluster has had no worker for {NO_WORKER_SECONDS:g} s. Start some with: dask worker ADDRESS"
    )
