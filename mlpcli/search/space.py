"""The search space: which values each config key may take, and under which conditions."""

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

# Keys that decide which rows are scored, and how: they are the same in all trials, so that scores can be compared.
FIXED_KEYS = (
    "task", "output", "intervals", "expect", "budget", "search", "training.seed", "training.early_stopping.metric",
    "model.members.rows", "model.members.folds",
)  # fmt: skip
SEARCHABLE_DATA_KEYS = ("data.features", "data.drop")
ATTEMPTS = 64  # random points, or at most as many grid points, that are tried to meet the conditions of a key


class Suggester(Protocol):
    """The methods of `optuna.Trial` that draw values."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Draw a number between the bounds."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Draw an integer between the bounds, inclusive."""

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any:
        """Draw one of the choices."""


@dataclass(frozen=True)
class Parameter:
    """A config key to search, and its domain."""

    key: str
    domain: Domain

    @property
    def kind(self) -> str:
        """Kind of the distribution: `choice`, `int`, `log_int`, `uniform` or `log_uniform`."""
        return self.domain.kind

    @property
    def bounds(self) -> tuple[Any, ...]:
        """Smallest and largest value, or all choices."""
        return self.domain.bounds

    @property
    def choices(self) -> dict[str, Any]:
        """The choices by their YAML text, which distinguishes 1, "1" and 1.0."""
        return {flow_text(as_plain(value)): as_plain(value) for value in self.bounds}

    @property
    def n_values(self) -> float:
        """Number of values; infinite for a domain of real numbers."""
        if self.kind == "choice":
            return len(self.choices)
        return self.bounds[1] - self.bounds[0] + 1 if self.domain.is_whole else math.inf

    @property
    def probe_values(self) -> list[Any]:
        """Values to validate: if the config accepts these, it accepts all values of the domain."""
        return list(self.choices.values()) if self.kind == "choice" else list(self.bounds)

    def suggest(self, trial: Suggester) -> Any:
        """Draw a value; returns it as it is written in the config."""
        if self.kind == "choice":
            return self.choices[trial.suggest_categorical(self.key, list(self.choices))]
        low, high = self.bounds
        if self.domain.is_whole:
            return trial.suggest_int(self.key, low, high, log=self.kind == "log_int")
        drawn = trial.suggest_float(self.key, low, high, log=self.kind == "log_uniform")
        return self.domain.rounded(drawn)

    def as_drawn(self, value: Any) -> Any:
        """Convert a config value to the value that Optuna draws for it; None if it is outside the domain."""
        if self.kind == "choice":
            return next((text for text, choice in self.choices.items() if choice == value), None)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_whole = isinstance(value, int) or not self.domain.is_whole
        return value if is_number and is_whole and self.bounds[0] <= value <= self.bounds[1] else None


@dataclass(frozen=True)
class Space:
    """The parameters, each after those that its conditions refer to and those above it in the config."""

    parameters: tuple[Parameter, ...]

    @property
    def n_values(self) -> float:
        """Upper bound of the number of points in the space."""
        return math.prod(parameter.n_values for parameter in self.parameters)

    @property
    def has_conditions(self) -> bool:
        """Whether any key is searched only if a condition holds."""
        return any(parameter.domain.when for parameter in self.parameters)

    def assign(
        self, loaded: LoadedConfig, pick: Callable[[Parameter], Any], origin: str = ""
    ) -> tuple[LoadedConfig, dict[str, Any]]:
        """Set each parameter whose conditions hold to the value that `pick` returns for it.

        Returns the new config and the values by key. `origin` names the source of the values in error messages (""
        for the values themselves). Raises ConfigError for an invalid config.
        """
        overrides: list[Override] = []
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.domain.when and not _holds(parameter.domain.when, with_values(loaded, overrides)):
                continue
            values[parameter.key] = pick(parameter)
            text = origin or f"{parameter.key} {flow_text(as_plain(values[parameter.key]))}"
            # A copy, as later overrides of nested keys change it.
            overrides.append(Override(parameter.key, deepcopy(values[parameter.key]), text))
        return with_values(loaded, overrides), values

    def as_drawn(self, loaded: LoadedConfig) -> dict[str, Any]:
        """The values that Optuna draws for the config as written, by key; without keys outside their domain."""
        drawn_values = {}
        for parameter in self.parameters:
            if parameter.domain.when and not _holds(parameter.domain.when, loaded):
                continue
            drawn = parameter.as_drawn(value_at(loaded, parameter.key))
            if drawn is None and parameter.kind == "choice":  # a short form, such as adam for {name: adam}
                choices = parameter.choices.items()
                drawn = next((text for text, value in choices if _is_same(loaded, parameter.key, value)), None)
            if drawn is not None:
                drawn_values[parameter.key] = drawn
        return drawn_values


def require_optuna() -> None:
    """Raise MlpError with the install command if the extra `search` is missing."""
    if find_spec("optuna") is None:
        raise MlpError('mlp search: needs the package optuna. Install it with: pip install "mlp-train[search]"')


def space_of(loaded: LoadedConfig) -> Space:
    """Make the space of the section `search`; raises ConfigError if there is none or if it is invalid."""
    search = loaded.config.search
    if search is None or not search.space:
        raise loaded.error("search", "no key to search. Write search: {space: {model.dropout: {uniform: [0, 0.5]}}}.")
    parameters = [Parameter(key, domain) for key, domain in search.space.items()]
    for parameter in parameters:
        _check_domain(loaded, parameter)
    space = Space(_ordered(loaded, parameters))
    _check_values(loaded, space)
    return space


def value_at(loaded: LoadedConfig, key: str) -> Any:
    """The value of a dotted key in the resolved config, as plain values; None if the config has no such key."""
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
    """Whether each key of `when` has its value, or one of a list of values; a mapping may be given by its `name`."""
    for key, wanted in when.items():
        current = value_at(loaded, key)
        lists_alternatives = isinstance(wanted, list) and (
            not isinstance(current, list) or any(isinstance(item, list) for item in wanted)
        )
        allowed = wanted if lists_alternatives else [wanted]
        name = current.get("name") if isinstance(current, dict) else None
        if current not in allowed and (name is None or name not in allowed):
            return False
    return True


def _check_domain(loaded: LoadedConfig, parameter: Parameter) -> None:
    path, domain = f"search.space.{parameter.key}", parameter.domain
    if fault := domain.fault():
        raise loaded.error(path, fault)
    if parameter.kind == "choice" and len(parameter.choices) < 2:
        raise loaded.error(path, "choice needs at least two different values.")
    if parameter.kind != "choice" and parameter.bounds[0] == parameter.bounds[1]:
        raise loaded.error(path, f"{domain.given[0]} needs two different bounds, got {parameter.bounds[0]:g} twice.")
    for fixed in (*FIXED_KEYS, "data"):
        is_below, is_above = parameter.key.startswith(f"{fixed}."), fixed.startswith(f"{parameter.key}.")
        if (parameter.key == fixed or is_below or is_above) and parameter.key not in SEARCHABLE_DATA_KEYS:
            raise loaded.error(
                path,
                ("cannot be searched: it defines the rows or their scoring, which must be the same for all trials."),
            )


def _ordered(loaded: LoadedConfig, parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Sort each parameter after those that it depends on; raises ConfigError for a circular dependency."""
    unordered, ordered = list(parameters), list[Parameter]()
    while unordered:
        ready = [
            parameter
            for parameter in unordered
            if not any(_depends(parameter, other) for other in unordered if other is not parameter)
        ]
        if not ready:
            raise loaded.error(f"search.space.{unordered[0].key}", "its condition depends on itself.")
        ordered += ready
        unordered = [parameter for parameter in unordered if parameter not in ready]
    return tuple(ordered)


def _depends(parameter: Parameter, other: Parameter) -> bool:
    return parameter.key.startswith(f"{other.key}.") or any(
        key == other.key or key.startswith(f"{other.key}.") or other.key.startswith(f"{key}.")
        for key in parameter.domain.when
    )


def _check_values(loaded: LoadedConfig, space: Space) -> None:
    """Raise ConfigError if the config rejects a value of the space, or if a condition never holds."""
    rng = np.random.default_rng(0)
    for parameter in space.parameters:
        origin = loaded.source_map.origin(("search", "space", parameter.key)).where
        for value in parameter.probe_values:
            if not _is_accepted(loaded, space, parameter, value, origin, rng):
                raise loaded.error(f"search.space.{parameter.key}.when", "never holds at any point of the space.")


def _is_accepted(
    loaded: LoadedConfig, space: Space, parameter: Parameter, value: Any, origin: str, rng: np.random.Generator
) -> bool:
    """Whether the parameter has this value at some point of the space; raises ConfigError if the config rejects it.

    Tries all combinations of the probe values on which it depends, or ATTEMPTS random ones if there are more.
    """
    others = [other for other in space.parameters if other is not parameter]
    dependencies = [other for other in others if _depends_indirectly(space, parameter, other)]
    subspace = Space((*dependencies, parameter))
    grids = [other.probe_values for other in dependencies]
    points = list(product(*grids)) if math.prod(map(len, grids)) <= ATTEMPTS else None
    for attempt in range(len(points) if points is not None else ATTEMPTS):
        point = points[attempt] if points is not None else [grid[rng.integers(len(grid))] for grid in grids]
        values = {parameter.key: value} | {other.key: own for other, own in zip(dependencies, point, strict=True)}
        try:
            _, assigned = subspace.assign(loaded, lambda other: values[other.key], origin)  # noqa: B023
        except ConfigError as error:
            if not dependencies or attempt == (len(points) if points is not None else ATTEMPTS) - 1:
                raise ConfigError(str(error)) from error
            continue
        if parameter.key in assigned:
            return True
    return False


def _depends_indirectly(space: Space, parameter: Parameter, other: Parameter) -> bool:
    """Whether a parameter depends on another, directly or through others."""
    return _depends(parameter, other) or any(
        _depends(parameter, between) and _depends_indirectly(space, between, other)
        for between in space.parameters
        if between not in (parameter, other)
    )
