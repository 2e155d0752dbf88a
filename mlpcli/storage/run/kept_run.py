"""Whether an old run may be replaced by a new one, and the name under which it is kept otherwise."""

import os
from itertools import count

LEFT_OUT = (b"output:", b"tracking:")  # keys that do not affect the result of a run


def is_of_another_config(old: str, new: str) -> bool:
    """Whether two config.yaml written by mlp differ in more than LEFT_OUT; true if one cannot be read."""
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
    """The lines of a config without LEFT_OUT; YAML is not parsed, because storage does not import it."""
    kept, is_left_out = [], False
    with open(path, "rb") as file:
        for line in file:
            is_left_out = line.startswith(LEFT_OUT) or (is_left_out and line.startswith(b" "))
            if not is_left_out:
                kept.append(line)
    return kept
