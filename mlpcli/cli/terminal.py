"""Where a verb writes: standard output is the answer, standard error the conversation.

Colour goes by the stream: none in a pipe, none under NO_COLOR. So does the width: on a terminal, or where COLUMNS is
set, lines are folded between words; in a pipe they are as long as they need to be.
"""

import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from mlpcli.cli.document import Cell, Document, Form, Paragraph
from mlpcli.cli.html import html_page
from mlpcli.cli.job_log import LOG
from mlpcli.cli.layout import Line, document_lines, paragraph_lines
from mlpcli.cli.markdown import markdown
from mlpcli.cli.plain import json_text
from mlpcli.messages import printable

COLOURS = {"good": "32", "bad": "1;31", "warning": "33", "faint": "2"}
NARROWEST = 30  # columns; narrower terminals get lines of this many
NOTE = "note  "


class Screen:
    """The two streams of a verb."""

    def __init__(self, is_quiet: bool) -> None:
        self.is_quiet = is_quiet
        # How a line gets onto standard error, which a bar below it has to know of.
        self.write_line: Callable[[str], None] = _write_error

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
                for line in document_lines(document, width_of(sys.stdout)):
                    sys.stdout.write(text_of(line, has_colours(sys.stdout)) + "\n")
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

    def _say(self, lines: list[Line]) -> None:
        for line in lines if not self.is_quiet else ():
            self.write_line(text_of(line, has_colours(sys.stderr)))


def width_of(stream: TextIO) -> int | None:
    """Columns of a stream's terminal, or of COLUMNS; None for a pipe or a file, where lines may have any length."""
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and int(given):
        return max(int(given), NARROWEST)
    try:
        return max(os.get_terminal_size(stream.fileno()).columns, NARROWEST)
    except (OSError, ValueError):
        return None


def has_colours(stream: TextIO) -> bool:
    """Whether colours are wanted: on a terminal that has them, unless NO_COLOR; everywhere with FORCE_COLOR."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def text_of(line: Line, is_coloured: bool) -> str:
    """A line as it is written."""
    return "".join(
        f"\x1b[{COLOURS[cell.tone]}m{cell.text}\x1b[0m" if is_coloured and cell.tone else cell.text for cell in line
    )


def _write_error(line: str) -> None:
    sys.stderr.write(line + "\n")
