"""The estimated duration of a training, in which the loading time is counted once."""

import pytest

from mlpcli.training.member import EpochResult
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.training.estimates import timing
from mlpcli.workflows.training.estimates.timing import scoring_seconds, step_seconds
from tests.workflows.staging import IRIS, loaded


class Clock:
    """A clock that an engine advances."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("n_steps", [1, 4])
def test_the_loading_time_of_the_first_step_is_not_multiplied(monkeypatch, n_steps):
    """Also with one step in an epoch."""
    clock = Clock()

    class Slow:
        """A second to load, a millisecond for each step."""

        def __init__(self, member, dataset, spec, state):
            self.state = state

        def run(self, epoch, must_stop):
            for _ in range(n_steps):
                if must_stop():
                    return EpochResult(1.0, 0.1, is_complete=False)
                clock.now += 0.001 if self.state.n_steps else 1.001
                self.state.n_steps += 1
            return EpochResult(1.0, 0.1)

    monkeypatch.setattr(timing, "perf_counter", clock)
    monkeypatch.setattr(timing, "trainer_maker", lambda *arguments: Slow)
    training = {"epochs": 1000, "batch_size": -(-120 // n_steps)}
    assert step_seconds(prepare(loaded(training=training))) == pytest.approx(n_steps)


@pytest.mark.parametrize(("early_stopping", "n_judged"), [(None, 8), ({"at": "cycle_ends"}, 3)])
def test_the_scores_of_each_scored_epoch_and_of_the_end_are_counted(monkeypatch, early_stopping, n_judged):
    clock = Clock()

    def report_start(prepared, state):
        clock.now += 0.5

    monkeypatch.setattr(timing, "perf_counter", clock)
    monkeypatch.setattr(timing, "initial_report", report_start)
    stopping = early_stopping if early_stopping is None else {"metric": "loss", **early_stopping}
    training = {"epochs": 8, "schedule": {"name": "coslog", "cycles": 3}, "early_stopping": stopping}
    prepared = prepare(loaded(training=training))
    n_rows = sum(len(part.truth) for part in prepared.splits)
    assert scoring_seconds(prepared) == pytest.approx(0.5 * (n_judged + n_rows / len(prepared.validation.truth)))


def test_without_validation_rows_no_epoch_is_scored():
    assert scoring_seconds(prepare(loaded(data={**IRIS, "validation": None}))) == 0.0
