"""Every campaign of the soak, briefly: what is promised in docs/reliability.md holds for a sample of each attack."""

import random

import pytest

from tests.soak.children import Nursery
from tests.soak.fuzzing import FUZZERS, Laboratory, try_config, try_table
from tests.soak.hostile import CONFIGS
from tests.soak.kills import (
    calls_of,
    interrupt_at_random,
    kill_at_call,
    kill_at_random,
    readers_during_training,
    train_twice_at_once,
)  # fmt: skip
from tests.soak.long_runs import DAY, train_for_long
from tests.soak.staging import Theatre
from tests.soak.storage_faults import CODES, fail_at_byte, fail_at_call, fail_in_history, vanish_at_call

SEED = 20
# Of the hostile tables the quickest, of the examples of a fuzzer a few: the long soak has them all.
QUICK_TABLES = ("a quote that never closes", "mixed encodings", "controls for a terminal in the labels")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("soak")


@pytest.fixture(scope="module")
def nursery(scratch):
    with Nursery(scratch / "first") as first:
        yield first


@pytest.fixture(scope="module")
def theatre(scratch, nursery):
    return Theatre(scratch / "theatre", nursery)


@pytest.fixture(scope="module")
def calls(theatre, nursery):
    return {has_old: calls_of(theatre, nursery, has_old) for has_old in (True, False)}


@pytest.fixture(scope="module")
def laboratory(scratch, nursery):
    return Laboratory(scratch, nursery)


@pytest.fixture
def chance():
    return random.Random(SEED)


def test_a_kill_at_any_call_on_the_disk_leaves_a_complete_run_and_the_training_can_go_on(
    theatre, nursery, calls, chance
):
    for nth in chance.sample(range(1, len(calls[True]) + 1), 2):
        kill_at_call(theatre, nursery, True, nth)
    # Every call from the moment the old run makes way.
    moved = next(nth for nth, call in enumerate(calls[True], 1) if call == "rename runs/r")
    for nth in range(moved, moved + 2):
        kill_at_call(theatre, nursery, True, nth)
    kill_at_call(theatre, nursery, False, chance.randint(1, len(calls[False])))


def test_a_kill_at_any_moment_loses_nothing(theatre, nursery, chance):
    for _ in range(2):
        kill_at_random(theatre, nursery, chance)


def test_a_signal_at_any_moment_ends_with_130_or_143_and_what_was_done_is_saved(theatre, nursery, chance):
    for _ in range(2):
        interrupt_at_random(theatre, nursery, chance)


def test_of_two_trainings_into_one_folder_the_second_is_refused_and_readers_see_whole_versions(
    scratch, theatre, nursery, chance
):
    with Nursery(scratch / "second") as second:
        train_twice_at_once(theatre, (nursery, second), chance)
        assert sum(readers_during_training(theatre, (nursery, second), 1, 2)) == 4


@pytest.mark.parametrize("code", CODES)
def test_a_write_that_fails_at_any_byte_leaves_the_old_file_and_nothing_else(tmp_path, code):
    for k in range(0, 2000, 101):
        fail_at_byte(tmp_path, bytes(2000), k, code)


def test_a_history_that_was_cut_off_at_any_byte_goes_on_as_if_nothing_had_been(tmp_path):
    rows = [{"epoch": epoch, "loss": 1.0 / epoch} for epoch in range(1, 4)]
    for k in range(0, 40, 3):
        fail_in_history(tmp_path, rows, k, CODES[0])


def test_any_call_on_the_disk_may_fail_and_the_old_run_stays(theatre, nursery, calls, chance):
    for nth in chance.sample(range(1, len(calls[True]) + 1), 2):
        fail_at_call(theatre, nursery, True, nth, chance.choice(CODES), nth % 2 == 0)
    assert calls[True][-1] == "close runs/r.lock"
    assert fail_at_call(theatre, nursery, True, len(calls[True]), CODES[2], False) == ""


def test_a_folder_may_vanish_under_a_training_and_it_is_said(theatre, nursery, calls, chance):
    made = calls[False].index("mkdir runs/r.partial") + 2
    for nth in (made, chance.randint(made, len(calls[False]) - 8)):
        assert "runs" in vanish_at_call(theatre, nursery, nth, "runs")


@pytest.mark.parametrize("kind", FUZZERS)
def test_a_damaged_file_is_refused_in_one_to_three_lines_or_harmless(laboratory, kind):
    FUZZERS[kind](laboratory, 8, SEED)


def test_no_hostile_config_is_taken(laboratory):
    for case in list(CONFIGS)[::5]:
        try_config(laboratory, case)


def test_no_hostile_table_does_harm(laboratory):
    for case in QUICK_TABLES:
        try_table(laboratory, case)


def test_a_simulated_day_grows_neither_memory_nor_handles_and_history_is_appended(tmp_path):
    assert train_for_long(tmp_path, 130, DAY) >= 130  # memory is measured after 32, 64 and 128 epochs
