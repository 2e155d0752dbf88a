"""A document as Markdown, for pull requests and step summaries.

As names come from files, words that could be markup, mentions or links are put in code spans, and the start of a
paragraph that would make it a list, a quotation or a heading is escaped.
"""

import re
from collections.abc import Sequence

from mlpcli.cli.document import Block, Cell, Chart, Column, Document, Facts, Gates, Paragraph, Table, name_column
from mlpcli.cli.rendering.chart import chart_text
from mlpcli.messages import escape_line

# Characters and prefixes with a meaning in Markdown or on the page around it.
_TELLING = re.compile(r"[^\w .,;·%±':()\[\]=+>-]|_|://|www\.|\]\(|\]:|:[\w+-]+:")
# A word and the punctuation around it, which stays outside the code span.
_WORD = re.compile(r"(\(?)(.*?)([.,;:)]*)")
# The start of a list, a quotation or a rule.
_BEGINNING = re.compile(r"(\d*)([-+>=]|(?<=\d)[.)](?= |$))")


def markdown(document: Document) -> str:
    """Heading, title, gates, then the other blocks."""
    blocks = [f"### {prose(document.heading)}" if document.heading else "", prose(document.title)]
    blocks += map(_block, document.gates_first)
    return "\n\n".join(block for block in blocks if block)


def code(text: str) -> str:
    """A text as a code span for a table cell."""
    return _code(escape_line(text).replace("|", r"\|"))


def safe(text: str) -> str:
    """The text of a table cell, as a code span if it could be markup, a mention or a link."""
    return code(text) if _TELLING.search(escape_line(text)) else escape_line(text)


def prose(text: str) -> str:
    """A paragraph, in which words that could be markup, mentions or links are code spans."""
    text = " ".join(map(_word, escape_line(text).split()))
    beginning = _BEGINNING.match(text)
    return f"{beginning[1]}\\{text[beginning.start(2) :]}" if beginning else text


def _code(text: str) -> str:
    text = text or " "
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " if "`" in (text[0], text[-1]) else ""
    return f"{fence}{space}{text}{space}{fence}"


def _word(word: str) -> str:
    if word == "*":
        return r"\*"
    if word == "&":  # not an entity
        return word
    if not _TELLING.search(word):
        return word
    pieces = _WORD.fullmatch(word)
    if pieces is None or not pieces[2]:
        return _code(word)
    return f"{pieces[1]}{_code(pieces[2])}{pieces[3]}"


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return "\n\n".join(prose(line) for line in block.text.split("\n") if line)
        case Chart():
            return f"```text\n{chart_text(block)}\n```"
        case Facts():
            return _table([Column(is_text=True)] * 2, block.rows)
        case Gates():
            columns = [name_column("gate"), Column("score"), Column("verdict")]
            table = _table(columns, [(gate.name, gate.score, gate.verdict) for gate in block.rows])
            return f"{table}\n\n{prose(block.more)}" if block.more else table
        case Table():
            title = f"{prose(block.title)}\n\n" if block.title else ""
            more = f"\n\n{prose(block.more)}" if block.more else ""
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
