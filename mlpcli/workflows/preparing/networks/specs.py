"""Makes the training spec of a config, and that of each member with its drawn values."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlpcli.config.loading import LoadedConfig
from mlpcli.nn.losses import Loss
from mlpcli.nn.steps import UpdateSpec
from mlpcli.training.member import TrainingSpec
from mlpcli.workflows.preparing.networks.early_stopping import resolve_batch_size
from mlpcli.workflows.preparing.networks.member_configs import member_configs
from mlpcli.workflows.preparing.warm_start import WarmStart


def training_spec(
    loaded: LoadedConfig, loss: Loss, n_rows: int, start: WarmStart | None = None, chunk_rows: int | None = None
) -> TrainingSpec:
    """The training spec, with every `auto` resolved except the threads, which depend on the engine.

    `n_rows` are the training rows, and `chunk_rows` the rows of a chunk on disk, None for rows in memory.
    """
    training = loaded.config.training
    factor = 1.0 if start is None else start.learning_rate_factor
    optimizer = replace(training.optimizer, learning_rate=training.optimizer.learning_rate * factor)
    update = UpdateSpec(
        optimizer, training.rates, loaded.config.model.parametrization == "ntk", training.gradient_clip,
        training.averaging,
    )  # fmt: skip
    return TrainingSpec(
        loss,
        update,
        training.schedule,
        min(resolve_batch_size(training.batch_size, n_rows), n_rows),
        training.epochs,
        training.seed,
        training.dropout_schedule,
        training.weight_decay_schedule,
        chunk_rows,
    )


def draw_member_specs(
    loaded: LoadedConfig, shared: TrainingSpec, n_rows: int, start: WarmStart | None = None
) -> tuple[tuple[Mapping[str, Any], ...], tuple[TrainingSpec, ...]]:
    """The drawn values by key and the training spec of each member; both empty if members draw nothing."""
    if not loaded.config.model.members.draw:
        return (), ()
    configs = member_configs(loaded)
    specs = (training_spec(member.loaded, shared.loss, n_rows, start, shared.chunk_rows) for member in configs)
    return tuple(member.drawn for member in configs), tuple(specs)
