"""The section on regression: predicted against true values, and residuals."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from mlpcli.messages import format_count, format_number
from mlpcli.report.binning import Band, Density, Values, density, quantile_band
from mlpcli.report.drawing import INK, SERIES, inline, load
from mlpcli.report.page import Block, Cell, Column, Figure, Section, Table

SIZE = (4.5, 3.6)
MAX_TARGETS = 4
SHADES = 6  # of a density plot
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def numbers_section(names: Sequence[str], truth: Values, predictions: Values) -> Section:
    """True and predicted values (n_rows, n_targets); of many targets only the first."""
    blocks: list[Block] = []
    for index, name in enumerate(names[:MAX_TARGETS]):
        y, prediction = truth[:, index], predictions[:, index]
        suffix = f" of {name}" if len(names) > 1 else ""
        blocks += [
            _true_against_predicted(name, suffix, y, prediction),
            _residuals(name, suffix, y, prediction),
            _by_quantile(suffix, y, prediction),
        ]
    lead = "Shades are numbers of rows; outliers may lie outside the axes."
    if len(names) > MAX_TARGETS:
        lead += f" {MAX_TARGETS} of {len(names)} targets are drawn."
    return Section("numbers", "Predicted and true values", blocks, lead)


def _true_against_predicted(name: str, suffix: str, y: Values, prediction: Values) -> Figure:
    grid = density(prediction, y, has_one_range=True)
    error = np.abs(y - prediction)
    median, upper = (format_number(float(quantile)) for quantile in np.quantile(error, (0.5, 0.9)))
    title = f"True against predicted{suffix}"
    sentence = f"Half of the predictions are within {median} of the true value, 90% within {upper}."
    return Figure(title, inline(title, *SIZE, partial(_draw_against, grid, name)), sentence + _outside(grid))


def _outside(grid: Density) -> str:
    return f" {format_count(grid.n_outside, 'row')} outside the axes." if grid.n_outside else ""


def _draw_against(grid: Density, name: str, figure: Any) -> None:
    axes = figure.subplots()
    _shade(axes, grid)
    ends = grid.x_edges[0], grid.x_edges[-1]
    axes.plot(ends, ends, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlabel(f"predicted {name}")
    axes.set_ylabel(f"true {name}")


def _residuals(name: str, suffix: str, y: Values, prediction: Values) -> Figure:
    residual = y - prediction
    grid, band = density(prediction, residual), quantile_band(prediction, residual, (0.1, 0.5, 0.9), 12)
    title = f"Residuals against predicted{suffix}"
    width = band.quantiles[:, 2] - band.quantiles[:, 0]
    narrow, wide = int(np.argmin(width)), int(np.argmax(width))
    mean = float(residual.mean())
    sentence = f"Predictions are {format_number(abs(mean))} too {'low' if mean > 0 else 'high'} on average."
    if len(width) > 1 and width[wide] > 0:
        sentence += (
            f" 80% of the residuals span {format_number(float(width[wide]))} where "
            f"{format_number(float(band.low[wide]))} to "
        )
        sentence += (
            f"{format_number(float(band.high[wide]))} is predicted, and {format_number(float(width[narrow]))} where "
        )
        sentence += f"{format_number(float(band.low[narrow]))} to {format_number(float(band.high[narrow]))} is."
    return Figure(title, inline(title, *SIZE, partial(_draw_residuals, grid, band, name)), sentence + _outside(grid))


def _draw_residuals(grid: Density, band: Band, name: str, figure: Any) -> None:
    axes = figure.subplots()
    _shade(axes, grid)
    axes.axhline(0.0, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot(band.x, band.quantiles[:, 1], color=SERIES[1], label="median")
    for index, label in ((0, "10% and 90%"), (2, None)):
        axes.plot(band.x, band.quantiles[:, index], color=SERIES[1], linewidth=1, linestyle=(0, (2, 2)), label=label)
    axes.set_ylim(grid.y_edges[0], grid.y_edges[-1])
    axes.set_xlabel(f"predicted {name}")
    axes.set_ylabel("true - predicted")
    axes.legend(fontsize=9)


def _by_quantile(suffix: str, y: Values, prediction: Values) -> Table:
    """Quantiles of the residuals by decile of the prediction."""
    residual = y - prediction
    band = quantile_band(prediction, residual, QUANTILES)
    largest = float(np.abs(band.quantiles[:, 2]).max())
    columns = [Column("predicted", True), Column("rows"), *(Column(f"{100 * level:g}%") for level in QUANTILES)]
    columns.append(Column("median absolute error"))
    errors = quantile_band(prediction, np.abs(residual), (0.5,)).quantiles[:, 0]
    rows: list[Sequence[Cell | str]] = [
        (
            _range(band, group),
            Cell(f"{n}", float(n)),
            *(Cell(format_number(float(value)), float(value)) for value in quantiles),
            Cell(format_number(float(error)), float(error), bar=float(error / (errors.max() or 1.0))),
        )
        for group, (n, quantiles, error) in enumerate(zip(band.n, band.quantiles, errors, strict=True))
    ]
    worst = int(np.argmax(np.abs(band.quantiles[:, 2])))
    sentence = (
        f"The median residual is furthest from 0, by {format_number(largest)}, for predictions of "
        f"{_range(band, worst)}."
    )
    return Table(f"Residuals by quantile{suffix}", columns, rows, sentence)


def _range(band: Band, group: int) -> str:
    """The range of the predictions in a group: `12.1 to 14.0`."""
    return f"{format_number(float(band.low[group]))} to {format_number(float(band.high[group]))}"


def _shade(axes: Any, grid: Density) -> None:
    """The cells of a density in shades of one colour, with one path per shade."""
    path = load("matplotlib.path", "matplotlib", "a figure").Path
    patch = load("matplotlib.patches", "matplotlib", "a figure").PathPatch
    axes.locator_params(nbins=5)  # more labels with six digits would overlap
    highest = float(grid.counts.max()) or 1.0
    # Shade by the square root, so that sparse cells are visible.
    shade = np.ceil(np.sqrt(grid.counts / highest) * SHADES).astype(np.int64)
    for level in range(1, SHADES + 1):
        cells = np.argwhere(shade == level)
        if not len(cells):
            continue
        corners, codes = [], []
        for i, j in cells.tolist():
            x, to_x, y, to_y = grid.x_edges[i], grid.x_edges[i + 1], grid.y_edges[j], grid.y_edges[j + 1]
            corners += [(x, y), (to_x, y), (to_x, to_y), (x, to_y), (x, y)]
            codes += [path.MOVETO, path.LINETO, path.LINETO, path.LINETO, path.CLOSEPOLY]
        axes.add_patch(
            patch(path(corners, codes), facecolor=SERIES[0], edgecolor="none", alpha=0.12 + 0.78 * level / SHADES)
        )
    axes.set_xlim(grid.x_edges[0], grid.x_edges[-1])
    axes.set_ylim(grid.y_edges[0], grid.y_edges[-1])
