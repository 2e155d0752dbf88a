"""The space of a search: which keys of the config take which values, and under which conditions."""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from typing import Any, Protocol

import numpy as np

from mlpcli.config.loading import LoadedConfig, Override, with_values
from mlpcli.config.schema.search import Domain
from mlpcli.config.yaml.dumping import as_plain, flow_text
from mlpcli.errors import ConfigError, MlpError

# Keys that decide which rows are judged, and how: with other values scores could not be compared.
FIXED_KEYS = (
    "task", "output", "intervals", "expect", "budget", "search", "training.seed", "training.early_stopping.metric",
    "model.members.rows", "model.members.folds",
)  # fmt: skip
SEARCHABLE_DATA_KEYS = ("data.features", "data.drop")
ATTEMPTS = 64  # to meet the conditions of a key by chance


class Suggester(Protocol):
    """What draws values: a trial of Optuna."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """An integer."""

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any:
        """One of some texts."""


@dataclass(frozen=True)
class Parameter:
    """A key of the config and its domain."""

    key: str
    domain: Domain

    @property
    def kind(self) -> str:
        """One of the kinds of a distribution."""
        return self.domain.kind

    @property
    def bounds(self) -> tuple[Any, ...]:
        """Least and greatest value, or all choices."""
        return self.domain.bounds

    @property
    def choices(self) -> dict[str, Any]:
        """Each choice by its text in YAML, which tells 1 from "1" and 1.0."""
        return {flow_text(as_plain(value)): as_plain(value) for value in self.bounds}

    @property
    def n_values(self) -> float:
        """How many values there are; infinite for numbers that need not be whole."""
        if self.kind == "choice":
            return len(self.choices)
        return self.bounds[1] - self.bounds[0] + 1 if self.domain.is_whole else math.inf

    @property
    def probe_values(self) -> list[Any]:
        """Values that show whether the config takes all of them."""
        return list(self.choices.values()) if self.kind == "choice" else list(self.bounds)

    def suggest(self, trial: Suggester) -> Any:
        """The value that a trial draws, as it stands in the config."""
        if self.kind == "choice":
            return self.choices[trial.suggest_categorical(self.key, list(self.choices))]
        low, high = self.bounds
        if self.domain.is_whole:
            return trial.suggest_int(self.key, low, high, log=self.kind == "log_int")
        drawn = trial.suggest_float(self.key, low, high, log=self.kind == "log_uniform")
        return self.domain.rounded(drawn)

    def drawn(self, value: Any) -> Any:
        """What Optuna would have drawn for a value; None for one outside the domain."""
        if self.kind == "choice":
            return next((text for text, one in self.choices.items() if one == value), None)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_whole = isinstance(value, int) or not self.domain.is_whole
        return value if is_number and is_whole and self.bounds[0] <= value <= self.bounds[1] else None


@dataclass(frozen=True)
class Space:
    """The parameters, each behind those that its conditions or its place in the config depend on."""

    parameters: tuple[Parameter, ...]

    @property
    def n_values(self) -> float:
        """How many points the space has at most."""
        return math.prod(one.n_values for one in self.parameters)

    @property
    def has_conditions(self) -> bool:
        """Whether a key is searched at some points only."""
        return any(one.domain.when for one in self.parameters)

    def assign(
        self, loaded: LoadedConfig, pick: Callable[[Parameter], Any], where: str = ""
    ) -> tuple[LoadedConfig, dict[str, Any]]:
        """The config with the value that `pick` gives each parameter whose conditions hold; raises ConfigError."""
        overrides: list[Override] = []
        values: dict[str, Any] = {}
        for one in self.parameters:
            if one.domain.when and not _holds(one.domain.when, with_values(loaded, overrides)):
                continue
            values[one.key] = pick(one)
            text = where or f"{one.key} {flow_text(as_plain(values[one.key]))}"
            overrides.append(Override(one.key, deepcopy(values[one.key]), text))  # keys below are written into it
        return with_values(loaded, overrides), values

    def written(self, loaded: LoadedConfig) -> dict[str, Any]:
        """What Optuna would have drawn to get the config as it is, for each key whose value lies in its domain."""
        found = {}
        for one in self.parameters:
            if one.domain.when and not _holds(one.domain.when, loaded):
                continue
            drawn = one.drawn(value_at(loaded, one.key))
            if drawn is None and one.kind == "choice":  # written in its short form: adam
                drawn = next((text for text, value in one.choices.items() if _is_same(loaded, one.key, value)), None)
            if drawn is not None:
                found[one.key] = drawn
        return found


def require_optuna() -> None:
    """Raise MlpError with the install command if the extra `search` is missing."""
    if find_spec("optuna") is None:
        raise MlpError('mlp search: needs the package optuna. Install it with: pip install "mlp-train[search]"')


def space_of(loaded: LoadedConfig) -> Space:
    """The space that the config asks for; raises ConfigError for one that cannot be searched."""
    search = loaded.config.search
    if search is None or not search.space:
        raise loaded.error("search", "no key to search. Write search: {space: {model.dropout: {uniform: [0, 0.5]}}}.")
    parameters = [Parameter(key, domain) for key, domain in search.space.items()]
    for one in parameters:
        _check_domain(loaded, one)
    space = Space(_ordered(loaded, parameters))
    _check_values(loaded, space)
    return space


def value_at(loaded: LoadedConfig, key: str) -> Any:
    """The value of a key in the resolved config, as plain values; None where the config has no such key."""
    value: Any = loaded.config
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    return as_plain(value)


def _is_same(loaded: LoadedConfig, key: str, value: Any) -> bool:
    try:
        return with_values(loaded, [Override(key, value, "mlp search")]).config == loaded.config
    except ConfigError:
        return False


def _holds(when: Mapping[str, Any], loaded: LoadedConfig) -> bool:
    """Whether each of the keys has its value, or one of a list of them; a part may be told by its name."""
    for key, wanted in when.items():
        found = value_at(loaded, key)
        is_several = isinstance(wanted, list) and (
            not isinstance(found, list) or any(isinstance(one, list) for one in wanted)
        )
        allowed = wanted if is_several else [wanted]
        name = found.get("name") if isinstance(found, dict) else None
        if found not in allowed and (name is None or name not in allowed):
            return False
    return True


def _check_domain(loaded: LoadedConfig, one: Parameter) -> None:
    where, domain = f"search.space.{one.key}", one.domain
    if fault := domain.fault():
        raise loaded.error(where, fault)
    if one.kind == "choice" and len(one.choices) < 2:
        raise loaded.error(where, "choice needs at least two different values.")
    if one.kind != "choice" and one.bounds[0] == one.bounds[1]:
        raise loaded.error(where, f"{domain.given[0]} needs two different bounds, got {one.bounds[0]:g} twice.")
    for fixed in (*FIXED_KEYS, "data"):
        touches = one.key == fixed or one.key.startswith(f"{fixed}.") or fixed.startswith(f"{one.key}.")
        if touches and one.key not in SEARCHABLE_DATA_KEYS:
            raise loaded.error(
                where,
                ("cannot be searched: it defines the rows or their scoring, which must be the same for all trials."),
            )


def _ordered(loaded: LoadedConfig, parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Each parameter behind those above it in the config and those its conditions name; raises ConfigError."""
    left, found = list(parameters), list[Parameter]()
    while left:
        ready = [one for one in left if not any(_depends(one, other) for other in left if other is not one)]
        if not ready:
            raise loaded.error(f"search.space.{left[0].key}", "its condition depends on itself.")
        found += ready
        left = [one for one in left if one not in ready]
    return tuple(found)


def _depends(one: Parameter, other: Parameter) -> bool:
    return one.key.startswith(f"{other.key}.") or any(
        key == other.key or key.startswith(f"{other.key}.") or other.key.startswith(f"{key}.")
        for key in one.domain.when
    )


def _check_values(loaded: LoadedConfig, space: Space) -> None:
    """Raise ConfigError where the config does not take a value of the space, or a condition is never met."""
    rng = np.random.default_rng(0)
    for one in space.parameters:
        where = loaded.source_map.origin(("search", "space", one.key)).where
        for value in one.probe_values:
            if not _is_accepted(loaded, space, one, value, where, rng):
                raise loaded.error(f"search.space.{one.key}.when", "never holds at any point of the space.")


def _is_accepted(
    loaded: LoadedConfig, space: Space, one: Parameter, value: Any, where: str, rng: np.random.Generator
) -> bool:
    """Whether there is a point where the parameter has this value; raises ConfigError if the config refuses it."""
    needed = [other for other in space.parameters if other is not one and _depends_indirectly(space, one, other)]
    small = Space((*needed, one))
    grids = [other.probe_values for other in needed]
    points = list(product(*grids)) if math.prod(map(len, grids)) <= ATTEMPTS else None
    for attempt in range(len(points) if points is not None else ATTEMPTS):
        drawn = points[attempt] if points is not None else [grid[rng.integers(len(grid))] for grid in grids]
        values = {other.key: own for other, own in zip(needed, drawn, strict=True)} | {one.key: value}
        try:
            _, assigned = small.assign(loaded, lambda other: values[other.key], where)  # noqa: B023
        except ConfigError as error:
            if not needed or attempt == (len(points) if points is not None else ATTEMPTS) - 1:
                raise ConfigError(str(error)) from error
            continue
        if one.key in assigned:
            return True
    return False


def _depends_indirectly(space: Space, one: Parameter, other: Parameter) -> bool:
    """Whether a parameter depends on another, if only by way of others."""
    return _depends(one, other) or any(
        _depends(one, between) and _depends_indirectly(space, between, other)
        for between in space.parameters
        if between not in (one, other)
    )
