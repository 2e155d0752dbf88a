"""The section on the distributions of columns in training and now, and their drift."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from mlpcli.messages import count, on_one_line
from mlpcli.report.classes import percent
from mlpcli.report.page import Cell, Column, Prose, Section, Table

MOST_COLUMNS = 200
MOST_NAMED = 6
WIDTH, HEIGHT, GAP = 140, 34, 0.1  # of a histogram, and the part of a bar on either side of it that is left free


@dataclass(frozen=True)
class Held:
    """A column: the part of missing cells before and now, what it holds in words, its counts, and the verdict.

    `before` and `now` count the same bins in the training rows and in these; empty where nothing is known.
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


def columns_section(found: Sequence[Held], n_training: int, n_rows: int, notes: Sequence[str]) -> Section:
    """The distribution of each column in the training rows and now, and the drift verdict."""
    drifted = [one.name for one in found if one.verdict not in ("", "ok")]
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
    rows = [_held_row(one) for one in found[:MOST_COLUMNS]]
    if not n_rows:
        columns, rows = [*columns[:2], *columns[3:6]], [[*row[:2], *row[3:6]] for row in rows]
    sentence = f"No column has drifted from the {n_training} training rows." if n_rows else ""
    if drifted:
        named = ", ".join(drifted[:MOST_NAMED]) + (", ..." if len(drifted) > MOST_NAMED else "")
        sentence = f"Drifted from the training data: {count(len(drifted), 'column')} of {len(found)} ({named})."
    more = [f"{len(found) - MOST_COLUMNS} further columns are left out."] if len(found) > MOST_COLUMNS else []
    table = Table("Every column", columns, rows, sentence, is_sortable=True)
    lead = "Bars are the training rows" + (", lines are the rows of this report." if n_rows else ".")
    return Section("columns", "Columns", [table, *(Prose(note, "faint") for note in [*more, *notes])], lead)


def _held_row(one: Held) -> list[Cell | str]:
    tone = "good" if one.verdict == "ok" else "bad" if one.verdict else ""
    drawn = f"Histogram of {one.name}"
    svg = _histogram(drawn, one) if len(one.before) else ""
    return [
        one.name,
        one.role,
        _part(one.missing),
        _part(one.missing_before),
        one.range,
        Cell("" if not svg else drawn, svg=svg),
        Cell("" if one.index is None else f"{one.index:.3f}", one.index),
        Cell(one.verdict, tone=tone),
    ]


def _part(part: float | None) -> Cell:
    return Cell("") if part is None else Cell(percent(part), part)


def _histogram(name: str, one: Held) -> str:
    """Bars for the training rows and a line for the rows now, in a few hundred bytes, as there may be many columns."""
    before = np.asarray(one.before, np.float64) / (float(np.sum(one.before)) or 1.0)
    now = np.asarray(one.now, np.float64) / (float(np.sum(one.now)) or 1.0)
    most = max(float(before.max()), float(now.max(initial=0.0))) or 1.0
    step = WIDTH / len(before)
    gap = 0.0 if one.is_ordered else step * GAP
    bars = "".join(
        f"M{_short(place * step + gap)} {HEIGHT}V{_short(HEIGHT * (1 - part / most))}"
        f"H{_short((place + 1) * step - gap)}V{HEIGHT}Z"
        for place, part in enumerate(before.tolist())
    )
    steps = [f"V{_short(HEIGHT * (1 - part / most))}H{_short((place + 1) * step)}" for place, part in enumerate(now)]
    line = f'<path class="now" d="M0 {HEIGHT}{"".join(steps)}V{HEIGHT}"/>' if steps and now.sum() else ""
    return (
        f'<svg viewBox="-1 -1 {WIDTH + 2} {HEIGHT + 2}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(on_one_line(name))}"><path class="before" d="{bars}"/>{line}</svg>'
    )


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
