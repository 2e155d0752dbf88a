"""How things are written on a terminal: aligned columns, few digits, colour only for pass, warning and failure.

Standard output is the answer, standard error the conversation. Colour goes by the stream: none in a pipe, none under
NO_COLOR.
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.text import Text

from mlpcli.cli.escaping import printable

Row = Sequence[str | Text]


class Interval(Protocol):
    """Two ends, as `evaluation.intervals` has them: not every verb that renders numbers imports that."""

    @property
    def low(self) -> float:
        """The lower end."""

    @property
    def high(self) -> float:
        """The upper end."""


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


def number(value: float | None) -> str:
    """A score in few digits: 0.986, 12.3, 53782, 2.1e-05; a score that is not defined is a dash."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    size = abs(value)
    if size >= 1e7 or 0.0 < size < 5e-4:
        return f"{value:.0e}" if size < 1 else f"{value:.2e}"
    return f"{value:.{3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0}f}"


def interval(ends: Interval | None) -> str:
    """`[0.922, 0.997]`; "" where there is none, or none that is defined."""
    if ends is None or math.isnan(ends.low) or math.isnan(ends.high):
        return ""
    return f"[{number(ends.low)}, {number(ends.high)}]"


def count(n: int, one: str, many: str = "") -> str:
    """`1 row`, `344 rows`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}".replace(",", " " if n >= 10_000 else "")


def duration(seconds: float) -> str:
    """0.06 s, 2.5 s, 42 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(n_bytes: float) -> str:
    """640 kB, 12 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            return f"{n_bytes:.0f} {unit}" if n_bytes >= 10 or unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    raise AssertionError


def listed(names: Sequence[str], most: int = 8) -> str:
    """`a, b, c, and 5 more`."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])}, and {len(names) - most + 1} more"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        return _finite(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
