"""Where a verb writes: standard output is the answer, standard error the conversation.

Colour goes by the stream: none in a pipe, none under NO_COLOR. So does the width: on a terminal, or where COLUMNS is
set, lines are folded between words; in a pipe they are as long as they need to be.
"""

import os
import sys
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from mlpcli.cli.document import Cell, Chart, Document, Form, Paragraph, Tone
from mlpcli.cli.job_log import LOG
from mlpcli.cli.rendering.chart import CURVE_TONES, chart_lines
from mlpcli.cli.rendering.html import html_page
from mlpcli.cli.rendering.layout import Line, document_lines, paragraph_lines
from mlpcli.cli.rendering.markdown import markdown
from mlpcli.cli.rendering.plain import json_text
from mlpcli.messages import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STYLES: dict[Tone, str] = {
    "": "", "good": "green", "bad": "bold red", "warning": "yellow", "faint": "dim",
    **{tone: tone for tone in CURVE_TONES},
}  # fmt: skip
NARROWEST = 30  # columns; narrower terminals get lines of this many
NOTE = "note  "


class Screen:
    """The two streams of a verb."""

    def __init__(self, is_quiet: bool) -> None:
        self.is_quiet = is_quiet

    @cached_property
    def stdout(self) -> "Console":
        """Standard output."""
        return _console(is_error=False)

    @cached_property
    def stderr(self) -> "Console":
        """Standard error; what is printed while a bar is shown stands above it."""
        return _console(is_error=True)

    def give(self, document: Document, record: Any, form: Form) -> None:
        """Write an answer in the form that is asked for, then its notes; `record` is what JSON has of it."""
        match form:
            case "json":
                sys.stdout.write(json_text(record))
            case "markdown":
                sys.stdout.write(markdown(document) + "\n")
            case "html":
                sys.stdout.write(html_page(document) + "\n")
            case "text":
                _print(self.stdout, document_lines(document, width_of(sys.stdout)))
        if document.notes and not self.is_quiet:
            sys.stdout.flush()
        for note in document.notes:
            self.warn(note)

    def write(self, text: str) -> None:
        """Write lines of the answer as they are."""
        sys.stdout.write(printable(text) + "\n")

    def json(self, record: Any) -> None:
        """Write one JSON document in ASCII; numbers that are not finite become null."""
        sys.stdout.write(json_text(record))

    def say(self, text: str, indent: str = "") -> None:
        """Write a line of the conversation; where it is folded, its other lines begin with `indent`."""
        self._say(paragraph_lines(Paragraph(text), width_of(sys.stderr), indent))

    def warn(self, text: str) -> None:
        """Write a warning: a line of the conversation that should be read; the log has it as well."""
        LOG.note("warning", text=text)
        first, *rest = paragraph_lines(Paragraph(NOTE + text), width_of(sys.stderr), " " * len(NOTE))
        self._say([[Cell(NOTE, "warning"), Cell(first[0].text.removeprefix(NOTE))], *rest])

    def draw(self, chart: Chart) -> None:
        """Write a chart as a part of the conversation."""
        self._say(chart_lines(chart, width_of(sys.stderr)))

    def _say(self, lines: list[Line]) -> None:
        if not self.is_quiet:
            _print(self.stderr, lines)


def width_of(stream: TextIO) -> int | None:
    """Columns of a stream's terminal, or of COLUMNS; None for a pipe or a file, where lines may have any length."""
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and int(given):
        return max(int(given), NARROWEST)
    try:
        return max(os.get_terminal_size(stream.fileno()).columns, NARROWEST)
    except (OSError, ValueError):
        return None


def _console(is_error: bool) -> "Console":
    """A stream as rich knows it: whether it is a terminal, which colours it has, and how a line below is redrawn."""
    from rich.console import Console

    return Console(stderr=is_error, soft_wrap=True, highlight=False, markup=False, emoji=False)


def coloured(line: Line) -> "Text":
    """A line as rich writes it."""
    from rich.text import Text

    return Text.assemble(*((cell.text, STYLES[cell.tone]) for cell in line))


def write_out(data: bytes) -> None:
    """Write all of it to standard output, which without a buffer (PYTHONUNBUFFERED) may take a part at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[sys.stdout.buffer.write(rest) :]


def _print(console: "Console", lines: Sequence[Line]) -> None:
    for line in lines:
        console.print(coloured(line))
