"""Where a training stands between two epochs: everything a checkpoint must hold to go on bit for bit."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


@dataclass
class TrainingState:
    """Parameters, optimizer state and the best epoch so far.

    `flat` and `best_flat` are (n_parameters,), the same array where the last epoch is always the best one. `epoch`
    counts completed epochs; `best_epoch` is 0 and `best_score` None until one has been scored. Where the first epoch
    was given up, `n_steps` is how many of its steps `flat` has seen: such a state is kept, but not gone on from.
    """

    flat: Array
    optimizer: dict[str, NDArray[Any]]
    best_flat: Array
    epoch: int = 0
    best_epoch: int = 0
    best_score: float | None = None
    n_steps: int = 0

    @property
    def epochs_without_gain(self) -> int:
        """Completed epochs since the best one."""
        return self.epoch - self.best_epoch


def start_state(flat: Array, optimizer: dict[str, NDArray[Any]]) -> TrainingState:
    """The state before the first epoch."""
    return TrainingState(flat=flat, optimizer=optimizer, best_flat=flat.copy())
