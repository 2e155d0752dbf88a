"""Whether an old run may be replaced by a new one, and the name it is kept under where it may not."""

import os
from itertools import count

LEFT_OUT = (b"output:", b"tracking:")  # keys that make no other run


def is_of_another_config(old: str, new: str) -> bool:
    """Whether two config.yaml, as mlp writes them, differ in more than LEFT_OUT; true where one cannot be read."""
    try:
        return _settings(old) != _settings(new)
    except OSError:
        return True


def numbered(path: str) -> str:
    """The first of `path`.1, `path`.2, ... that is not there."""
    return next(name for n in count(1) if not os.path.lexists(name := f"{path}.{n}"))


def free_name(path: str) -> str:
    """A path that nothing has: this one, else `notes.1.md` for `notes.md`, and so on."""
    stem, ending = os.path.splitext(path)
    return next(name for n in count() if not os.path.lexists(name := f"{stem}.{n}{ending}" if n else path))


def _settings(path: str) -> list[bytes]:
    """The lines of a config but those of LEFT_OUT, without reading YAML: what only uses a model needs none."""
    kept, is_left_out = [], False
    with open(path, "rb") as file:
        for line in file:
            is_left_out = line.startswith(LEFT_OUT) or (is_left_out and line.startswith(b" "))
            if not is_left_out:
                kept.append(line)
    return kept
