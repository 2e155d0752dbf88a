"""Sections on groups of rows: where the model is worse, and scores by the value of a column."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mlpcli.messages import count, interval, number
from mlpcli.report.columns import LETTERS_OF_AXIS
from mlpcli.report.drawing import FAINT, SERIES, inline
from mlpcli.report.page import Block, Cell, Column, Figure, Prose, Section, Table

MOST_SLICES = 25


@dataclass(frozen=True)
class Group:
    """A group of rows by the value of a column, and its score with interval (NaN without one)."""

    column: str
    name: str
    n_rows: int
    score: float
    low: float
    high: float
    is_small: bool


def slices_section(groups: Sequence[Group], metric: str, whole: float, higher_is_better: bool, n_rows: int) -> Section:
    """Groups of all columns, the worst first."""
    sign = 1 if higher_is_better else -1
    known = sorted((one for one in groups if one.score == one.score), key=lambda one: (sign * one.score, one.name))
    columns = [Column("rows with", True), Column("rows"), Column(metric), Column("interval"), Column("")]
    rows: list[Sequence[Cell | str]] = []
    worse = [one for one in known if _is_worse(one, whole, higher_is_better)]
    for one in known[:MOST_SLICES]:
        verdict = Cell("worse", tone="bad") if _is_worse(one, whole, higher_is_better) else Cell("")
        few = Cell("few rows", tone="faint") if one.is_small else verdict
        ends = Cell(interval(one) or "-", one.low if one.low == one.low else None)
        rows.append((one.name, Cell(f"{one.n_rows}", float(one.n_rows)), Cell(number(one.score), one.score), ends, few))
    sentence = f"{metric} of all rows is {number(whole)}. "
    sentence += (
        f"Significantly worse: {count(len(worse), 'group')} of {len(known)}, such as "
        f"{worse[0].name} ({number(worse[0].score)})." if worse else "No group is significantly worse."
    )  # fmt: skip
    lead = f"Groups of {count(n_rows, 'row')} by each column: levels, or quartiles of numbers, worst first. "
    lead += "Confidence intervals are simultaneous over all groups."
    table = Table(f"Groups by {metric}, worst first", columns, rows, sentence, is_sortable=True)
    left_out = len(known) - len(rows)
    more: list[Block] = [Prose(f"{left_out} better groups are left out.", "faint")] if left_out else []
    return Section("slices", "Groups", [table, *more], lead)


def _is_worse(one: Group, whole: float, higher_is_better: bool) -> bool:
    return one.high < whole if higher_is_better else one.low > whole


def quality_section(groups: Sequence[Group], shown: Sequence[str], metric: str, whole: float) -> Section:
    """The score by the value of each of some columns, compared with the overall score."""
    blocks: list[Block] = []
    for column in shown:
        own = [one for one in groups if one.column == column and one.score == one.score]
        if len(own) < 2:
            continue
        scores = [one.score for one in own]
        low, high = own[int(np.argmin(scores))], own[int(np.argmax(scores))]
        name = f"{metric} by {column}"
        sentence = f"From {number(low.score)} ({_value(low)}) to {number(high.score)} ({_value(high)})."
        if number(low.score) == number(high.score):
            sentence = f"{number(low.score)} in every group."
        few = [_value(one) for one in own if one.is_small]
        sentence += f" Few rows: {', '.join(few)}." if few else ""
        blocks.append(Figure(name, inline(name, 4.5, 2.5, partial(_draw_quality, own, metric, whole)), sentence))
    return Section("quality", "Scores by column", blocks, f"The dashed line is {metric} of all rows, {number(whole)}.")


def _value(one: Group) -> str:
    """`up to 3` of `age = up to 3`."""
    return one.name.removeprefix(f"{one.column} = ")


def _draw_quality(own: Sequence[Group], metric: str, whole: float, figure: Any) -> None:
    axes = figure.subplots()
    places = np.arange(len(own))
    axes.axhline(whole, color=FAINT, linestyle=(0, (4, 3)), linewidth=1)
    for place, one in zip(places, own, strict=True):
        if one.low == one.low:
            axes.plot([place, place], [one.low, one.high], color=SERIES[0], linewidth=1.6)
    axes.plot(places, [one.score for one in own], color=SERIES[0], marker="o", linestyle="none")
    names = [text if len(text) <= 14 else f"{text[:13]}…" for text in map(_value, own)]
    turned = sum(map(len, names)) > LETTERS_OF_AXIS
    axes.set_xticks(places, names, rotation=35 if turned else 0, ha="right" if turned else "center", fontsize=9)
    sure = [one for one in own if not one.is_small] or own
    ends = [end for one in sure for end in (one.low, one.high, one.score, whole) if end == end]
    room = (max(ends) - min(ends)) * 0.08 or 0.02
    axes.set_ylim(min(ends) - room, max(ends) + room)
    axes.set_xlim(-0.6, len(own) - 0.4)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel(metric)
