"""Confidence intervals of scores, or the reason why there is none.

- Proportions (accuracy, recall, precision, and F1 as a function of the Jaccard index F1 / (2 - F1)): Wilson's interval,
  with the effective sample size (sum w)^2 / sum w^2 if rows have weights.
- ROC AUC and average precision: the variance of their influence function (for ROC AUC that of DeLong et al. 1988), on
  the logit scale, with Student's t.
- Median absolute error: BCa bootstrap, see `resampling`.
- All others: Student's t interval of pseudo-values with a correction for skewness.

No interval has its nominal coverage if a few unseen rows can determine the score. So each needs as many rows, errors or
rows of a class as simulation shows to be sufficient (`python -m benchmarks coverage`), and unbounded losses need a tail
that is light enough. A score in [0, 1] with fewer rows gets Wilson's interval over the rows of the rarest class, which
is conservative: no variance of a mean of proportions, or of ROC AUC (Birnbaum & Klose 1957), is larger.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlpcli.evaluation.metrics.averages import Floats, safe_divide
from mlpcli.evaluation.metrics.numbers import NumberInputs
from mlpcli.evaluation.metrics.registry import METRICS, Task
from mlpcli.evaluation.metrics.scores import ENDS, ScoreInputs, find_metric, keys_per_output, metric_names
from mlpcli.evaluation.uncertainty.class_intervals import ClassSample, class_interval
from mlpcli.evaluation.uncertainty.number_intervals import number_interval, select_output
from mlpcli.evaluation.uncertainty.proportions import Interval, no_interval, wilson, wilson_of_f1
from mlpcli.evaluation.uncertainty.resampling import NORMAL, bca, replicates_for, resample

MIN_F1_ROWS = 5  # rows of the class or predicted as it


@dataclass(frozen=True)
class IntervalOptions:
    """Confidence level and number of bootstrap resamples; `replicates` None chooses it by the number of rows."""

    confidence: float = 0.95
    replicates: int | None = None

    @property
    def z(self) -> float:
        """The normal quantile of the upper end."""
        return NORMAL.inv_cdf((1 + self.confidence) / 2)

    def of_folds(self, n_folds: int) -> "IntervalOptions":
        """Options with a raised confidence level, so that intervals of out-of-fold predictions have this level.

        Models that share training rows have correlated errors, so a mean over k folds has a larger variance than one
        over as many independent rows, by the factor 1 + k / (k - 1) for the correlation 1 / k of Nadeau & Bengio 2003
        ("Inference for the Generalization Error"), which is conservative; no unbiased estimate exists (Bengio &
        Grandvalet 2004).
        """
        z = self.z * math.sqrt(1 + n_folds / (n_folds - 1))
        return replace(self, confidence=2 * NORMAL.cdf(z) - 1)


DEFAULT_OPTIONS = IntervalOptions()


def score_intervals(
    task: Task,
    inputs: ScoreInputs,
    names: Sequence[str],
    scores: Mapping[str, float],
    options: IntervalOptions,
    rng: np.random.Generator,
) -> dict[str, Interval]:
    """The interval of each of `scores`, or the reason why there is none; metrics without intervals are left out.

    `names` are the class labels, outputs or boolean columns of the target.
    """
    outputs = {key: index for name in METRICS for index, key in enumerate(keys_per_output(METRICS[name], names))}
    wanted = {key: score for key, score in scores.items() if find_metric(key).has_interval}
    defined = {key: score for key, score in wanted.items() if math.isfinite(score)}
    intervals: dict[str, Interval | None] = {
        key: no_interval(f"{key} itself is not defined for these rows") for key in wanted if key not in defined
    }
    with np.errstate(all="ignore"):
        intervals |= _proportion_intervals(task, inputs, outputs, defined, options.z)
        others = {key: score for key, score in defined.items() if key not in intervals}
        if isinstance(inputs, NumberInputs):
            inputs_of = {key: select_output(inputs, outputs[key]) if key in outputs else inputs for key in others}
            intervals |= {
                key: number_interval(find_metric(key), inputs_of[key], score, options.confidence)
                for key, score in others.items()
            }
        else:
            sample = ClassSample(task, inputs, names)
            for key, score in others.items():
                selected = sample.select_column(outputs[key]) if key in outputs else sample
                intervals[key] = class_interval(selected, find_metric(key), score, options.confidence, options.z)
        resampled = {key: scores[key] for key, interval in intervals.items() if interval is None}
        intervals |= _bootstrapped(inputs, outputs, resampled, options, rng) if resampled else {}
    return {key: interval for key in wanted if (interval := intervals[key]) is not None}


def interval_ends(intervals: Mapping[str, Interval]) -> dict[str, float]:
    """The interval ends by their names in gates, such as `roc_auc.low` and `roc_auc.high`."""
    return {
        key + end: value
        for key, interval in intervals.items()
        for end, value in zip(ENDS, (interval.low, interval.high), strict=True)
    }


def without_end(key: str) -> str:
    """The key of the score of a gate: `roc_auc` for `roc_auc.low`."""
    return next((key.removesuffix(end) for end in ENDS if key.endswith(end)), key)


def gate_names(task: Task, names: Sequence[str], further: Sequence[str] = ()) -> tuple[str, ...]:
    """All valid keys of gates: the scores of a target, those in `further`, and the ends of their intervals."""
    scores = (*metric_names(task, names), *further)
    return (*scores, *(key + end for key in scores if find_metric(key).has_interval for end in ENDS))


def _proportion_intervals(
    task: Task, inputs: ScoreInputs, outputs: Mapping[str, int], scores: Mapping[str, float], z: float
) -> dict[str, Interval]:
    """Wilson's intervals of scores that are proportions; `outputs` has the output index of each key with brackets."""
    intervals = {}
    n_rows = _effective_rows(task, inputs, scores)
    for key, score in scores.items():
        name = find_metric(key).name
        if name in n_rows:
            counts = n_rows[name].ravel()
            n = float(counts[outputs.get(key, 1) if len(counts) > 1 else 0])
            intervals[key] = wilson_of_f1(score, n, z) if name == "f1" else wilson(score, n, z)
            if not n:
                intervals[key] = no_interval(f"no row is {'predicted as' if name == 'precision' else 'of'} the class")
            elif name == "f1" and n < MIN_F1_ROWS:
                intervals[key] = no_interval(
                    f"too few rows of the class, true or predicted (n = {n:.0f}, needs {MIN_F1_ROWS})"
                )
    return intervals


def _effective_rows(task: Task, inputs: ScoreInputs, scores: Iterable[str]) -> dict[str, Floats]:
    """The effective number of rows of each proportion, (sum w)^2 / sum w^2, by metric."""
    weights = inputs.weights
    squared = inputs if weights is None else replace(inputs, weights=weights**2)
    n_rows = {}
    for name in dict.fromkeys(find_metric(key).name for key in scores):
        if task in METRICS[name].denominator:
            weight_of = METRICS[name].denominator[task]
            n_rows[name] = safe_divide(weight_of(inputs) ** 2, weight_of(squared))
    return n_rows


def _bootstrapped(
    inputs: ScoreInputs,
    outputs: Mapping[str, int],
    scores: Mapping[str, float],
    options: IntervalOptions,
    rng: np.random.Generator,
) -> dict[str, Interval]:
    """Bootstrap intervals of regression scores."""
    metrics = {key: find_metric(key) for key in scores}
    measures = {key: metric.overall["regression"] for key, metric in metrics.items() if key not in outputs}
    measures |= {
        f"{metric.name}[]": metric.per_output["regression"] for key, metric in metrics.items() if key in outputs
    }
    n_replicates = options.replicates or replicates_for(len(inputs.rows.y))
    resampled = resample(inputs, measures, n_replicates, rng)
    intervals = {}
    for key, metric in metrics.items():
        replicates, left_out = (
            of[f"{metric.name}[]"][:, outputs[key]] if key in outputs else of[key]
            for of in (resampled.replicates, resampled.left_out)
        )
        low, high = bca(scores[key], replicates, left_out, options.z)
        intervals[key] = Interval(low, high) if low < high else no_interval("all resamples have the same score")
    return intervals
