"""Sections on input columns: permutation importance and partial dependence."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.messages import format_count, format_interval, format_number
from mlpcli.report.classes import short
from mlpcli.report.drawing import FAINT, SERIES, inline, legend_above, legend_text
from mlpcli.report.page import Block, Figure, Prose, Section

MAX_BARS = 20
MAX_LINES = 6  # in a figure of partial dependence
MAX_LABEL_CHARACTERS = 36  # of all tick labels that fit side by side below a figure
ROW_HEIGHT = 0.26  # inches


@dataclass(frozen=True)
class ColumnImportance:
    """The importance of a column; `low` and `high` are NaN without an interval."""

    name: str
    loss: float
    low: float
    high: float


def importance_section(
    importances: Sequence[ColumnImportance], metric: str, falls: bool, n_rows: int, sentences: Sequence[str]
) -> Section:
    """Columns by importance, the largest first; `sentences` are on correlated columns."""
    shown = importances[:MAX_BARS]
    first = shown[0]
    verb = "falls" if falls else "rises"
    sentence = (
        f"Shuffling {first.name} has the largest effect: {metric} {verb} by {format_number(first.loss)} "
        f"{format_interval(first)}".rstrip()
        + "."
    )
    insignificant = [column.name for column in importances if not column.low > 0]
    if insignificant and len(insignificant) < len(importances):
        sentence += (
            f" {format_count(len(insignificant), 'column')} of {len(importances)} have no significant importance."
        )
    name = f"{metric} {verb} by"
    height = 0.9 + ROW_HEIGHT * len(shown)
    title = "Permutation importance of the columns"
    blocks: list[Block] = [Figure(title, inline(title, 4.5, height, partial(draw_importance, shown, name)), sentence)]
    blocks += [Prose(text) for text in sentences]
    if len(importances) > len(shown):
        blocks.append(Prose(f"{len(importances) - len(shown)} further columns are less important.", "faint"))
    lead = f"Increase of the error in {metric} when a column is shuffled, on {format_count(n_rows, 'row')}. "
    return Section("importance", "Importance", blocks, lead + "Lines are confidence intervals.")


def draw_importance(shown: Sequence[ColumnImportance], name: str, figure: Any) -> None:
    """A bar for each column, from top to bottom, with its interval; `name` is the axis label."""
    axes = figure.subplots()
    positions = np.arange(len(shown))[::-1]
    axes.barh(positions, [column.loss for column in shown], height=0.66, color=SERIES[0], alpha=0.75)
    for y, column in zip(positions, shown, strict=True):
        if column.low == column.low:
            axes.plot([column.low, column.high], [y, y], color=FAINT, linewidth=1.6)
    axes.set_yticks(positions, [short(column.name) for column in shown])
    axes.axvline(0.0, color=FAINT, linewidth=0.8)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set_xlabel(name)


@dataclass(frozen=True)
class Dependence:
    """Partial dependence: mean predictions (n_values, n_predictions) at each value; a curve if `numbers` is given."""

    name: str
    values: Sequence[str]
    numbers: Sequence[float] | None
    mean: NDArray[np.float64]


def dependence_section(
    dependences: Sequence[Dependence], output_names: Sequence[str], what: str, n_rows: int
) -> Section:
    """A figure for each column, with the same range of predictions."""
    lines = list(range(len(output_names)))
    if what == "probability" and len(output_names) == 2:
        lines = [1]
    lines = lines[:MAX_LINES]
    means = np.concatenate([dependence.mean[:, lines].ravel() for dependence in dependences])
    room = (means.max() - means.min()) * 0.06 or 0.05
    ends = float(means.min() - room), float(means.max() + room)
    blocks: list[Block] = []
    for dependence in dependences:
        name = f"Predictions by {dependence.name}"
        draw = partial(_draw_dependence, dependence, [(index, output_names[index]) for index in lines], ends, what)
        blocks.append(
            Figure(
                name,
                inline(name, 4.5, 2.9 if len(lines) > 1 else 2.6, draw),
                _dependence_sentence(dependence, output_names, lines, what),
            )
        )
    lead = f"The mean prediction for {format_count(n_rows, 'row')} when this column is set to the value on the axis."
    if len(output_names) > max(lines) + 1:
        lead += f" {MAX_LINES} of {len(output_names)} outputs are drawn."
    return Section("dependence", "Partial dependence", blocks, lead)


def _dependence_sentence(dependence: Dependence, output_names: Sequence[str], lines: Sequence[int], what: str) -> str:
    ranges = dependence.mean[:, list(lines)].max(axis=0) - dependence.mean[:, list(lines)].min(axis=0)
    line = lines[int(np.argmax(ranges))]
    column = dependence.mean[:, line]
    low, high = int(np.argmin(column)), int(np.argmax(column))
    subject = (
        f"the mean probability of {output_names[line]}" if what == "probability" else f"the mean {output_names[line]}"
    )
    if not float(ranges.max()) > 0:
        return f"{subject[0].upper()}{subject[1:]} does not depend on it."
    return (
        f"{subject[0].upper()}{subject[1:]} is lowest, {format_number(float(column[low]))}, at "
        f"{dependence.values[low]}, and highest, {format_number(float(column[high]))}, at {dependence.values[high]}."
    )


def _draw_dependence(
    dependence: Dependence, lines: Sequence[tuple[int, str]], ends: tuple[float, float], what: str, figure: Any
) -> None:
    axes = figure.subplots()
    positions = np.arange(len(dependence.values)) if dependence.numbers is None else np.asarray(dependence.numbers)
    for line, (index, name) in enumerate(lines):
        style = "none" if dependence.numbers is None else "solid"
        axes.plot(positions, dependence.mean[:, index], color=SERIES[line], linestyle=style, marker="o", markersize=4,
                  label=legend_text(short(name)))  # fmt: skip
    if dependence.numbers is None:
        turned = sum(map(len, dependence.values)) > MAX_LABEL_CHARACTERS
        names = [text if len(text) <= 12 else f"{text[:11]}…" for text in dependence.values]
        axes.set_xticks(positions, names, rotation=40 if turned else 0, ha="right" if turned else "center")
    axes.set_xlabel(short(dependence.name))
    axes.set_ylabel(what if len(lines) > 1 or what != "probability" else f"p({short(lines[0][1])})")
    axes.set_ylim(*ends)
    if len(lines) > 1:
        legend_above(axes, 3)
