"""The output of a verb, independent of its format: a title, then facts, tables, charts, gates and paragraphs.

A verb converts its result to one `Document`, which `rendering/` renders; JSON is written from the result itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Form = Literal["text", "json", "markdown", "html"]
Tone = Literal["", "good", "bad", "warning", "faint", "cyan", "magenta", "blue", "yellow", "green", "red"]


@dataclass(frozen=True)
class Cell:
    """The text of a table cell, and its colour."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    If the terminal is too narrow, columns of the highest `rank` are omitted first, of equal ones the rightmost. The
    first column is always shown.
    """

    name: str = ""
    unit: str = ""
    is_text: bool = False  # left-aligned and wrapped; else right-aligned
    is_whole: bool = False  # words are truncated only if longer than two thirds of a line
    is_name: bool = False  # a code span in Markdown
    rank: int = 0

    @property
    def heading(self) -> str:
        """`time (s)`, `rows`."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class Table:
    """Rows of cells. A row may have fewer cells than columns; without column names there is no heading."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str | Cell]]
    title: str = ""  # above the heading
    remark: str = ""  # beside the heading
    more: str = ""  # below: what is omitted
    narrow: "Table | None" = None  # shown instead if this table is wider than the terminal


@dataclass(frozen=True)
class Facts:
    """Named texts, one per line."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Gate:
    """A gate with its score and whether it is met."""

    name: str
    score: str
    passed: bool

    @property
    def verdict(self) -> Cell:
        """`pass` or `FAIL`."""
        return Cell("pass", "good") if self.passed else Cell("FAIL", "bad")


@dataclass(frozen=True)
class Gates:
    """Gates, one per line, and a remark on those not shown."""

    rows: Sequence[Gate]
    more: str = ""


@dataclass(frozen=True)
class Paragraph:
    """One or more sentences."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Curve:
    """Points joined by lines; `x` and `y` have equal lengths and are finite."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """Curves over a common x axis. `is_log` is a logarithmic y axis; `marked` is a position on the x axis."""

    curves: Sequence[Curve]
    x_name: str
    is_log: bool = False
    marked: float | None = None


Block = Table | Facts | Gates | Paragraph | Chart


@dataclass(frozen=True)
class Document:
    """The output of a verb. `title` is its first line, `heading` is above it in Markdown and HTML.

    `notes` go to standard error, the rest to standard output.
    """

    title: str
    blocks: Sequence[Block] = ()
    notes: Sequence[str] = ()
    heading: str = ""

    @property
    def gates_first(self) -> list[Block]:
        """The blocks, gates first."""
        return sorted(self.blocks, key=lambda block: not isinstance(block, Gates))


def text_columns(names: Sequence[str]) -> list[Column]:
    """Left-aligned columns."""
    return [Column(name, is_text=True) for name in names]


def name_column(name: str) -> Column:
    """A column of names: metrics, classes, columns of a table."""
    return Column(name, is_text=True, is_name=True)


def number_columns(names: Sequence[str]) -> list[Column]:
    """Right-aligned columns."""
    return [Column(name) for name in names]
