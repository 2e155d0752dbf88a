"""The automatic batch size, and notes on patience that is too short for the schedule."""

import re

import pytest

from mlpcli.workflows.preparing.networks.early_stopping import resolve_batch_size, scored_epochs
from mlpcli.workflows.preparing.preparation import prepare
from tests.program import DATA
from tests.workflows.staging import IRIS, loaded


@pytest.mark.parametrize(
    ("n_rows", "batch_size"),
    [
        (1, 64), (1024, 64), (1025, 128), (8192, 128), (8193, 256), (30_000, 256), (30_001, 512), (100_000, 512),
        (100_001, 1024), (10_000_000, 1024),
    ],
)  # fmt: skip
def test_the_automatic_batch_size_depends_on_the_number_of_training_rows(n_rows, batch_size):
    assert resolve_batch_size("auto", n_rows) == batch_size
    assert resolve_batch_size(7, n_rows) == 7


def test_only_training_rows_count_for_the_automatic_batch_size():
    data = {"train": str(DATA / "digits.csv"), "target": "digit"}
    many, few = (prepare(loaded({**data, "validation": share}, {"batch_size": "auto"})) for share in (0.2, 0.6))
    assert (many.train.samples.n_rows > 1024, few.train.samples.n_rows > 1024) == (True, False)
    assert (many.spec.batch_size, few.spec.batch_size) == (128, 64)


def notes_of(schedule, epochs, data=IRIS, **early_stopping):
    training = {"epochs": epochs, "schedule": schedule, "early_stopping": early_stopping}
    return [note for note in prepare(loaded(data, training)).notes if "patience" in note]


@pytest.mark.parametrize(
    ("schedule", "patience", "where", "enough"),
    [
        ("coslog", 20, "in the middle of a cycle", 137),
        ({"name": "coslog", "cycles": 2}, 20, "in the middle of a cycle", 171),
        ("flat_cos", 20, "before the rate falls", 128),
        ({"name": "flat_cos", "warmup": 56.0}, 20, "before the rate falls", 156),
        ("one_cycle", 20, "while the rate still rises", 77),
        ("step", 20, "before the rate drops", 30),
    ],
)
def test_patience_that_can_stop_a_schedule_early_is_noted_with_a_sufficient_patience(schedule, patience, where, enough):
    (note,) = notes_of(schedule, 256, patience=patience)
    assert where in note
    assert f"Patience {enough} would not" in note
    assert len(notes_of(schedule, 256, patience=enough - 1)) == 1
    assert notes_of(schedule, 256, patience=enough) == []


@pytest.mark.parametrize("epochs", [15, 30, 64, 100, 256, 512])
@pytest.mark.parametrize("cycles", [1, 2, 4, 5])
def test_patience_of_the_first_cycle_with_a_factor_of_2_waits_for_every_cycle(epochs, cycles):
    schedule = {"name": "coslog", "cycles": cycles}
    first = -(-epochs // (2**cycles - 1))
    assert notes_of(schedule, epochs, patience=first, patience_factor=2.0) == []
    notes = notes_of(schedule, epochs, patience=1)
    if notes and cycles > 1:
        assert int(re.search(r"nor (\d+) with patience_factor 2", notes[0])[1]) == first


@pytest.mark.parametrize("schedule", ["constant", "cosine", "exponential"])
def test_a_rate_that_falls_from_the_start_or_never_needs_no_more_patience(schedule):
    assert notes_of(schedule, 100, patience=1) == []


def test_without_patience_training_is_not_stopped_and_a_factor_has_no_effect():
    assert notes_of("coslog", 100) == []
    assert notes_of("coslog", 100, patience_factor=2.0) == [
        "early_stopping.patience_factor does nothing without patience."
    ]


def test_a_warm_up_that_never_ends_is_noted():
    notes = prepare(loaded(training={"epochs": 3, "schedule": {"name": "flat_cos", "warmup": 3.0}})).notes
    assert any("the warm-up of 3 epochs is not over when training ends" in note for note in notes)


@pytest.mark.parametrize(
    ("schedule", "epochs", "expected"),
    [
        ({"name": "coslog", "cycles": 4}, 64, {4, 13, 30, 64}),
        ({"name": "coslog", "cycles": 4}, 1, {1}),
        ({"name": "coslog", "cycles": 4}, 3, {1, 3}),
        ({"name": "step", "every": 3}, 10, {3, 6, 9, 10}),
        ({"name": "step", "every": 30}, 10, {10}),
        ("constant", 7, {7}),
        ("cosine", 7, {7}),
        ("flat_cos", 8, {8}),
    ],
)
def test_the_scored_epochs_of_cycle_ends_are_the_plateau_ends_and_the_last(schedule, epochs, expected):
    training = {"epochs": epochs, "schedule": schedule}
    assert (
        scored_epochs(loaded(training={**training, "early_stopping": {"at": "cycle_ends"}}).config.training) == expected
    )
    assert scored_epochs(loaded(training=training).config.training) is None
    assert scored_epochs(loaded(training={**training, "early_stopping": None}).config.training) is None
