"""The typical row of the training, from which integrated gradients start."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.preprocessor import transform
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn, Table
from mlpcli.errors import MlpError
from mlpcli.model import Model


def typical_inputs(model: Model) -> NDArray[np.floating[Any]]:
    """The inputs of the typical training row: the median of each number and date, the most frequent level of others."""
    features, profile = model.preprocessor.columns, model.reference.columns
    if len(profile) != len(features):
        raise MlpError("the model keeps no profile of so many columns, so that there is no typical row to start from.")
    columns: dict[str, Column] = {}
    for feature, known in zip(features, profile, strict=True):
        if known.edges or not known.levels:
            counts = np.cumsum(known.counts)
            middle = min(int(np.searchsorted(counts, counts[-1] / 2)), len(known.edges) - 1)
            columns[feature.name] = NumericColumn(np.asarray([known.edges[middle]]))
        else:
            level = known.levels[int(np.argmax(known.counts))]
            columns[feature.name] = CategoricalColumn((level,), np.zeros(1, np.int8))
    names = tuple(columns)
    table = Table(columns, 1, "the typical row", names, model.reading, "{}".format, "", (), is_file=False)
    X, _ = transform(model.preprocessor, table, np.float64)
    return np.asarray(X[0])
