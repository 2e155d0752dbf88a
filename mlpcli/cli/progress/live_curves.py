"""The learning curves of a running training."""

import math
import shutil
from typing import TYPE_CHECKING

from mlpcli.cli.document import Chart, Curve
from mlpcli.cli.rendering.chart import ROWS, chart_lines
from mlpcli.cli.rendering.terminal import coloured
from mlpcli.training.fit import EpochReport

if TYPE_CHECKING:
    from rich.text import Text

LOSS = "loss"
SIDES = ("train", "validation")
FEWEST_ROWS = 4
OTHER_ROWS = 5  # lines of the terminal for axis, title and bar
MOST_POINTS = 1000  # per curve; longer curves are subsampled


class LiveCurves:
    """Collects per epoch the metric that chooses the epoch, or the loss if that is not computed."""

    def __init__(self) -> None:
        self._metric = LOSS
        self._points: dict[str, dict[str, list[tuple[int, float]]]] = {}

    @property
    def title(self) -> str:
        """`log_loss by epoch`."""
        return f"{self._metric} by epoch"

    def add(self, metric: str, report: EpochReport) -> None:
        """Add the scores of an epoch."""
        scores: dict[str, float | None] = {
            **report.scores, "train_loss": report.train_loss, "validation_loss": report.validation_loss,
        }  # fmt: skip
        for name in dict.fromkeys((metric, LOSS)):
            sides = self._points.setdefault(name, {side: [] for side in SIDES})
            for side in SIDES:
                value = scores.get(f"{side}_{name}")
                if value is not None and math.isfinite(value):
                    sides[side].append((report.epoch, value))
        self._metric = metric if any(map(len, self._points[metric].values())) else LOSS

    def chart(self) -> Chart | None:
        """The curves so far; None before the first point."""
        sides = self._points.get(self._metric, {})
        curves = []
        for side, points in sides.items():
            shown = points[:: len(points) // MOST_POINTS + 1]
            if points:
                shown = shown if shown[-1] == points[-1] else [*shown, points[-1]]
                curves.append(Curve(side, [epoch for epoch, _ in shown], [value for _, value in shown]))
        return Chart(curves, "epoch") if curves else None

    def drawn(self, width: int) -> "Text":
        """Title and chart in fewer than `width` columns, fitted to the height of the terminal."""
        from rich.text import Text

        chart = self.chart()
        rows = max(min(ROWS, shutil.get_terminal_size().lines - OTHER_ROWS), FEWEST_ROWS)
        lines = [] if chart is None else chart_lines(chart, width - 1, rows)
        return Text("\n").join([Text(self.title), *map(coloured, lines)])
