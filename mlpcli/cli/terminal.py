"""Where a verb writes: standard output is the answer, standard error the conversation.

Colour goes by the stream: none in a pipe, none under NO_COLOR. So does the width: on a terminal, or where COLUMNS is
set, lines are folded between words; in a pipe they are as long as they need to be.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from mlpcli.cli.document import Document
from mlpcli.cli.layout import Line, document_lines
from mlpcli.cli.plain import json_text
from mlpcli.messages import printable

COLOURS = {"good": "32", "bad": "1;31", "warning": "33", "faint": "2"}
NARROWEST = 30  # columns; narrower terminals get lines of this many

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

    def show(self, document: Document) -> None:
        """Write an answer, then its notes."""
        has_colours = _has_colours(sys.stdout)
        for line in document_lines(document, width_of(sys.stdout)):
            sys.stdout.write(_text(line, has_colours) + "\n")
        for note in document.notes:
            self.warn(note)

    def json(self, document: Any) -> None:
        """Write one JSON document in ASCII; numbers that are not finite become null."""
        sys.stdout.write(json_text(document))


def width_of(stream: TextIO) -> int | None:
    """Columns of a stream's terminal, or of COLUMNS; None for a pipe or a file, where lines may have any length."""
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and int(given):
        return max(int(given), NARROWEST)
    try:
        return max(os.get_terminal_size(stream.fileno()).columns, NARROWEST)
    except (OSError, ValueError):
        return None


def _has_colours(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def _text(line: Line, has_colours: bool) -> str:
    return "".join(
        f"\x1b[{COLOURS[cell.tone]}m{cell.text}\x1b[0m" if has_colours and cell.tone else cell.text for cell in line
    )


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
