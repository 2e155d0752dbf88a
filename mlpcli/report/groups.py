"""Sections on groups of rows: where the model is worse, and scores by the value of a column."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mlpcli.messages import format_count, format_interval, format_number
from mlpcli.report.columns import MAX_LABEL_CHARACTERS
from mlpcli.report.drawing import FAINT, SERIES, inline
from mlpcli.report.page import Block, Cell, Column, Figure, Prose, Section, Table

MAX_SLICES = 25


@dataclass(frozen=True)
class Group:
    """A group of rows by the value of a column, and its score with interval (NaN without an interval)."""

    column: str
    name: str
    n_rows: int
    score: float
    low: float
    high: float
    is_small: bool


def slices_section(
    groups: Sequence[Group], metric: str, overall: float, higher_is_better: bool, n_rows: int
) -> Section:
    """Groups of all columns, the worst first."""
    sign = 1 if higher_is_better else -1
    scored = sorted(
        (group for group in groups if group.score == group.score), key=lambda group: (sign * group.score, group.name)
    )
    columns = [Column("rows with", True), Column("rows"), Column(metric), Column("interval"), Column("")]
    rows: list[Sequence[Cell | str]] = []
    worse = [group for group in scored if _is_worse(group, overall, higher_is_better)]
    for group in scored[:MAX_SLICES]:
        verdict = Cell("worse", tone="bad") if _is_worse(group, overall, higher_is_better) else Cell("")
        remark = Cell("few rows", tone="faint") if group.is_small else verdict
        ends = Cell(format_interval(group) or "-", group.low if group.low == group.low else None)
        n_rows_cell, score_cell = (
            Cell(f"{group.n_rows}", float(group.n_rows)),
            Cell(format_number(group.score), group.score),
        )
        rows.append((group.name, n_rows_cell, score_cell, ends, remark))
    sentence = f"{metric} of all rows is {format_number(overall)}. "
    sentence += (
        f"Significantly worse: {format_count(len(worse), 'group')} of {len(scored)}, such as "
        f"{worse[0].name} ({format_number(worse[0].score)})." if worse else "No group is significantly worse."
    )  # fmt: skip
    lead = f"Groups of {format_count(n_rows, 'row')} by each column: levels, or quartiles of numbers, worst first. "
    lead += "Confidence intervals are simultaneous over all groups."
    table = Table(f"Groups by {metric}, worst first", columns, rows, sentence, is_sortable=True)
    left_out = len(scored) - len(rows)
    more: list[Block] = [Prose(f"{left_out} better groups are left out.", "faint")] if left_out else []
    return Section("slices", "Groups", [table, *more], lead)


def _is_worse(group: Group, overall: float, higher_is_better: bool) -> bool:
    return group.high < overall if higher_is_better else group.low > overall


def quality_section(groups: Sequence[Group], columns: Sequence[str], metric: str, overall: float) -> Section:
    """The score by the value of each of some columns, compared with the overall score."""
    blocks: list[Block] = []
    for column in columns:
        selected = [group for group in groups if group.column == column and group.score == group.score]
        if len(selected) < 2:
            continue
        scores = [group.score for group in selected]
        low, high = selected[int(np.argmin(scores))], selected[int(np.argmax(scores))]
        name = f"{metric} by {column}"
        sentence = f"From {format_number(low.score)} ({_value(low)}) to {format_number(high.score)} ({_value(high)})."
        if format_number(low.score) == format_number(high.score):
            sentence = f"{format_number(low.score)} in every group."
        small = [_value(group) for group in selected if group.is_small]
        sentence += f" Few rows: {', '.join(small)}." if small else ""
        blocks.append(Figure(name, inline(name, 4.5, 2.5, partial(_draw_quality, selected, metric, overall)), sentence))
    return Section(
        "quality", "Scores by column", blocks, f"The dashed line is {metric} of all rows, {format_number(overall)}."
    )


def _value(group: Group) -> str:
    """`up to 3` of `age = up to 3`."""
    return group.name.removeprefix(f"{group.column} = ")


def _draw_quality(selected: Sequence[Group], metric: str, overall: float, figure: Any) -> None:
    axes = figure.subplots()
    positions = np.arange(len(selected))
    axes.axhline(overall, color=FAINT, linestyle=(0, (4, 3)), linewidth=1)
    for x, group in zip(positions, selected, strict=True):
        if group.low == group.low:
            axes.plot([x, x], [group.low, group.high], color=SERIES[0], linewidth=1.6)
    axes.plot(positions, [group.score for group in selected], color=SERIES[0], marker="o", linestyle="none")
    names = [text if len(text) <= 14 else f"{text[:13]}…" for text in map(_value, selected)]
    turned = sum(map(len, names)) > MAX_LABEL_CHARACTERS
    axes.set_xticks(positions, names, rotation=35 if turned else 0, ha="right" if turned else "center", fontsize=9)
    large = [group for group in selected if not group.is_small] or selected
    ends = [end for group in large for end in (group.low, group.high, group.score, overall) if end == end]
    room = (max(ends) - min(ends)) * 0.08 or 0.02
    axes.set_ylim(min(ends) - room, max(ends) + room)
    axes.set_xlim(-0.6, len(selected) - 0.4)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel(metric)
