"""A document as a self-contained HTML page without scripts; all texts are escaped."""

from collections.abc import Iterator, Sequence
from html import escape

from mlpcli.cli.document import Block, Cell, Chart, Column, Document, Facts, Gates, Paragraph, Table
from mlpcli.cli.rendering.chart import chart_text
from mlpcli.messages import escape_controls

_STYLE = """\
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.15rem; overflow-wrap: anywhere; }
div.table { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: 0.15rem 0.8rem 0.15rem 0; text-align: right; vertical-align: top; white-space: pre-wrap; }
th { border-bottom: 1px solid; font-weight: 600; }
pre { font: 14px/1 monospace; overflow-x: auto; }
.text { text-align: left; }
.good { color: #1a7f37; } .bad { color: #cf222e; font-weight: 700; } .warning { color: #9a6700; }
.faint { opacity: 0.6; }
"""


def html_page(document: Document) -> str:
    """The content of the page."""
    title = _text(document.heading or document.title)
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        f'<meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width">',
        f"<style>\n{_STYLE}</style>",
        f"<h1>{title}</h1>",
    ]
    lines += [f"<p>{_text(document.title)}</p>"] if document.heading else []
    for block in document.gates_first:
        lines += _block(block)
    lines += [f'<p class="warning">{_text(note)}</p>' for note in document.notes]
    return "\n".join([*lines, "</html>"])


def _block(block: Block) -> Iterator[str]:
    match block:
        case Paragraph():
            yield _tagged("p", Cell(block.text, block.tone))
        case Chart():
            yield _tagged("pre", Cell(chart_text(block)))
        case Facts():
            columns = [Column(is_text=True)] * 2
            yield from _table(columns, block.rows)
        case Gates():
            columns = [Column("gate", is_text=True), Column("score"), Column("verdict", is_text=True)]
            yield from _table(columns, [(gate.name, gate.score, gate.verdict) for gate in block.rows])
            if block.more:
                yield _tagged("p", Cell(block.more))
        case Table():
            if block.title:
                yield _tagged("p", Cell(block.title))
            if block.remark:
                yield _tagged("p", Cell(block.remark, "faint"))
            yield from _table(block.columns, block.rows)
            if block.more:
                yield _tagged("p", Cell(block.more))


def _table(columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]]) -> Iterator[str]:
    yield '<div class="table"><table>'
    classes = ["text" if column.is_text else "" for column in columns]
    if any(column.heading for column in columns):
        yield _row("th", [column.heading for column in columns], classes)
    for row in rows:
        yield _row("td", row, classes)
    yield "</table></div>"


def _row(tag: str, cells: Sequence[str | Cell], classes: Sequence[str]) -> str:
    return f"<tr>{''.join(_tagged(tag, cell, kind) for cell, kind in zip(cells, classes, strict=False))}</tr>"


def _tagged(tag: str, cell: str | Cell, kind: str = "") -> str:
    text, tone = (cell, "") if isinstance(cell, str) else (cell.text, cell.tone)
    classes = " ".join(filter(None, (kind, tone)))
    return f"<{tag}{f' class={chr(34)}{classes}{chr(34)}' if classes else ''}>{_text(text)}</{tag}>"


def _text(text: str) -> str:
    return escape(escape_controls(text))
