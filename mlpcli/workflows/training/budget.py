"""Whether a training has used up what it may take."""

from time import monotonic

from mlpcli.config.loading import LoadedConfig
from mlpcli.machine import peak_memory
from mlpcli.training.fit import TrainingState
from mlpcli.workflows.preparing.rows.data_store import BASE_BYTES, memory_limit
from mlpcli.workflows.training.estimates.memory import format_bytes

# Steps between two looks at the memory, which cost as much as a step of a small network.
STEPS_PER_CHECK = 16


class Budget:
    """The clock and the memory of one training; `reason` says what is used up, "" until something is.

    `seconds` is what reading and preparing, and earlier sittings, have taken.
    """

    def __init__(self, loaded: LoadedConfig, seconds: float = 0.0, is_on_disk: bool = False) -> None:
        self._seconds, self._memory = loaded.config.budget.seconds, memory_limit(loaded)
        if self._memory is not None and is_on_disk:  # then it is a budget for the rows
            self._memory += BASE_BYTES
        self._started = monotonic() - seconds
        self._n_asked, self._loaded = 0, loaded
        self.reason = ""

    @property
    def seconds(self) -> float:
        """What was used so far."""
        return monotonic() - self._started

    def refuse_untrained(self, state: TrainingState) -> None:
        """Raise ConfigError where it was used up before every member had taken a step."""
        if self.reason and not (state.epoch or state.n_steps):
            when = "before the first step" + (" of every member" if len(state.members) > 1 else "")
            raise self._loaded.error("budget", f"{self.reason} {when} ({self.seconds:.3g} s). Raise it.")

    def is_exhausted(self) -> bool:
        """To be asked before each step."""
        if self.reason:
            return True
        if self._seconds is not None and self.seconds >= self._seconds:
            self.reason = f"the budget of {self._seconds:g} s is used up"
        elif self._memory is not None and self._n_asked % STEPS_PER_CHECK == 0 and peak_memory() > self._memory:
            self.reason = f"the process took {format_bytes(peak_memory())}, its budget is {format_bytes(self._memory)}"
        self._n_asked += 1
        return bool(self.reason)
