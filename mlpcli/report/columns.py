"""Sections on input columns: permutation importance and partial dependence."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.messages import count, interval, number
from mlpcli.report.classes import short
from mlpcli.report.drawing import FAINT, SERIES, inline, legend_above, legend_text
from mlpcli.report.page import Block, Figure, Prose, Section

MOST_BARS = 20
MOST_LINES = 6  # drawn in a dependence figure
LETTERS_OF_AXIS = 36  # that stand side by side below a figure
ROW_HEIGHT = 0.26  # inches


@dataclass(frozen=True)
class Worth:
    """The importance of a column; `low` and `high` are NaN without an interval."""

    name: str
    loss: float
    low: float
    high: float


def importance_section(
    found: Sequence[Worth], metric: str, falls: bool, n_rows: int, together: Sequence[str]
) -> Section:
    """Columns by importance, the largest first; `together` are sentences on correlated columns."""
    shown = found[:MOST_BARS]
    first = shown[0]
    way = "falls" if falls else "rises"
    sentence = (
        f"Shuffling {first.name} has the largest effect: {metric} {way} by {number(first.loss)} "
        f"{interval(first)}".rstrip()
        + "."
    )
    idle = [one.name for one in found if not one.low > 0]
    if idle and len(idle) < len(found):
        sentence += f" {count(len(idle), 'column')} of {len(found)} have no significant importance."
    name = f"{metric} {way} by"
    height = 0.9 + ROW_HEIGHT * len(shown)
    title = "Permutation importance of the columns"
    blocks: list[Block] = [Figure(title, inline(title, 4.5, height, partial(draw_worth, shown, name)), sentence)]
    blocks += [Prose(text) for text in together]
    if len(found) > len(shown):
        blocks.append(Prose(f"{len(found) - len(shown)} further columns are less important.", "faint"))
    lead = f"Increase of the error in {metric} when a column is shuffled, on {count(n_rows, 'row')}. "
    return Section("importance", "Importance", blocks, lead + "Lines are confidence intervals.")


def draw_worth(shown: Sequence[Worth], name: str, figure: Any) -> None:
    """A bar for each column, from top to bottom, with its interval; `name` is the axis label."""
    axes = figure.subplots()
    places = np.arange(len(shown))[::-1]
    axes.barh(places, [one.loss for one in shown], height=0.66, color=SERIES[0], alpha=0.75)
    for place, one in zip(places, shown, strict=True):
        if one.low == one.low:
            axes.plot([one.low, one.high], [place, place], color=FAINT, linewidth=1.6)
    axes.set_yticks(places, [short(one.name) for one in shown])
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


def dependence_section(found: Sequence[Dependence], output_names: Sequence[str], what: str, n_rows: int) -> Section:
    """A figure for each column, with the same range of predictions."""
    lines = list(range(len(output_names)))
    if what == "probability" and len(output_names) == 2:
        lines = [1]
    lines = lines[:MOST_LINES]
    means = np.concatenate([one.mean[:, lines].ravel() for one in found])
    room = (means.max() - means.min()) * 0.06 or 0.05
    ends = float(means.min() - room), float(means.max() + room)
    blocks: list[Block] = []
    for one in found:
        name = f"Predictions by {one.name}"
        draw = partial(_draw_dependence, one, [(place, output_names[place]) for place in lines], ends, what)
        blocks.append(
            Figure(
                name,
                inline(name, 4.5, 2.9 if len(lines) > 1 else 2.6, draw),
                _dependence_sentence(one, output_names, lines, what),
            )
        )
    lead = f"The mean prediction for {count(n_rows, 'row')} when this column is set to the value on the axis."
    if len(output_names) > max(lines) + 1:
        lead += f" {MOST_LINES} of {len(output_names)} outputs are drawn."
    return Section("dependence", "Partial dependence", blocks, lead)


def _dependence_sentence(one: Dependence, output_names: Sequence[str], lines: Sequence[int], what: str) -> str:
    moved = one.mean[:, list(lines)].max(axis=0) - one.mean[:, list(lines)].min(axis=0)
    line = lines[int(np.argmax(moved))]
    column = one.mean[:, line]
    low, high = int(np.argmin(column)), int(np.argmax(column))
    of = f"the mean probability of {output_names[line]}" if what == "probability" else f"the mean {output_names[line]}"
    if not float(moved.max()) > 0:
        return f"{of[0].upper()}{of[1:]} does not depend on it."
    return (
        f"{of[0].upper()}{of[1:]} is lowest, {number(float(column[low]))}, at {one.values[low]}, and highest, "
        f"{number(float(column[high]))}, at {one.values[high]}."
    )


def _draw_dependence(
    one: Dependence, lines: Sequence[tuple[int, str]], ends: tuple[float, float], what: str, figure: Any
) -> None:
    axes = figure.subplots()
    places = np.arange(len(one.values)) if one.numbers is None else np.asarray(one.numbers)
    for number_of, (place, name) in enumerate(lines):
        style = "none" if one.numbers is None else "solid"
        axes.plot(places, one.mean[:, place], color=SERIES[number_of], linestyle=style, marker="o", markersize=4,
                  label=legend_text(short(name)))  # fmt: skip
    if one.numbers is None:
        turned = sum(map(len, one.values)) > LETTERS_OF_AXIS
        names = [text if len(text) <= 12 else f"{text[:11]}…" for text in one.values]
        axes.set_xticks(places, names, rotation=40 if turned else 0, ha="right" if turned else "center")
    axes.set_xlabel(short(one.name))
    axes.set_ylabel(what if len(lines) > 1 or what != "probability" else f"p({short(lines[0][1])})")
    axes.set_ylim(*ends)
    if len(lines) > 1:
        legend_above(axes, 3)
