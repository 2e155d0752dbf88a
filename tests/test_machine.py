import ctypes
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlpcli import machine


def test_there_is_at_least_one_core():
    assert machine.available_cores() >= 1


def test_a_limit_of_cores_holds_within_and_in_its_thread_only(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1, 2})
    monkeypatch.setattr(machine, "_core_quota", lambda: float("inf"))
    with machine.limited_cores(1), ThreadPoolExecutor(1) as pool:
        assert machine.available_cores() == 1
        assert pool.submit(machine.available_cores).result() == 3
    assert machine.available_cores() == 3


def test_freed_memory_is_kept_up_to_the_size_of_a_block_and_twice_that_in_all(monkeypatch):
    asked = []

    class Library:
        def __init__(self, name):
            assert name is None

        def mallopt(self, option, value):
            asked.append((option, value))

    monkeypatch.setattr(ctypes, "CDLL", Library)
    machine.keep_freed_memory(1000)
    assert asked == [(-3, 1000), (-1, 2000)]


@pytest.mark.parametrize("fault", [AttributeError, OSError, TypeError])
def test_another_c_library_is_left_as_it_is(monkeypatch, fault):
    def fails(_name):
        raise fault

    monkeypatch.setattr(ctypes, "CDLL", fails)
    machine.keep_freed_memory(1000)


@pytest.fixture
def control_groups(tmp_path, monkeypatch):
    """Write the files of a machine's control groups; `place` is that of this process."""

    def lay(place: str, files: dict[str, str]) -> None:
        for name, text in {"proc/self/cgroup": place, **files}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text + "\n")
        monkeypatch.setattr(machine, "PROC", str(tmp_path / "proc"))
        monkeypatch.setattr(machine, "CONTROL_GROUPS", str(tmp_path / "cgroup"))
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)

    machine._core_quota.cache_clear()
    yield lay
    machine._core_quota.cache_clear()


@pytest.mark.parametrize(
    ("place", "files", "cores"),
    [
        ("0::/", {"cgroup/cpu.max": "max 100000"}, 64),
        ("0::/", {"cgroup/cpu.max": "200000 100000"}, 2),
        ("0::/", {"cgroup/cpu.max": "150000 100000"}, 2),
        ("0::/", {"cgroup/cpu.max": "10000 100000"}, 1),
        ("0::/", {"cgroup/cpu.max": "garbage"}, 64),
        ("0::/a/b", {"cgroup/a/cpu.max": "300000 100000", "cgroup/a/b/cpu.max": "max 100000"}, 3),
        ("0::/a/b", {"cgroup/a/cpu.max": "300000 100000", "cgroup/a/b/cpu.max": "100000 100000"}, 1),
        ("4:cpu:/", {"cgroup/cpu/cpu.cfs_quota_us": "400000", "cgroup/cpu/cpu.cfs_period_us": "100000"}, 4),
        ("4:cpu:/", {"cgroup/cpu/cpu.cfs_quota_us": "-1", "cgroup/cpu/cpu.cfs_period_us": "100000"}, 64),
        ("", {}, 64),
    ],
)  # fmt: skip
def test_a_container_that_grants_two_cores_of_64_has_two(control_groups, place, files, cores):
    control_groups(place, files)
    assert machine.available_cores() == cores


def test_the_memory_of_a_container_is_the_least_that_a_group_allows(control_groups):
    control_groups("0::/a", {"cgroup/memory.max": "max", "cgroup/a/memory.max": "1048576"})
    assert machine.memory_of_machine() == 1048576


def test_what_is_held_now_is_at_most_what_was_held_at_most():
    assert 10_000_000 < machine.held_memory() <= machine.peak_memory()


def test_where_the_system_does_not_tell_the_peak_stands_for_what_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "PROC", str(tmp_path))
    assert machine.held_memory() == machine.peak_memory()
