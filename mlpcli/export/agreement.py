"""Rows for testing an exported model, and how far its predictions are from those of the model itself.

Cells are drawn from the reference profile of the training data; further rows have a rare cell in one column each: a
missing cell, an unseen level, numbers and dates far outside the training range.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.feature import Feature
from mlpcli.data.features.preprocessor import transform
from mlpcli.data.reference import ReferenceColumn
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.schema.dates.parsing import date_texts
from mlpcli.data.schema.spelling import NumberFormat, number_text
from mlpcli.data.table import CategoricalColumn, Table, code_dtype
from mlpcli.data.targets.target import NumberTarget, predicted_labels, prediction_names
from mlpcli.evaluation.conformal.conformity import MISSING
from mlpcli.model import Model

DRAWN_ROWS = 200
# In a table of hundreds of columns, rows have rare cells in several columns: with one row per rare cell, the number of
# cells would grow with the square of the number of columns.
RARE_CELLS, FEWEST_RARE = 500_000, 8
# Probabilities closer than this to each other or to a threshold are a tie: either label is correct.
TIE = 1e-4
UNSEEN = "a level that training never saw"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Row = Mapping[str, str]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How many rows were compared, and the largest difference between predictions.

    `difference` is that of probabilities; for numbers it is relative to the larger of their size and the target's
    scale. `n_labels` counts labels that differ although the prediction is no tie.
    """

    n_rows: int
    difference: float
    n_labels: int


@dataclass(frozen=True)
class Expected:
    """The correct values of some rows (n_rows, n_values), and which of those after the probabilities are ties."""

    values: Values
    is_tie: NDArray[np.bool_]


def sample_rows(model: Model, n_rows: int = DRAWN_ROWS, seed: int = 0, with_groups: bool = False) -> list[Row]:
    """Rows as texts by column that the model can predict; `with_groups` adds the column of its calibration groups."""
    rng = np.random.default_rng(seed)
    features = model.preprocessor.columns
    profiles = model.reference.columns or tuple(ReferenceColumn() for _ in features)
    usual = {feature.name: _usual(feature, profile) for feature, profile in zip(features, profiles, strict=True)}
    rare = {feature.name: _rare(feature) for feature in features}
    if with_groups and model.interval_by is not None and model.interval_by.name not in usual:
        usual[model.interval_by.name], rare[model.interval_by.name] = _group_cells(model, model.interval_by)

    def drawn() -> dict[str, str]:
        return {name: texts[rng.integers(len(texts))] for name, texts in usual.items()}

    rows: list[Row] = [drawn() for _ in range(n_rows)]
    alone = [(name, text) for name, texts in rare.items() for text in texts]
    n_rare = min(len(alone), max(FEWEST_RARE, RARE_CELLS // len(rare)))
    rows += [drawn() | dict(alone[number::n_rare]) for number in range(n_rare)]
    rows.append({name: texts[-1] for name, texts in rare.items()})
    return rows


def _group_cells(model: Model, by: ColumnSchema) -> tuple[list[str], list[str]]:
    """Cells of the calibration groups, and cells that belong to no group."""
    assert model.conformity is not None
    groups = [group for group in model.conformity.rows.groups if group != MISSING]
    if by.role == "date":
        return [_date_in(by.date_format, text) for text in groups], [_date_in(by.date_format, "1900-01-01"), ""]
    if by.role == "number":
        return [_number_in(by.number, float(text)) for text in groups], [_number_in(by.number, -1e6 + 0.5), ""]
    return groups, ["", UNSEEN]


def schemas_of(rows: Sequence[Row], model: Model) -> list[ColumnSchema]:
    """The schemas of the columns of these rows."""
    schemas = {schema.name: schema for schema in model.preprocessor.schemas}
    if model.interval_by is not None and model.interval_by.name in rows[0]:
        schemas.setdefault(model.interval_by.name, model.interval_by)
    return [*schemas.values()]


def usual_inputs(model: Model, n_rows: int, seed: int) -> Values:
    """The inputs (n_rows, n_in) of rows whose cells are drawn independently from the reference profile."""
    rows = sample_rows(model, n_rows, seed)[:n_rows]
    X = transform(model.preprocessor, model.cast(table_of(rows, model)), model.ensemble.dtype)[0]
    return np.asarray(X, np.float64)


def table_of(rows: Sequence[Row], model: Model) -> Table:
    """The rows as a table of texts."""
    columns = {}
    for schema in schemas_of(rows, model):
        texts = [row[schema.name] for row in rows]
        levels = tuple(dict.fromkeys(texts))
        places = {level: place for place, level in enumerate(levels)}
        columns[schema.name] = CategoricalColumn(
            levels, np.asarray([places[text] for text in texts], code_dtype(len(levels)))
        )
    return Table(columns, len(rows), "rows", tuple(columns), model.reading, is_file=False)


def agreement(
    model: Model,
    rows: Sequence[Row],
    predict: Callable[[Sequence[Row]], Values],
    expected: Callable[[Table], Expected] | None = None,
) -> Agreement:
    """Compare `predict`, which returns probabilities or numbers (n_rows, n_values), with the model on these rows.

    `expected` computes the correct values if there are more than the model's predictions: several numbers for each
    target in turn, or, after the probabilities, 0 or 1 for each label of a set; these are compared like labels.
    """
    table = table_of(rows, model)
    reference = _predictions(model, table) if expected is None else expected(table)
    truth, values = reference.values, np.asarray(predict(rows), np.float64)
    with np.errstate(invalid="ignore"):  # ends of intervals may be infinite
        distance = np.where(values == truth, 0.0, np.abs(values - truth))
    if isinstance(model.target, NumberTarget):
        scales = np.repeat(_scales(model, model.target), truth.shape[1] // len(model.target.names))
        size = np.where(np.isinf(truth), 1.0, np.maximum(np.abs(truth), scales))
        return Agreement(len(rows), float(np.max(distance / size, initial=0.0)), 0)
    n_probabilities = len(prediction_names(model.target))
    ours, theirs = truth[:, :n_probabilities], values[:, :n_probabilities]
    is_clear = ~_is_tie(ours, model)
    labels = (predicted_labels(model.target, each, model.threshold).values() for each in (ours, theirs))
    n_labels = sum(int(np.count_nonzero((a != b) & is_clear)) for (_, a), (_, b) in zip(*labels, strict=True))
    differs = (distance[:, n_probabilities:] > 0.0) & is_clear[:, None] & ~reference.is_tie
    difference = float(np.max(distance[:, :n_probabilities], initial=0.0))
    return Agreement(len(rows), difference, n_labels + int(np.count_nonzero(differs)))


def _predictions(model: Model, table: Table) -> Expected:
    predictions = model.predict(model.cast(table))[0]
    return Expected(predictions, np.zeros((len(predictions), 0), np.bool_))


def _scales(model: Model, target: NumberTarget) -> Values:
    """The scale of each target (n_targets,); with a quantile transform the standard deviation of its knots."""
    state = model.target_state
    if "target_quantiles" not in state:
        return model.target_scales
    each = np.split(state["target_quantiles"], np.cumsum(target.n_quantiles)[:-1])
    return np.asarray([np.std(knots) or 1.0 for knots in each])


def _is_tie(probabilities: Values, model: Model) -> NDArray[np.bool_]:
    """Whether the label of each row depends on rounding errors (n_rows,)."""
    threshold = model.threshold
    if model.target.kind == "booleans":
        limits = np.full(probabilities.shape[1], 0.5) if threshold is None else threshold
        return np.asarray((np.abs(probabilities - limits) < TIE).any(axis=1))
    if threshold is not None and len(threshold) == 1:
        return np.asarray(np.abs(probabilities[:, 1] - threshold[0]) < TIE)
    best = np.sort(probabilities if threshold is None else probabilities / threshold, axis=1)
    return np.asarray(best[:, -1] - best[:, -2] < TIE)


def _usual(feature: Feature, profile: ReferenceColumn) -> list[str]:
    """Cells in the range, or of the levels, of the training data."""
    if feature.is_numeric:
        low, high = feature.minimum or 0.0, feature.maximum or 0.0
        numbers = np.asarray([*profile.edges, low, high, *np.linspace(low, high, 11)])
        is_integer = all(float(edge).is_integer() for edge in profile.edges) and bool(profile.edges)
        is_day = _is_date(feature) and not feature.has_time
        return _spelled(feature, np.floor(numbers) if is_integer or is_day else numbers)
    if feature.role == "boolean":
        return list(feature.schema.levels)
    return list(dict.fromkeys([*feature.levels, *profile.levels[:50]])) or [UNSEEN]


def _rare(feature: Feature) -> list[str]:
    """Cells outside the training data that the model must predict, too."""
    missing = [] if feature.refuses_missing else [""]
    if not feature.is_numeric:
        return [*missing, UNSEEN]
    low, high = feature.minimum or 0.0, feature.maximum or 0.0
    width = max(high - low, abs(high), 1.0)
    if _is_date(feature):
        return [*_spelled(feature, np.asarray([-25_567.0, 47_482.0, 11_016.0])), *missing]  # 1900, 2100, 2000-02-29
    return [*_spelled(feature, np.asarray([0.0, low - width, high + width])), *missing]


def _is_date(feature: Feature) -> bool:
    return feature.role == "date"


def _spelled(feature: Feature, numbers: Values) -> list[str]:
    """Numbers or days in the number or date format of the column."""
    if not _is_date(feature):
        return [_number_in(feature.schema.number, number) for number in numbers.tolist()]
    return [_date_in(feature.schema.date_format, text) for text in date_texts(numbers)]


def _number_in(format: NumberFormat, number: float) -> str:
    sign = "-" if number < 0 else ""
    return sign + format.prefix + number_text(abs(number)).replace(".", format.decimal) + format.suffix


def _date_in(format: str, text: str) -> str:
    """An ISO date, with its time if any, in another date format."""
    day, _, time = text.partition("T")
    year, month, number = day.split("-")
    parts = {"YYYY": year, "YY": year[2:], "MON": MONTHS[int(month) - 1], "MM": month, "DD": number}
    return re.sub("YYYY|YY|MON|MM|DD", lambda part: parts[part[0]], format) + (f"T{time}" if time else "")
