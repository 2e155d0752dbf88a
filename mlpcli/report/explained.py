"""Figures of `mlp explain`: permutation importance and partial dependence."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlpcli.messages import cut_middle
from mlpcli.report.columns import ColumnImportance, draw_importance
from mlpcli.report.drawing import FAINT, SERIES, ending_of, image, legend_text, new_figure, styled

MAX_BARS = 40
MAX_LINES = len(SERIES)
MAX_CHARACTERS = 28  # of a name, and of all tick labels that fit side by side
PANELS_PER_ROW = 3


def importance_image(columns: Sequence[ColumnImportance], metric_change: str, path: str) -> bytes:
    """A bar for each of the most important columns, with its interval, as an image file.

    `metric_change` is the axis label: `log_loss rises by`.
    """
    shown = columns[:MAX_BARS]
    left_out = len(columns) - len(shown)
    more = f"; {left_out} more columns" if left_out else ""
    with styled(f"-o {path}"):
        figure = new_figure(7.0, 1.1 + 0.3 * max(len(shown), 1))
        draw_importance(shown, f"{metric_change} (the column shuffled{more})", figure)
        return image(figure, ending_of(path))


def dependence_image(columns: Sequence[Mapping[str, Any]], output_names: Sequence[str], path: str) -> bytes:
    """A panel for each column: the mean prediction at each of its values; with one output, curves of single rows too.

    A column has its `name`, its `values` as texts, `positions` of numbers (None where there is no order), `mean`
    (n_values, n_predictions) and `curves` (n_curves, n_values, n_predictions).
    """
    n_rows = -(-len(columns) // PANELS_PER_ROW)
    n_columns = -(-len(columns) // n_rows)
    with styled(f"-o {path}"):
        figure = new_figure(max(4.2 * n_columns, 5.5), 3.4 * n_rows)
        panels = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True).ravel()
        for axes, column in zip(panels, columns, strict=False):
            _draw_dependence(axes, column, output_names)
        for axes in panels[len(columns) :]:
            axes.set_visible(False)
        label = cut_middle(output_names[0], MAX_CHARACTERS) if len(output_names) == 1 else "mean prediction"
        for axes in panels[: len(columns) : n_columns]:
            axes.set_ylabel(label)
        if len(output_names) > 1:
            panels[0].legend(fontsize=9)
        return image(figure, ending_of(path))


def _draw_dependence(axes: Any, column: Mapping[str, Any], output_names: Sequence[str]) -> None:
    positions = column["positions"]
    x = range(len(column["values"])) if positions is None else positions
    marker, line = ("o", "none") if positions is None else ("", "-")  # no line between unordered levels
    if len(output_names) == 1:
        for curve in column["curves"]:
            axes.plot(x, curve[:, 0], color=FAINT, alpha=0.25, linewidth=0.7)
    for index, name in enumerate(output_names[:MAX_LINES]):
        label = legend_text(cut_middle(name, MAX_CHARACTERS))
        axes.plot(
            x, column["mean"][:, index], color=SERIES[index], label=label, marker=marker, linestyle=line, markersize=5
        )
    if positions is None:
        axes.set_xlim(-0.4, len(column["values"]) - 0.6)
        n_characters = MAX_CHARACTERS // max(min(len(column["values"]), MAX_CHARACTERS), 1) + 6
        texts = [cut_middle(text, n_characters) for text in column["values"]]
        is_crowded = sum(map(len, texts)) > MAX_CHARACTERS
        axes.set_xticks(
            range(len(texts)), texts, rotation=60 if is_crowded else 0, ha="right" if is_crowded else "center"
        )
    axes.set_xlabel(cut_middle(column["name"], MAX_CHARACTERS))
