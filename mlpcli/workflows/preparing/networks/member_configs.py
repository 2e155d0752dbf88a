"""Members that differ: the config of each, with the values that it has drawn (`model.members.draw`)."""

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

# Keys that a member may have its own value of: they touch neither its rows nor what is done to the answers.
DRAWABLE = (
    "model.layers", "model.activation", "model.initializer", "model.dropout", "model.parametrization",
    "model.scale_inputs", "model.numeric_embedding", "model.category_embedding", "model.learn_slopes",
    "model.layer_norm", "model.residual", "model.members.views", "model.members.features", "training.optimizer",
    "training.rates", "training.batch_size", "training.gradient_clip", "training.dropout_schedule",
    "training.weight_decay_schedule",
)  # fmt: skip


@dataclass(frozen=True)
class MemberConfig:
    """The config of a member, and the values in it that were drawn, by key."""

    loaded: LoadedConfig
    drawn: Mapping[str, Any]


def member_configs(loaded: LoadedConfig) -> tuple[MemberConfig, ...]:
    """The config of each member; the same for all where nothing is drawn.

    A value depends on the seed, the key and the number of the member (of the round, where rounds are selected), so that
    another key or another count of members leaves it as it is.

    Raises ConfigError for a key that is shared by all members, and for a value that the config does not take.
    """
    members = loaded.config.model.members
    if not members.draw:
        return (MemberConfig(loaded, {}),) * members.count
    keys = sorted(members.draw, key=lambda key: (key.count("."), key))  # a part before the keys in it
    for key in keys:
        _check(loaded, key, members.draw[key])
    found = []
    for number in range(members.count):
        drawn = {key: _draw(loaded, key, members.draw[key], draw_number(members, number)) for key in keys}
        overrides = [_override(key, value) for key, value in drawn.items()]
        found.append(MemberConfig(with_values(loaded, overrides), drawn))
    return tuple(found)


def draw_number(members: Members, number: int) -> int:
    """The number that addresses the random draws of a member: its own, or that of its round.

    Selection evaluates a configuration on all rows, so the members of a round, one for each fold, share their draws.
    """
    shares_draws = members.rows == "folds" and members.select == "greedy"
    return number // (members.folds or members.count) if shares_draws else number


def _draw(loaded: LoadedConfig, key: str, distribution: Distribution, number: int) -> Any:
    # A key has a stream of its own: its checksum stands where streams of other purposes have the epoch.
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
    place = f"model.members.draw.{key}"
    if not any(key == one or key.startswith(f"{one}.") for one in DRAWABLE):
        if tuple(key.split(".")) not in all_keys(spec_of(Config)) and (meant := nearest(key, DRAWABLE, 0.8)):
            raise loaded.error(place, f"unknown key. Did you mean {meant}?")
        raise loaded.error(place, f"all members share it. They may draw {format_list(DRAWABLE, len(DRAWABLE))}.")
    if fault := distribution.fault():
        raise loaded.error(place, fault)
    # A key below one that is drawn itself must go with each of its choices, not with what the config says.
    above = [(one, of) for one, of in loaded.config.model.members.draw.items() if key.startswith(f"{one}.")]
    around = [[_override(one, choice)] for one, of in above for choice in of.bounds] or [[]]
    for value in distribution.bounds:
        for others in around:
            with_values(loaded, [*others, _override(key, value)])


def _override(key: str, value: Any) -> Override:
    return Override(key, as_plain(value), _where(key, value))


def _where(key: str, value: Any) -> str:
    return f"model.members.draw.{key} {flow_text(as_plain(value))}"
