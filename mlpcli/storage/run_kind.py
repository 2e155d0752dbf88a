"""What a folder of a run holds: which file makes it complete, which one lets it go on, which ones are ours."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class RunKind:
    """One kind of run, as messages call it.

    A folder with `result` is complete; an unfinished one with `progress` can be gone on with. `files` are written by
    mlp, and so are those whose names are like `numbered`.
    """

    name: str
    result: str
    progress: str
    files: tuple[str, ...]
    numbered: str = r"(?!)"  # nothing is like it

    def owns(self, name: str) -> bool:
        """Whether a file of this name is one that mlp wrote."""
        return name in self.files or re.fullmatch(self.numbered, name) is not None
