"""Sections on classification: confusion matrix, ROC and precision-recall curves, calibration, distributions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.uncertainty.proportions import wilson
from mlpcli.messages import cut_middle, format_count, format_number
from mlpcli.report.binning import (
    HISTOGRAM_BINS,
    Bools,
    Ranking,
    Reliability,
    Values,
    fraction,
    probability_histogram,
    ranking,
    thinned,
)
from mlpcli.report.drawing import FAINT, PAPER, SERIES, inline, legend_above, legend_text
from mlpcli.report.page import Block, Cell, Column, Figure, Prose, Section, Table

Z = 1.96  # normal quantile of the 95% intervals in a reliability diagram
SIZE = (4.5, 3.3)  # inches, of most figures
MAX_CURVES = 6  # in one figure
MAX_MATRIX = 30  # classes
MAX_PAIRS = 15
MAX_NAME = 20  # characters of a name in a figure


@dataclass(frozen=True)
class Outcome:
    """A binary outcome: a class, or a boolean target; predicted above `threshold`."""

    name: str
    is_true: Bools
    p: Values
    threshold: float | None


def short(name: str) -> str:
    """A name, shortened to fit into a figure."""
    return cut_middle(name, MAX_NAME)


def percent(fraction: float) -> str:
    """A fraction as a percentage (0.4%, 12%, 99.6%); 0% and 100% only if exact."""
    value = 100 * fraction
    if not (0 < value < 9.95 or 90.05 < value < 100):
        return f"{value:.0f}%"
    return "over 99.9%" if value >= 99.95 else "under 0.1%" if value < 0.05 else f"{value:.1f}%"


def confusion_section(matrix: NDArray[Any], labels: Sequence[str]) -> Section:
    """The confusion matrix (not for many classes), the scores of each class, and the most confused pairs."""
    rows = matrix.sum(axis=1)
    total, right = float(matrix.sum()), float(np.trace(matrix))
    blocks: list[Block] = []
    if len(labels) <= MAX_MATRIX:
        blocks.append(_matrix(matrix, labels))
    pairs = [(float(matrix[i, j]), i, j) for i, j in zip(*np.nonzero(matrix), strict=True) if i != j]
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    blocks.append(_by_class(matrix, labels))
    if pairs:
        n, i, j = pairs[0]
        shown = pairs[:MAX_PAIRS]
        blocks.append(
            Table(
                "Most confused pairs",
                [Column("truth", True), Column("predicted", True), Column("rows"), Column("of that class")],
                [
                    (
                        labels[i],
                        labels[j],
                        Cell(_amount(n), n, bar=n / pairs[0][0]),
                        Cell(percent(n / rows[i]), n / rows[i]),
                    )
                    for n, i, j in shown
                ],
                f"The most frequent confusion: {_rows(n)} of {labels[i]}, {percent(n / rows[i])} of them, "
                f"are predicted as {labels[j]}." + (f" {len(pairs) - len(shown)} less frequent pairs are left out."
                                              if len(pairs) > len(shown) else ""),
                is_sortable=True,
            )
        )  # fmt: skip
    lead = f"{_amount(right)} of {_amount(total)} rows are classified correctly, {_amount(total - right)} are not."
    return Section("confusion", "Confusion", blocks, lead)


def _amount(value: float) -> str:
    """A number of rows, or a sum of weights."""
    return format_number(value) if value % 1 else f"{value:,.0f}".replace(",", " " if value >= 10_000 else "")


def _rows(value: float) -> str:
    return f"{_amount(value)} {'row' if value == 1 else 'rows'}"


def _matrix(matrix: NDArray[Any], labels: Sequence[str]) -> Table:
    rows: list[Sequence[Cell | str]] = []
    for label, row in zip(labels, matrix, strict=True):
        total = float(row.sum())
        cells = [
            Cell(_amount(float(n)), float(n), "" if n else "faint", heat=fraction(n, total) if n else None) for n in row
        ]
        rows.append([label, *cells, Cell(_amount(total), total, "faint")])
    name = "Confusion matrix (rows: true class, columns: predicted class)"
    columns = [Column("truth", True), *map(Column, labels), Column("rows")]
    return Table(name, columns, rows, "The colour shows the fraction of the true class.", True)


def _by_class(matrix: NDArray[Any], labels: Sequence[str]) -> Table:
    correct, truth, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    rows = []
    for label, n_correct, n, n_predicted in zip(labels, correct, truth, predicted, strict=True):
        recall, precision = fraction(n_correct, n), fraction(n_correct, n_predicted)
        recall_cell = Cell(percent(recall), recall, bar=recall) if n else Cell("no such row", -1.0, "faint")
        precision_cell = Cell(percent(precision), precision, bar=precision)
        if not n_predicted:
            precision_cell = Cell("never predicted", -1.0, "warning")
        rows.append((label, Cell(_amount(float(n)), float(n)), recall_cell, precision_cell))
    recalls = [(fraction(n_correct, n), label) for label, n_correct, n in zip(labels, correct, truth, strict=True) if n]
    worst = min(recalls, default=(1.0, ""))
    sentence = f"The class with the lowest recall is {worst[1]} ({percent(worst[0])})."
    if worst[0] == 1.0:
        sentence = "The recall of every class is 100%."
    columns = [Column("class", True), Column("rows"), Column("recall"), Column("precision")]
    return Table("By class", columns, rows, sentence, is_sortable=True)


def ranking_section(outcomes: Sequence[Outcome], weights: Values | None) -> Section | None:
    """ROC and precision-recall curves; None if no outcome has both positive and negative rows."""
    rankable = [outcome for outcome in outcomes if outcome.is_true.any() and not outcome.is_true.all()]
    if not rankable:
        return None
    rankings = [ranking(outcome.is_true, outcome.p, weights) for outcome in rankable]
    # Draw only the curves with the smallest areas, in the order of the outcomes.
    worst = sorted(np.argsort([curve.area for curve in rankings], kind="stable")[:MAX_CURVES].tolist())
    shown, curves = [rankable[index] for index in worst], [rankings[index] for index in worst]
    first, best = shown[0], curves[0]
    is_single = len(shown) == 1
    roc = f"A row of {first.name} gets a higher probability of it than another row in "
    roc += f"{percent(best.area)} of all pairs (area under the ROC curve)."
    precision = f"The average precision for {first.name} is {percent(best.average_precision)}; "
    precision += f"predicting it for every row would give {percent(float(np.average(first.is_true, weights=weights)))}."
    if not is_single:
        order = np.argsort([curve.area for curve in curves])
        low, high = (int(order[index]) for index in (0, -1))
        areas = format_number(curves[high].area), format_number(curves[low].area)
        roc = f"{shown[high].name} has the largest area ({areas[0]}), {shown[low].name} the smallest ({areas[1]})."
        if areas[0] == areas[1]:
            roc = f"The area is {areas[0]} for all classes."
        order = np.argsort([curve.average_precision for curve in curves])
        low, high = (int(order[index]) for index in (0, -1))
        averages = format_number(curves[high].average_precision), format_number(curves[low].average_precision)
        precision = (
            f"Average precision is {averages[0]} for {shown[high].name} and {averages[1]} for {shown[low].name}."
        )
        if averages[0] == averages[1]:
            precision = f"The average precision is {averages[0]} for all of them."
    if is_single and first.threshold is not None:
        point = best.at(first.threshold)
        roc += (
            f" At the threshold {format_number(first.threshold)} the recall is {percent(best.recall[point])} and the "
            f"false positive rate "
        )
        roc += f"{percent(best.false_rate[point])}."
        precision += f" At the threshold {format_number(first.threshold)} it is {percent(best.precision[point])}."
    lead = "Trade-off over all thresholds. " + ("The point marks the threshold in use." if is_single else "")
    blocks: list[Block] = [
        Figure("ROC curve", inline("ROC curve", *SIZE, partial(_draw_roc, shown, curves)), roc),
        Figure(
            "Precision and recall",
            inline("Precision and recall", *SIZE, partial(_draw_recall, shown, curves)),
            precision,
        ),
    ]  # fmt: skip
    if len(rankable) > len(shown):
        blocks.append(Prose(f"{len(rankable) - len(shown)} more, with larger areas, are not drawn.", "faint"))
    return Section("thresholds", "Thresholds", blocks, lead)


def _draw_roc(outcomes: Sequence[Outcome], curves: Sequence[Ranking], figure: Any) -> None:
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle=(0, (4, 3)), linewidth=1)
    for index, (outcome, curve) in enumerate(zip(outcomes, curves, strict=True)):
        label = legend_text(f"{short(outcome.name)}  {format_number(curve.area)}")
        axes.plot(*thinned(curve.false_rate, curve.recall), color=SERIES[index], label=label)
        _mark(axes, outcome, curve, curve.false_rate, curve.recall, SERIES[index])
    _rate_axes(axes, "false positive rate", "recall")


def _draw_recall(outcomes: Sequence[Outcome], curves: Sequence[Ranking], figure: Any) -> None:
    axes = figure.subplots()
    for index, (outcome, curve) in enumerate(zip(outcomes, curves, strict=True)):
        label = legend_text(f"{short(outcome.name)}  {format_number(curve.average_precision)}")
        axes.plot(*thinned(curve.recall, curve.precision), color=SERIES[index], label=label)
        _mark(axes, outcome, curve, curve.recall, curve.precision, SERIES[index])
    _rate_axes(axes, "recall", "precision")


def _mark(axes: Any, outcome: Outcome, curve: Ranking, x: Values, y: Values, colour: str) -> None:
    if outcome.threshold is not None:
        point = curve.at(outcome.threshold)
        style = {"markersize": 8, "markeredgecolor": PAPER, "markeredgewidth": 1.5}
        axes.plot([x[point]], [y[point]], color=colour, marker="o", **style)


def _rate_axes(axes: Any, x: str, y: str) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.04)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    legend_above(axes, 2)


def calibration_section(
    after: Reliability, before: Reliability | None, temperature: float | None, what: str
) -> Section:
    """The reliability diagram of `what`; `before` is the uncalibrated one, None without temperature."""
    bias = float(((after.predicted - after.observed) * after.n_rows).sum() / after.n_rows.sum())
    way = "too high" if bias > 0 else "too low"
    error = after.calibration_error
    sentence = f"On average, predicted probabilities differ from observed frequencies by {format_number(error)}"
    sentence += f", mostly {way}" if abs(bias) > error / 2 else ""
    if before is not None and temperature is not None:
        sentence += (
            f"; without the temperature {format_number(temperature)} by {format_number(before.calibration_error)}"
        )
    name = "Reliability"
    svg = inline(name, *SIZE, partial(_draw_reliability, after, before))
    lead = f"Observed frequency of {what} by predicted probability. Lines are 95% intervals."
    return Section("calibration", "Calibration", [Figure(name, svg, f"{sentence}.")], lead)


def _draw_reliability(after: Reliability, before: Reliability | None, figure: Any) -> None:
    axes, below = figure.subplots(2, sharex=True, height_ratios=[4, 1])
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle=(0, (4, 3)), linewidth=1, label="perfectly calibrated")
    if before is not None:
        style = {"marker": "s", "markersize": 4, "linewidth": 1.2}
        axes.plot(before.predicted, before.observed, color=SERIES[1], label="before", **style)
    for predicted, observed, n in zip(after.predicted, after.observed, after.n_rows, strict=True):
        ends = wilson(float(observed), float(n), Z)
        axes.plot([predicted, predicted], [ends.low, ends.high], color=SERIES[0], linewidth=1.2, alpha=0.7)
    label = "after" if before else "model"
    axes.plot(after.predicted, after.observed, color=SERIES[0], marker="o", markersize=5, label=label)
    axes.set_ylabel("observed frequency")
    axes.set_ylim(-0.04, 1.04)
    legend_above(axes, 3)
    below.bar(after.predicted, after.n_rows / after.n_rows.sum(), width=0.06, color=SERIES[0], alpha=0.6)
    below.set_ylabel("rows")
    below.set_yticks([])
    below.grid(visible=False)
    below.set_xlabel("probability")
    below.set_xlim(-0.02, 1.02)


def spread_section(outcomes: Sequence[Outcome], weights: Values | None) -> Section:
    """The distributions of probabilities of positive and of negative rows."""
    most_frequent = sorted(outcomes, key=lambda outcome: -int(np.count_nonzero(outcome.is_true)))[:MAX_CURVES]
    blocks: list[Block] = []
    for outcome in [outcome for outcome in outcomes if any(outcome is other for other in most_frequent)]:
        name = f"Probability of {outcome.name}"
        draw = partial(_draw_spread, outcome, weights)
        blocks.append(Figure(name, inline(name, 4.5, 2.6, draw), _spread_sentence(outcome)))
    lead = "The further apart the histograms, the better the model separates the classes."
    return Section("scores", "Probabilities by true class", blocks, lead)


def _spread_sentence(outcome: Outcome) -> str:
    clauses = []
    for is_positive, p in ((True, outcome.p[outcome.is_true]), (False, outcome.p[~outcome.is_true])):
        if len(p):
            rows = f"{format_count(len(p), 'row')} that are {outcome.name}" if is_positive else "others"
            bound = "more" if is_positive else "less"
            clauses.append(f"half of the {rows} get {bound} than {format_number(float(np.median(p)))}")
    text = ", ".join(clauses)
    return f"{text[:1].upper()}{text[1:]}."


def _draw_spread(outcome: Outcome, weights: Values | None, figure: Any) -> None:
    axes = figure.subplots()
    edges = np.linspace(0.0, 1.0, HISTOGRAM_BINS + 1)
    for is_positive, colour, label in ((False, SERIES[6], "others"), (True, SERIES[0], short(outcome.name))):
        rows = outcome.is_true == is_positive
        if rows.any():
            heights = probability_histogram(outcome.p[rows], None if weights is None else weights[rows])
            axes.stairs(heights, edges, color=colour, fill=True, alpha=0.35)
            axes.stairs(heights, edges, color=colour, linewidth=1.2, label=legend_text(label))
    if outcome.threshold is not None:
        axes.axvline(outcome.threshold, color=FAINT, linestyle=(0, (4, 3)), linewidth=1.2, label="threshold")
    axes.set_xlim(0, 1)
    axes.set_xlabel("probability")
    axes.set_ylabel("fraction of the rows")
    legend_above(axes, 3)
