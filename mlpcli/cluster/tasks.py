"""Runs tasks on the workers of a cluster. If a worker dies, its task is run again by another worker.

A running task reports through events of the scheduler. The reply, whether to stop the task, is a flag on the scheduler
that the task reads at its next report. So neither side waits for the other, and a lost message blocks nothing.
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

POLL_SECONDS = 0.2  # between two calls of must_stop
ANSWER_SECONDS = 30.0  # for the scheduler or a worker to answer
NO_WORKER_SECONDS = 60.0  # after which a cluster without workers is an error
NOT_YET = object()  # returned instead of a task if the next one has to wait for others


class Tasks(Protocol):
    """A queue of tasks, with callbacks for their reports and results; all are called in the process of the command."""

    def next(self) -> Any:
        """The next task, None at the end, NOT_YET if it has to wait for running ones."""

    def report(self, task: Any, *what: Any) -> Any:
        """Receive a report of a running task; returns whether to stop the task."""

    def done(self, task: Any, result: Any) -> None:
        """Receive the result of a task."""

    def died(self, task: Any, reason: str) -> bool:
        """Called if every worker that ran a task died; returns whether to continue."""


class _Reports:
    """The function with which a task on a worker reports; it is pickled with the task."""

    def __init__(self, topic: str, name: str) -> None:
        self._topic, self._name = topic, name

    def __call__(self, *content: Any) -> bool:
        """Send a report; returns whether the task should stop, by the reply to an earlier report."""
        get_worker().log_event(self._topic, {"name": self._name, "what": content})
        client: Any = get_client()
        try:
            flag = f"{self._topic}-{self._name}"
            return bool(client.sync(client.scheduler.event_is_set, name=flag, callback_timeout=ANSWER_SECONDS))
        except TimeoutError:  # the next report reads the flag again
            return False


def run_on_cluster(
    client: Client,
    run_task: Callable[[Any, Any, Callable[..., bool]], Any],
    setup: Any,
    tasks: Tasks,
    must_stop: Callable[[], bool],
) -> None:
    """Call `run_task(setup, task, report)` for all tasks on the workers; ends early if `must_stop` returns True.

    Raises what `run_task` raises, and MlpError if the scheduler is gone or has no worker for NO_WORKER_SECONDS.
    """
    topic = f"mlp-{uuid4().hex}"
    messages: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    client.subscribe_topic(topic, lambda event: messages.put(("report", event[1])))
    # As the result of a task, which Dask computes again if it is lost; scattered data would be lost with its worker.
    setup_future = client.submit(_identity, setup, pure=False, key=f"{topic}-setup")
    running: dict[str, _Running] = {}
    pool = _WorkerThreads(client)
    is_exhausted = False
    try:
        while not must_stop():
            threads = pool.threads()  # also after the last task is started: raises if the cluster is gone
            while not is_exhausted and len(running) < sum(threads.values()):
                task = tasks.next()
                if task is NOT_YET:
                    break
                is_exhausted = task is None
                if task is not None:
                    name = f"{topic}-{uuid4().hex}"
                    # Without a worker Dask would choose one that has the setup already, even if others are idle.
                    worker = _least_busy(threads, running)
                    future = client.submit(
                        run_task, setup_future, task, _Reports(topic, name), key=name, pure=False, priority=1,
                        workers=[worker], allow_other_workers=True,
                    )  # fmt: skip
                    running[name] = _Running(task, worker, future)
                    _announce_completion(messages, name, future)
            if not running and is_exhausted:
                return
            _handle_message(client, topic, messages, running, tasks)
    finally:
        if client.status == "running":
            client.cancel([running_task.future for running_task in running.values()], force=True)


@dataclass(frozen=True)
class _Running:
    """A running task, the worker that was chosen for it, and the future of its result."""

    task: Any
    worker: str
    future: Future[Any]


def _identity(value: Any) -> Any:
    return value


def _least_busy(threads: Mapping[str, int], running: Mapping[str, _Running]) -> str:
    """The worker with the fewest tasks per thread."""
    n_tasks = Counter(running_task.worker for running_task in running.values())
    return min(threads, key=lambda worker: n_tasks[worker] / threads[worker])


def _announce_completion(messages: "queue.SimpleQueue[tuple[str, Any]]", name: str, future: Future[Any]) -> None:
    """Put a message into the queue when the future is done."""
    future.add_done_callback(lambda _: messages.put(("done", name)))


def _handle_message(
    client: Client,
    topic: str,
    messages: "queue.SimpleQueue[tuple[str, Any]]",
    running: dict[str, _Running],
    tasks: Tasks,
) -> None:
    """Handle one message, if one arrives within POLL_SECONDS; raises what the task raised, and MlpError."""
    try:
        kind, content = messages.get(timeout=POLL_SECONDS)
    except queue.Empty:
        return
    if kind == "report":
        if content["name"] in running and tasks.report(running[content["name"]].task, *content["what"]):
            _set_flag(client, f"{topic}-{content['name']}")
        return
    finished = running.pop(content)
    task, future = finished.task, finished.future
    is_lost = future.status not in ("finished", "error")
    try:
        result = None if is_lost else future.result(timeout=ANSWER_SECONDS)
    except KilledWorker:
        tasks.died(task, "the workers that ran it died, one after the other")
        return
    except (OSError, CancelledError):  # raised by the task, or the result was lost with a worker or the scheduler
        if future.status == "error":
            raise
        is_lost = True
    if not is_lost:
        tasks.done(task, result)
    elif future.status == "cancelled" or client.status != "running":
        raise _scheduler_lost()
    else:  # Dask computes it again
        _wait_again(messages, content, finished, running)


def _wait_again(
    messages: "queue.SimpleQueue[tuple[str, Any]]",
    name: str,
    lost: _Running,
    running: dict[str, _Running],
) -> None:
    """Wait again for a result that was lost."""
    sleep(POLL_SECONDS)  # until Dask has noticed the loss, the future counts as done
    running[name] = lost
    _announce_completion(messages, name, lost.future)


def _set_flag(client: Any, name: str) -> None:
    """As `distributed.Event.set`, but with a time limit; raises MlpError if the scheduler does not answer."""
    try:
        client.sync(client.scheduler.event_set, name=name, callback_timeout=ANSWER_SECONDS)
    except (OSError, TimeoutError) as error:
        raise _scheduler_lost() from error


class _WorkerThreads:
    """The number of tasks that each worker can run at a time, updated once a second."""

    def __init__(self, client: Client) -> None:
        self._client, self._last_checked, self._last_worker_seen = client, 0.0, monotonic()
        self._threads: Mapping[str, int] = {}

    def threads(self) -> Mapping[str, int]:
        """Threads of each worker by address; raises MlpError if the scheduler is gone, or after NO_WORKER_SECONDS."""
        if self._client.status != "running":
            raise _scheduler_lost()
        if monotonic() - self._last_checked < 1.0:
            return self._threads
        try:
            scheduler: Any = self._client.scheduler
            n_threads = self._client.sync(scheduler.ncores, callback_timeout=ANSWER_SECONDS)
        except (OSError, TimeoutError) as error:
            raise _scheduler_lost() from error
        self._last_checked, self._threads = monotonic(), {worker: n for worker, n in n_threads.items() if n}
        if self._threads:
            self._last_worker_seen = self._last_checked
        elif self._last_checked - self._last_worker_seen > NO_WORKER_SECONDS:
            raise MlpError(
                f"the cluster has had no worker for {NO_WORKER_SECONDS:g} s. Start some with: dask worker ADDRESS"
            )
        return self._threads


def _scheduler_lost() -> MlpError:
    return MlpError("the scheduler of the cluster is gone. What is done is kept.")
