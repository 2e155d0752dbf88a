"""Figures by matplotlib, in one style and palette; equal figures give equal bytes.

matplotlib is imported when the first figure is drawn.
"""

import importlib
import io
import os
import re
import warnings
import zlib
from collections.abc import Callable
from html import escape
from typing import Any

from mlpcli.errors import MlpError
from mlpcli.messages import escape_line

IMAGES = (".svg", ".png")
# Distinguishable with colour blindness, with a contrast of at least 3 to 1 on white.
INK, FAINT, GRID, PAPER = "#1f2328", "#59636e", "#d8dee4", "#ffffff"
SERIES = ("#0969da", "#bc4c00", "#8250df", "#1a7f64", "#bf3989", "#6e5a00", "#57606a", "#cf222e")
# CSS variables of these colours, which each theme defines.
NAMES = {INK: "ink", FAINT: "faint", GRID: "grid", PAPER: "paper"} | {color: f"s{n}" for n, color in enumerate(SERIES)}
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
    "svg.fonttype": "none",  # text as text, not as paths
    "svg.hashsalt": "mlp",
    "text.color": INK,
    "text.parse_math": False,  # names may contain dollar signs
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
}


def load(module: str, package: str, feature: str) -> Any:
    """Import a module of the extra `report`, which `feature` needs. Raises MlpError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MlpError(
            f'{feature}: needs the package {package}. Install it with: pip install "mlp-train[report]"'
        ) from error


def ending_of(path: str) -> str:
    """The suffix of a path in lower case."""
    return os.path.splitext(path)[1].lower()


def require_image(path: str) -> None:
    """Raise MlpError for a path with a suffix that is not in IMAGES, and if matplotlib is not installed."""
    if ending_of(path) not in IMAGES:
        raise MlpError(f"-o {path}: the ending says what is drawn. Write {' or '.join(IMAGES)}.")
    load("matplotlib", "matplotlib", f"-o {path}")


def styled(feature: str) -> Any:
    """A context for making and writing figures, which `feature` needs."""
    return load("matplotlib", "matplotlib", feature).rc_context(STYLE)


def new_figure(width: float, height: float) -> Any:
    """An empty figure with its size in inches; requires `styled`."""
    return load("matplotlib.figure", "matplotlib", "a figure").Figure(figsize=(width, height), layout="constrained")


def use_log_scale(axes: Any) -> None:
    """A logarithmic y axis with plain numbers: 0.05, 0.1, 0.2."""
    ticker = load("matplotlib.ticker", "matplotlib", "a figure")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0) if high < 1000 * low else (1.0,)))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))


def legend_above(axes: Any, columns: int) -> None:
    """A legend above the axes, where it covers no line."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, borderaxespad=0.2, columnspacing=1.2,
                handlelength=1.4, fontsize=9)  # fmt: skip


def legend_text(name: str) -> str:
    """A label for legends, which omit labels with a leading underscore."""
    return f" {name}" if name.startswith("_") else name


def image(figure: Any, ending: str, is_transparent: bool = False) -> bytes:
    """The figure in the format of a suffix in `IMAGES`; requires `styled`."""
    target = io.BytesIO()
    metadata = {"Date": None} if ending == ".svg" else {"Software": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about glyphs that the font lacks, which a browser takes from others
        figure.savefig(target, format=ending.removeprefix("."), metadata=metadata, transparent=is_transparent)
    return target.getvalue()


def inline(name: str, width: float, height: float, draw: Callable[[Any], None]) -> str:
    """The SVG of a figure that `draw` fills, for a page, with colours as CSS variables of its theme.

    `name` is the label for screen readers; width and height are in inches. Requires `styled`.
    """
    figure = new_figure(width, height)
    draw(figure)
    text = image(figure, ".svg", is_transparent=True).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style)\b.*?</\1>|<!--.*?-->", "", text, flags=re.DOTALL)
    prefix = f"f{zlib.crc32(name.encode('utf-8', 'surrogatepass')):08x}-"
    text = re.sub(r"<[^>]*>", lambda tag: _for_page(tag[0], prefix), text)
    opening = f'<svg viewBox="0 0 {width * 72:g} {height * 72:g}" role="img" aria-label="{escape(escape_line(name))}"'
    opening += ' xmlns:xlink="http://www.w3.org/1999/xlink">'
    text = re.sub(r"<svg\b[^>]*>", lambda _: opening, text, count=1)
    return re.sub(r"\n\s*", "\n", text).strip()


def _for_page(tag: str, prefix: str) -> str:
    """An SVG tag with unique ids, for several figures in a page, two decimals, and colours as CSS variables."""
    tag = re.sub(r'(\bid="|href="#|url\(#)', lambda match: match[1] + prefix, tag)
    tag = re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), tag)
    return re.sub(r"#[0-9a-fA-F]{6}\b", _themed, tag)


def _themed(match: "re.Match[str]") -> str:
    name = NAMES.get(match[0].lower())
    return match[0] if name is None else f"var(--{name})"
