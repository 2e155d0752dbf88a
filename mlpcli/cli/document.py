"""What a verb shows, before it is drawn: a title, then facts, tables, charts, gates and sentences in order.

A verb makes one `Document` of its result. `rendering/` draws it; JSON is written from the
result itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Form = Literal["text", "json", "markdown", "html"]
Tone = Literal["", "good", "bad", "warning", "faint", "cyan", "magenta", "blue", "yellow", "green", "red"]


@dataclass(frozen=True)
class Cell:
    """A text of a table, and how it is coloured."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Where a terminal is too narrow, columns of the highest `rank` are left out first, of equals the rightmost. The first
    column always stays.
    """

    name: str = ""
    unit: str = ""
    is_text: bool = False  # to the left, and folded between words; else to the right
    is_whole: bool = False  # its words are not cut unless they fill two thirds of a line
    is_name: bool = False  # code spans in Markdown: names from files, metrics
    rank: int = 0

    @property
    def heading(self) -> str:
        """`time (s)`, `rows`."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class Table:
    """Rows of cells; a row may be shorter than the columns. A table of columns without names has no heading."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str | Cell]]
    title: str = ""  # above the heading
    remark: str = ""  # beside the heading
    more: str = ""  # below: what was left out
    narrow: "Table | None" = None  # takes its place where it is wider than the terminal


@dataclass(frozen=True)
class Facts:
    """Named texts, a line each."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Gate:
    """A bound, the score beside it, and whether it is met."""

    name: str
    score: str
    passed: bool

    @property
    def verdict(self) -> Cell:
        """`pass` or `FAIL`."""
        return Cell("pass", "good") if self.passed else Cell("FAIL", "bad")


@dataclass(frozen=True)
class Gates:
    """Verdicts, a line each, and what is said of those that are not shown."""

    rows: Sequence[Gate]
    more: str = ""


@dataclass(frozen=True)
class Paragraph:
    """A sentence or several."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Curve:
    """Points joined by lines: as many `y` as `x`, all of them finite."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """Curves over one axis; on a logarithmic y axis every `y` is above 0. `marked` is a place on the x axis."""

    curves: Sequence[Curve]
    x_name: str
    is_log: bool = False
    marked: float | None = None


Block = Table | Facts | Gates | Paragraph | Chart


@dataclass(frozen=True)
class Document:
    """What a verb answers; `notes` are part of the conversation, not of the answer.

    `title` is its first line. Where a document stands among others (Markdown, HTML), `heading` is above it.
    """

    title: str
    blocks: Sequence[Block] = ()
    notes: Sequence[str] = ()
    heading: str = ""

    @property
    def gates_first(self) -> list[Block]:
        """The blocks, verdicts first: for readers who begin at the top."""
        return sorted(self.blocks, key=lambda block: not isinstance(block, Gates))


def texts(names: Sequence[str]) -> list[Column]:
    """Columns that hold texts."""
    return [Column(name, is_text=True) for name in names]


def names(name: str) -> Column:
    """A column that holds names: metrics, classes, columns of a table."""
    return Column(name, is_text=True, is_name=True)


def numbers(names: Sequence[str]) -> list[Column]:
    """Columns that hold numbers."""
    return [Column(name) for name in names]
