"""The network inputs of each column, and their order.

Inputs are ordered by kind: scaled numbers (for a date its day number), their bins, cyclic features of dates, booleans
and other pairs of levels as -1 and 1 (0 if missing), missing indicators, one-hot levels. Within a kind, columns keep
their order.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.bins import bin_names
from mlpcli.data.features.feature import Feature
from mlpcli.data.features.numeric import NumericFit
from mlpcli.data.schema.dates.parsing import cycle_names

Kind = Literal["numeric", "bins", "cycle", "sign", "flag", "level"]
Spans = Mapping[tuple[Kind, str], slice]


def input_spans(features: Sequence[Feature]) -> dict[tuple[Kind, str], slice]:
    """The input range of each kind and column, in order."""
    spans, start = {}, 0
    for kind, feature, n_inputs in _spans(features):
        spans[kind, feature.name] = slice(start, start + n_inputs)
        start += n_inputs
    return spans


def input_names(features: Sequence[Feature], fits: Mapping[str, NumericFit]) -> tuple[str, ...]:
    """Name of each input, in order."""
    return tuple(name for kind, feature, _ in _spans(features) for name in _names(kind, feature, fits))


def inputs_of_columns(features: Sequence[Feature], columns: Collection[str]) -> NDArray[np.bool_]:
    """Mask (n_inputs,) of the inputs of these columns; a shared missing indicator belongs to each that shares it."""
    spans, flags = input_spans(features), {feature.flag_of for feature in features if feature.name in columns}
    mask = [
        np.full(span.stop - span.start, name in (flags if kind == "flag" else columns))
        for (kind, name), span in spans.items()
    ]
    return np.concatenate(mask)


def columns_without_inputs(features: Sequence[Feature], mask: NDArray[np.bool_]) -> tuple[str, ...]:
    """Names of the columns without an input in `mask` (n_inputs,), apart from a shared missing indicator."""
    seen = {name for (kind, name), span in input_spans(features).items() if kind != "flag" and mask[span].any()}
    return tuple(feature.name for feature in features if feature.name not in seen)


def _spans(features: Sequence[Feature]) -> Iterator[tuple[Kind, Feature, int]]:
    numeric = [feature for feature in features if feature.is_numeric]
    for feature in numeric:
        yield "numeric", feature, 1
    for feature in numeric:
        if feature.n_bins:
            yield "bins", feature, feature.n_bins
    for feature in features:
        if feature.role == "date":
            yield "cycle", feature, len(cycle_names(feature.has_time))
    for feature in features:
        if feature.role == "boolean" or feature.is_signed:
            yield "sign", feature, 1
    for feature in features:
        if feature.flag_of == feature.name:
            yield "flag", feature, 1
    for feature in features:
        if feature.role == "category" and not feature.is_signed:
            yield "level", feature, feature.n_inputs


def _names(kind: Kind, feature: Feature, fits: Mapping[str, NumericFit]) -> list[str]:
    match kind:
        case "numeric":
            return [feature.name]
        case "bins":
            spans = bin_names(fits[feature.name].edges, feature.role == "date")
            return [f"{feature.name}[{span}]" for span in spans]
        case "cycle":
            return [f"{feature.name}.{cycle_name}" for cycle_name in cycle_names(feature.has_time)]
        case "sign":
            return [f"{feature.name}={feature.levels[1]}" if feature.is_signed else feature.name]
        case "flag":
            return [f"{feature.name}=(missing)"]
        case "level":
            extra = ["(missing)"] * feature.has_missing_level + ["(other)"] * feature.has_other_level
            return [f"{feature.name}={level}" for level in [*feature.levels, *extra]]
