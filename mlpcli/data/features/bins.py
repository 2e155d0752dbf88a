"""Piecewise-linear encoding of numbers: an input per bin, besides the scaled number.

Gorishniy, Rubachev and Babenko 2022, "On Embeddings for Numerical Features in Tabular Deep Learning". The first layer
of a network can then change its slope at the edges. Unlike in the paper, the first and the last bin are clipped on both
sides too: beyond the range of the training values, only the scaled number varies.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.bin_edges import SplitTargets, pad_with_quantiles, quantile_edges, tree_edges
from mlpcli.data.features.scaling import is_distinct
from mlpcli.data.features.weighted_statistics import sort_non_missing
from mlpcli.data.schema.spelling import number_text
from mlpcli.options import Setting, options

Values = NDArray[np.float64]


@options
class NoEncoding:
    """A numeric column is one input, its scaled value."""

    name: Literal["none"] = "none"

    @property
    def uses_targets(self) -> bool:
        """Whether the edges depend on the targets."""
        return False

    def find_edges(self, values: Values, targets: SplitTargets | None = None, weights: Values | None = None) -> Values:
        """Returns no edges (0,)."""
        return np.zeros(0)


@options
class PiecewiseLinear:
    """Besides the scaled value, an input for each bin of its range: 0 below, 1 above, linear within."""

    name: Literal["piecewise_linear"] = "piecewise_linear"
    bins: Annotated[
        int,
        Setting(
            "Largest number of bins of a column; fewer for few distinct values, none if only one would remain.",
            ge=2,
            le=1000,
        ),
    ] = 16
    edges: Annotated[
        Literal["quantile", "target"],
        Setting(
            "Bin edges: quantile: at quantiles of the rows and of the distinct values; target: where a decision tree "
            "on the column splits the training targets (PLE-T), filled up with quantiles."
        ),
    ] = "quantile"
    span: Annotated[float | None, Setting("Range of the inputs: -span to span; null: 0 to 1.", gt=0, le=1000)] = None
    min_distinct: Annotated[
        int, Setting("Columns with fewer distinct values in the training rows get no bins.", ge=0)
    ] = 3

    @property
    def uses_targets(self) -> bool:
        """Whether the edges depend on the targets."""
        return self.edges == "target"

    def find_edges(self, values: Values, targets: SplitTargets | None = None, weights: Values | None = None) -> Values:
        """Edges of the bins in ascending order, from the minimum of `values` (n_rows,) to the maximum; NaN is skipped.

        Empty if there would be a single bin. Quantile edges are training values: all of them if there are at most
        `bins` + 1. `targets`, needed for target edges, and `weights` are of the same rows.
        """
        ordered, sorted_weights = sort_non_missing(values.copy(), weights)
        distinct = ordered[is_distinct(ordered)]
        # A single bin would be a linear function of the value.
        if len(distinct) < max(self.min_distinct, 3):
            return np.zeros(0)
        if targets is None or not self.uses_targets:
            return quantile_edges(ordered, self.bins + 1, sorted_weights)
        splits = tree_edges(values, targets, self.bins)
        return pad_with_quantiles(np.concatenate([distinct[[0, -1]], splits]), distinct, self.bins + 1)


Encoding = NoEncoding | PiecewiseLinear


def write_bins(out: NDArray[np.floating], values: Values, edges: Values, span: float | None = None) -> None:
    """Write e = clip((x - low) / (high - low), 0, 1) per bin into `out` (n_rows, n_bins); `values` (n_rows,).

    With `span`, write (2 e - 1) span.
    """
    halves = edges / 2  # differences of halves are finite
    # (n_bins, n_rows), as rows of a few bins are too short for NumPy's inner loop.
    encoded = np.subtract(values / 2, halves[:-1, None])
    with np.errstate(over="ignore"):  # for values far above the bin
        encoded /= np.diff(halves)[:, None]
    np.clip(encoded, 0.0, 1.0, out=encoded)
    if span is not None:
        encoded *= 2.0
        encoded -= 1.0
        encoded *= span
    out[...] = encoded.T


def bin_names(edges: Values, is_date: bool) -> list[str]:
    """Names of the bins, such as "22..37", with enough digits to distinguish the edges."""
    for texts in _edge_texts(edges, is_date):
        if len(set(texts)) == len(edges):
            break
    return [f"{low}..{high}" for low, high in pairwise(texts)]


def _edge_texts(edges: Values, is_date: bool) -> Sequence[list[str]]:
    """The edges as texts, shorter ones first."""
    if not is_date:
        return [[number_text(float(f"{edge:.{digits}g}")) for edge in edges.tolist()] for digits in (4, 6, 9, 17)]
    seconds = np.round(edges * 86_400).astype(np.int64).astype("datetime64[s]")
    return [np.datetime_as_string(seconds, unit=unit).tolist() for unit in ("D", "m", "s")]
