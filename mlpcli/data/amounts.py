"""Numbers and dates as the network gets them: what was learnt of each column, and the arithmetic from cell to input.

As state, what was learnt stands in flat arrays of float64: `fill`, `center` and `scale` (n_amounts,), one entry per
number or date; `quantiles` and `scores`, of each column its `n_quantiles`; `edges`, `n_bins` + 1 of each that has bins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.columns import Column
from mlpcli.data.edges import Guide
from mlpcli.data.numeric import (
    MissingPolicy,
    Quantile,
    Robust,
    Scaler,
    count_distinct,
    fit_fill,
    sort_known,
)
from mlpcli.data.piecewise import Encoding, PiecewiseLinear

Values = NDArray[np.float64]

_LARGE = 1e100  # its square is finite; a clipped number this far out is at the bound long since


@dataclass(frozen=True)
class Amount:
    """What was learnt of one number or date; `quantiles` and `scores` are (n_quantiles,), `edges` (n_bins + 1,).

    `clip` bounds the scaled value, `span` is how far the inputs of bins go to both sides of 0.
    """

    fill: float
    center: float
    scale: float
    clip: float | None
    quantiles: Values
    scores: Values
    edges: Values
    span: float | None

    def scaled(self, values: Values) -> Values:
        """The input of each of `values` (n_rows,)."""
        if len(self.quantiles):
            # Halves, so that no difference of two values is infinite.
            return np.interp(values / 2, self.quantiles / 2, self.scores)
        return scale_together(values, self.center, self.scale, self.clip)


def scale_together(
    values: NDArray[np.generic], center: float | Values, scale: float | Values, clip: float | None
) -> Values:
    """Centered, divided and (if asked) smoothly clipped: values (n_rows,) of a column, or (n_rows, n_columns)."""
    with np.errstate(over="ignore"):
        scaled: Values = np.subtract(values, center, dtype=np.float64)
        scaled /= scale
        if clip is None:
            return scaled
        scaled /= clip
    np.clip(scaled, -_LARGE, _LARGE, out=scaled)
    root = np.square(scaled)
    root += 1.0
    np.sqrt(root, out=root)
    scaled /= root
    scaled *= clip
    return scaled


@dataclass(frozen=True)
class Spread:
    """The known training values of one number or date: how many, the least, the greatest, how many distinct ones."""

    n_known: int
    low: float
    high: float
    n_distinct: int


def fit_amount(
    values: Values, numeric: Scaler, missing: MissingPolicy, encoding: Encoding, guide: Guide | None = None
) -> tuple[Amount, Spread]:
    """Learn from training values (n_rows,) with NaN where a cell is missing, and at least one that is not.

    Uses up `values`: what is learnt is learnt of them in rising order, so that the rows may come in any.
    """
    edges = encoding.find_edges(values, guide)
    span = encoding.span if isinstance(encoding, PiecewiseLinear) and len(edges) else None
    ordered = sort_known(values)  # in place: the column of a large table is not copied
    center, scale = numeric.measure(ordered)
    none = np.zeros(0)
    quantiles, scores = numeric.knots(ordered) if isinstance(numeric, Quantile) else (none, none)
    clip = numeric.clip if isinstance(numeric, Robust) else None
    spread = Spread(len(ordered), float(ordered[0]), float(ordered[-1]), count_distinct(ordered))
    fill = fit_fill(missing, ordered)
    return Amount(fill, center, scale, clip, quantiles, scores, edges, span), spread


def pack_amounts(amounts: Sequence[Amount]) -> dict[str, Values]:
    """The state of all of them, as the module's text says; `clip` and `span` are in the columns."""
    state = {
        name: np.asarray([getattr(amount, name) for amount in amounts], np.float64)
        for name in ("fill", "center", "scale")
    }
    for name in ("quantiles", "scores", "edges"):
        state[name] = np.concatenate([np.zeros(0), *(getattr(amount, name) for amount in amounts)])
    return state


def unpack_amounts(columns: Sequence[Column], state: Mapping[str, Values]) -> dict[str, Amount]:
    """What was learnt of each number and date, by the name of its column."""
    amounts: dict[str, Amount] = {}
    quantile = edge = 0
    for column in columns:
        if column.role not in ("number", "date"):
            continue
        fill, center, scale = (float(state[name][len(amounts)]) for name in ("fill", "center", "scale"))
        of_quantiles = slice(quantile, quantile + column.n_quantiles)
        of_edges = slice(edge, edge + column.n_edges)
        amounts[column.name] = Amount(
            fill, center, scale, column.clip,
            state["quantiles"][of_quantiles], state["scores"][of_quantiles], state["edges"][of_edges], column.bin_span,
        )  # fmt: skip
        quantile, edge = of_quantiles.stop, of_edges.stop
    return amounts
