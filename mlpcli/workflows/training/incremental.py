"""A training that is given its rows a part at a time: an epoch of each part, with weights and optimizer kept."""

from dataclasses import replace

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.table import Table
from mlpcli.nn.ensemble import Ensemble
from mlpcli.training.fit import TrainingState
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.preparing.preparation import Prepared, prepare
from mlpcli.workflows.preparing.warm_start import WarmStart
from mlpcli.workflows.training.finalize import TrainingResult, finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state

MODEL_NAME = "the model"


def untrained_model(loaded: LoadedConfig, table: Table) -> WarmStart:
    """Columns, scaling, levels and targets learnt of these rows, and weights before their first step.

    Raises ConfigError and DataError.
    """
    prepared = prepare(loaded, table)
    with blas_threads(1):
        return _start(prepared, initial_state(prepared))[1]


def train_epoch(loaded: LoadedConfig, table: Table, before: WarmStart | None) -> tuple[TrainingResult, WarmStart]:
    """Train up to the last epoch of the config on these rows: the model, and what the next part goes on from.

    Without `before` columns, scaling, levels and targets are learnt of these rows. Raises ConfigError, DataError, and
    NonFiniteLoss.
    """
    prepared = prepare(loaded, table, before)
    state = initial_state(prepared)
    with blas_threads(1):
        for _ in epochs(prepared, state, lambda: False):
            pass
        return _start(prepared, state)


def _start(prepared: Prepared, state: TrainingState) -> tuple[TrainingResult, WarmStart]:
    """The model of a state, and what goes on from it."""
    result = finalize(prepared, state)
    # The layers as they are trained: of the model that is saved some are merged, which the optimizer would not know.
    ensemble = Ensemble(prepared.networks, tuple(member.flat.copy() for member in state.members))
    return result, WarmStart(MODEL_NAME, "", replace(result.model, ensemble=ensemble), 1.0, state)
