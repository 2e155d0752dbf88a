"""From a YAML file, or a mapping made in Python, to a validated `Config` that knows where each value came from."""

import codecs
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mlpcli.config.complaints import config_error, nearest
from mlpcli.config.dumping import as_plain
from mlpcli.config.overrides import Override, apply_overrides
from mlpcli.config.parsing import parse_yaml
from mlpcli.config.schema import Config
from mlpcli.config.shapes import Shape, is_options, part_defaults, part_for, part_names, part_shapes, shape_of
from mlpcli.config.tree import Path, Place, Tree, escaped, path_text, shown, tree_from_mapping
from mlpcli.errors import ConfigError, DataError

MAX_BYTES = 256 * 1024  # a config is a page; this bounds the time that reading a wrong file can take
TABLE_ENDINGS = re.compile(
    r"\.(csv|tsv|tab|txt|jsonl|ndjson|parquet|feather|arrow|xlsx?|xlsm|xlsb|ods)(\.(gz|bz2|xz|zst|zip))?$",
    re.IGNORECASE,
)
MAKE_ONE = "Make one with: mlp init DATA.csv --target COLUMN"


@dataclass(frozen=True)
class LoadedConfig:
    """A valid config, and where each of its values was written.

    `origins` has every key of the resolved config (`training.optimizer.learning_rate`; a list or a map of the user's
    own names is one value) and says `penguins.yaml:14`, `--set` (or the option it came by), or `default`.
    """

    config: Config
    path: str
    origins: Mapping[str, str]
    tree: Tree = field(repr=False, compare=False)

    def origin(self, key: str) -> str:
        """Where the value of `key` was written: `penguins.yaml:14`, `--set` or `default`."""
        return self.origins.get(key, "default")

    def error(self, key: str, text: str) -> ConfigError:
        """`penguins.yaml:9: model.layers: text`, to be raised by checks that need more than the config."""
        return ConfigError(self.message(key, text))

    @contextmanager
    def naming(self, key: str) -> Iterator[None]:
        """Within, an error of a table also says where the config names it: `(data.train, penguins.yaml:3)`."""
        try:
            yield
        except DataError as error:
            place = self.tree.place(tuple(key.split(".")))
            if error.names_config or place.where == self.tree.name:  # a mapping made in Python has no lines
                raise
            named = DataError(f"{error} ({place.where if place.key else f'{key}, {place.where}'})")
            named.names_config = True
            raise named from error

    def message(self, key: str, text: str) -> str:
        """The text of that error."""
        for path in self.tree.places:
            if path_text(path) == key:
                return self.tree.message(path, text)
        place = _short_form(self.tree, tuple(key.split(".")))
        return f"{place.where if place else self.tree.name}: {key}: {text}"


def load_config(path: str, overrides: Sequence[str | Override] = ()) -> LoadedConfig:
    """Read, override and validate a YAML file.

    Raises ConfigError: one to three lines, each with file:line (or `--set`), key, value and what is allowed.
    """
    name = escaped(path)
    if table_name(path) and os.path.isfile(path):
        raise ConfigError(f"{name}: a table, not a config. {_make_one_for(path)}")
    if path.endswith(".npz") and os.path.isfile(path):
        raise ConfigError(f"{name}: a model, not a config. What it was trained with: mlp inspect {name}")
    text = _read_text(path, name)
    value, tree = parse_yaml(_without_tabs(text), name)
    if value is None:
        raise ConfigError(f"{name}: an empty config. {MAKE_ONE}")
    if not isinstance(value, dict):
        sections = ", ".join(part_shapes(Config))
        raise ConfigError(f"{name}: not a config: must be a mapping of {sections}, got {shown(value)}. {MAKE_ONE}")
    return _validated(tree, path, overrides)


def _make_one_for(table: str) -> str:
    """How to make the config of a table, and to train it."""
    file, config = escaped(shlex.quote(table)), escaped(shlex.quote(f"{table_name(table)}.yaml"))
    return f"Make its config: mlp init {file} --target COLUMN -o {config}, then: mlp train {config}"


def table_name(path: str) -> str:
    """The name of a file without its endings, if these are a table's; else ""."""
    found = TABLE_ENDINGS.search(path)
    return os.path.basename(path[: found.start()]) if found else ""


def _without_tabs(text: str) -> str:
    """JSON with spaces in place of its tabs, which YAML does not take; texts of JSON hold none."""
    if "\t" not in text or not text.lstrip().startswith("{"):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")


def config_from_text(text: str, name: str) -> LoadedConfig:
    """The same for YAML that is not in a file."""
    return _validated(parse_yaml(text, name)[1], name, ())


def config_from_mapping(
    mapping: Mapping[str, Any], overrides: Sequence[str | Override] = (), name: str = "config"
) -> LoadedConfig:
    """The same for a mapping made in Python; `name` stands for the file in messages and origins."""
    return _validated(tree_from_mapping(mapping, name), name, overrides)


@cache
def _adapter() -> TypeAdapter[Config]:
    return TypeAdapter(Config)


def _validated(written: Tree, path: str, overrides: Sequence[str | Override]) -> LoadedConfig:
    tree = apply_overrides(written, overrides, Config)
    tree.root = _completed(shape_of(Config), tree.root)
    try:
        config = _adapter().validate_json(json.dumps(tree.root))
    except ValidationError as error:
        raise config_error(error, Config, tree) from error
    origins = {path_text(leaf): _origin(tree, leaf) for leaf in leaves(config)}
    return LoadedConfig(config, path, origins, tree)


def _completed(shape: Shape, value: Any, default: Any = None) -> Any:
    """`value` with the defaults that pydantic cannot know of.

    A section with nothing in it (`training:`) is an empty mapping. A part without a name takes the other values of the
    default along with its name, so that `--set training.optimizer.learning_rate=0.1` changes that and nothing else.
    """
    if value is None and not shape.takes_null and is_options(shape.kind) and not part_names(shape.kind):
        value = {}
    if not isinstance(value, dict) or not shape.parts:
        return value
    if "name" not in value and is_options(type(default)) and type(default) in shape.parts:
        value = {**as_plain(default), **value}
    part = part_for(shape, value)
    if part is None:
        return value
    shapes, defaults = part_shapes(part), part_defaults(part)
    return {
        key: _completed(shapes[key], item, defaults.get(key)) if key in shapes else item for key, item in value.items()
    }


def leaves(config: Any, path: Path = ()) -> Iterator[Path]:
    """Every path of a resolved config; lists and maps of the user's own names are single values."""
    for key in part_shapes(config.__class__):
        value = getattr(config, key)
        if is_options(type(value)):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def _origin(tree: Tree, path: Path) -> str:
    if path in tree.places:
        return tree.places[path].origin
    place = _short_form(tree, path)
    return place.origin if place and path[-1] == "name" else "default"


def _short_form(tree: Tree, path: Path) -> Place | None:
    """The place of a plain value that stands for the part around `path`: `optimizer: adam`."""
    value: Any = tree.root
    for end, key in enumerate(path, 1):
        value = value.get(str(key))
        if not isinstance(value, dict):
            return tree.places.get(path[:end])
    return None


def _read_text(path: str, name: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(f"{name}: no such file.{_nearest_file(path)}") from error
    except IsADirectoryError as error:
        raise ConfigError(
            f"{name}: a folder, not a config.{_nearest_file(os.path.join(path, 'config.yaml'))}"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise ConfigError(f"{name}: cannot be read ({reason}).") from error
    if b"\0" in data and not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(f"{name}: a binary file, not a config. {MAKE_ONE}")
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_BYTES // 1024} KB, so not a config. {MAKE_ONE}")
    return _decoded(data, name)


def _decoded(data: bytes, name: str) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # what `>` writes in older PowerShells
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{name}: not valid UTF-16. Save it as UTF-8.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{name}:{line}: not valid UTF-8 (byte 0x{data[error.start]:02x}). Save it as UTF-8."
        ) from error


def _nearest_file(path: str) -> str:
    folder, wanted = os.path.split(path)
    try:
        names = sorted(entry.name for entry in FilePath(folder or ".").iterdir() if entry.suffix in (".yaml", ".yml"))
    except (OSError, ValueError):
        return f" Nor is there a folder {escaped(folder)}."
    found = nearest(wanted, names)
    return f" Did you mean {escaped(os.path.join(folder, found))}?" if found else ""
