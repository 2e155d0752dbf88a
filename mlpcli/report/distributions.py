"""The section on the distributions of columns in training and now, and their drift."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from mlpcli.messages import escape_line, format_count
from mlpcli.report.classes import percent
from mlpcli.report.page import Cell, Column, Prose, Section, Table

MAX_COLUMNS = 200
MAX_NAMED = 6
WIDTH, HEIGHT, GAP = 140, 34, 0.1  # of a histogram, and of the gap on each side of a bar as a fraction of the bar


@dataclass(frozen=True)
class ColumnDistribution:
    """The distribution of a column in the training rows (before) and in the rows of the report (now).

    `missing_before` and `missing` are fractions of missing cells, `range` describes the values in words. `before` and
    `now` count rows in the same bins, and are empty if unknown. `index` is the PSI, `verdict` that on drift.
    """

    name: str
    role: str
    missing_before: float | None
    missing: float | None
    range: str
    before: Sequence[float]
    now: Sequence[float]
    index: float | None
    verdict: str
    is_ordered: bool


def columns_section(
    distributions: Sequence[ColumnDistribution], n_training: int, n_rows: int, notes: Sequence[str]
) -> Section:
    """The distribution of each column in the training rows and now, and the drift verdict."""
    drifted = [column.name for column in distributions if column.verdict not in ("", "ok")]
    columns = [
        *(
            Column("column", True),
            Column("kind", True),
            Column("missing"),
            Column("in training"),
            Column("holds", True),
        ),
        *(Column("training and now" if n_rows else "training", True), Column("PSI"), Column("drift", True)),
    ]
    rows = [_row(column) for column in distributions[:MAX_COLUMNS]]
    if not n_rows:
        columns, rows = [*columns[:2], *columns[3:6]], [[*row[:2], *row[3:6]] for row in rows]
    sentence = f"No column has drifted from the {n_training} training rows." if n_rows else ""
    if drifted:
        named = ", ".join(drifted[:MAX_NAMED]) + (", ..." if len(drifted) > MAX_NAMED else "")
        sentence = (
            f"Drifted from the training data: {format_count(len(drifted), 'column')} of {len(distributions)} ({named})."
        )
    n_left_out = len(distributions) - MAX_COLUMNS
    more = [f"{n_left_out} further columns are left out."] if n_left_out > 0 else []
    table = Table("Every column", columns, rows, sentence, is_sortable=True)
    lead = "Bars are the training rows" + (", lines are the rows of this report." if n_rows else ".")
    return Section("columns", "Columns", [table, *(Prose(note, "faint") for note in [*more, *notes])], lead)


def _row(column: ColumnDistribution) -> list[Cell | str]:
    tone = "good" if column.verdict == "ok" else "bad" if column.verdict else ""
    title = f"Histogram of {column.name}"
    svg = _histogram(title, column) if len(column.before) else ""
    return [
        column.name,
        column.role,
        _percent_cell(column.missing),
        _percent_cell(column.missing_before),
        column.range,
        Cell("" if not svg else title, svg=svg),
        Cell("" if column.index is None else f"{column.index:.3f}", column.index),
        Cell(column.verdict, tone=tone),
    ]


def _percent_cell(fraction: float | None) -> Cell:
    return Cell("") if fraction is None else Cell(percent(fraction), fraction)


def _histogram(name: str, column: ColumnDistribution) -> str:
    """A compact SVG, as there may be many columns: bars for the training rows, a line for the rows now."""
    before = np.asarray(column.before, np.float64) / (float(np.sum(column.before)) or 1.0)
    now = np.asarray(column.now, np.float64) / (float(np.sum(column.now)) or 1.0)
    highest = max(float(before.max()), float(now.max(initial=0.0))) or 1.0
    step = WIDTH / len(before)
    gap = 0.0 if column.is_ordered else step * GAP
    bars = "".join(
        f"M{_coordinate(i * step + gap)} {HEIGHT}V{_coordinate(HEIGHT * (1 - fraction / highest))}"
        f"H{_coordinate((i + 1) * step - gap)}V{HEIGHT}Z"
        for i, fraction in enumerate(before.tolist())
    )
    steps = [
        f"V{_coordinate(HEIGHT * (1 - fraction / highest))}H{_coordinate((i + 1) * step)}"
        for i, fraction in enumerate(now)
    ]
    line = f'<path class="now" d="M0 {HEIGHT}{"".join(steps)}V{HEIGHT}"/>' if steps and now.sum() else ""
    return (
        f'<svg viewBox="-1 -1 {WIDTH + 2} {HEIGHT + 2}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(escape_line(name))}"><path class="before" d="{bars}"/>{line}</svg>'
    )


def _coordinate(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
