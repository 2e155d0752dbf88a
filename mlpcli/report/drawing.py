"""Figures by matplotlib: one style, one palette, equal bytes for equal figures.

It is loaded when the first figure is drawn.
"""

import importlib
import io
from typing import Any

from mlpcli.errors import MlpError

IMAGES = (".svg", ".png")
# Told apart by readers who do not see red or green, and on white by a contrast of 3 to 1 or more.
INK, FAINT, GRID = "#24292f", "#656d76", "#d8dee4"
SERIES = ("#0969da", "#bc4c00", "#8250df", "#1a7f64", "#bf3989", "#6e5a00", "#57606a", "#cf222e")
STYLE = {
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "axes.axisbelow": True,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "path.simplify": True,
    "savefig.dpi": 160,
    "svg.fonttype": "none",  # texts stay texts
    "svg.hashsalt": "mlp",
    "text.color": INK,
    "text.parse_math": False,  # a name with dollar signs is a name
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
}


def load(module: str, package: str, wanted: str) -> Any:
    """A module of the extra `report`; `wanted` is what needs it. Raises MlpError where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MlpError(
            f'{wanted}: needs the package {package}. Install it with: pip install "mlp-train[report]"'
        ) from error


def styled(wanted: str) -> Any:
    """A context in which figures are made and written; `wanted` is what needs them."""
    return load("matplotlib", "matplotlib", wanted).rc_context(STYLE)


def new_figure(width: float, height: float) -> Any:
    """An empty figure, in inches; to be called in `styled`."""
    return load("matplotlib.figure", "matplotlib", "a figure").Figure(figsize=(width, height), layout="constrained")


def use_log_scale(axes: Any) -> None:
    """A logarithmic y axis with plain numbers: 0.05, 0.1, 0.2."""
    ticker = load("matplotlib.ticker", "matplotlib", "a figure")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0) if high < 1000 * low else (1.0,)))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))


def legend_text(name: str) -> str:
    """A name as a legend shows it: one that begins with an underscore would be left out."""
    return f" {name}" if name.startswith("_") else name


def image(figure: Any, ending: str) -> bytes:
    """The figure as the format of an ending in `IMAGES`; to be called in `styled`."""
    target = io.BytesIO()
    metadata = {"Date": None} if ending == ".svg" else {"Software": None}
    figure.savefig(target, format=ending.removeprefix("."), metadata=metadata)
    return target.getvalue()
