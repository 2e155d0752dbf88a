"""The config as written, before validation: plain values with their origins, and their formatting for messages.

A path is a tuple of keys and list indices, `("model", "layers", 1)`, as text `model.layers[1]`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from json import dumps
from numbers import Integral, Real
from os import PathLike, fspath
from typing import Any

from mlpcli.errors import ConfigError

Path = tuple[str | int, ...]

MAX_DEPTH = 20
MAX_VALUES = 50_000  # a config has dozens; aliases can expand a few lines to billions
MAX_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a value."""

    where: str  # for messages: "penguins.yaml:14" or "--set training.epochs=x"
    short: str  # for lists of origins: "penguins.yaml:14" or "--set"
    source: str | None = None  # a scalar as written: 01
    key: Path = ()  # the path that `where` contains, if any


@dataclass
class SourceMap:
    """A mapping of plain values (dict, list, str, int, float, bool, None) with the origin of every path."""

    name: str  # of the file, for messages
    root: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, Origin] = field(default_factory=dict)

    def origin(self, path: Path) -> Origin:
        """The origin of `path` or its nearest parent with one; the file if there is none."""
        for end in range(len(path), 0, -1):
            if origin := self.origins.get(path[:end]):
                return origin
        return Origin(self.name, self.name)

    def message(self, path: Path, text: str) -> str:
        """One line: origin, key and `text`."""
        origin = self.origin(path)
        key = "" if not path or path == origin.key else f"{shown_path(path)}: "
        return f"{origin.where}: {key}{text}"

    def forget(self, path: Path) -> None:
        """Remove the origins of `path` and everything below it."""
        for nested in [other for other in self.origins if other[: len(path)] == path]:
            del self.origins[nested]


def source_map_from_mapping(mapping: Mapping[Any, Any], name: str) -> SourceMap:
    """The source map of a Python mapping; tuples, NumPy scalars and path objects become plain values.

    Raises ConfigError for values that YAML cannot represent.
    """
    source_map = SourceMap(name)
    root = _plain(mapping, (), source_map)
    if not isinstance(root, dict):
        raise ConfigError(f"{name}: must be a mapping, got {shown(root)}.")
    source_map.root = root
    return source_map


def _plain(value: Any, path: Path, source_map: SourceMap) -> Any:
    if path:
        source_map.origins[path] = Origin(source_map.name, source_map.name)
    if len(path) > MAX_DEPTH or len(source_map.origins) > MAX_VALUES:
        raise ConfigError(f"{source_map.name}: holds too many values or refers to itself.")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, str | PathLike):
        text = fspath(value)
        if isinstance(text, str):
            refuse_unwritable(text, source_map.message(path, ""))
            return str(text)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, (*path, str(key)), source_map) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, (*path, i), source_map) for i, item in enumerate(value)]
    raise ConfigError(source_map.message(path, f"a {type(value).__name__} is not allowed in a config."))


def refuse_unwritable(text: str, where: str) -> None:
    """Raise ConfigError for NUL and lone surrogates, which no file name, column or label can contain."""
    if re.search("[\0\ud800-\udfff]", text):
        raise ConfigError(f"{where.rstrip(': ')}: {shown(text)} holds a character that is not text.")


def path_text(path: Path) -> str:
    """`model.layers[1]`."""
    text = "".join(f"[{component}]" if isinstance(component, int) else f".{component}" for component in path)
    return text.removeprefix(".")


def shown_path(path: Path) -> str:
    """`path_text` for messages: escaped and shortened."""
    return shortened(escaped(path_text(path)))


def shown(value: Any, source: str | None = None) -> str:
    """A value in YAML on one line for messages, escaped and shortened; `source` is the scalar as written."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list | dict):
        is_empty = not value
        kind = "list" if isinstance(value, list) else "mapping"
        return f"an empty {kind}" if is_empty else f"the {kind} {shortened(escaped(_flow(value)))}"
    return shortened(escaped(source if source else _scalar(value)))


def escaped(text: str) -> str:
    """`text` with control and format characters and line ends escaped, as they could control the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shortened(text: str, limit: int = MAX_SHOWN) -> str:
    """`text` in at most `limit` characters, truncated with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _quoted(text: str) -> str:
    return f"'{shortened(escaped(text[:1000]))}'"


def _scalar(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, int) and abs(value) > 10**MAX_SHOWN:
        return f"a number of {len(hex(value)) * 6 // 5} digits or so"
    return dumps(value)


def _flow(value: Any) -> str:
    """Flow style without quotes; stops early, since only the beginning is shown."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list | dict):
        return _scalar(value)
    items: list[str] = []
    for item in value.items() if isinstance(value, dict) else value:
        items.append(f"{item[0]}: {_flow(item[1])}" if isinstance(value, dict) else _flow(item))
        if sum(map(len, items)) > MAX_SHOWN:
            break
    text = ", ".join(items)
    return f"{{{text}}}" if isinstance(value, dict) else f"[{text}]"
