"""Inputs beside the scaled number: how far a value fills each bin of its column, as a thermometer fills.

Piecewise-linear encoding (Gorishniy, Rubachev and Babenko 2022, "On Embeddings for Numerical Features in Tabular Deep
Learning") with quantiles as edges. A network then bends at the edges from its first layer on. Unlike there, the first
and the last bin are clipped at both sides too: beyond the training values only the scaled number goes on.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.cells import number_text
from mlpcli.data.numeric import thinned
from mlpcli.options import Setting, options

Values = NDArray[np.float64]


@options
class NoEncoding:
    """A number is one input, its scaled value."""

    name: Literal["none"] = "none"

    def edges(self, values: Values) -> Values:
        """No edges."""
        return np.zeros(0)


@options
class PiecewiseLinear:
    """Beside its scaled value an input for each bin between quantiles: 0 below, 1 above, linear within."""

    name: Literal["piecewise_linear"] = "piecewise_linear"
    bins: Annotated[
        int, Setting("Bins of a column; fewer where it has fewer values, none where that leaves one.", ge=2, le=1000)
    ] = 16

    def edges(self, values: Values) -> Values:
        """Edges of the bins in rising order, all of them training values; none at all if they bound a single bin.

        A column with no more than `bins` + 1 distinct values has an edge at each of them.
        """
        edges = thinned(np.sort(values), self.bins + 1)
        # One bin would repeat the value.
        return edges if len(edges) > 2 else np.zeros(0)


Encoding = NoEncoding | PiecewiseLinear


def write_bins(out: NDArray[np.floating], values: Values, edges: Values) -> None:
    """Write clip((x - low) / (high - low), 0, 1) of each bin into `out` (n_rows, n_bins); `values` (n_rows,)."""
    halves = edges / 2  # no difference of halves is infinite
    # Bin by bin, since a row of a few bins is too short for NumPy's inner loop.
    parts = np.subtract(values / 2, halves[:-1, None])
    with np.errstate(over="ignore"):  # far above the bin
        parts /= np.diff(halves)[:, None]
    np.clip(parts, 0.0, 1.0, out=parts)
    out[...] = parts.T


def bin_names(edges: Values, is_date: bool) -> list[str]:
    """Names of the bins: "22..37", with as many digits as tell the edges apart."""
    for texts in _spellings(edges, is_date):
        if len(set(texts)) == len(edges):
            break
    return [f"{low}..{high}" for low, high in pairwise(texts)]


def _spellings(edges: Values, is_date: bool) -> Sequence[list[str]]:
    """The edges as texts, shorter ones first."""
    if not is_date:
        return [[number_text(float(f"{edge:.{digits}g}")) for edge in edges.tolist()] for digits in (4, 6, 9, 17)]
    seconds = np.round(edges * 86_400).astype(np.int64).astype("datetime64[s]")
    return [np.datetime_as_string(seconds, unit=unit).tolist() for unit in ("D", "m", "s")]
