"""The best epoch, early stopping, and the final scores."""

import itertools

import numpy as np
import pytest

from mlpcli.evaluation.metrics import averages
from mlpcli.storage.model.model_file import encode_model
from mlpcli.training.fit import TrainingState
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs, stop_reason
from mlpcli.workflows.training.initial_state import initial_state
from tests.program import DATA, write_csv
from tests.workflows.staging import IRIS, loaded


def fitted(prepared, must_stop=lambda: False):
    state = initial_state(prepared)
    reports = list(epochs(prepared, state, must_stop))
    return finalize(prepared, state), reports


def test_the_best_epoch_on_the_validation_rows_is_kept():
    prepared = prepare(loaded(training={"epochs": 30, "optimizer": {"name": "sgd", "learning_rate": 1.0}}))
    outcome, reports = fitted(prepared)
    best = min(reports, key=lambda report: report.score)
    assert outcome.best_epoch == best.epoch < 30
    assert outcome.best_score == best.score
    assert outcome.scores["validation"]["log_loss"] == pytest.approx(best.score)


def test_a_metric_that_is_better_if_higher_is_maximized():
    training = {"epochs": 20, "early_stopping": {"metric": "accuracy"}}
    outcome, reports = fitted(prepare(loaded(training=training)))
    assert outcome.best_score == max(report.score for report in reports)
    assert outcome.scores["validation"]["accuracy"] == outcome.best_score


def test_without_early_stopping_the_last_epoch_is_kept():
    outcome, reports = fitted(prepare(loaded(training={"epochs": 5, "early_stopping": None})))
    assert (outcome.best_epoch, outcome.best_score, outcome.stop_reason) == (5, None, "")
    assert [report.epoch for report in reports] == [1, 2, 3, 4, 5]


def test_patience_ends_the_training_and_says_why():
    training = {"epochs": 50, "early_stopping": {"patience": 3, "min_gain": 9.0, "metric": "loss"}}
    outcome, reports = fitted(prepare(loaded(training=training)))
    assert len(reports) == 4
    assert outcome.stop_reason == "no improvement in loss for 3 epochs"


def stop_epoch(best_epoch, epochs=1000, **early_stopping):
    """The epoch after which a training without improvement since `best_epoch` stops."""
    prepared = prepare(loaded(training={"epochs": epochs, "early_stopping": early_stopping}))
    state = TrainingState([], [])
    state.best_epoch = state.epoch = best_epoch
    while state.epoch < epochs and not stop_reason(prepared, state):
        state.epoch += 1
    return state.epoch


@pytest.mark.parametrize("best_epoch", [1, 2, 17, 119])
def test_patience_grows_with_the_best_epoch_by_its_factor(best_epoch):
    assert stop_epoch(best_epoch, patience=20) == best_epoch + 20
    assert stop_epoch(best_epoch, patience=20, patience_factor=2.0) == 2 * best_epoch + 20
    assert stop_epoch(best_epoch, patience=20, patience_factor=1.5) == -(-3 * best_epoch // 2) + 20


def test_the_stop_reason_counts_the_epochs_without_improvement():
    prepared = prepare(loaded(training={"epochs": 99, "early_stopping": {"patience": 5, "patience_factor": 2.0}}))
    state = TrainingState([], [])
    state.best_epoch, state.epoch = 10, 25
    assert stop_reason(prepared, state) == "no improvement in log_loss for 15 epochs"


def test_in_a_tie_the_first_or_the_last_epoch_is_kept_as_configured(folder):
    rows = [(x, "no" if x < 0 else "yes") for x in range(-30, 30) if x]
    write_csv(folder / "t.csv", ["x", "y"], rows)
    training = {"epochs": 12, "optimizer": {"name": "adam", "learning_rate": 0.01}}
    best = {}
    for ties in ("first", "last"):
        stopping = {"metric": "accuracy", "ties": ties}
        config = loaded({"train": "t.csv", "target": "y"}, training | {"early_stopping": stopping})
        outcome, reports = fitted(prepare(config))
        top = [report.epoch for report in reports if report.score == outcome.best_score]
        assert len(top) > 1
        best[ties] = (outcome.best_epoch, top)
    assert best["first"][0] == best["first"][1][0]
    assert best["last"][0] == best["last"][1][-1]


def test_patience_that_runs_out_at_the_last_epoch_is_no_early_stop():
    prepared = prepare(loaded(training={"epochs": 4, "early_stopping": {"patience": 3, "min_gain": 9.0}}))
    outcome, reports = fitted(prepared)
    assert len(reports) == 4
    assert outcome.stop_reason == ""


def test_scores_are_of_every_split_and_of_the_baseline_on_the_last_split():
    data = {**IRIS, "test": IRIS["train"]}
    outcome, _ = fitted(prepare(loaded(data, {"epochs": 3})))
    assert list(outcome.scores) == ["train", "validation", "test", "constant"]
    assert outcome.scores["constant"]["accuracy"] == pytest.approx(1 / 3)
    assert outcome.scores["constant"]["log_loss"] == pytest.approx(np.log(3))


def test_the_baseline_of_numbers_is_the_mean_or_the_median_by_the_loss():
    data = {"train": str(DATA / "diabetes.csv"), "target": "progression", "validation": None}
    y = np.loadtxt(DATA / "diabetes.csv", delimiter=",", skiprows=1, usecols=10)
    for loss, middle in (("squared_error", y.mean()), ("absolute_error", np.median(y))):
        outcome, _ = fitted(prepare(loaded(data, {"loss": loss})))
        assert outcome.scores["constant"]["mae"] == pytest.approx(np.abs(y - middle).mean())


def test_gates_are_checked_on_the_last_split():
    data = {**IRIS, "test": IRIS["train"]}
    outcome, _ = fitted(prepare(loaded(data, expect={"min": {"accuracy": 0.0}, "max": {"log_loss": 0.0}})))
    assert [result.passed for result in outcome.gate_results] == [True, False]
    assert outcome.gate_results[0].score == outcome.scores["test"]["accuracy"]
    assert not outcome.passed


def test_equal_trainings_give_equal_bytes_and_the_record_has_no_clock():
    first, second = (fitted(prepare(loaded()))[0].model for _ in range(2))
    assert encode_model(first) == encode_model(second)
    assert first.record["rows"] == {"train": 120, "validation": 30}
    assert not {"time", "date", "seconds", "host"} & set(first.record)


def test_separate_streams_the_weights_do_not_depend_on_the_split():
    one = initial_state(prepare(loaded({**IRIS, "validation": 0.2}))).members[0].flat
    other = initial_state(prepare(loaded({**IRIS, "validation": 0.4}))).members[0].flat
    np.testing.assert_array_equal(one, other)


def test_a_stop_between_two_steps_discards_the_epoch():
    prepared = prepare(loaded(training={"epochs": 5, "batch_size": 50}))
    whole, state = initial_state(prepared), initial_state(prepared)
    next(iter(epochs(prepared, whole, lambda: False)))
    looks = itertools.count()
    n_steps = whole.members[0].n_steps
    assert len(list(epochs(prepared, state, lambda: next(looks) > n_steps))) == 1
    np.testing.assert_array_equal(state.members[0].flat, whole.members[0].flat)


def test_there_is_no_reason_to_stop_before_the_first_epoch():
    prepared = prepare(loaded(training={"early_stopping": {"patience": 1}}))
    assert stop_reason(prepared, TrainingState([], [])) == ""


def test_scores_do_not_depend_on_how_many_rows_are_decoded_at_once(monkeypatch):
    prepared = prepare(loaded(training={"epochs": 2}))
    whole, _ = fitted(prepared)
    monkeypatch.setattr(averages, "BLOCK_CELLS", 1)
    monkeypatch.setattr(averages, "FEWEST_ROWS", 7)
    in_parts, _ = fitted(prepared)
    for part, scores in whole.scores.items():
        assert in_parts.scores[part] == pytest.approx(scores, rel=1e-13)


def test_with_cycle_ends_epochs_are_scored_at_plateau_ends_and_training_stops_only_there():
    stopping = {"at": "cycle_ends", "patience": 1, "min_gain": 9.0, "metric": "loss"}
    training = {"epochs": 30, "schedule": {"name": "coslog", "cycles": 4}, "early_stopping": stopping}
    outcome, reports = fitted(prepare(loaded(training=training)))
    assert [report.epoch for report in reports if report.score is not None] == [2, 6]
    assert (outcome.best_epoch, outcome.epochs) == (2, 6)
    assert outcome.stop_reason == "no improvement in loss for 4 epochs"
    patient = {**training, "early_stopping": {"at": "cycle_ends", "metric": "loss"}}
    _, reports = fitted(prepare(loaded(training=patient)))
    assert [report.epoch for report in reports if report.score is not None] == [2, 6, 14, 30]
