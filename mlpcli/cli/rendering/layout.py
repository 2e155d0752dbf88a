"""A document as lines of a terminal, no longer than its width and broken between words only.

If a table is too wide, texts are wrapped, long names are truncated so that they still differ, and columns are omitted;
a line below names these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlpcli.cli.document import Block, Cell, Chart, Column, Document, Facts, Gates, Paragraph, Table
from mlpcli.cli.rendering.chart import chart_lines
from mlpcli.messages import cut_distinctly, cut_middle, display_width, escape_line, format_count, format_list, wrap_text

Line = list[Cell]

GAP, NARROW_GAP = 3, 2
LABEL = 10  # least width of the names of facts
# The least width of the first column and of other text columns (divisors of the terminal's), and of any column.
NAME_PART, TEXT_PART, FEWEST = 3, 4, 12
WHOLE_PART = 2 / 3  # of the terminal's width: longer words are truncated in every column


def document_lines(document: Document, width: int | None) -> list[Line]:
    """The lines of a document; `width` None means no limit, as in a pipe."""
    lines = paragraph_lines(Paragraph(document.title), width) if document.title else []
    for index, block in enumerate(document.blocks):
        is_titled = isinstance(block, Table) and block.title and lines
        if is_titled or (index and not isinstance(block, Paragraph)):
            lines.append([])
        lines += _block_lines(block, width)
    return lines


def paragraph_lines(paragraph: Paragraph, width: int | None, indent: str = "") -> list[Line]:
    """The lines of a paragraph, wrapped."""
    rows = (escape_line(row) for row in paragraph.text.split("\n"))
    return [[Cell(line, paragraph.tone)] for row in rows for line in wrap_text(row, width, indent)]


def _block_lines(block: Block, width: int | None) -> list[Line]:
    match block:
        case Table():
            return table_lines(block, width)
        case Facts():
            return _fact_lines(block, width)
        case Gates():
            has_scores = any(gate.score for gate in block.rows)
            rows: list[Sequence[str | Cell]] = [
                (f"gate  {gate.name}", *([gate.score] * has_scores), gate.verdict) for gate in block.rows
            ]
            columns = [Column(is_text=True), *([Column()] * has_scores), Column()]
            return table_lines(Table(columns, rows, more=block.more), width)
        case Paragraph():
            return paragraph_lines(block, width)
        case Chart():
            return chart_lines(block, width)


def _fact_lines(facts: Facts, width: int | None) -> list[Line]:
    label = max(LABEL, *(display_width(name) + 2 for name, _ in facts.rows)) if facts.rows else LABEL
    lines: list[Line] = []
    for name, text in facts.rows:
        row = name + " " * (label - display_width(name)) + escape_line(text)
        lines += [[Cell(line)] for line in wrap_text(row.rstrip(), width, " " * label)]
    return lines


def table_lines(table: Table, width: int | None) -> list[Line]:
    """Title, heading, rows, and a line on what is omitted."""
    grid = _Grid.of(table)
    columns = list(range(len(table.columns)))
    gap, widths = GAP, grid.natural(columns)
    if width is not None and _total(widths, gap) > width:
        if table.narrow is not None:
            return table_lines(table.narrow, width)
        gap = NARROW_GAP
        columns, widths = grid.fitting(width)
    cuts = [grid.cuts(index, column_width) for index, column_width in zip(columns, widths, strict=True)]
    lines = [line for row in grid.rows for line in grid.lines(row, columns, widths, cuts, gap)]
    if table.remark:
        lines = _with_remark(lines, table.remark, width)
    left_out = [column.heading for index, column in enumerate(table.columns) if index not in columns]
    if table.title:
        lines = [*paragraph_lines(Paragraph(table.title), width), *lines]
    if left_out:
        names = format_list([name for name in dict.fromkeys(left_out) if name], 6)
        more = (
            f"and {format_count(len(left_out), 'more column')} (wider terminals, --json){f': {names}' if names else ''}"
        )
        lines += paragraph_lines(Paragraph(more), width)
    if table.more:
        lines += paragraph_lines(Paragraph(table.more), width)
    return lines


@dataclass(frozen=True)
class _Grid:
    """The escaped cells of a table, heading included, with as many cells as columns in each row."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    has_heading: bool

    @classmethod
    def of(cls, table: Table) -> "_Grid":
        has_heading = any(column.heading for column in table.columns)
        rows = [[column.heading for column in table.columns]] if has_heading else []
        cells = [[_escaped(cell) for cell in row] for row in [*rows, *table.rows]]
        n_columns = len(table.columns)
        return cls(table.columns, [[*row, *[Cell("")] * (n_columns - len(row))] for row in cells], has_heading)

    def natural(self, columns: Sequence[int]) -> list[int]:
        """The widths at which nothing is wrapped."""
        return [max((display_width(row[index].text) for row in self.rows), default=0) for index in columns]

    def least(self, index: int, width: int) -> int:
        """The least width of a column: its longest word, or enough of long words that they differ."""
        cells = [row[index].text for row in self.rows]
        if not self.columns[index].is_text:
            heading = cells[0].split(" ") if self.has_heading else []
            return max(map(display_width, [*heading, *cells[self.has_heading :]]), default=0)
        longest = max(map(display_width, self.words(index)), default=0)
        if self.columns[index].is_whole:
            return min(longest, int(width * WHOLE_PART))
        least = min(longest, max(FEWEST, width // (TEXT_PART if index else NAME_PART)))
        candidates = range(least, min(longest, width))
        return next(
            (candidate for candidate in candidates if cut_distinctly(self.words(index), candidate)), candidates.stop
        )

    def words(self, index: int) -> set[str]:
        """The words in a column."""
        return {word for row in self.rows for word in row[index].text.split(" ")}

    def cuts(self, index: int, width: int) -> dict[str, str]:
        """Each word of a column, truncated to `width` so that different words differ if possible."""
        words = self.words(index)
        return cut_distinctly(words, width) or {word: cut_middle(word, width) for word in words}

    def comfortable(self, index: int, width: int) -> int:
        """The width at which names of up to half a line are not wrapped."""
        least = self.least(index, width)
        if index and not self.columns[index].is_name:
            return least
        names = max((display_width(row[index].text) for row in self.rows[self.has_heading :]), default=0)
        return max(least, min(names, width // 2))

    def fitting(self, width: int) -> tuple[list[int], list[int]]:
        """The columns that fit, and their widths.

        Columns with a rank are omitted before names are wrapped, all but the first before words are truncated.
        """
        columns = list(range(len(self.columns)))
        for widths, lowest in (
            ([self.comfortable(index, width) for index in columns], 1),
            ([self.least(index, width) for index in columns], 0),
        ):
            while _total([widths[index] for index in columns], NARROW_GAP) > width:
                dispensable = [index for index in columns[1:] if self.columns[index].rank >= lowest]
                if not dispensable:
                    break
                columns.remove(max(dispensable, key=lambda index: (self.columns[index].rank, index)))
            else:
                break
        return columns, self._stretched(columns, [widths[index] for index in columns], width)

    def _stretched(self, columns: Sequence[int], widths: list[int], width: int) -> list[int]:
        """The widths, with the remaining space given to the narrowest columns that need more."""
        natural = self.natural(columns)
        for _ in range(width - _total(widths, NARROW_GAP)):
            needy = [index for index, most in enumerate(natural) if widths[index] < most]
            if not needy:
                break
            widths[min(needy, key=widths.__getitem__)] += 1
        return [min(column_width, width) for column_width in widths]

    def lines(
        self,
        row: Sequence[Cell],
        columns: Sequence[int],
        widths: Sequence[int],
        cuts: Sequence[Mapping[str, str]],
        gap: int,
    ) -> list[Line]:
        """A row of the table, in several lines if a text is wrapped."""
        cells = [
            wrap_text(" ".join(cut[word] for word in row[index].text.split(" ")), width)
            for index, width, cut in zip(columns, widths, cuts, strict=True)
        ]
        lines = []
        for number in range(max(map(len, cells))):
            line: Line = []
            for position, (index, width) in enumerate(zip(columns, widths, strict=True)):
                text = cells[position][number] if number < len(cells[position]) else ""
                space = " " * (width - display_width(text))
                before, after = ("", space) if self.columns[index].is_text or not index else (space, "")
                line += [Cell(" " * gap * (position > 0) + before), Cell(text, row[index].tone), Cell(after)]
            lines.append(_stripped(line))
        return lines


def _escaped(cell: str | Cell) -> Cell:
    return Cell(escape_line(cell)) if isinstance(cell, str) else Cell(escape_line(cell.text), cell.tone)


def _total(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1)


def _stripped(line: Line) -> Line:
    """The line without trailing spaces."""
    line = [cell for cell in line if cell.text]
    while line and not line[-1].text.strip():
        line.pop()
    return [*line[:-1], Cell(line[-1].text.rstrip(), line[-1].tone)] if line else []


def _with_remark(lines: list[Line], remark: str, width: int | None) -> list[Line]:
    """The lines with the remark beside the heading, or above it if it does not fit."""
    length = sum(display_width(cell.text) for cell in lines[0]) + GAP + display_width(remark)
    if width is None or length <= width:
        return [[*lines[0], Cell(" " * GAP), Cell(remark, "faint")], *lines[1:]]
    return [*paragraph_lines(Paragraph(remark, "faint"), width), *lines]
