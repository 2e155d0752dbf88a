"""Kinds of run folders: the file that makes one complete, the file to resume from, and all files of mlp."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class RunKind:
    """A kind of run, with its `name` in messages.

    A folder with `result` is complete; a partial one with `progress` can be resumed. `files` are written by mlp, and so
    are files whose names match the pattern `numbered`.
    """

    name: str
    result: str
    progress: str
    files: tuple[str, ...]
    numbered: str = r"(?!)"  # matches nothing

    def owns(self, name: str) -> bool:
        """Whether mlp writes a file of this name."""
        return name in self.files or re.fullmatch(self.numbered, name) is not None
