"""Tasks on the workers of a cluster. A worker that dies costs time only: its task is done again by another.

Tasks talk with who gave them: a report is an event of the scheduler, the answer "end" a flag that the task looks at
when it reports next. Nobody waits for anybody: what is lost with a worker is never missed.
"""

import queue
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, Protocol
from uuid import uuid4

from distributed import Client, Future, KilledWorker, get_client, get_worker

from mlpcli.errors import MlpError

POLL_SECONDS = 0.2  # seconds between two looks at the cluster and at whether to stop
ANSWER_SECONDS = 30.0  # for the scheduler or a worker to answer
NO_WORKER_SECONDS = 60.0  # without any worker
NOT_YET = object()  # in place of a task: there will be more when others are done


class Tasks(Protocol):
    """What is to be done, and who is told."""

    def next(self) -> Any:
        """The next task, None where there are no more, LATER where there is none yet."""

    def report(self, task: Any, *what: Any) -> Any:
        """Answer what a task reports: whether to end it."""

    def done(self, task: Any, result: Any) -> None:
        """Take note of a result."""

    def died(self, task: Any, reason: str) -> bool:
        """Take note of a task that no worker survived; says whether to go on."""


class _Reports:
    """The side of a task."""

    def __init__(self, topic: str, name: str) -> None:
        self._topic, self._name = topic, name

    def __call__(self, *what: Any) -> bool:
        """Tell; says whether the task was asked to end."""
        get_worker().log_event(self._topic, {"name": self._name, "what": what})
        client: Any = get_client()
        try:
            flag = f"{self._topic}-{self._name}"
            return bool(client.sync(client.scheduler.event_is_set, name=flag, callback_timeout=ANSWER_SECONDS))
        except TimeoutError:  # the flag is looked at again with the next report
            return False


def run_on_cluster(
    client: Client,
    do: Callable[[Any, Any, Callable[..., bool]], Any],
    setup: Any,
    tasks: Tasks,
    must_stop: Callable[[], bool],
) -> None:
    """Run tasks on the workers, each of which calls `do(setup, task, report)`, until there are no more or `must_stop`.

    Raises MlpError where the scheduler is gone, or no worker is there for a while.
    """
    topic = f"mlp-{uuid4().hex}"
    messages: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    client.subscribe_topic(topic, lambda event: messages.put(("report", event[1])))
    # As one task that keeps it: data that is only scattered would be lost with the last worker that has it.
    shared = client.submit(_identity, setup, pure=False, key=f"{topic}-setup")
    running: dict[str, _Running] = {}
    pool = _Pool(client)
    is_over = False
    try:
        while not must_stop():
            threads = pool.threads()  # also after the last task: a cluster that is gone is not waited for
            while not is_over and len(running) < sum(threads.values()):
                task = tasks.next()
                if task is NOT_YET:
                    break
                is_over = task is None
                if task is not None:
                    name = f"{topic}-{uuid4().hex}"
                    # Without a worker Dask takes one that has `shared`, though others are idle.
                    worker = _least_busy(threads, running)
                    future = client.submit(
                        do, shared, task, _Reports(topic, name), key=name, pure=False, priority=1,
                        workers=[worker], allow_other_workers=True,
                    )  # fmt: skip
                    running[name] = _Running(task, worker, future)
                    _notify_when_done(messages, name, future)
            if not running and is_over:
                return
            _handle_message(client, topic, messages, running, tasks)
    finally:
        if client.status == "running":
            client.cancel([each.future for each in running.values()], force=True)


@dataclass(frozen=True)
class _Running:
    """A task, the worker that it was meant for, and its result to come."""

    task: Any
    worker: str
    future: Future[Any]


def _identity(value: Any) -> Any:
    return value


def _least_busy(threads: Mapping[str, int], running: Mapping[str, _Running]) -> str:
    """The worker with the fewest tasks per thread."""
    n_tasks = Counter(each.worker for each in running.values())
    return min(threads, key=lambda worker: n_tasks[worker] / threads[worker])


def _notify_when_done(messages: "queue.SimpleQueue[tuple[str, Any]]", name: str, future: Future[Any]) -> None:
    """Have it heard when a future is done."""
    future.add_done_callback(lambda _: messages.put(("done", name)))


def _handle_message(
    client: Client,
    topic: str,
    messages: "queue.SimpleQueue[tuple[str, Any]]",
    running: dict[str, _Running],
    tasks: Tasks,
) -> None:
    """Take one message, if one comes in time."""
    try:
        kind, what = messages.get(timeout=POLL_SECONDS)
    except queue.Empty:
        return
    if kind == "report":
        if what["name"] in running and tasks.report(running[what["name"]].task, *what["what"]):
            _set_flag(client, f"{topic}-{what['name']}")
        return
    ended = running.pop(what)
    task, future = ended.task, ended.future
    is_lost = future.status not in ("finished", "error")
    try:
        result = None if is_lost else future.result(timeout=ANSWER_SECONDS)
    except KilledWorker:
        tasks.died(task, "the workers that ran it died, one after the other")
        return
    except (OSError, CancelledError):  # of the task itself, or it was lost with the worker or the scheduler that had it
        if future.status == "error":
            raise
        is_lost = True
    if not is_lost:
        tasks.done(task, result)
    elif future.status == "cancelled" or client.status != "running":
        raise _scheduler_lost()
    else:  # it is made again
        _wait_again(messages, what, ended, running)


def _wait_again(
    messages: "queue.SimpleQueue[tuple[str, Any]]",
    name: str,
    lost: _Running,
    running: dict[str, _Running],
) -> None:
    """Wait anew for a result that was lost."""
    sleep(POLL_SECONDS)  # until it is known to be lost it counts as done
    running[name] = lost
    _notify_when_done(messages, name, lost.future)


def _set_flag(client: Any, name: str) -> None:
    """What `distributed.Event.set` does, with a limit; raises MlpError where the scheduler does not answer."""
    try:
        client.sync(client.scheduler.event_set, name=name, callback_timeout=ANSWER_SECONDS)
    except (OSError, TimeoutError) as error:
        raise _scheduler_lost() from error


class _Pool:
    """How many tasks each worker can do at a time, asked once a second."""

    def __init__(self, client: Client) -> None:
        self._client, self._last_checked, self._last_worker_seen = client, 0.0, monotonic()
        self._threads: Mapping[str, int] = {}

    def threads(self) -> Mapping[str, int]:
        """Threads of each worker by address; raises MlpError if nobody answers, or there is no worker for a while."""
        if self._client.status != "running":
            raise _scheduler_lost()
        if monotonic() - self._last_checked < 1.0:
            return self._threads
        try:
            scheduler: Any = self._client.scheduler
            found = self._client.sync(scheduler.ncores, callback_timeout=ANSWER_SECONDS)
        except (OSError, TimeoutError) as error:
            raise _scheduler_lost() from error
        self._last_checked, self._threads = monotonic(), {worker: n for worker, n in found.items() if n}
        if self._threads:
            self._last_worker_seen = self._last_checked
        elif self._last_checked - self._last_worker_seen > NO_WORKER_SECONDS:
            raise MlpError(
                f"the cluster has had no worker for {NO_WORKER_SECONDS:g} s. Start some with: dask worker ADDRESS"
            )
        return self._threads


def _scheduler_lost() -> MlpError:
    return MlpError("the scheduler of the cluster is gone. What is done is kept.")
