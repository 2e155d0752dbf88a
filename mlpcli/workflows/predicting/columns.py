"""Names and cells of the columns that `mlp predict` writes: predictions, intervals, sets, probabilities, outputs."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.typed.kept import KeptArray
from mlpcli.data.targets.target import ClassTarget, NumberTarget, predicted_labels, prediction_names, typed_labels
from mlpcli.data.writing.csv import Cells, Labels, LabelSets, without_formulas
from mlpcli.model import Model
from mlpcli.workflows.predicting.intervals import PredictionRegions

Values = NDArray[np.float64]
Named: TypeAlias = tuple[str, Cells]


def prediction_columns(
    model: Model, predictions: Values, regions: PredictionRegions | None, with_probabilities: bool, is_typed: bool
) -> list[Named]:
    """Names and cells: each target, followed by its `_low` and `_high` or its `_set`, then the probabilities `p_`."""
    columns = (
        _number_columns(model, predictions, regions)
        if isinstance(model.target, NumberTarget)
        else _label_columns(model, predictions, regions, is_typed)
    )
    if with_probabilities:
        names = prediction_names(model.target)
        columns += [
            (f"p_{name}", probabilities)
            for name, probabilities in zip(names, predictions.T.astype(model.ensemble.dtype), strict=True)
        ]
    return columns


def raw_columns(model: Model, outputs: NDArray[Any]) -> list[Named]:
    """The raw outputs of the network; with several quantiles, one column for each (`raw_y_0.05`)."""
    names, target = prediction_names(model.target), model.target
    if isinstance(target, NumberTarget) and target.fitted:
        names = tuple(f"{name}_{level:g}" for level in target.fitted for name in names)
    return [(f"raw_{name}", values) for name, values in zip(names[-outputs.shape[1] :], outputs.T, strict=True)]


def hidden_columns(layers: dict[str, NDArray[Any]]) -> list[Named]:
    """The activation of each hidden neuron: h1_1, h1_2."""
    return [(f"{name}_{neuron}", values) for name, a in layers.items() for neuron, values in enumerate(a.T, start=1)]


def _number_columns(model: Model, predictions: Values, regions: PredictionRegions | None) -> list[Named]:
    columns: list[Named] = []
    for index, (name, scale) in enumerate(zip(model.target.names, model.target_scales.tolist(), strict=True)):
        ends = [("", predictions)]
        if regions is not None and regions.low is not None and regions.high is not None:
            ends += [("_low", regions.low), ("_high", regions.high)]
        dtype = model.ensemble.dtype
        columns += [(f"{name}{end}", _significant_digits(values[:, index], scale, dtype)) for end, values in ends]
    return columns


def _label_columns(model: Model, predictions: Values, regions: PredictionRegions | None, is_typed: bool) -> list[Named]:
    target = model.target
    assert not isinstance(target, NumberTarget)
    columns: list[Named] = []
    predicted = predicted_labels(target, predictions, model.threshold).items()
    for index, ((name, (labels, codes)), cell_type) in enumerate(zip(predicted, target.cell_types, strict=True)):
        label_values = labels if not is_typed or cell_type == "text" else typed_labels(labels, cell_type)
        columns.append((name, Labels(label_values, codes)))
        if regions is not None and regions.holds is not None:
            holds = regions.holds if isinstance(target, ClassTarget) else regions.holds[:, index]
            columns.append((f"{name}_set", LabelSets(label_values, holds)))
    return columns


def _significant_digits(numbers: NDArray[Any], scale: float, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Numbers rounded to the precision of the network, which computes in units of `scale` in its dtype."""
    if scale == 1.0 or dtype == np.float64:
        return numbers.astype(dtype)
    return numbers.round(7 - math.floor(math.log10(scale)))


def safe_column(column: Cells) -> Cells:
    """A column with texts escaped that a spreadsheet would run as formulas."""
    if isinstance(column, Labels):
        is_text = isinstance(column.values, Sequence)
        return replace(column, values=without_formulas(column.values)) if is_text else column
    if isinstance(column, LabelSets):
        is_text = isinstance(column.labels, Sequence)
        return replace(column, labels=without_formulas(column.labels)) if is_text else column
    cells = column.cells() if isinstance(column, KeptArray) else column
    return without_formulas(cells) if isinstance(cells, list) else column


def without_clashes(names: list[str], keep: list[str]) -> list[str]:
    """Names of predicted columns, made distinct from those of kept columns and from each other."""
    distinct: list[str] = []
    for name in names:
        while name in keep or name in distinct:
            name = f"predicted_{name}" if name in keep else f"{name}_"
        distinct.append(name)
    return distinct
