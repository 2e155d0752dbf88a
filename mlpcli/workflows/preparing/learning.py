"""What is learnt of the training rows before the first step: target and preprocessing; or taken from a model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.features.preprocessor import Preprocessor, fit_preprocessor
from mlpcli.data.reference import ReferenceProfile
from mlpcli.data.remote_columns import RemoteColumns
from mlpcli.data.targets.encode import encode_target, fit_target
from mlpcli.data.targets.target import Target
from mlpcli.nn.losses import Loss, Quantile
from mlpcli.nn.network import Network
from mlpcli.workflows.preparing.networks.shape import resolve_networks
from mlpcli.workflows.preparing.resolution import resolve_target_transform
from mlpcli.workflows.preparing.rows.tables import TrainingTable
from mlpcli.workflows.preparing.start import Start, check_start

Rows = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Learnt:
    """What makes arrays of the rows, and the networks that fit them.

    `rank_error` is that of quantiles which were learnt of sketches, at most, as a fraction of the rows.
    """

    target: Target
    target_state: dict[str, Values]
    preprocessor: Preprocessor
    reference: ReferenceProfile
    networks: tuple[Network, ...]
    rank_error: float = 0.0

    @property
    def notes(self) -> list[str]:
        """What the user should know of it."""
        if not self.rank_error:
            return []
        return [
            "a column of numbers does not fit here: medians, quantiles and bins are those of a sketch, and miss their "
            f"rank by {self.rank_error:.2g} of the rows at most; means, deviations, extremes and levels are exact."
        ]

    @property
    def parts(self) -> tuple[Target, dict[str, Values], Preprocessor, tuple[Network, ...]]:
        """All but the reference profile."""
        return self.target, self.target_state, self.preprocessor, self.networks


def learn(
    loaded: LoadedConfig,
    settled: TrainingTable,
    rows: Rows,
    weights: Values | None,
    loss: Loss,
    output_activation: str,
    start: Start | None,
) -> Learnt:
    """Learn of the training rows, or take what the model of `start` has learnt; raises ConfigError and DataError."""
    if start is not None:
        check_start(loaded, start, output_activation)
        model = start.model
        return Learnt(
            model.target, start.target_state, model.preprocessor, model.reference, tuple(model.ensemble.networks)
        )
    transform = resolve_target_transform(loaded, loss, output_activation)
    schemas, task = settled.targets.schemas, settled.targets.task
    fitted = loss.output_quantiles if isinstance(loss, Quantile) else ()
    target, target_state = fit_target(settled.table, schemas, task, rows, transform, weights, fitted)
    preprocessor, reference = _fit_preprocessor(loaded, settled, target, target_state, rows, weights)
    networks = resolve_networks(loaded, preprocessor, target, loss, output_activation)
    columns = settled.table.columns
    rank_error = columns.rank_error if isinstance(columns, RemoteColumns) else 0.0
    return Learnt(target, target_state, preprocessor, reference, networks, rank_error)


def _fit_preprocessor(
    loaded: LoadedConfig,
    settled: TrainingTable,
    target: Target,
    target_state: dict[str, Values],
    rows: Rows,
    weights: Values | None,
) -> tuple[Preprocessor, ReferenceProfile]:
    options = loaded.config.preprocess
    targets = encode_target(target, target_state, settled.table, rows) if options.encoding.uses_targets else None
    return fit_preprocessor(
        settled.table, settled.features, options.numeric, options.missing, options.categorical, options.encoding,
        rows, targets, weights,
    )  # fmt: skip
