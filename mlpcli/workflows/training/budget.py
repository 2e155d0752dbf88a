"""The limits of the time and memory of one training."""

from time import monotonic

from mlpcli.config.loading import LoadedConfig
from mlpcli.machine import peak_memory
from mlpcli.training.fit import TrainingState
from mlpcli.workflows.preparing.rows.data_store import BASE_BYTES, memory_limit
from mlpcli.workflows.training.estimates.memory import format_bytes

# Steps between two measurements of the memory, each of which takes as long as a step of a small network.
STEPS_PER_CHECK = 16


class Budget:
    """Measures the time and memory of one training; `reason` says which limit was reached, "" for none.

    `seconds` is the time already used, by reading, preparation and earlier sittings; `is_on_disk` tells that the
    training rows are on disk.
    """

    def __init__(self, loaded: LoadedConfig, seconds: float = 0.0, is_on_disk: bool = False) -> None:
        self._seconds, self._memory = loaded.config.budget.seconds, memory_limit(loaded)
        if self._memory is not None and is_on_disk:  # the limit then excludes the program itself
            self._memory += BASE_BYTES
        self._started = monotonic() - seconds
        self._n_checks, self._loaded = 0, loaded
        self.reason = ""

    @property
    def seconds(self) -> float:
        """The time used so far, in seconds."""
        return monotonic() - self._started

    def refuse_untrained(self, state: TrainingState) -> None:
        """Raise ConfigError if a limit was reached before every member had taken a step."""
        if self.reason and not (state.epoch or state.n_steps):
            when = "before the first step" + (" of every member" if len(state.members) > 1 else "")
            raise self._loaded.error("budget", f"{self.reason} {when} ({self.seconds:.3g} s). Raise it.")

    def is_exhausted(self) -> bool:
        """Whether a limit is reached; called before each step."""
        if self.reason:
            return True
        if self._seconds is not None and self.seconds >= self._seconds:
            self.reason = f"the budget of {self._seconds:g} s is used up"
        elif self._memory is not None and self._n_checks % STEPS_PER_CHECK == 0 and peak_memory() > self._memory:
            self.reason = f"the process took {format_bytes(peak_memory())}, its budget is {format_bytes(self._memory)}"
        self._n_checks += 1
        return bool(self.reason)
