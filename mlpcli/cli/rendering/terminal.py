"""The output streams of a verb: the result on standard output, messages on standard error.

Colour and width depend on the stream: no colour in a pipe or with NO_COLOR; lines are wrapped on a terminal or with
COLUMNS set, and unlimited in a pipe.
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
from mlpcli.messages import escape_controls

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STYLES: dict[Tone, str] = {
    "": "", "good": "green", "bad": "bold red", "warning": "yellow", "faint": "dim",
    **{tone: tone for tone in CURVE_TONES},
}  # fmt: skip
NARROWEST = 30  # least width of wrapped lines
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
        """Standard error; prints above the progress bar."""
        return _console(is_error=True)

    def write_result(self, document: Document, record: Any, form: Form) -> None:
        """Write a result in the format `form`, then its notes; `record` is the result for JSON."""
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
        """Write lines to standard output without wrapping."""
        sys.stdout.write(escape_controls(text) + "\n")

    def json(self, record: Any) -> None:
        """Write a JSON document in ASCII to standard output; non-finite numbers become null."""
        sys.stdout.write(json_text(record))

    def info(self, text: str, indent: str = "") -> None:
        """Write a message to standard error, wrapped with `indent`, unless quiet."""
        self._print_stderr(paragraph_lines(Paragraph(text), width_of(sys.stderr), indent))

    def warn(self, text: str) -> None:
        """Write a warning to standard error, unless quiet, and to the log."""
        LOG.event("warning", text=text)
        first, *rest = paragraph_lines(Paragraph(NOTE + text), width_of(sys.stderr), " " * len(NOTE))
        self._print_stderr([[Cell(NOTE, "warning"), Cell(first[0].text.removeprefix(NOTE))], *rest])

    def draw(self, chart: Chart) -> None:
        """Write a chart to standard error, unless quiet."""
        self._print_stderr(chart_lines(chart, width_of(sys.stderr)))

    def _print_stderr(self, lines: list[Line]) -> None:
        if not self.is_quiet:
            _print(self.stderr, lines)


def width_of(stream: TextIO) -> int | None:
    """The width of a stream's terminal, or COLUMNS; None for a pipe or a file."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns):
        return max(int(columns), NARROWEST)
    try:
        return max(os.get_terminal_size(stream.fileno()).columns, NARROWEST)
    except (OSError, ValueError):
        return None


def _console(is_error: bool) -> "Console":
    """Rich's console of a stream."""
    from rich.console import Console

    return Console(stderr=is_error, soft_wrap=True, highlight=False, markup=False, emoji=False)


def coloured(line: Line) -> "Text":
    """A line as rich's text."""
    from rich.text import Text

    return Text.assemble(*((cell.text, STYLES[cell.tone]) for cell in line))


def write_out(data: bytes) -> None:
    """Write all bytes to standard output, which may accept only some at a time if unbuffered."""
    rest = memoryview(data)
    while rest:
        rest = rest[sys.stdout.buffer.write(rest) :]


def _print(console: "Console", lines: Sequence[Line]) -> None:
    for line in lines:
        console.print(coloured(line))
