"""A document as Markdown, for a pull request or a job's summary page.

Names come from files: a text that could be markup, a mention or a link stands in a code span, where it is none.
"""

import re
from collections.abc import Sequence

from mlpcli.cli.document import Block, Cell, Column, Document, Facts, Gates, Paragraph, Table, names
from mlpcli.messages import on_one_line

# A sign or beginning of which Markdown, or the page around it, could make something.
_TELLING = re.compile(r"[^\w .,;·%:()\[\]=+>-]|_|://|www\.|\]\(")


def markdown(document: Document) -> str:
    """Heading, title, verdicts, then the other blocks."""
    parts = [f"### {safe(document.heading)}" if document.heading else "", safe(document.title)]
    parts += map(_block, document.gates_first)
    return "\n\n".join(part for part in parts if part)


def code(text: str) -> str:
    """Any text as a code span that can stand in a cell of a table."""
    text = on_one_line(text).replace("|", r"\|") or " "
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " if "`" in (text[0], text[-1]) else ""
    return f"{fence}{space}{text}{space}{fence}"


def safe(text: str) -> str:
    """The text as it is where no sign in it could be markup, mention or link; else as a code span."""
    return code(text) if _TELLING.search(on_one_line(text)) else on_one_line(text)


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return "\n\n".join(safe(line) for line in block.text.split("\n") if line)
        case Facts():
            return _table([Column(is_text=True)] * 2, block.rows)
        case Gates():
            columns = [names("gate"), Column("score"), Column("verdict")]
            table = _table(columns, [(gate.name, gate.score, gate.verdict) for gate in block.rows])
            return f"{table}\n\n{safe(block.more)}" if block.more else table
        case Table():
            title = f"{safe(block.title)}\n\n" if block.title else ""
            more = f"\n\n{safe(block.more)}" if block.more else ""
            return f"{title}{_table(block.columns, block.rows, block.remark)}{more}"


def _table(columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]], remark: str = "") -> str:
    heading = [safe(column.heading) for column in columns]
    heading[0] += f" {remark}" if remark else ""
    ruler = ["---" if column.is_text else "---:" for column in columns]
    lines = [heading, ruler]
    for row in rows:
        cells = [*row, *[""] * (len(columns) - len(row))]
        lines.append([_cell(cell, column.is_name) for cell, column in zip(cells, columns, strict=True)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: str | Cell, is_name: bool) -> str:
    text = cell if isinstance(cell, str) else cell.text
    text = code(text) if is_name and text else safe(text)
    return f"**{text}**" if isinstance(cell, Cell) and cell.tone == "bad" else text
