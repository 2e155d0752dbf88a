"""The state before the first epoch, and what it says of progress."""

import numpy as np

from mlpcli.nn.optimizers import Adam
from mlpcli.training.state import start_state


def test_a_fresh_state_has_done_nothing():
    state = start_state(np.ones(5, np.float32), Adam().start(np.ones(5, np.float32)))
    assert (state.epoch, state.best_epoch, state.best_score, state.epochs_without_gain) == (0, 0, None, 0)
    assert set(state.optimizer) == {"step", "mean", "square"}


def test_the_best_weights_are_a_copy_not_a_view():
    state = start_state(np.ones(5, np.float32), {})
    state.flat[:] = 2
    np.testing.assert_array_equal(state.best_flat, 1)
    assert state.best_flat.dtype == np.float32


def test_epochs_without_gain_are_counted_from_the_best_one():
    state = start_state(np.ones(5, np.float32), {})
    state.epoch, state.best_epoch = 9, 4
    assert state.epochs_without_gain == 5
