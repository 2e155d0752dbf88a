"""How long a training will take: loading what runs it is not multiplied by its steps."""

import pytest

from mlpcli.training.engine import EpochResult
from mlpcli.workflows import timing
from mlpcli.workflows.preparation import prepare
from mlpcli.workflows.timing import expected_seconds
from tests.workflows.staging import loaded


class Clock:
    """Time that passes as an engine says."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("n_steps", [1, 4])
def test_what_is_loaded_once_is_counted_once(monkeypatch, n_steps):
    """With one step in an epoch, too."""
    clock = Clock()

    class Slow:
        """A second to load, a millisecond for each step."""

        def __init__(self):
            self.n_steps, self.steps_taken = n_steps, 0

        def run(self, parameters, optimizer_state, epoch, must_stop):
            for _ in range(self.n_steps):
                if must_stop():
                    return None
                clock.now += 0.001 if self.steps_taken else 1.001
                self.steps_taken += 1
            return EpochResult((1.0,), 0.1)

    monkeypatch.setattr(timing, "perf_counter", clock)
    monkeypatch.setattr(timing, "make_engine", lambda *arguments: Slow())
    assert expected_seconds(prepare(loaded(training={"epochs": 1000}))) == pytest.approx(n_steps)
