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

MAX_POINTS = 2000  # of a line; more are not visible
MAX_LEGENDS = 20


def curves_image(runs: Sequence[Mapping[str, Any]], metric: str, is_log: bool, path: str) -> bytes:
    """The learning curves of runs as an image file, in the format of the suffix of `path`.

    A run has its `name`, the `kept` epoch (that of its weights) or None, and epochs and values for `train` and
    `validation`.
    """
    with styled(f"-o {path}"):
        figure = new_figure(8.0, 4.5)
        draw_curves(figure.subplots(), runs, metric, is_log)
        return image(figure, ending_of(path))


def draw_curves(axes: Any, runs: Sequence[Mapping[str, Any]], metric: str, is_log: bool) -> None:
    """Draw a run with a line per split, or several runs with a line each, of validation rows if available."""
    is_single = len(runs) == 1
    for index, run in enumerate(runs):
        splits = [split for split in ("train", "validation") if run[split][0]]
        for number, split in enumerate(splits if is_single else splits[-1:]):
            epochs, values = _thinned(*run[split])
            marker = "o" if len(epochs) < 30 else ""
            colour = SERIES[(number if is_single else index) % len(SERIES)]
            label = split if is_single else legend_text(run["name"])
            axes.plot(epochs, values, color=colour, label=label, marker=marker, markersize=3.5)
            if run["kept"] in run[split][0] and not is_single:
                at = run[split][1][run[split][0].index(run["kept"])]
                axes.plot([run["kept"]], [at], color=colour, marker="o", markersize=6)
        if is_single and run["kept"] is not None:
            kept = f"kept: epoch {run['kept']}"
            axes.axvline(run["kept"], color=FAINT, linestyle=(0, (4, 3)), linewidth=1.2, label=kept)
    axes.set_xlabel("epoch")
    axes.set_ylabel(metric)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if is_log:
        use_log_scale(axes)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        if is_single:
            legend_above(axes, 3)
        else:
            axes.legend(handles[:MAX_LEGENDS], labels[:MAX_LEGENDS], fontsize=9)


def _thinned(epochs: Sequence[int], values: Sequence[float]) -> tuple[Sequence[int], Sequence[float]]:
    """About `MAX_POINTS` points at most: the minimum and maximum of each segment, so that no spike is lost."""
    step = -(-len(epochs) // (MAX_POINTS // 2))
    if step <= 2:
        return epochs, values
    kept = {0, len(epochs) - 1}
    for start in range(0, len(epochs), step):
        segment = range(start, min(start + step, len(epochs)))
        kept |= {min(segment, key=values.__getitem__), max(segment, key=values.__getitem__)}
    indices = sorted(kept)
    return [epochs[index] for index in indices], [values[index] for index in indices]
