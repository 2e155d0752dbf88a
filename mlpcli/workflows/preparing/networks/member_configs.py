"""The config of each member, with the hyperparameters drawn for it (`model.members.draw`)."""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlpcli.config.loading import LoadedConfig, Override, with_values
from mlpcli.config.schema.distribution import Distribution
from mlpcli.config.schema.fields import all_keys, spec_of
from mlpcli.config.schema.network import Members
from mlpcli.config.schema.sections import Config
from mlpcli.config.validation_errors import nearest
from mlpcli.config.yaml.dumping import as_plain, flow_text
from mlpcli.messages import format_list
from mlpcli.training.seeding import rng_of

# Keys that may differ between members: they affect neither the rows of a member nor the postprocessing.
DRAWABLE = (
    "model.layers", "model.activation", "model.initializer", "model.dropout", "model.parametrization",
    "model.scale_inputs", "model.numeric_embedding", "model.category_embedding", "model.learn_slopes",
    "model.layer_norm", "model.residual", "model.members.views", "model.members.features", "training.optimizer",
    "training.rates", "training.batch_size", "training.gradient_clip", "training.dropout_schedule",
    "training.weight_decay_schedule",
)  # fmt: skip


@dataclass(frozen=True)
class MemberConfig:
    """The config of a member, and the values drawn for it by key."""

    loaded: LoadedConfig
    drawn: Mapping[str, Any]


def member_configs(loaded: LoadedConfig) -> tuple[MemberConfig, ...]:
    """The config of each member; the same for all without `model.members.draw`.

    A drawn value depends only on the seed, the key and the `draw_number` of the member: it does not change with other
    keys or the number of members.

    Raises ConfigError for a key that cannot differ between members, and for a value that is invalid in the config.
    """
    members = loaded.config.model.members
    if not members.draw:
        return (MemberConfig(loaded, {}),) * members.count
    keys = sorted(members.draw, key=lambda key: (key.count("."), key))  # a section before its own keys
    for key in keys:
        _check(loaded, key, members.draw[key])
    configs = []
    for number in range(members.count):
        drawn = {key: _draw(loaded, key, members.draw[key], draw_number(members, number)) for key in keys}
        overrides = [_override(key, value) for key, value in drawn.items()]
        configs.append(MemberConfig(with_values(loaded, overrides), drawn))
    return tuple(configs)


def draw_number(members: Members, number: int) -> int:
    """The number that addresses the random draws of a member: its own, or that of its round.

    Selection evaluates a configuration on all rows, so the members of a round, one for each fold, share their draws.
    """
    shares_draws = members.rows == "folds" and members.select == "greedy"
    return number // (members.folds or members.count) if shares_draws else number


def _draw(loaded: LoadedConfig, key: str, distribution: Distribution, number: int) -> Any:
    # Each key has a separate random stream, addressed by its checksum in the place of the epoch.
    rng = rng_of(loaded.config.training.seed, "draws", zlib.crc32(key.encode()), number)
    kind, bounds = distribution.kind, distribution.bounds
    if kind == "choice":
        return as_plain(bounds[int(rng.integers(len(bounds)))])
    low, high = bounds
    if kind == "int":
        return int(rng.integers(low, high, endpoint=True))
    if kind == "log_int":  # each whole number has the logarithmic width of the interval that rounds to it
        return min(max(round(math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))), low), high)
    drawn = math.exp(rng.uniform(math.log(low), math.log(high))) if kind == "log_uniform" else rng.uniform(low, high)
    return distribution.rounded(drawn)


def _check(loaded: LoadedConfig, key: str, distribution: Distribution) -> None:
    """Raise ConfigError if members cannot draw a key, or if a bound or choice of its distribution is invalid."""
    path = f"model.members.draw.{key}"
    if not any(key == drawable or key.startswith(f"{drawable}.") for drawable in DRAWABLE):
        if tuple(key.split(".")) not in all_keys(spec_of(Config)) and (meant := nearest(key, DRAWABLE, 0.8)):
            raise loaded.error(path, f"unknown key. Did you mean {meant}?")
        raise loaded.error(path, f"all members share it. They may draw {format_list(DRAWABLE, len(DRAWABLE))}.")
    if fault := distribution.fault():
        raise loaded.error(path, fault)
    # If a section above the key is drawn too, the key must be valid with each choice of that section.
    draws = loaded.config.model.members.draw.items()
    sections = [(section, choices.bounds) for section, choices in draws if key.startswith(f"{section}.")]
    contexts = [[_override(section, choice)] for section, choices in sections for choice in choices] or [[]]
    for value in distribution.bounds:
        for context in contexts:
            with_values(loaded, [*context, _override(key, value)])


def _override(key: str, value: Any) -> Override:
    return Override(key, as_plain(value), _origin(key, value))


def _origin(key: str, value: Any) -> str:
    return f"model.members.draw.{key} {flow_text(as_plain(value))}"
