"""Figures of `mlp explain`: permutation importance and partial dependence."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlpcli.messages import middle_cut
from mlpcli.report.columns import Worth, draw_worth
from mlpcli.report.drawing import FAINT, SERIES, ending_of, image, legend_text, new_figure, styled

MOST_BARS = 40
MOST_LINES = len(SERIES)
MOST_LETTERS = 28  # of a name beside a bar, and of all marks below an axis of levels
PANELS_IN_A_ROW = 3


def importance_image(columns: Sequence[Worth], metric_change: str, path: str) -> bytes:
    """A bar for each column, the most important first, with its interval; of many columns the first.

    `metric_change` says what is measured: `log_loss rises by`.
    """
    shown = columns[:MOST_BARS]
    left_out = len(columns) - len(shown)
    more = f"; {left_out} more columns" if left_out else ""
    with styled(f"-o {path}"):
        figure = new_figure(7.0, 1.1 + 0.3 * max(len(shown), 1))
        draw_worth(shown, f"{metric_change} (the column shuffled{more})", figure)
        return image(figure, ending_of(path))


def dependence_image(columns: Sequence[Mapping[str, Any]], output_names: Sequence[str], path: str) -> bytes:
    """A panel for each column: the mean prediction at each of its values; with one output, curves of single rows too.

    A column has its `name`, its `values` as texts, `positions` of numbers (None where there is no order), `mean`
    (n_values, n_predictions) and `curves` (n_curves, n_values, n_predictions).
    """
    n_high = -(-len(columns) // PANELS_IN_A_ROW)
    n_wide = -(-len(columns) // n_high)
    with styled(f"-o {path}"):
        figure = new_figure(max(4.2 * n_wide, 5.5), 3.4 * n_high)
        panels = figure.subplots(n_high, n_wide, squeeze=False, sharey=True).ravel()
        for axes, column in zip(panels, columns, strict=False):
            _draw_dependence(axes, column, output_names)
        for axes in panels[len(columns) :]:
            axes.set_visible(False)
        for axes in panels[: len(columns) : n_wide]:
            axes.set_ylabel(middle_cut(output_names[0], MOST_LETTERS) if len(output_names) == 1 else "mean prediction")
        if len(output_names) > 1:
            panels[0].legend(fontsize=9)
        return image(figure, ending_of(path))


def _draw_dependence(axes: Any, column: Mapping[str, Any], output_names: Sequence[str]) -> None:
    positions = column["positions"]
    x = range(len(column["values"])) if positions is None else positions
    marker, line = ("o", "none") if positions is None else ("", "-")  # levels have no order to draw a line along
    if len(output_names) == 1:
        for curve in column["curves"]:
            axes.plot(x, curve[:, 0], color=FAINT, alpha=0.25, linewidth=0.7)
    for place, name in enumerate(output_names[:MOST_LINES]):
        label = legend_text(middle_cut(name, MOST_LETTERS))
        axes.plot(
            x, column["mean"][:, place], color=SERIES[place], label=label, marker=marker, linestyle=line, markersize=5
        )
    if positions is None:
        axes.set_xlim(-0.4, len(column["values"]) - 0.6)
        letters = MOST_LETTERS // max(min(len(column["values"]), MOST_LETTERS), 1) + 6
        texts = [middle_cut(text, letters) for text in column["values"]]
        is_crowded = sum(map(len, texts)) > MOST_LETTERS
        axes.set_xticks(
            range(len(texts)), texts, rotation=60 if is_crowded else 0, ha="right" if is_crowded else "center"
        )
    axes.set_xlabel(middle_cut(column["name"], MOST_LETTERS))
