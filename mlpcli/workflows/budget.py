"""Whether a training has used up what it may take."""

from time import monotonic

from mlpcli.config.loading import LoadedConfig
from mlpcli.machine import peak_memory
from mlpcli.workflows.data_store import BASE_BYTES, memory_limit
from mlpcli.workflows.memory import shown

# Steps between two looks at the memory, which cost as much as a step of a small network.
STEPS_PER_LOOK = 16


class Budget:
    """The clock and the memory of one training; `reason` says what is used up, "" until something is.

    The clock starts when this is made, with the seconds of earlier sittings on it.
    """

    def __init__(self, loaded: LoadedConfig, spent: float = 0.0, is_on_disk: bool = False) -> None:
        self._seconds, self._memory = loaded.config.budget.seconds, memory_limit(loaded)
        if self._memory is not None and is_on_disk:  # then it is a budget for the rows
            self._memory += BASE_BYTES
        self._started = monotonic() - spent
        self._n_asked = 0
        self.reason = ""

    def is_used_up(self, n_epochs: int) -> bool:
        """To be asked before each step; never before the first epoch is done, without which there is no model."""
        if self.reason or not n_epochs:
            return bool(self.reason)
        if self._seconds is not None and monotonic() - self._started >= self._seconds:
            self.reason = f"the budget of {self._seconds:g} s is used up"
        elif self._memory is not None and self._n_asked % STEPS_PER_LOOK == 0 and peak_memory() > self._memory:
            self.reason = f"the process took {shown(peak_memory())}, its budget is {shown(self._memory)}"
        self._n_asked += 1
        return bool(self.reason)
