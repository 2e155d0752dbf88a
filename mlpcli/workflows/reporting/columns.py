"""Report sections on the input columns of a model, from the sample of rows with their cells."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.feature import Feature
from mlpcli.data.grouping import MISSING, QUARTILES
from mlpcli.data.reference import Histogram, ReferenceColumn, split_counts
from mlpcli.data.schema.dates.parsing import iso_date
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn, Table
from mlpcli.data.targets.target import decode_outputs, prediction_names
from mlpcli.evaluation.metrics.scores import find_metric, score
from mlpcli.evaluation.uncertainty.intervals import IntervalOptions
from mlpcli.evaluation.uncertainty.paired import Truth
from mlpcli.explain.dependence import donors_of_codes, donors_of_numbers, partial_dependence
from mlpcli.explain.importance import Scorer, permutation_importance
from mlpcli.explain.inputs import correlated_columns, inputs_by_column, inputs_of_columns
from mlpcli.messages import format_number
from mlpcli.model import Model
from mlpcli.report.columns import ColumnImportance, Dependence, dependence_section, importance_section
from mlpcli.report.distributions import ColumnDistribution, columns_section
from mlpcli.report.groups import Group, quality_section, slices_section
from mlpcli.report.page import Section
from mlpcli.training.seeding import rng_of
from mlpcli.workflows.reading.drift import judge_drift, percent
from mlpcli.workflows.reporting.rows import Detailed
from mlpcli.workflows.scoring.main_metrics import decisive_metric, main_metrics
from mlpcli.workflows.scoring.predictions import LabeledPredictions
from mlpcli.workflows.scoring.slices import Grouping, slice_tables

# Permutation importance: limit of cells in all shuffles, and range of the number of rows.
SHUFFLED_CELLS, MAX_SHUFFLED, MIN_SHUFFLED = 400_000, 8_000, 500
REPEATS = 3
MIN_CORRELATION, CORRELATION_ROWS = 0.7, 2000  # as in `mlp explain`
DEPENDENCE_ROWS, DEPENDENCE_VALUES, DEPENDENCE_COLUMNS = 500, 14, 6
SLICED_COLUMNS, SLICED_LEVELS = 40, 8
OTHERS = "(other levels)"
DRAWN_BINS, DRAWN_LEVELS = 20, 12
MAX_RANGE_RATIO = 4.0  # a range that is more times as wide as that of its inner bin edges is cut


def importance_sections(model: Model, rows: Detailed, confidence: float, seed: int) -> list[Section]:
    """Importance, partial dependence of the top columns, scores of groups; needs at least two rows."""
    importances, section = _importance(model, rows, confidence, seed)
    ordered = [column.name for column in importances]
    useful = [column.name for column in importances if column.loss > 0]
    dependence = _dependence(model, rows, useful[:DEPENDENCE_COLUMNS] or ordered[:1])
    return [section, *dependence, *_slices(model, rows, ordered, confidence)]


def _importance(model: Model, rows: Detailed, confidence: float, seed: int) -> tuple[list[ColumnImportance], Section]:
    target, sample, features = model.target, rows.sample, model.preprocessor.columns
    n_rows = min(len(sample), max(min(SHUFFLED_CELLS // len(features), MAX_SHUFFLED), MIN_SHUFFLED))
    names = prediction_names(target)
    metric = decisive_metric(target.task, names)
    weights = None if sample.weights is None else sample.weights[:n_rows]
    truth = Truth(target.task, sample.truth[:n_rows], names, weights)
    X = rows.X[:n_rows].copy()
    scorer = Scorer(_predictor(model), truth, metric, model.threshold, confidence)
    inputs = inputs_by_column(features)
    correlated = correlated_columns(X[:CORRELATION_ROWS], features, MIN_CORRELATION)
    linked = [group for group in correlated if len(group.columns) < len(inputs)]
    groups: dict[tuple[str, ...], NDArray[np.int64]] = {(name,): indices for name, indices in inputs.items()}
    groups |= {group.columns: inputs_of_columns(group.columns, inputs) for group in linked}
    importances = permutation_importance(scorer, X, groups, REPEATS, rng_of(seed, "permutations"))
    columns = [
        ColumnImportance(own.columns[0], own.loss, own.low, own.high) for own in importances if len(own.columns) == 1
    ]
    losses = {importance.columns: importance.loss for importance in importances}
    sentences = [
        f"{', '.join(group.columns)} are correlated (rank correlation {format_number(group.correlation)}): each can "
        f"replace the other. Shuffled together they cost {format_number(losses[group.columns])}."
        for group in linked
    ]
    falls = find_metric(metric).higher_is_better
    return columns, importance_section(columns, metric, falls, n_rows, sentences)


def _predictor(model: Model) -> Any:
    """The prediction function of inputs (n_rows, n_in)."""
    return lambda X: decode_outputs(model.target, dict(model.target_state), model.ensemble.outputs(X))


def _dependence(model: Model, rows: Detailed, columns: Sequence[str]) -> list[Section]:
    inputs = inputs_by_column(model.preprocessor.columns)
    X = rows.X[:DEPENDENCE_ROWS].copy()
    roles = {feature.name: feature.role for feature in model.preprocessor.columns}
    dependences = []
    for name in columns:
        column = rows.table.columns[name].take(slice(0, len(X)))
        numbers = None
        if isinstance(column, NumericColumn):
            donors = donors_of_numbers(np.asarray(column.values, np.float64), DEPENDENCE_VALUES)
            values = np.asarray(column.values, np.float64)[donors]
            numbers = values.tolist()
            is_date = roles[name] == "date"
            texts = tuple(iso_date(value) if is_date else f"{value:.6g}" for value in numbers)
        else:
            donors = donors_of_codes(np.asarray(column.codes), DEPENDENCE_VALUES // 2)
            texts = tuple(column.levels[code] for code in column.codes[donors])
        if len(donors):
            dependence = partial_dependence(_predictor(model), X, inputs[name], name, texts, donors, 0)
            dependences.append(Dependence(name, texts, numbers, dependence.mean))
    if not dependences:
        return []
    what = "prediction" if model.target.task == "regression" else "probability"
    return [dependence_section(dependences, prediction_names(model.target), what, len(X))]


def _slices(model: Model, rows: Detailed, columns: Sequence[str], confidence: float) -> list[Section]:
    target, sample = model.target, rows.sample
    predictions = LabeledPredictions(target, sample.truth, sample.predictions, sample.weights, model.threshold)
    names = prediction_names(target)
    metric = main_metrics(target.task, names)[0]
    roles = {feature.name: feature.role for feature in model.preprocessor.columns}
    table = _with_few_levels(rows.table, columns[:SLICED_COLUMNS])
    by = Grouping(tuple(table.columns))
    # All groups are compared with the overall score, so that each interval is widened (Bonferroni).
    n_groups = sum(_n_groups(column) for column in table.columns.values())
    interval_options = IntervalOptions(1.0 - (1.0 - confidence) / max(n_groups, 1))
    groups = []
    for slice_table in slice_tables(by, table, roles, predictions, (), interval_options):
        for scored_slice in slice_table.slices:
            ends = scored_slice.scored.intervals.get(slice_table.metric)
            low, high = (np.nan, np.nan) if ends is None else (ends.low, ends.high)
            value = scored_slice.scored.scores[slice_table.metric]
            groups.append(
                Group(
                    slice_table.columns[0],
                    scored_slice.name,
                    scored_slice.n_rows,
                    value,
                    low,
                    high,
                    scored_slice.is_small,
                )
            )
    overall = score(target.task, metric, sample.truth, sample.predictions, names, sample.weights, model.threshold)
    higher_is_better = find_metric(metric).higher_is_better
    in_order = _in_value_order(groups, table)
    sections = [slices_section(groups, metric, overall, higher_is_better, len(sample))] if groups else []
    quality = quality_section(in_order, columns[:DEPENDENCE_COLUMNS], metric, overall)
    return [*sections, *([quality] if quality.blocks else [])]


def _n_groups(column: Column) -> int:
    """The largest number of groups that a column makes: its levels or quartiles, and missing cells."""
    return 1 + (len(column.levels) if isinstance(column, CategoricalColumn) else len(QUARTILES) + 1)


def _with_few_levels(table: Table, columns: Sequence[str]) -> Table:
    """The columns, with all but the most frequent levels of each merged into one."""
    merged = {}
    for name in columns:
        column = table.columns[name]
        if isinstance(column, CategoricalColumn) and len(column.levels) > SLICED_LEVELS:
            order = np.argsort(-column.counts, kind="stable")[: SLICED_LEVELS - 1]
            kept = {column.levels[code] for code in order.tolist()}
            column = column.relabel([level if level in kept else OTHERS for level in column.levels])
        merged[name] = column
    return replace(table, columns=merged)


def _in_value_order(groups: Sequence[Group], table: Table) -> list[Group]:
    """The groups of each column in the order of its values, with missing cells and merged levels last."""

    def key(group: Group) -> tuple[str, bool, float, bool, str]:
        value = group.name.removeprefix(f"{group.column} = ")
        is_last = value in (OTHERS, MISSING)
        first = np.inf
        if isinstance(table.columns[group.column], NumericColumn) and not is_last:
            first = next((float(word) for word in value.split() if _is_number(word)), np.inf)
        return group.column, is_last, first, value.startswith("over "), value

    return sorted(groups, key=key)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def distributions_section(model: Model, histogram: Histogram | None) -> Section | None:
    """The distribution of each column in training and in the `histogram` of rows; None without a reference profile."""
    profile, features = model.reference, model.preprocessor.columns
    if not profile.columns:
        return None
    column_drifts = judge_drift(model, histogram).columns if histogram is not None else ()
    drift = {column_drift.column.name: column_drift for column_drift in column_drifts}
    counts = split_counts(profile, histogram) if histogram is not None else [None] * len(features)
    distributions = []
    for feature, reference, now in zip(features, profile.columns, counts, strict=True):
        column_drift = drift.get(feature.name)
        before_bins, now_bins = _bins(feature, reference, None if now is None else now[0], column_drift)
        verdict = "" if column_drift is None else ", ".join(column_drift.reasons) or "ok"
        distributions.append(
            ColumnDistribution(
                feature.name,
                feature.role,
                feature.n_missing / profile.n_rows,
                None if column_drift is None else column_drift.missing,
                _range(feature, reference, profile.n_rows),
                before_bins,
                now_bins,
                None if column_drift is None else column_drift.index,
                verdict,
                feature.is_numeric,
            )
        )
    notes = [f"{column_drift.text}." for column_drift in drift.values() if column_drift.reasons]
    return columns_section(distributions, profile.n_rows, 0 if histogram is None else histogram.n_rows, notes[:10])


def _range(feature: Feature, reference: ReferenceColumn, n_rows: int) -> str:
    """The values of the training rows: `32.1 to 59.6`, `Biscoe 49%, Dream 36%, 1 more`."""
    if feature.is_numeric:
        low, high = feature.minimum, feature.maximum
        if low is None or high is None:
            return "no number"
        format_value = iso_date if feature.role == "date" else "{:.6g}".format
        return f"{format_value(low)} to {format_value(high)}"
    order = np.argsort(-np.asarray(reference.counts), kind="stable")[:3].tolist()
    shown_levels = [f"{reference.levels[code]} {percent(reference.counts[code] / n_rows)}" for code in order]
    more = len(reference.levels) - len(shown_levels)
    return ", ".join([*shown_levels, *([f"{more} more"] if more > 0 else [])])


def _bins(feature: Feature, reference: ReferenceColumn, now: Any, drift: Any) -> tuple[list[float], list[float]]:
    """Counts to draw, before and now: bins of equal width for numbers; the most frequent levels, and the others."""
    before = np.asarray(reference.counts, np.float64)
    if not feature.is_numeric:
        order = np.argsort(-before, kind="stable")
        top, rest = order[:DRAWN_LEVELS], order[DRAWN_LEVELS:]
        both = [before] if now is None else [before, np.asarray(now, np.float64)]
        drawn = [[*counts[top].tolist(), float(counts[rest].sum())] for counts in both]
        if now is not None and drift is not None:
            drawn[1][-1] += float(drift.n_outside)
        has_others = len(rest) > 0 or any(counts[-1] for counts in drawn)
        drawn = drawn if has_others else [counts[:-1] for counts in drawn]
        return drawn[0], drawn[1] if now is not None else []
    if not len(reference.edges) or feature.minimum is None or feature.maximum is None:
        return [], []
    if len(reference.counts) < DRAWN_BINS and 0 < feature.n_distinct <= DRAWN_BINS:
        return before.tolist(), [] if now is None else np.asarray(now, np.float64).tolist()
    inner = reference.edges[0], reference.edges[-1]
    low, high = feature.minimum, feature.maximum
    if high - low > MAX_RANGE_RATIO * (inner[1] - inner[0]) > 0:
        margin = (inner[1] - inner[0]) / 8
        low, high = inner[0] - margin, inner[1] + margin
    drawn = [_equal_bins(reference.edges, counts, low, high) for counts in ([before] if now is None else [before, now])]
    return drawn[0], drawn[1] if now is not None else []


def _equal_bins(edges: Sequence[float], counts: Any, low: float, high: float) -> list[float]:
    """Counts by ascending edges, redistributed to bins of equal width from `low` to `high`; uniform within each bin."""
    all_edges = np.concatenate([[min(low, edges[0])], edges, [max(high, edges[-1])]])
    cumulative = np.concatenate([[0.0], np.cumsum(np.asarray(counts, np.float64))])
    rebinned: list[float] = np.diff(np.interp(np.linspace(low, high, DRAWN_BINS + 1), all_edges, cumulative)).tolist()
    return rebinned
