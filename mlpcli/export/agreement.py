"""Rows that try an exported model, and how far its answers are from those of the model itself.

The rows are drawn from what the training rows held, and then have in each column in turn what is rare: no cell, a level
that training never saw, numbers and dates far outside.
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
from mlpcli.data.schema.dates import date_texts
from mlpcli.data.schema.spelling import NumberFormat, number_text
from mlpcli.data.table import CategoricalColumn, Table, code_dtype
from mlpcli.data.targets.target import NumberTarget, predicted_labels, prediction_names
from mlpcli.evaluation.conformal.conformity import MISSING
from mlpcli.model import Model

DRAWN_ROWS = 200
# Of a table of hundreds of columns some columns have what is rare in the same row: one row for each of their
# rare cells would be a number of cells that grows with the square of the columns.
RARE_CELLS, FEWEST_RARE = 500_000, 8
# Probabilities nearer to each other, or to a threshold, than this are a tie: either label is right.
TIE = 1e-4
UNSEEN = "a level that training never saw"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Row = Mapping[str, str]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How many rows were tried, and how far apart answers are at most.

    `difference` is of probabilities, or of numbers relative to their size or to the unit of the target, whichever is
    larger. `n_labels` are labels that differ though the answer is no tie.
    """

    n_rows: int
    difference: float
    n_labels: int


@dataclass(frozen=True)
class Expected:
    """What is right for some rows (n_rows, ...), and where either is, of what stands behind the probabilities."""

    values: Values
    is_tie: NDArray[np.bool_]


def tried_rows(model: Model, n_rows: int = DRAWN_ROWS, seed: int = 0, with_groups: bool = False) -> list[Row]:
    """Rows as texts, by column, that the model answers; if asked for also by the column of its groups."""
    rng = np.random.default_rng(seed)
    features = model.preprocessor.columns
    known = model.reference.columns or tuple(ReferenceColumn() for _ in features)
    usual = {one.name: _usual(one, of) for one, of in zip(features, known, strict=True)}
    rare = {one.name: _rare(one, of) for one, of in zip(features, known, strict=True)}
    if with_groups and model.interval_by is not None and model.interval_by.name not in usual:
        usual[model.interval_by.name], rare[model.interval_by.name] = _of_groups(model, model.interval_by)

    def drawn() -> dict[str, str]:
        return {name: texts[rng.integers(len(texts))] for name, texts in usual.items()}

    rows: list[Row] = [drawn() for _ in range(n_rows)]
    alone = [(name, text) for name, texts in rare.items() for text in texts]
    n_rare = min(len(alone), max(FEWEST_RARE, RARE_CELLS // len(rare)))
    rows += [drawn() | dict(alone[number::n_rare]) for number in range(n_rare)]
    rows.append({name: texts[-1] for name, texts in rare.items()})
    return rows


def _of_groups(model: Model, by: ColumnSchema) -> tuple[list[str], list[str]]:
    """Cells of the groups of calibration rows, and those of no group."""
    assert model.conformity is not None
    groups = [group for group in model.conformity.rows.groups if group != MISSING]
    if by.role == "date":
        return [_date_in(by.date_format, text) for text in groups], [_date_in(by.date_format, "1900-01-01"), ""]
    if by.role == "number":
        return [_number_in(by.number, float(text)) for text in groups], [_number_in(by.number, -1e6 + 0.5), ""]
    return groups, ["", UNSEEN]


def schemas_of(rows: Sequence[Row], model: Model) -> list[ColumnSchema]:
    """How the columns of these rows are read."""
    schemas = {schema.name: schema for schema in model.preprocessor.schemas}
    if model.interval_by is not None and model.interval_by.name in rows[0]:
        schemas.setdefault(model.interval_by.name, model.interval_by)
    return [*schemas.values()]


def usual_inputs(model: Model, n_rows: int, seed: int) -> Values:
    """The inputs (n_rows, n_in) of rows as training had them, each cell drawn by itself."""
    rows = tried_rows(model, n_rows, seed)[:n_rows]
    X = transform(model.preprocessor, model.read(table_of(rows, model)), model.ensemble.dtype)[0]
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
    answer: Callable[[Sequence[Row]], Values],
    expected: Callable[[Table], Expected] | None = None,
) -> Agreement:
    """How far `answer`, which gives probabilities or numbers (n_rows, n_answers), is from the model on these rows.

    `expected` gives what is right for a table as it comes, where that is more than the answers: several numbers for
    each target in turn, or behind the probabilities what is 1 and 0, which counts as labels do.
    """
    table = table_of(rows, model)
    right = _answered(model, table) if expected is None else expected(table)
    truth, found = right.values, np.asarray(answer(rows), np.float64)
    with np.errstate(invalid="ignore"):  # ends may be infinite
        distance = np.where(found == truth, 0.0, np.abs(found - truth))
    if isinstance(model.target, NumberTarget):
        scales = np.repeat(_spreads(model, model.target), truth.shape[1] // len(model.target.names))
        size = np.where(np.isinf(truth), 1.0, np.maximum(np.abs(truth), scales))
        return Agreement(len(rows), float(np.max(distance / size, initial=0.0)), 0)
    n_answers = len(prediction_names(model.target))
    answers, theirs = truth[:, :n_answers], found[:, :n_answers]
    is_clear = ~_is_tie(answers, model)
    labels = (predicted_labels(model.target, each, model.threshold).values() for each in (answers, theirs))
    n_labels = sum(
        int(np.count_nonzero((one != other) & is_clear)) for (_, one), (_, other) in zip(*labels, strict=True)
    )
    differs = (distance[:, n_answers:] > 0.0) & is_clear[:, None] & ~right.is_tie
    return Agreement(
        len(rows), float(np.max(distance[:, :n_answers], initial=0.0)), n_labels + int(np.count_nonzero(differs))
    )


def _answered(model: Model, table: Table) -> Expected:
    answers = model.answers(model.read(table))[0]
    return Expected(answers, np.zeros((len(answers), 0), np.bool_))


def _spreads(model: Model, target: NumberTarget) -> Values:
    """What is one unit of each target (n_targets,), of numbers that a quantile transform makes their deviation."""
    state = model.target_state
    if "target_quantiles" not in state:
        return model.target_scales
    each = np.split(state["target_quantiles"], np.cumsum(target.n_quantiles)[:-1])
    return np.asarray([np.std(knots) or 1.0 for knots in each])


def _is_tie(answers: Values, model: Model) -> NDArray[np.bool_]:
    """Rows whose label hangs on the last digits."""
    threshold = model.threshold
    if model.target.kind == "booleans":
        limits = np.full(answers.shape[1], 0.5) if threshold is None else threshold
        return np.asarray((np.abs(answers - limits) < TIE).any(axis=1))
    if threshold is not None and len(threshold) == 1:
        return np.asarray(np.abs(answers[:, 1] - threshold[0]) < TIE)
    best = np.sort(answers if threshold is None else answers / threshold, axis=1)
    return np.asarray(best[:, -1] - best[:, -2] < TIE)


def _usual(feature: Feature, known: ReferenceColumn) -> list[str]:
    """Cells as training had them."""
    if feature.is_numeric:
        low, high = feature.minimum or 0.0, feature.maximum or 0.0
        numbers = np.asarray([*known.edges, low, high, *np.linspace(low, high, 11)])
        is_whole = all(float(edge).is_integer() for edge in known.edges) and bool(known.edges)
        return _spelled(
            feature, np.floor(numbers) if is_whole or (not feature.has_time and _is_date(feature)) else numbers
        )
    if feature.role == "boolean":
        return list(feature.schema.levels)
    return list(dict.fromkeys([*feature.levels, *known.levels[:50]])) or [UNSEEN]


def _rare(feature: Feature, known: ReferenceColumn) -> list[str]:
    """What the model must take all the same."""
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
    """Numbers or days as the column writes them."""
    if not _is_date(feature):
        return [_number_in(feature.schema.number, number) for number in numbers.tolist()]
    return [_date_in(feature.schema.date_format, text) for text in date_texts(numbers)]


def _number_in(format: NumberFormat, number: float) -> str:
    sign = "-" if number < 0 else ""
    return sign + format.prefix + number_text(abs(number)).replace(".", format.decimal) + format.suffix


def _date_in(format: str, text: str) -> str:
    """An ISO text, with its time, in another format of dates."""
    day, _, time = text.partition("T")
    year, month, number = day.split("-")
    parts = {"YYYY": year, "YY": year[2:], "MON": MONTHS[int(month) - 1], "MM": month, "DD": number}
    return re.sub("YYYY|YY|MON|MM|DD", lambda part: parts[part[0]], format) + (f"T{time}" if time else "")
