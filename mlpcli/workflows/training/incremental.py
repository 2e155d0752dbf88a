"""Incremental training: one epoch for each batch of rows, continuing from the weights and optimizer state before it."""

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
    """Fit schemas, preprocessing and target on these rows, and initialize the weights.

    Raises ConfigError and DataError.
    """
    prepared = prepare(loaded, table)
    with blas_threads(1):
        return _result_and_start(prepared, initial_state(prepared))[1]


def train_epoch(loaded: LoadedConfig, table: Table, start: WarmStart | None) -> tuple[TrainingResult, WarmStart]:
    """Train up to the last epoch of the config on these rows; returns the model, and the start of the next batch.

    Without `start`, schemas, preprocessing and target are fitted on these rows. Raises ConfigError, DataError, and
    NonFiniteLoss.
    """
    prepared = prepare(loaded, table, start)
    state = initial_state(prepared)
    with blas_threads(1):
        for _ in epochs(prepared, state, lambda: False):
            pass
        return _result_and_start(prepared, state)


def _result_and_start(prepared: Prepared, state: TrainingState) -> tuple[TrainingResult, WarmStart]:
    """The model of a state, and the warm start that continues from it."""
    result = finalize(prepared, state)
    # Linear layers of the saved model are merged: the optimizer state belongs to the layers before that.
    ensemble = Ensemble(prepared.networks, tuple(member.flat.copy() for member in state.members))
    return result, WarmStart(MODEL_NAME, "", replace(result.model, ensemble=ensemble), 1.0, state)
