"""How things are written on a terminal: aligned columns, few digits, colour only for pass, warning and failure.

Standard output is the answer, standard error the conversation. Colour goes by the stream: none in a pipe, none under
NO_COLOR.
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from mlpcli.messages import printable

Row = Sequence[str | Text]


class Screen:
    """Where a verb writes: `answer` to standard output, `say` to standard error unless quiet."""

    def __init__(self, is_quiet: bool) -> None:
        self.is_quiet = is_quiet
        self.stdout = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
        self.stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False, quiet=is_quiet)

    def answer(self, line: str | Text = "") -> None:
        """Write a line of the answer."""
        self.stdout.print(printable(line) if isinstance(line, str) else line)

    def say(self, line: str | Text = "") -> None:
        """Write a line of the conversation."""
        self.stderr.print(printable(line) if isinstance(line, str) else line)

    def warn(self, line: str) -> None:
        """Write a warning: a line of the conversation that should be read."""
        self.say(Text.assemble(("note  ", "yellow"), printable(line)))

    def answer_table(self, rows: Sequence[Row], gap: int = 3) -> None:
        """Write aligned rows: the first column to the left, the others to the right."""
        for line in aligned(rows, gap):
            self.answer(line)

    def json(self, document: Mapping[str, Any]) -> None:
        """Write one JSON document in ASCII; numbers that are not finite become null."""
        sys.stdout.write(json.dumps(_finite(document), indent=2, allow_nan=False) + "\n")


def aligned(rows: Sequence[Row], gap: int = 3, text_columns: Sequence[int] = (0,)) -> list[Text]:
    """Rows of cells as lines in columns: texts to the left, numbers to the right; a short row leaves its end empty."""
    cells = [
        [cell if isinstance(cell, Text) else Text(printable(cell).replace("\n", "\\n")) for cell in row] for row in rows
    ]
    n_columns = max((len(row) for row in cells), default=0)
    widths = [max((row[i].cell_len for row in cells if len(row) > i), default=0) for i in range(n_columns)]
    lines = []
    for row in cells:
        line = Text()
        for index, cell in enumerate(row):
            space = " " * (widths[index] - cell.cell_len)
            line.append(" " * gap if index else "")
            line.append_text(Text.assemble(cell, space) if index in text_columns else Text.assemble(space, cell))
        line.rstrip()
        lines.append(line)
    return lines


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        return _finite(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
