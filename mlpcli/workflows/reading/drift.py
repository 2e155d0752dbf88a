"""Drift of new rows from the training data of a model: the verdict on each column, and `mlp check MODEL TABLE`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlpcli.data.features.feature import Feature
from mlpcli.data.reading.read import map_tables
from mlpcli.data.reference import Counts, Histogram, ReferenceColumn, comparable_counts, count_rows, split_counts
from mlpcli.data.table import Table
from mlpcli.errors import GateMissed, MlpError, did_you_mean
from mlpcli.evaluation.drift import (
    chi_squared,
    fisher_exact_greater,
    kolmogorov_smirnov,
    level_bins,
    merge_neighbours,
    new_levels,
    psi,
    unseen_rate,
)
from mlpcli.model import Model
from mlpcli.storage.model.model_file import load_model
from mlpcli.workflows.reading.tables import format_of, request_for

Reason = Literal["distribution", "range", "new levels", "missing cells"]

ON_DRIFT = ("ignore", "warn", "fail")

MIN_ROWS = 50  # fewer rows get no verdict, because their frequencies are too uncertain
# A column has drifted if a change is both large and significant: its p-value, with Bonferroni correction for the number
# of columns, is below LEVEL.
LEVEL = 0.001
LARGE_PSI = 0.25  # half a standard deviation of a normal column
LARGE_MISSING = 0.05  # difference between the fractions of missing cells
LARGE_OUTSIDE = 0.01  # fraction of cells outside the range or with new levels, above the expected fraction
N_GROUPS = 10
MAX_NAMED = 4
MAX_REFUSED = 8
MAX_UNSEEN = 20  # reported levels of a column


@dataclass(frozen=True)
class ColumnDrift:
    """A column of new rows compared with the training rows, with the reasons for calling it drifted, if any.

    `missing` and `missing_before` are fractions of the rows. `n_outside` counts cells outside the training range or
    with an unseen level; `outside` is their fraction of the cells that are not missing. For a column with more levels
    than the profile lists, both refer to a sample of levels. `unseen` has the most frequent unseen levels. `index`
    (PSI), `distance` (Kolmogorov-Smirnov, None for levels) and `p_value` (Bonferroni-corrected) are None for too few
    rows.
    """

    column: Feature
    n_rows: int
    n_missing: int
    missing: float
    missing_before: float
    n_outside: int
    outside: float
    low: float | None
    high: float | None
    unseen: dict[str, int]
    index: float | None
    distance: float | None
    p_value: float | None
    reasons: tuple[Reason, ...]

    @property
    def text(self) -> str:
        """Such as "age (distribution: PSI 0.61; range: 12% beyond)"."""
        texts = {
            "distribution": f"distribution: PSI {self.index or 0.0:.2f}",
            "range": f"range: {percent(self.outside)} outside it",
            "new levels": f"new levels: {percent(self.outside)}",
            "missing cells": f"missing cells: {percent(self.missing_before)} -> {percent(self.missing)}",
        }
        return f"{self.column.name} ({'; '.join(texts[reason] for reason in self.reasons)})"


@dataclass(frozen=True)
class DriftReport:
    """The verdict on every input column; no columns for a model without a reference profile."""

    n_rows: int
    n_training_rows: int
    columns: tuple[ColumnDrift, ...]

    @property
    def drifted(self) -> tuple[ColumnDrift, ...]:
        """The columns that have drifted."""
        return tuple(column for column in self.columns if column.reasons)

    @property
    def text(self) -> str:
        """One line on the columns that have drifted; "" for none."""
        drifted = self.drifted
        if not drifted:
            return ""
        more = f" and {len(drifted) - MAX_NAMED} more" if len(drifted) > MAX_NAMED else ""
        named = ", ".join(column.text for column in drifted[:MAX_NAMED])
        return f"{len(drifted)} of {len(self.columns)} columns drifted from the training data: {named}{more}"

    def refuse(self, on_drift: str) -> None:
        """With "fail", raise GateMissed (exit code 1) if columns have drifted."""
        drifted = [column.column.name for column in self.drifted]
        if on_drift == "fail" and drifted:
            named = ", ".join(drifted[:MAX_REFUSED]) + (", ..." if len(drifted) > MAX_REFUSED else "")
            raise GateMissed(f"{len(drifted)} of {len(self.columns)} columns drifted: {named}")


@dataclass(frozen=True)
class DriftCheck:
    """The result of `mlp check MODEL TABLE`."""

    model: Model
    report: DriftReport
    notes: tuple[str, ...]


def check_drift(weights: str, source: str, delimiter: str | None = None, encoding: str | None = None) -> DriftCheck:
    """Compare every row of a table with the reference profile of a model, in constant memory.

    Raises ModelFileError, DataError for a column that is missing or cannot be read, MlpError for a model without
    profile.
    """
    model = load_model(weights)
    if not model.reference.columns:
        raise MlpError(f"{weights}: {no_profile()}")
    columns = model.preprocessor.columns
    histogram: Histogram | None = None
    notes: tuple[str, ...] = ()

    def count_chunk(table: Table) -> tuple[Histogram, tuple[str, ...]]:
        return count_rows(model.reference, columns, model.cast(table)), table.notes

    reading = format_of(model, delimiter, encoding)
    request = request_for(model.preprocessor.schemas, reading)
    for counted, new_notes in map_tables(count_chunk, source, reading, request):
        histogram = counted if histogram is None else histogram + counted
        notes += new_notes
    return DriftCheck(model, judge_drift(model, histogram), notes)


def check_on_drift(on_drift: str, model: Model | None = None) -> None:
    """Raise MlpError for an unknown `--on-drift`, and for "fail" with a model without a reference profile."""
    if on_drift not in ON_DRIFT:
        raise MlpError(f"--on-drift {on_drift}: no such choice.{did_you_mean(on_drift, ON_DRIFT)}")
    if on_drift == "fail" and model is not None and not model.reference.columns:
        raise MlpError(f"--on-drift fail: {no_profile()}")


def no_profile() -> str:
    """The message for a model without a reference profile."""
    return "the model has no reference profile, so drift cannot be detected. Newly trained models have one."


def drift_notes(report: DriftReport | None, weights: str, source: str) -> list[str]:
    """The notes of a report; none if `report` is None, because drift was not checked."""
    if report is None:
        return []
    if not report.columns and not report.n_training_rows:
        return [no_profile()]
    shown = "TABLE" if source == "-" else source
    return [f"{report.text}. Details: mlp check {weights} {shown}"] if report.text else []


def percent(fraction: float) -> str:
    """A fraction as a percentage: 0%, 0.3%, 12%."""
    return f"{100 * fraction:.{1 if 0 < fraction < 0.095 else 0}f}%"


def judge_drift(model: Model, histogram: Histogram | None) -> DriftReport:
    """The verdict on a histogram of rows; without columns if it is None or the model has no reference profile."""
    profile, columns = model.reference, model.preprocessor.columns
    if histogram is None or not profile.columns:
        return DriftReport(histogram.n_rows if histogram else 0, profile.n_rows, ())
    counts = split_counts(profile, histogram)
    columns_drift = [
        _judge_column(columns, index, profile.n_rows, profile.columns[index], counts[index], histogram)
        for index in range(len(columns))
    ]
    return DriftReport(histogram.n_rows, profile.n_rows, tuple(columns_drift))


@dataclass(frozen=True)
class _ColumnTests:
    """The test statistics of one column.

    `n_outside` cells are outside the training range or have an unseen level; `outside` is their fraction, `expected`
    the fraction without drift, `outside_p` the p-value. `index` is the PSI, `distance` that of Kolmogorov-Smirnov, `p`
    the p-value of the distribution.
    """

    n_outside: int
    outside: float
    expected: float
    outside_p: float
    index: float
    distance: float | None
    p: float


def _judge_numbers(
    column: Feature, n_before: int, reference: ReferenceColumn, counts: Counts, n_outside: int
) -> _ColumnTests:
    """Tests of a numeric column, from the counts of its bins; `n_outside` numbers are outside the training range."""
    reference_counts, n_present = np.asarray(reference.counts, np.int64), int(counts.sum())
    distance, p = kolmogorov_smirnov(reference_counts, counts)
    # Without drift, two in as many new rows are expected outside the range of the training rows.
    expected = (2, n_before - column.n_missing)
    return _ColumnTests(
        n_outside, n_outside / n_present, expected[0] / expected[1],
        fisher_exact_greater(*expected, n_outside, n_present),
        psi(*merge_neighbours(reference_counts, counts, N_GROUPS)), distance, p,
    )  # fmt: skip


def _judge_levels(
    reference: ReferenceColumn, counts: Counts, in_buckets: Counts, unseen: Mapping[str, int]
) -> _ColumnTests:
    """Tests of a categorical column, from the counts of its levels and of hash buckets of levels."""
    level_counts = comparable_counts(reference, counts, unseen)
    n_outside, outside_p = new_levels(*level_counts)
    reference_counts = np.asarray(reference.counts, np.int64)
    reference_buckets = np.asarray(reference.buckets, np.int64)
    bins = level_bins(reference_counts, counts, reference.level_buckets, reference_buckets, in_buckets)
    _, p = chi_squared(*bins)
    fraction = n_outside / max(int(level_counts[1].sum()), 1)
    return _ColumnTests(n_outside, fraction, unseen_rate(level_counts[0]), outside_p, psi(*bins), None, p)


def _judge_column(
    columns: Sequence[Feature], index: int, n_before: int, reference: ReferenceColumn, counts: tuple[Counts, Counts],
    histogram: Histogram,
) -> ColumnDrift:  # fmt: skip
    """The verdict on one column; `n_before` is the number of training rows, `counts` those of bins and buckets."""
    column = columns[index]
    unseen = histogram.unseen.get(column.name, {})
    n_missing = int(histogram.n_missing[index])
    n_present = histogram.n_rows - n_missing
    n_beyond = int(histogram.n_below[index] + histogram.n_above[index])
    tests: _ColumnTests | None = None
    reasons: list[Reason] = []

    def is_insignificant(p: float) -> bool:
        return p * len(columns) >= LEVEL

    if n_present and n_before > column.n_missing:
        if column.is_numeric:
            tests = _judge_numbers(column, n_before, reference, counts[0], n_beyond)
        else:
            tests = _judge_levels(reference, *counts, unseen)
    if tests is not None and n_present >= MIN_ROWS:
        if tests.index > LARGE_PSI and not is_insignificant(tests.p):
            reasons.append("distribution")
        if tests.outside - tests.expected > LARGE_OUTSIDE and not is_insignificant(tests.outside_p):
            reasons.append("range" if column.is_numeric else "new levels")
    missing, missing_before = n_missing / max(histogram.n_rows, 1), column.n_missing / n_before
    if histogram.n_rows >= MIN_ROWS and abs(missing - missing_before) > LARGE_MISSING:
        p = min(
            fisher_exact_greater(column.n_missing, n_before, n_missing, histogram.n_rows),
            fisher_exact_greater(n_before - column.n_missing, n_before, histogram.n_rows - n_missing, histogram.n_rows),
        )
        if not is_insignificant(2 * p):
            reasons.append("missing cells")
    has_numbers = column.is_numeric and n_present > 0
    top_unseen = dict(sorted(unseen.items(), key=lambda item: (-item[1], item[0]))[:MAX_UNSEEN])
    reported = tests if n_present >= MIN_ROWS else None
    return ColumnDrift(
        column, histogram.n_rows, n_missing, missing, missing_before,
        tests.n_outside if tests else 0, tests.outside if tests else 0.0,
        float(histogram.low[index]) if has_numbers else None, float(histogram.high[index]) if has_numbers else None,
        top_unseen, reported.index if reported else None, reported.distance if reported else None,
        min(1.0, reported.p * len(columns)) if reported else None, tuple(reasons),
    )  # fmt: skip
