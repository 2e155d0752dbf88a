"""Learning curves as a figure."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlpcli.report.drawing import (
    FAINT,
    SERIES,
    ending_of,
    image,
    legend_above,
    legend_text,
    new_figure,
    styled,
    use_log_scale,
)

MOST_POINTS = 2000  # of a line; more do not show
MOST_LEGENDS = 20


def curves_image(runs: Sequence[Mapping[str, Any]], metric: str, is_log: bool, path: str) -> bytes:
    """The curves of runs as the format that the ending of `path` names.

    A run has its `name`, the `kept` epoch or None, and for `train` and `validation` epochs and values.
    """
    with styled(f"-o {path}"):
        figure = new_figure(8.0, 4.5)
        draw_curves(figure.subplots(), runs, metric, is_log)
        return image(figure, ending_of(path))


def draw_curves(axes: Any, runs: Sequence[Mapping[str, Any]], metric: str, is_log: bool) -> None:
    """Draw a run with a line per split, or several runs with a line each, of validation rows if available."""
    is_one = len(runs) == 1
    for place, run in enumerate(runs):
        sides = [side for side in ("train", "validation") if run[side][0]]
        for number, side in enumerate(sides if is_one else sides[-1:]):
            epochs, values = _thinned(*run[side])
            marker = "o" if len(epochs) < 30 else ""
            colour = SERIES[(number if is_one else place) % len(SERIES)]
            label = side if is_one else legend_text(run["name"])
            axes.plot(epochs, values, color=colour, label=label, marker=marker, markersize=3.5)
            if run["kept"] in run[side][0] and not is_one:
                at = run[side][1][run[side][0].index(run["kept"])]
                axes.plot([run["kept"]], [at], color=colour, marker="o", markersize=6)
        if is_one and run["kept"] is not None:
            kept = f"kept: epoch {run['kept']}"
            axes.axvline(run["kept"], color=FAINT, linestyle=(0, (4, 3)), linewidth=1.2, label=kept)
    axes.set_xlabel("epoch")
    axes.set_ylabel(metric)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if is_log:
        use_log_scale(axes)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        if is_one:
            legend_above(axes, 3)
        else:
            axes.legend(handles[:MOST_LEGENDS], labels[:MOST_LEGENDS], fontsize=9)


def _thinned(epochs: Sequence[int], values: Sequence[float]) -> tuple[Sequence[int], Sequence[float]]:
    """About `MOST_POINTS` points at most: the minimum and maximum of each segment, so that no spike is lost."""
    step = -(-len(epochs) // (MOST_POINTS // 2))
    if step <= 2:
        return epochs, values
    kept = {0, len(epochs) - 1}
    for start in range(0, len(epochs), step):
        stretch = range(start, min(start + step, len(epochs)))
        kept |= {min(stretch, key=values.__getitem__), max(stretch, key=values.__getitem__)}
    places = sorted(kept)
    return [epochs[place] for place in places], [values[place] for place in places]
