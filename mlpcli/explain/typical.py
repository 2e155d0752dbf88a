"""The typical training row, the baseline of integrated gradients."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.feature import Feature
from mlpcli.data.features.preprocessor import transform
from mlpcli.data.reference import ReferenceColumn
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn, Table
from mlpcli.errors import MlpError
from mlpcli.model import Model


def typical_inputs(model: Model) -> NDArray[np.floating[Any]]:
    """The inputs of the typical row: the median of numbers and dates, the most frequent level of other columns.

    The median is approximate, from the bins of the reference profile. Raises MlpError for a model without profile.
    """
    features, profile = model.preprocessor.columns, model.reference.columns
    if len(profile) != len(features):
        raise MlpError(
            "the model stores no reference profile for this many columns, so there is no typical row "
            "as the starting point."
        )
    columns: dict[str, Column] = {}
    for feature, reference in zip(features, profile, strict=True):
        if feature.is_numeric:
            columns[feature.name] = NumericColumn(np.asarray([_median(feature, reference)]))
        elif reference.levels:
            level = reference.levels[int(np.argmax(reference.counts))]
            columns[feature.name] = CategoricalColumn((level,), np.zeros(1, np.int8))
        else:  # every level is too long to be stored
            columns[feature.name] = CategoricalColumn((), np.full(1, -1, np.int8))
    names = tuple(columns)
    table = Table(columns, 1, "the typical row", names, model.reading, "{}".format, "", (), is_file=False)
    X, _ = transform(model.preprocessor, table, np.float64)
    return np.asarray(X[0])


def _median(feature: Feature, reference: ReferenceColumn) -> float:
    """The approximate median; NaN for a column without numbers.

    It is in the first or last bin if most rows have the smallest or largest value, which has its own bin.
    """
    if feature.minimum is None or feature.maximum is None:
        return math.nan
    counts = np.cumsum(reference.counts)
    bin_index = int(np.searchsorted(counts, counts[-1] / 2))
    if bin_index == 0:
        return feature.minimum
    if bin_index == len(reference.edges):
        return feature.maximum
    return reference.edges[bin_index - 1] / 2 + reference.edges[bin_index] / 2
