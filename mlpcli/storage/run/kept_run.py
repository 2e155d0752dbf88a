"""Comparison of the configs of an old and a new run, and free names for files and runs that are kept."""

import os
from itertools import count

IGNORED_KEYS = (b"output:", b"tracking:")  # keys that do not affect the result of a run


def is_of_another_config(old: str, new: str) -> bool:
    """Whether two config.yaml written by mlp differ in more than IGNORED_KEYS; true if one cannot be read."""
    try:
        return _settings(old) != _settings(new)
    except OSError:
        return True


def numbered(path: str) -> str:
    """The first of `path`.1, `path`.2, ... that does not exist."""
    return next(name for n in count(1) if not os.path.lexists(name := f"{path}.{n}"))


def free_name(path: str) -> str:
    """The path if it does not exist, otherwise a numbered one: `notes.1.md` for `notes.md`."""
    stem, ending = os.path.splitext(path)
    return next(name for n in count() if not os.path.lexists(name := f"{stem}.{n}{ending}" if n else path))


def _settings(path: str) -> list[bytes]:
    """The lines of a config without IGNORED_KEYS; YAML is not parsed, because storage does not import it."""
    lines, is_ignored = [], False
    with open(path, "rb") as file:
        for line in file:
            is_ignored = line.startswith(IGNORED_KEYS) or (is_ignored and line.startswith(b" "))
            if not is_ignored:
                lines.append(line)
    return lines
