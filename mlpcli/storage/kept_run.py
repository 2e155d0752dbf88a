"""Whether an old run may be replaced by a new one, and the name it is kept under where it may not."""

import os
from itertools import count
from typing import Any

from mlpcli.config.parsing import parse_yaml
from mlpcli.errors import ConfigError


def is_of_another_config(old: str, new: str) -> bool:
    """Whether two config.yaml say different things, `output` aside; true where one cannot be read."""
    try:
        return _settings(old) != _settings(new)
    except (OSError, UnicodeDecodeError, ConfigError):
        return True


def numbered(path: str) -> str:
    """The first of `path`.1, `path`.2, ... that is not there."""
    return next(name for n in count(1) if not os.path.lexists(name := f"{path}.{n}"))


def _settings(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        value, _ = parse_yaml(file.read(), path)
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: not a config.")
    return {key: item for key, item in value.items() if key != "output"}
