"""How to train, as the config says: what all members share, and what each has drawn for itself."""

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
    """How to train, with every `auto` resolved but the threads, which depend on the engine."""
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
    """What each member has drawn, by key, and how it is trained; both empty where members draw nothing."""
    if not loaded.config.model.members.draw:
        return (), ()
    configs = member_configs(loaded)
    specs = (training_spec(member.loaded, shared.loss, n_rows, start, shared.chunk_rows) for member in configs)
    return tuple(member.drawn for member in configs), tuple(specs)
