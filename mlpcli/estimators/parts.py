"""A training that is given its rows a part at a time, from data frames."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mlpcli.api import TrainedModel
from mlpcli.config.loading import config_from_mapping
from mlpcli.errors import Diverged
from mlpcli.training.member import NonFiniteLoss
from mlpcli.workflows.preparing.rows.tables import training_frame
from mlpcli.workflows.preparing.start import Start
from mlpcli.workflows.recorded import DATA_FRAME
from mlpcli.workflows.training.incremental import THE_MODEL, next_epoch, untrained


def train_part(
    config: Mapping[str, Any], rows: pd.DataFrame, before: Start | None, learnt_of: pd.DataFrame | None = None
) -> tuple[TrainedModel, Start]:
    """Train up to the last epoch of the config on these rows; what is given back second, the next part goes on from.

    Without `before` columns, scaling, levels and targets are learnt of these rows, or of `learnt_of`.
    Raises ConfigError, DataError and Diverged.
    """
    loaded = config_from_mapping({**config, "data": {"train": DATA_FRAME, **config["data"]}})
    if before is None and learnt_of is not None:
        before = untrained(loaded, training_frame(loaded, learnt_of))
    try:
        result, start = next_epoch(loaded, training_frame(loaded, rows), before)
    except NonFiniteLoss as fault:
        raise Diverged(f"{fault}. Try a smaller learning_rate_init.") from fault
    return TrainedModel(result.model), start


def gone_on_from(model: TrainedModel) -> Start:
    """A start from a model that was trained otherwise: its optimizer begins anew."""
    return Start(THE_MODEL, "", model._model, 1.0)
