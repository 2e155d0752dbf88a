"""Scores with confidence intervals, and gates on scores and interval ends."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.targets.target import ClassTarget, NumberTarget, Target, prediction_names
from mlpcli.evaluation.conformal.metrics import (
    RowScores,
    rows_of_boolean_sets,
    rows_of_class_sets,
    rows_of_ends,
    rows_of_quantile,
)
from mlpcli.evaluation.gates import Gate, GateResult, evaluate_gates, is_always_met
from mlpcli.evaluation.metrics.scores import ENDS, find_metric, score_inputs
from mlpcli.evaluation.uncertainty.intervals import (
    DEFAULT_OPTIONS,
    IntervalOptions,
    interval_ends,
    score_intervals,
    without_end,
)
from mlpcli.evaluation.uncertainty.proportions import Interval
from mlpcli.evaluation.undefined_scores import undefined_reason
from mlpcli.training.seeding import rng_of
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.predicting.intervals import PredictionRegions
from mlpcli.workflows.scoring.scores import score_predictions

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """Scores, and the confidence intervals of some or all of them."""

    scores: dict[str, float]
    intervals: dict[str, Interval]
    undefined: dict[str, str] = field(default_factory=dict)  # reasons by key

    @property
    def gate_values(self) -> dict[str, float]:
        """The values that gates may check: scores and interval ends (`roc_auc.low`)."""
        return self.scores | interval_ends(self.intervals)

    def without_interval(self, per_output: bool = False) -> dict[str, list[str]]:
        """Defined scores without an interval, by reason: overall, or with `per_output` those of classes and targets."""
        by_reason: dict[str, list[str]] = {}
        for key, interval in self.intervals.items():
            if interval.reason and ("[" in key) == per_output and math.isfinite(self.scores[key]):
                by_reason.setdefault(interval.reason, []).append(key)
        return by_reason

    def check_gates(self, gates: Iterable[Gate], where: str = "") -> list[GateResult]:
        """One result per gate; a gate on the end of a missing interval fails with the reason."""
        reasons = {key + end: interval.reason for key, interval in self.intervals.items() for end in ENDS}
        return evaluate_gates(gates, self.gate_values, where, self.undefined | reasons)


def notes_on_undefined(gate_results: Iterable[GateResult]) -> list[str]:
    """Notes on gates that fail because a score is not defined or has no interval."""
    return [
        f"gate {result.name}: {'' if is_score else 'there is no interval: '}{result.reason}."
        for result in gate_results
        if result.reason
        for is_score in [without_end(result.gate.metric) == result.gate.metric]
    ]


def reasons_undefined(
    target: Target, truth: NDArray[Any], weights: Values | None, scores: Mapping[str, float]
) -> dict[str, str]:
    """The reason for each undefined score, given the targets: `roc_auc is not defined: no row is of class b`."""
    undefined = [key for key, score in scores.items() if math.isnan(score)]
    if not undefined:
        return {}
    reason = (
        "a single row" if len(truth) == 1 else undefined_reason(target.task, truth, prediction_names(target), weights)
    )
    return {key: f"{key} is not defined on these rows{': ' if reason else ''}{reason}" for key in undefined}


def notes_on_bounds(gates: Iterable[Gate]) -> list[str]:
    """Notes on gates that every model meets, and on those with a bound on the wrong side."""
    gates = list(gates)
    always = [f"gate {gate.text}: every model meets it." for gate in gates if is_always_met(gate)]
    return always + [
        f"gate {gate.text}: {'less' if gate.is_minimum else 'more'} is better, so bad scores pass. "
        f"Did you mean {'--max / expect.max' if gate.is_minimum else '--min / expect.min'}?"
        for gate in gates
        if find_metric(without_end(gate.metric)).higher_is_better != gate.is_minimum and not is_always_met(gate)
    ]


@dataclass(frozen=True)
class LabeledPredictions:
    """Predictions for rows with known targets; `truth`, `weights` and `threshold` as for `score_predictions`.

    `regions` are their prediction intervals or sets; `quantile` is the one that the model predicts, None for the mean.
    """

    target: Target
    truth: NDArray[Any]
    predictions: Values
    weights: Values | None
    threshold: Values | None
    regions: PredictionRegions | None = None
    quantile: float | None = None

    def score(self, interval_options: IntervalOptions, keys: Iterable[str] | None = None, seed: int = 0) -> Scored:
        """Every score, and the confidence intervals of those in `keys`, by default of all."""
        target = self.target
        scores = score_predictions(target, self.truth, self.predictions, self.weights, self.threshold)
        names, further = prediction_names(target), self._further()
        wanted = scores if keys is None else {key: scores[key] for key in keys if key in scores}
        inputs = score_inputs(target.task, self.truth, self.predictions, self.weights, self.threshold)
        with blas_threads(1):  # resampling products are small, and one thread is reproducible on every machine
            rng = rng_of(seed, "bootstrap")
            intervals = score_intervals(target.task, inputs, names, wanted, interval_options, rng)
        undefined = reasons_undefined(target, self.truth, self.weights, scores)
        for row_scores in further:
            scores |= row_scores.scores
            further_intervals = row_scores.intervals(interval_options.confidence, interval_options.z)
            intervals |= {key: ends for key, ends in further_intervals.items() if keys is None or key in keys}
        return Scored(scores, intervals, undefined)

    @property
    def further_scores(self) -> dict[str, float]:
        """Scores of prediction intervals, sets and quantiles."""
        return {key: score for row_scores in self._further() for key, score in row_scores.scores.items()}

    def _further(self) -> list[RowScores]:
        """The row scores of prediction intervals, sets and quantiles."""
        target, regions, names = self.target, self.regions, prediction_names(self.target)
        row_scores = []
        if regions is not None and regions.low is not None and regions.high is not None:
            row_scores.append(rows_of_ends(self.truth, regions.low, regions.high, regions.level, names))
        elif regions is not None and regions.holds is not None:
            set_scores = rows_of_class_sets if isinstance(target, ClassTarget) else rows_of_boolean_sets
            row_scores.append(set_scores(self.truth, regions.holds, names))
        if self.quantile is not None and isinstance(target, NumberTarget):
            row_scores.append(rows_of_quantile(self.truth, self.predictions, self.quantile, names, self.weights))
        return row_scores

    def only(self, rows: NDArray[np.bool_]) -> "LabeledPredictions":
        """The predictions of a subset of rows."""
        weights = None if self.weights is None else self.weights[rows]
        regions = None if self.regions is None else self.regions.only(rows)
        return replace(
            self, truth=self.truth[rows], predictions=self.predictions[rows], weights=weights, regions=regions
        )

    def check_gates(
        self, gates: Sequence[Gate], seed: int, interval_options: IntervalOptions = DEFAULT_OPTIONS
    ) -> list[GateResult]:
        """The results of gates on these rows, with the intervals that they need."""
        return self.score(interval_options, [without_end(gate.metric) for gate in gates], seed).check_gates(gates)
