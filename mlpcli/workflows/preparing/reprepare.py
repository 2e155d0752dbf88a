"""Reuses prepared data for another network: only what does not affect the rows and their inputs is resolved again."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.yaml.dumping import as_plain
from mlpcli.storage.strict_json import flattened
from mlpcli.workflows.preparing.engine_choice import choose_engine, training_threads
from mlpcli.workflows.preparing.networks.building import build_networks
from mlpcli.workflows.preparing.networks.specs import draw_member_specs, training_spec
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.preparing.resolution import resolve_loss, resolve_output_activation

# Keys that do not affect the rows, their inputs and their targets (of the layers only the hidden ones do not).
NETWORK_KEYS = (
    "model.layers", "model.activation", "model.initializer", "model.output_bias", "model.dropout",
    "model.parametrization", "model.scale_inputs", "model.numeric_embedding", "model.category_embedding",
    "model.learn_slopes", "model.layer_norm", "model.residual", "model.members.draw", "model.members.features",
    "training.optimizer", "training.schedule",
    "training.rates", "training.dropout_schedule", "training.weight_decay_schedule", "training.averaging",
    "training.batch_size", "training.epochs", "training.gradient_clip", "training.early_stopping.patience",
    "training.early_stopping.patience_factor", "training.early_stopping.min_gain", "training.early_stopping.at",
    "training.early_stopping.ties", "training.engine", "training.threads", "output", "budget", "search",
)  # fmt: skip


def data_settings(loaded: LoadedConfig) -> Mapping[str, Any]:
    """The config keys that affect prepared data, with their values: equal settings share prepared data."""
    plain = as_plain(loaded.config)
    settings = {
        key: value
        for key, value in flattened(plain)
        if not any(key == network_key or key.startswith(f"{network_key}.") for network_key in NETWORK_KEYS)
    }
    layers = loaded.config.model.layers
    return settings | {"model.layers": (layers[0], layers[-1], len(layers) > 1)}


def reprepare(prepared: Prepared, loaded: LoadedConfig) -> Prepared:
    """Prepare another config with the rows of `prepared`; both configs must have equal `data_settings`.

    Raises ConfigError as `prepare` does.
    """
    loss = resolve_loss(loaded, prepared.task)  # type: ignore[arg-type]
    networks = build_networks(
        loaded, prepared.preprocessor, prepared.target, loss, resolve_output_activation(loaded, loss)
    )
    n_rows = prepared.train.samples.n_rows
    spec = training_spec(loaded, prepared.spec.loss, n_rows, chunk_rows=prepared.spec.chunk_rows)
    drawn, member_specs = draw_member_specs(loaded, spec, n_rows)
    engine = choose_engine(loaded, networks, member_specs or (spec,), n_rows)
    threads = training_threads(loaded.config.training.threads, engine, networks, spec.batch_size)
    return replace(
        prepared, loaded=loaded, networks=networks, spec=spec, engine=engine, n_threads=threads, drawn=drawn,
        member_specs=member_specs,
    )  # fmt: skip
