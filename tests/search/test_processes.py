"""Tasks in several processes: each is run once, one that kills its process fails alone, and no process is left over."""

import os
import signal
import time

import pytest

from mlpcli.search.processes import run_tasks


def serve(setup, channel):
    """Square numbers; the task `setup` kills the process."""
    for task in channel.tasks():
        if task == setup:
            os.kill(os.getpid(), signal.SIGKILL)
        channel.done((channel.report(task), os.getpid()))


def sleep(setup, channel):
    for _ in channel.tasks():
        channel.report(os.getpid())
        time.sleep(60)


class Tasks:
    def __init__(self, n):
        self.waiting, self.results, self.dead, self.reports = list(range(n)), {}, {}, []

    def next(self):
        return self.waiting.pop(0) if self.waiting else None

    def report(self, task, what):
        self.reports.append(what)
        return what * what

    def done(self, task, result):
        self.results[task] = result

    def died(self, task, reason):
        self.dead[task] = reason
        return True


def test_a_task_that_kills_its_process_fails_alone():
    tasks = Tasks(7)
    run_tasks(2, serve, 3, tasks, lambda: False)
    assert {task: square for task, (square, _) in tasks.results.items()} == {n: n * n for n in range(7) if n != 3}
    assert list(tasks.dead) == [3]
    assert "killed" in tasks.dead[3]
    assert os.getpid() not in {process for _, process in tasks.results.values()}


def test_busy_processes_are_terminated_at_must_stop():
    tasks = Tasks(2)
    run_tasks(2, sleep, None, tasks, lambda: len(tasks.reports) == 2)
    assert tasks.results == {}
    for process in tasks.reports:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            continue
        raise AssertionError(f"{process} is alive")


def test_an_error_of_the_task_queue_is_not_taken_for_a_dead_process():
    class FullDisk(Tasks):
        def done(self, task, result):
            raise OSError(28, "No space left on device")

    tasks = FullDisk(3)
    with pytest.raises(OSError, match="No space"):
        run_tasks(2, serve, None, tasks, lambda: False)
    assert tasks.dead == {}
