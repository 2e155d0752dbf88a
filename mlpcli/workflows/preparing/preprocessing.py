"""Fit target and preprocessing on the training rows, or take them from the model of a warm start."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.features.preprocessor import Preprocessor, fit_preprocessor
from mlpcli.data.reference import ReferenceProfile
from mlpcli.data.remote_columns import RemoteColumns
from mlpcli.data.targets.encode import encode_target, fit_target
from mlpcli.data.targets.target import Target
from mlpcli.messages import format_list
from mlpcli.model import excluded_columns
from mlpcli.nn.losses import Loss, Quantile
from mlpcli.nn.network import Network
from mlpcli.workflows.preparing.networks.building import build_networks
from mlpcli.workflows.preparing.resolution import resolve_target_transform
from mlpcli.workflows.preparing.rows.tables import TrainingTable
from mlpcli.workflows.preparing.warm_start import WarmStart, check_warm_start

Rows = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class FittedPreprocessing:
    """Target and preprocessing, and the networks for their inputs and outputs.

    `rank_error` bounds the rank error of quantiles from sketches, as a fraction of the rows; 0 without sketches.
    """

    target: Target
    target_state: dict[str, Values]
    preprocessor: Preprocessor
    reference: ReferenceProfile
    networks: tuple[Network, ...]
    rank_error: float = 0.0

    @property
    def notes(self) -> list[str]:
        """Notes on approximate quantiles, and on columns that no member sees."""
        notes = []
        if self.rank_error:
            notes.append(
                "a numeric column does not fit into memory here: medians, quantiles and bins are those of a sketch, "
                f"and miss their rank by {self.rank_error:.2g} of the rows at most; means, deviations, extremes and "
                "levels are exact."
            )
        excluded = [excluded_columns(self.preprocessor, network) for network in self.networks]
        if unused := [name for name in excluded[0] if all(name in names for names in excluded)]:
            notes.append(
                f"no member sees {format_list(unused)}: model.members.features leaves columns out of each. Use more "
                "members, or a larger fraction."
            )
        return notes


def fit_preprocessing(
    loaded: LoadedConfig,
    training_table: TrainingTable,
    rows: Rows,
    weights: Values | None,
    loss: Loss,
    output_activation: str,
    start: WarmStart | None,
) -> FittedPreprocessing:
    """Fit on `rows` with sample weights (n_rows,), or reuse the model of `start`; raises ConfigError and DataError."""
    if start is not None:
        check_warm_start(loaded, start, output_activation)
        model = start.model
        return FittedPreprocessing(
            model.target, start.target_state, model.preprocessor, model.reference, tuple(model.ensemble.networks)
        )
    transform = resolve_target_transform(loaded, loss, output_activation)
    schemas, task = training_table.targets.schemas, training_table.targets.task
    fitted = loss.output_quantiles if isinstance(loss, Quantile) else ()
    target, target_state = fit_target(training_table.table, schemas, task, rows, transform, weights, fitted)
    preprocessor, reference = _fit_preprocessor(loaded, training_table, target, target_state, rows, weights)
    networks = build_networks(loaded, preprocessor, target, loss, output_activation)
    columns = training_table.table.columns
    rank_error = columns.shards.rank_error if isinstance(columns, RemoteColumns) else 0.0
    return FittedPreprocessing(target, target_state, preprocessor, reference, networks, rank_error)


def _fit_preprocessor(
    loaded: LoadedConfig,
    training_table: TrainingTable,
    target: Target,
    target_state: dict[str, Values],
    rows: Rows,
    weights: Values | None,
) -> tuple[Preprocessor, ReferenceProfile]:
    options = loaded.config.preprocess
    targets = encode_target(target, target_state, training_table.table, rows) if options.encoding.uses_targets else None
    return fit_preprocessor(
        training_table.table, training_table.features, options.numeric, options.missing, options.categorical,
        options.encoding, rows, targets, weights,
    )  # fmt: skip
