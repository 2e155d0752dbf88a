"""Numeric and date columns: fitted state, and the arithmetic from cell to input.

The state is flat float64 arrays: `fill`, `center` and `scale` (n_numeric,), one entry per number or date; `quantiles`
and `scores`, `n_quantiles` per column; `edges`, `n_bins` + 1 per column with bins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.column_sketch import ColumnSketch
from mlpcli.data.features.bin_edges import SplitTargets
from mlpcli.data.features.bins import Encoding, PiecewiseLinear
from mlpcli.data.features.feature import Feature
from mlpcli.data.features.scaling import (
    MeanFill,
    MissingPolicy,
    Quantile,
    Robust,
    Scaler,
    Standardize,
    count_distinct,
    fit_imputed_value,
    handle_zero_scale,
)
from mlpcli.data.features.weighted_statistics import sort_non_missing
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.schema.dates.parsing import has_time

Values = NDArray[np.float64]

_MAX_RATIO = 1e100  # of a scaled value to the clip bound: its square is finite, and the clipped value is at the bound


@dataclass(frozen=True)
class NumericFit:
    """Fitted state of a number or date; `quantiles` and `scores` are (n_quantiles,), `edges` (n_bins + 1,).

    `fill` is the imputed value, `clip` the bound of the scaled value, `span` the range of bin inputs: -span to span.
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
        """The scaled input of each of `values` (n_rows,)."""
        if len(self.quantiles):
            # Halves, as the difference of two values may be infinite.
            return np.interp(values / 2, self.quantiles / 2, self.scores)
        return scale(values, self.center, self.scale, self.clip)


def scale(values: NDArray[np.generic], center: float | Values, deviation: float | Values, clip: float | None) -> Values:
    """Center, divide and, with `clip`, smoothly clip values of one column, or of several (n_columns, n_rows)."""
    with np.errstate(over="ignore"):
        scaled: Values = np.subtract(values, center, dtype=np.float64)
        scaled /= deviation
        if clip is None:
            return scaled
        scaled /= clip
    np.clip(scaled, -_MAX_RATIO, _MAX_RATIO, out=scaled)
    root = np.square(scaled)
    root += 1.0
    np.sqrt(root, out=root)
    scaled /= root
    scaled *= clip
    return scaled


def fit_numeric(
    schema: ColumnSchema,
    values: Values,
    scaler: Scaler,
    missing: MissingPolicy,
    encoding: Encoding,
    targets: SplitTargets | None = None,
    weights: Values | None = None,
) -> tuple[NumericFit, Feature]:
    """Fit on training values (n_rows,), NaN where missing and at least one that is not.

    Sorts `values` in place, so that the result does not depend on row order. `weights` (n_rows,) are row weights.
    """
    has_times = schema.role == "date" and has_time(values)
    edges = encoding.find_edges(values, targets, weights)
    span = encoding.span if isinstance(encoding, PiecewiseLinear) and len(edges) else None
    ordered, sorted_weights = sort_non_missing(values, weights)  # in place, as columns may be large
    center, deviation = scaler.fit(ordered, sorted_weights)
    empty = np.zeros(0)
    quantiles, scores = scaler.knots(ordered, sorted_weights) if isinstance(scaler, Quantile) else (empty, empty)
    clip = scaler.clip if isinstance(scaler, Robust) else None
    fill = fit_imputed_value(missing, ordered, sorted_weights)
    feature = Feature(
        schema, has_time=has_times, n_missing=len(values) - len(ordered), minimum=float(ordered[0]),
        maximum=float(ordered[-1]), n_distinct=count_distinct(ordered), clip=clip, n_quantiles=len(quantiles),
        n_bins=max(len(edges) - 1, 0), bin_span=span,
    )  # fmt: skip
    return NumericFit(fill, center, deviation, clip, quantiles, scores, edges, span), feature


def fit_sketch(
    schema: ColumnSchema, sketch: ColumnSketch, scaler: Scaler, missing: MissingPolicy, encoding: Encoding
) -> tuple[NumericFit, Feature]:
    """`fit_numeric` on a sketch: quantiles within its error; exact means, deviations and extremes."""
    weights = sketch.counts.astype(np.float64)
    fit, feature = fit_numeric(schema, sketch.values.copy(), scaler, missing, encoding, weights=weights)
    mean, deviation = sketch.moments
    if isinstance(scaler, Standardize):
        fit = replace(fit, center=mean, scale=handle_zero_scale(deviation, sketch.values))
    if isinstance(missing, MeanFill):
        fit = replace(fit, fill=mean)
    return fit, replace(feature, n_missing=sketch.n_missing, has_time=schema.role == "date" and not sketch.are_integers)


def pack_numeric(fits: Sequence[NumericFit]) -> dict[str, Values]:
    """State arrays of all columns (see the module docstring); `clip` and `span` are in `Feature`."""
    state = {name: np.asarray([getattr(fit, name) for fit in fits], np.float64) for name in ("fill", "center", "scale")}
    for name in ("quantiles", "scores", "edges"):
        state[name] = np.concatenate([np.zeros(0), *(getattr(fit, name) for fit in fits)])
    return state


def unpack_numeric(features: Sequence[Feature], state: Mapping[str, Values]) -> dict[str, NumericFit]:
    """Fitted state of each number and date, by column name."""
    fits: dict[str, NumericFit] = {}
    quantile = edge = 0
    for feature in features:
        if not feature.is_numeric:
            continue
        fill, center, deviation = (float(state[name][len(fits)]) for name in ("fill", "center", "scale"))
        quantile_span = slice(quantile, quantile + feature.n_quantiles)
        edge_span = slice(edge, edge + feature.n_edges)
        fits[feature.name] = NumericFit(
            fill, center, deviation, feature.clip, state["quantiles"][quantile_span],
            state["scores"][quantile_span], state["edges"][edge_span], feature.bin_span,
        )  # fmt: skip
        quantile, edge = quantile_span.stop, edge_span.stop
    return fits
