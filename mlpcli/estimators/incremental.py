"""Incremental training from data frames: what `partial_fit` calls for each batch of rows."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mlpcli.api import TrainedModel
from mlpcli.config.loading import config_from_mapping
from mlpcli.errors import Diverged
from mlpcli.training.member import NonFiniteLoss
from mlpcli.workflows.preparing.rows.tables import training_frame
from mlpcli.workflows.preparing.warm_start import WarmStart
from mlpcli.workflows.training.incremental import MODEL_NAME, train_epoch, untrained_model
from mlpcli.workflows.training.recording.recorded_training import DATA_FRAME


def train_batch(
    config: Mapping[str, Any],
    rows: pd.DataFrame,
    start: WarmStart | None,
    preprocessing_rows: pd.DataFrame | None = None,
) -> tuple[TrainedModel, WarmStart]:
    """Train on these rows up to the last epoch of the config; return the model and the start of the next batch.

    Without `start`, preprocessing and targets are fitted on `preprocessing_rows`, by default on `rows`. Raises
    ConfigError, DataError and Diverged.
    """
    loaded = config_from_mapping({**config, "data": {"train": DATA_FRAME, **config["data"]}})
    if start is None and preprocessing_rows is not None:
        start = untrained_model(loaded, training_frame(loaded, preprocessing_rows))
    try:
        result, start = train_epoch(loaded, training_frame(loaded, rows), start)
    except NonFiniteLoss as fault:
        raise Diverged(f"{fault}. Try a smaller learning_rate_init.") from fault
    return TrainedModel(result.model), start


def warm_start(model: TrainedModel) -> WarmStart:
    """Start from a trained model, with a new state of the optimizer."""
    return WarmStart(MODEL_NAME, "", model._model, 1.0)
