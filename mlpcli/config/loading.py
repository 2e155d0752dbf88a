"""A YAML file or a Python mapping, with overrides by `--set`, to a validated `Config` and the origin of each value."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from pydantic import ValidationError

from mlpcli.config.schema.fields import FieldSpec, adapter, spec_of
from mlpcli.config.schema.sections import Config
from mlpcli.config.validation_errors import config_error
from mlpcli.config.yaml.files import MAKE_ONE, config_text
from mlpcli.config.yaml.parsing import parse_flow, parse_scalar, parse_yaml
from mlpcli.config.yaml.source_map import (
    Origin,
    Path,
    SourceMap,
    escaped,
    path_text,
    refuse_unwritable,
    shortened,
    shown,
    shown_path,
    source_map_from_mapping,
)
from mlpcli.errors import ConfigError, DataError


@dataclass(frozen=True, slots=True)
class Override:
    """A key set outside the file; `text` is what the user typed, for messages: `--seed 7`."""

    key: str
    value: Any
    text: str

    @property
    def option(self) -> str:
        """The option that set it: `--set`, `--seed`."""
        return self.text.split(maxsplit=1)[0]


@dataclass(frozen=True)
class LoadedConfig:
    """A valid config with the origin of each value.

    `origins` maps every key of the resolved config (`training.optimizer.learning_rate`; a list or a mapping with the
    user's keys is one value) to `penguins.yaml:14`, `--set` (or another option), or `default`.
    """

    config: Config
    path: str
    origins: Mapping[str, str]
    source_map: SourceMap = field(repr=False, compare=False)

    def origin(self, key: str) -> str:
        """The origin of the value of `key`: `penguins.yaml:14`, `--set` or `default`."""
        return self.origins.get(key, "default")

    def error(self, key: str, text: str) -> ConfigError:
        """The error `penguins.yaml:9: model.layers: text`, for checks that need more than the config."""
        return ConfigError(self.message(key, text))

    @contextmanager
    def naming(self, key: str) -> Iterator[None]:
        """Add to a DataError where the config names the table: `(data.train, penguins.yaml:3)`."""
        try:
            yield
        except DataError as error:
            origin = self.source_map.origin(tuple(key.split(".")))
            if error.names_config or origin.where == self.source_map.name:  # a mapping made in Python has no lines
                raise
            located_error = DataError(f"{error} ({origin.where if origin.key else f'{key}, {origin.where}'})")
            located_error.names_config = True
            raise located_error from error

    def message(self, key: str, text: str) -> str:
        """The text of `error(key, text)`."""
        for path in self.source_map.origins:
            if path_text(path) == key:
                return self.source_map.message(path, text)
        origin = _short_form(self.source_map, tuple(key.split(".")))
        return f"{origin.where if origin else self.source_map.name}: {key}: {text}"


def load_config(path: str, overrides: Sequence[str | Override] = ()) -> LoadedConfig:
    """Read a YAML file, apply the overrides and validate the result.

    Raises ConfigError with one to three lines: file:line (or `--set`), key, value and allowed values.
    """
    name = escaped(path)
    value, source_map = parse_yaml(config_text(path, name), name)
    if value is None:
        raise ConfigError(f"{name}: an empty config. {MAKE_ONE}")
    if not isinstance(value, dict):
        sections = ", ".join(spec_of(Config).keys)
        raise ConfigError(f"{name}: not a config: must be a mapping of {sections}, got {shown(value)}. {MAKE_ONE}")
    return _validated(source_map, path, overrides)


def config_from_text(text: str, name: str) -> LoadedConfig:
    """Validate YAML that is not in a file; `name` replaces the file in messages. Raises ConfigError."""
    return _validated(parse_yaml(text, name)[1], name, ())


def config_from_mapping(
    mapping: Mapping[str, Any], overrides: Sequence[str | Override] = (), name: str = "config"
) -> LoadedConfig:
    """Validate a Python mapping; `name` replaces the file in messages and origins. Raises ConfigError."""
    return _validated(source_map_from_mapping(mapping, name), name, overrides)


def with_values(loaded: LoadedConfig, overrides: Sequence[str | Override]) -> LoadedConfig:
    """A loaded config with overrides applied; raises ConfigError."""
    return _validated(loaded.source_map, loaded.path, overrides)


def without_search(loaded: LoadedConfig) -> LoadedConfig:
    """The config without its section `search`."""
    root = {key: value for key, value in loaded.source_map.root.items() if key != "search"}
    origins = {key: origin for key, origin in loaded.origins.items() if key.partition(".")[0] != "search"}
    config = replace(loaded.config, search=None)
    return LoadedConfig(
        config, loaded.path, origins, SourceMap(loaded.source_map.name, root, loaded.source_map.origins)
    )


def _validated(written: SourceMap, path: str, overrides: Sequence[str | Override]) -> LoadedConfig:
    spec = spec_of(Config)
    source_map = apply_overrides(written, overrides, spec)
    source_map.root = _completed(spec, source_map.root)
    try:
        config: Config = adapter(Config).validate_json(json.dumps(source_map.root))
    except ValidationError as error:
        raise config_error(error, spec, source_map) from error
    origins = {path_text(leaf): _origin(source_map, leaf) for leaf in leaves(config)}
    return LoadedConfig(config, path, origins, source_map)


def _completed(spec: FieldSpec, value: Any, default: Any = None) -> Any:
    """`value` with the defaults that pydantic does not add.

    An empty section (`training:`) becomes an empty mapping. A mapping without `name` gets the name and all other values
    of the default, so that `--set training.optimizer.learning_rate=0.1` changes that key only.
    """
    if value is None and spec.kind == "object" and not spec.names:
        value = {}
    if not isinstance(value, dict) or not spec.objects:
        return value
    if "name" not in value and isinstance(default, dict):
        value = {**default, **value}
    selected = spec.object_for(value)
    if selected is None:
        return value
    keys = selected.keys
    return {key: _completed(keys[key], item, keys[key].default) if key in keys else item for key, item in value.items()}


def leaves(config: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every value of a resolved config; a list or a mapping with the user's keys is one value."""
    for option in fields(config):
        value = getattr(config, option.name)
        if is_dataclass(value):
            yield from leaves(value, (*path, option.name))
        else:
            yield (*path, option.name)


def _origin(source_map: SourceMap, path: Path) -> str:
    if path in source_map.origins:
        return source_map.origins[path].short
    origin = _short_form(source_map, path)
    return origin.short if origin and path[-1] == "name" else "default"


def _short_form(source_map: SourceMap, path: Path) -> Origin | None:
    """The origin of a short form that contains `path`: `optimizer: adam` for `optimizer.name`."""
    value: Any = source_map.root
    for end, key in enumerate(path, 1):
        value = value.get(str(key))
        if not isinstance(value, dict):
            return source_map.origins.get(path[:end])
    return None


def parse_override(assignment: str) -> Override:
    """Parse `a.b=c`; raises ConfigError.

    A value in brackets, braces or quotes is YAML (`[auto, 32]`). true, null and numbers are as in YAML, and any other
    text is literal, so that `data.delimiter=|` and `data.train=-` need no second pair of quotes.
    """
    key, equals, text = assignment.partition("=")
    shown_text = f"--set {shortened(escaped(assignment))}"
    key = key.strip()
    if not equals or not all(key.split(".")):
        raise ConfigError(f"{shown_text}: must be KEY=VALUE, for example --set training.epochs=5")
    if "[" in key:
        whole = key.partition("[")[0]
        raise ConfigError(
            f"{shown_text}: a list is set as a whole, for example --set '{shortened(escaped(whole))}=[...]'"
        )
    return Override(key, _parse_value(text.strip() or text, shown_text), shown_text)


def apply_overrides(source_map: SourceMap, overrides: Sequence[str | Override], spec: FieldSpec) -> SourceMap:
    """A copy of `source_map` with the overrides applied in order; missing parents are created.

    Raises ConfigError if a parent is a list or a scalar. Unknown keys are left for validation.
    """
    changed = SourceMap(source_map.name, deepcopy(source_map.root), dict(source_map.origins))
    for override in overrides:
        _apply(changed, parse_override(override) if isinstance(override, str) else override, spec)
    return changed


def _parse_value(text: str, where: str) -> Any:
    if text.startswith(("[", "{", '"', "'")):
        return parse_flow(text, where)
    refuse_unwritable(text, where)
    try:
        return parse_scalar(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _apply(source_map: SourceMap, override: Override, root: FieldSpec) -> None:
    path: Path = tuple(override.key.split("."))
    origin = Origin(override.text, override.option, key=path)
    parent: dict[str, Any] = source_map.root
    for depth in range(1, len(path)):
        inner = str(path[depth - 1])
        parent[inner] = _as_mapping(parent.get(inner), path[:depth], source_map, override, root)
        source_map.origins.setdefault(path[:depth], origin)
        parent = parent[inner]
    parent[str(path[-1])] = override.value
    source_map.forget(path)
    _note(source_map, path, override.value, origin)


def _as_mapping(value: Any, path: Path, source_map: SourceMap, override: Override, root: FieldSpec) -> dict[str, Any]:
    """The value of a parent of the key as a mapping: `adam` becomes `{name: adam}`, null becomes `{}`."""
    if isinstance(value, dict):
        return value
    origin = source_map.origins.pop(path, None)
    if value is None:
        return {}
    spec = root.at(path, source_map.root)
    if spec and isinstance(value, str) and any(value in candidate.names for candidate in spec.objects):
        if origin:
            source_map.origins[(*path, "name")] = origin
        return {"name": value}
    where = f" ({origin.where})" if origin else ""
    raise ConfigError(f"{override.text}: {shown_path(path)} is {shown(value)}{where}, which has no keys.")


def _note(source_map: SourceMap, path: Path, value: Any, origin: Origin) -> None:
    source_map.origins[path] = origin
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        _note(source_map, (*path, key), item, origin)
