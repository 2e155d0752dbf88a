"""Objects on the workers of a cluster, each with a shard of the data; a lost one is made again on another worker.

The caller is the master: all that an object holds follows from what it was told, so that it can be told again. No wait
is without end: a worker that leaves the cluster, or does not answer in time, has lost its objects.
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

# Workers that may be lost with the same shard, one after the other, before it is taken to be too much for any.
MAX_DEATHS = 3
START_SECONDS = 120.0  # for a worker to import what it needs
REACH_SECONDS = 5.0  # to find out whether the workers can be reached from here
Arguments = Callable[[int], tuple[Any, ...]]  # of the shard of a number


class _Lost(Exception):
    """An object is gone with its worker."""


class ActorHost:
    """The side of a worker: one object, whose errors are answers."""

    def __init__(self, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._object = make(*arguments)

    def call(self, method: str, *arguments: Any) -> tuple[Any, Exception | None]:
        """The result of a method, or what it raised."""
        try:
            return getattr(self._object, method)(*arguments), None
        except Exception as error:
            return None, error


@dataclass
class _Shard:
    """Where the object of a shard is; `deaths` counts the workers lost with it since it last answered."""

    number: int
    actor: Any = None
    worker: str = ""
    deaths: int = 0
    made: list[Any] = field(default_factory=list)  # futures that keep the object alive


class ShardPool:
    """One object for each of `n_shards`, made by `make(*arguments(number))` on the workers of the client.

    `note` hears of workers that are lost.
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
        self._live: dict[str, int] = {}
        self._excluded: set[str] = set()
        self._last_checked = 0.0
        self._shards = [_Shard(number) for number in range(n_shards)]

    @property
    def workers(self) -> tuple[str, ...]:
        """The worker of each shard."""
        return tuple(shard.worker for shard in self._shards)

    def broadcast(self, topic: str, method: str, arguments: Arguments) -> list[Any]:
        """As `call`, and once more wherever an object is made again; replaces what was told of this topic before."""
        self._broadcasts.pop(topic, None)
        found = self.call(method, arguments)
        self._broadcasts[topic] = (method, arguments)
        return found

    def call(
        self, method: str, arguments: Arguments, only: Sequence[int] | None = None, most_seconds: float | None = None
    ) -> list[Any]:
        """The result of a method of each object, or of `only` these; the calls run beside each other.

        An object that does not answer in `most_seconds` (None: as long as its worker lives) is lost. Raises what a
        method raises, and ClusterLost where the scheduler or all workers are gone, or a shard takes its workers along.
        """
        numbers = range(self.n_shards) if only is None else only
        results: dict[int, Any] = {}
        waiting = {number: self._started(number, method, arguments) for number in numbers}
        while waiting:
            for number in list(waiting):
                shard = self._shards[number]
                try:
                    results[number] = self._answer(shard, waiting[number], most_seconds)
                    shard.deaths = 0
                    del waiting[number]
                except _Lost:
                    self._mark_lost(shard)
                    waiting[number] = self._started(number, method, arguments)
        return [results[number] for number in numbers]

    def rebalance(self) -> None:
        """Move shards from crowded workers to those that came since; they are made there when they are next called."""
        free = [name for name in self._workers() if name not in self._excluded]
        loads = {shard.worker: self._load(shard.worker) for shard in self._shards if shard.actor is not None}
        loads |= {name: loads.get(name, 0) for name in free}
        while free:
            crowded, least = max(loads, key=lambda name: loads[name]), min(free, key=lambda name: loads[name])
            if loads[crowded] - loads[least] < 2:
                return
            shard = next(shard for shard in self._shards if shard.worker == crowded and shard.actor is not None)
            shard.actor, shard.made = None, []
            loads[crowded], loads[least] = loads[crowded] - 1, loads[least] + 1

    def _load(self, worker: str) -> int:
        """Objects on a worker."""
        return sum(shard.worker == worker and shard.actor is not None for shard in self._shards)

    def _started(self, number: int, method: str, arguments: Arguments) -> Any:
        """The future of a call; makes the object first where there is none."""
        shard = self._shards[number]
        while True:
            try:
                if shard.actor is None:
                    self._create(shard)
                return _call_actor(shard.actor, method, arguments(number))
            except _Lost:
                self._mark_lost(shard)

    def _create(self, shard: _Shard) -> None:
        """Make the object on the worker that has the fewest, and tell it all that it was told."""
        worker = self._least_loaded()
        name = f"mlp-shard-{shard.number}-{uuid4().hex}"
        future: Any = self._client.submit(
            ActorHost, self._make, self._arguments(shard.number), actor=True, workers=[worker], pure=False, key=name
        )
        shard.worker, shard.made = worker, [future]
        shard.actor = self._wait(worker, lambda seconds: future.result(timeout=seconds), START_SECONDS)
        for method, arguments in list(self._broadcasts.values()):
            self._answer(shard, _call_actor(shard.actor, method, arguments(shard.number)), None)

    def _answer(self, shard: _Shard, future: Any, most_seconds: float | None) -> Any:
        result, error = self._wait(shard.worker, lambda seconds: future.result(timeout=seconds), most_seconds)
        if error is not None:
            raise error
        return result

    def _wait(self, worker: str, result: Callable[[float], Any], most_seconds: float | None) -> Any:
        """What comes from a worker; raises _Lost where it does not come."""
        started = monotonic()
        while True:
            try:
                return result(POLL_SECONDS)
            except TimeoutError as error:
                if worker not in self._workers():
                    raise _Lost from error
                if most_seconds is not None and monotonic() - started > most_seconds:
                    raise _Lost from error
            except (Exception, CancelledError) as error:  # of Dask alone: those of the object come as answers
                self._last_checked = 0.0
                self._workers()  # or it is the scheduler that is gone
                raise _Lost from error

    def _mark_lost(self, shard: _Shard) -> None:
        self._excluded.add(shard.worker)  # a worker that is started again has another address
        self._note(f"worker {shard.worker} is lost: its rows (shard {shard.number + 1}) are read by another.")
        shard.actor, shard.made, shard.deaths = None, [], shard.deaths + 1
        if shard.deaths > MAX_DEATHS:
            raise ClusterLost(
                f"shard {shard.number + 1} of {self.n_shards}: {shard.deaths} workers were lost with it, one after the "
                "other. Was there enough memory?"
            )

    def _least_loaded(self) -> str:
        started = monotonic()
        while not (found := {name for name in self._workers() if name not in self._excluded}):
            if monotonic() - started > NO_WORKER_SECONDS:
                raise no_worker()
            sleep(POLL_SECONDS)
        return min(found, key=lambda name: (self._load(name), name))

    def _workers(self) -> Mapping[str, int]:
        """Threads of each live worker, asked now and then; raises ClusterLost where the scheduler is gone."""
        if self._client.status != "running":
            raise scheduler_lost()
        if monotonic() - self._last_checked > 1.0:
            self._live = live_workers(self._client)
            self._last_checked = monotonic()
        return self._live


def _call_actor(actor: Any, method: str, arguments: tuple[Any, ...]) -> Any:
    try:
        return actor.call(method, *arguments)
    except RuntimeError as error:  # "Worker holding Actor was lost"
        raise _Lost from error


def wait_for_workers(client: Client) -> tuple[str, ...]:
    """The workers that are there now; waits for the first. Raises ClusterLost where none comes."""
    started = monotonic()
    while not (found := live_workers(client)):
        if monotonic() - started > NO_WORKER_SECONDS:
            raise no_worker()
        sleep(POLL_SECONDS)
    return tuple(sorted(found))


def connect_directly(client: Client) -> None:
    """Have the client speak to workers itself, if it reaches each of them; else all goes through the scheduler."""
    workers = wait_for_workers(client)

    async def reach() -> None:
        for worker in workers:
            await client.rpc(worker).identity()

    with suppress(OSError, TimeoutError):
        client.sync(reach, callback_timeout=REACH_SECONDS)
        client.direct_to_workers = True


def live_workers(client: Client) -> dict[str, int]:
    """Threads of each worker; raises ClusterLost where the scheduler does not answer."""
    scheduler: Any = client.scheduler
    try:
        return dict(client.sync(scheduler.ncores, callback_timeout=ANSWER_SECONDS))
    except (OSError, TimeoutError) as error:
        raise scheduler_lost() from error


def scheduler_lost() -> ClusterLost:
    """The one sentence of it."""
    return ClusterLost("the scheduler of the cluster is gone.")


def no_worker() -> ClusterLost:
    """The one sentence of it."""
    return ClusterLost(
        f"the cluster has had no worker for {NO_WORKER_SECONDS:g} s. Start some with: dask worker ADDRESS"
    )
