"""A report as an HTML page: sections of figures, tables and sentences. The template escapes every text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpcli.messages import escape_line
from mlpcli.report.drawing import load

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, the `value` that it is sorted by, and its style.

    `tone` is good, bad, warning or faint. `bar` is the length of a bar behind the text, `heat` the intensity of the
    background, both from 0 to 1. `svg` is a small figure shown instead of `text`, which describes it.
    """

    text: str
    value: float | None = None
    tone: str = ""
    bar: float | None = None
    heat: float | None = None
    svg: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table; texts are left-aligned, numbers right-aligned."""

    name: str
    is_text: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells, the first of which is the row header. `sentence` describes the result."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | str]]
    sentence: str = ""
    is_sortable: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Figure:
    """An inline SVG; `name` is its title, `sentence` describes the result."""

    name: str
    svg: str
    sentence: str
    is_wide: bool = False
    kind: str = "figure"


@dataclass(frozen=True)
class Prose:
    """Sentences; `tone` as in `Cell`."""

    text: str
    tone: str = ""
    kind: str = "prose"


@dataclass(frozen=True)
class Verbatim:
    """Preformatted text, such as a config or a command."""

    name: str
    text: str
    is_folded: bool = False
    kind: str = "verbatim"


Block = Table | Figure | Prose | Verbatim


@dataclass(frozen=True)
class Section:
    """A section of the page; `id` is its anchor, `lead` the sentence below its title."""

    id: str
    title: str
    blocks: Sequence[Block]
    lead: str = ""


@dataclass(frozen=True)
class Page:
    """A report. `key_figures` at the top have name, value and remark."""

    title: str
    subtitle: str
    verdict: str
    key_figures: Sequence[tuple[str, str, str]]
    gates: Sequence[tuple[str, str, bool]]
    notes: Sequence[str]
    sections: Sequence[Section]
    foot: str


def render(page: Page, path: str) -> bytes:
    """The page as UTF-8, without external resources. Raises MlpError without the extra `report`."""
    jinja2 = load("jinja2", "jinja2", path)
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters["plain"] = escape_line
    environment.filters["lines"] = lambda text: "\n".join(map(escape_line, text.split("\n")))
    files = {name: (HERE / name).read_text("utf-8") for name in ("page.html", "page.css", "page.js")}
    template = environment.from_string(files["page.html"])
    text = template.render(page=page, style=files["page.css"], script=files["page.js"])
    return str(text).encode("utf-8")
