"""How sure a score is: confidence intervals, analytic where one is standard, else by resampling the rows.

- A share of rows (accuracy, recall, precision, and F1 by way of F1 / (2 - F1), which is one): Wilson 1927; for F1 Lam,
  Gopal & Qian 2023. Rows with weights count as (sum w)^2 / sum w^2 rows (Kish 1965).
- ROC AUC of two classes or of one yes/no column: DeLong et al. 1988, on the logit scale.
- Everything else: BCa bootstrap, see `resampling`.

Where the score is the least or the largest there is (0 or 1; 2 for the Brier score of more than two classes) and so is
every resample, these know nothing of what lies between; then Wilson's interval over the rows of the rarest class stands
in. NaN is an end that is not defined: of fewer than two rows, or of a score that is not defined itself.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlpcli.evaluation.averages import Bools, Floats, quotient
from mlpcli.evaluation.classes import ClassEvidence
from mlpcli.evaluation.metrics import METRICS, Metric, Task
from mlpcli.evaluation.numbers import NumberEvidence
from mlpcli.evaluation.ranking import RankedColumn
from mlpcli.evaluation.resampling import FEWEST_REPLICATES, NORMAL, bca, replicates_for, resample
from mlpcli.evaluation.scores import ENDS, Evidence, find_metric, keys_of_parts, metric_names

RANKING = frozenset({"roc_auc", "average_precision"})  # the resampled ones that must rank the rows
MOST_RANKED = 500_000  # probabilities, beyond which these have an interval only if replicates are asked for
SAME = 1e-12  # relative spread of numbers that differ by rounding alone


@dataclass(frozen=True)
class Interval:
    """Between which values the score lies for all rows of this kind, as far as the rows at hand can tell."""

    low: float
    high: float


UNKNOWN = Interval(math.nan, math.nan)


@dataclass(frozen=True)
class Certainty:
    """How sure intervals are to hold the score; `replicates` is None for as many as are quick."""

    confidence: float = 0.95
    replicates: int | None = None

    @property
    def z(self) -> float:
        """The quantile of the normal distribution at the upper end."""
        return NORMAL.inv_cdf((1 + self.confidence) / 2)


USUAL = Certainty()


def score_intervals(
    task: Task,
    evidence: Evidence,
    names: Sequence[str],
    scores: Mapping[str, float],
    certainty: Certainty,
    rng: np.random.Generator,
) -> dict[str, Interval]:
    """The interval of each of `scores`, which are those of the evidence; a metric may have none.

    `names` are the class labels, outputs or yes/no columns of the target.
    """
    found = {key: UNKNOWN for key in scores if find_metric(key).has_interval}
    defined = {key: scores[key] for key in found if math.isfinite(scores[key])}
    parts = {key: place for name in METRICS for place, key in enumerate(keys_of_parts(METRICS[name], names))}
    with np.errstate(all="ignore"):
        analytic = _analytic(task, evidence, parts, defined, certainty.z)
        others = {key: score for key, score in defined.items() if key not in analytic}
        found |= analytic
        if not isinstance(evidence, NumberEvidence):
            shape = evidence.rows.probabilities.shape
            others = {key: score for key, score in others.items() if not _is_slow_to_rank(key, certainty, shape)}
        if others and len(evidence.rows.y) > 1:
            found |= _bootstrapped(task, evidence, parts, others, certainty, rng)
    return found


def interval_ends(intervals: Mapping[str, Interval]) -> dict[str, float]:
    """The ends by name, `roc_auc.low` and `roc_auc.high`, as gates call them."""
    return {
        key + end: value
        for key, interval in intervals.items()
        for end, value in zip(ENDS, (interval.low, interval.high), strict=True)
    }


def why_unknown(key: str, score: float, certainty: Certainty, shape: tuple[int, ...]) -> str:
    """Why a score of answers of this shape (n_rows, K) has no interval, a clause without a full stop."""
    if not math.isfinite(score):
        return f"{key} itself is not defined for these rows"
    if _is_slow_to_rank(key, certainty, shape):
        return f"of so many rows it takes long, and is made where it is asked for: --replicates {FEWEST_REPLICATES}"
    return "these rows do not tell how sure it is"


def without_end(key: str) -> str:
    """The score that a gate is about: `roc_auc` of `roc_auc.low`."""
    return next((key.removesuffix(end) for end in ENDS if key.endswith(end)), key)


def gate_names(task: Task, names: Sequence[str]) -> tuple[str, ...]:
    """All that a gate may be about: the scores of a target, and the ends of their intervals."""
    scores = metric_names(task, names)
    return (*scores, *(key + end for key in scores if find_metric(key).has_interval for end in ENDS))


def wilson(share: float, n_rows: float, z: float) -> Interval:
    """Wilson's score interval of a share of `n_rows`; of no rows all of [0, 1]."""
    center, radius = share * n_rows + z**2 / 2, z * math.sqrt(n_rows * share * (1 - share) + z**2 / 4)
    low, high = ((center + side) / (n_rows + z**2) for side in (-radius, radius))
    return Interval(max(0.0, min(low, share)), min(1.0, max(high, share)))


def delong(auc: float, column: RankedColumn, weights: Floats | None, z: float) -> Interval:
    """The interval of a ROC AUC; at 0 or 1, where its variance vanishes, Wilson's over the rows of the rarer kind."""
    if auc in (0.0, 1.0):
        return wilson(auc, min(_effective_rows(weights, of) for of in (column.is_positive, ~column.is_positive)), z)
    deviation = math.sqrt(column.auc_variance(weights))
    if not deviation > 0.0:
        return UNKNOWN
    center, radius = math.log(auc / (1 - auc)), z * deviation / (auc * (1 - auc))
    low, high = (0.5 + 0.5 * math.tanh((center + side) / 2) for side in (-radius, radius))
    return Interval(low, high)


def _analytic(
    task: Task, evidence: Evidence, parts: Mapping[str, int], scores: Mapping[str, float], z: float
) -> dict[str, Interval]:
    """The intervals of the scores that have a standard one; `parts` numbers the keys with brackets."""
    found = {}
    n_rows = _rows_of_shares(task, evidence, scores)
    for key, score in scores.items():
        metric = find_metric(key)
        if metric.name == "roc_auc" and not isinstance(evidence, NumberEvidence):
            ranked = evidence.rows.ranked
            if key in parts or len(ranked) == 1:
                found[key] = delong(score, ranked[parts.get(key, 0)], evidence.weights, z)
        elif metric.name in n_rows:
            of_parts = n_rows[metric.name].ravel()
            n = float(of_parts[parts.get(key, 1) if len(of_parts) > 1 else 0])
            found[key] = _wilson_of_f1(score, n, z) if metric.name == "f1" else wilson(score, n, z)
    return found


def _rows_of_shares(task: Task, evidence: Evidence, scores: Iterable[str]) -> dict[str, Floats]:
    """By metric, over how many rows each of its shares is taken: (sum w)^2 / sum w^2."""
    weights = evidence.weights
    squared = evidence if weights is None else replace(evidence, weights=weights**2)
    found = {}
    for name in dict.fromkeys(find_metric(key).name for key in scores):
        if task in METRICS[name].share_of:
            weight_of = METRICS[name].share_of[task]
            found[name] = quotient(weight_of(evidence) ** 2, weight_of(squared))
    return found


def _wilson_of_f1(score: float, n_rows: float, z: float) -> Interval:
    ends = wilson(score / (2 - score), n_rows, z)
    return Interval(2 * ends.low / (1 + ends.low), 2 * ends.high / (1 + ends.high))


def _is_slow_to_rank(key: str, certainty: Certainty, shape: tuple[int, ...]) -> bool:
    """Whether a score ranks so many probabilities (n_rows, K) that its resamples must be asked for."""
    return key in RANKING and certainty.replicates is None and math.prod(shape) > MOST_RANKED


def _bootstrapped(
    task: Task,
    evidence: Evidence,
    parts: Mapping[str, int],
    scores: Mapping[str, float],
    certainty: Certainty,
    rng: np.random.Generator,
) -> dict[str, Interval]:
    metrics = {key: find_metric(key) for key in scores}
    measures = {key: metric.together[task] for key, metric in metrics.items() if key not in parts}
    measures |= {f"{metric.name}[]": metric.each[task] for key, metric in metrics.items() if key in parts}
    n_ranked = 0 if isinstance(evidence, NumberEvidence) or RANKING.isdisjoint(scores) else len(evidence.rows.ranked)
    n_replicates = certainty.replicates or replicates_for(len(evidence.rows.y), n_ranked)
    resampled = resample(evidence, measures, n_replicates, rng)
    found = {}
    for key, metric in metrics.items():
        replicates, left_out = (
            of[f"{metric.name}[]"][:, parts[key]] if key in parts else of[key]
            for of in (resampled.replicates, resampled.left_out)
        )
        score = scores[key]
        spread = np.abs(replicates[np.isfinite(replicates)] - score)
        is_varied = bool((spread > SAME * abs(score)).any())
        found[key] = (
            Interval(*bca(score, replicates, left_out, certainty.z))
            if is_varied
            else _without_spread(evidence, metric, score, certainty.z)
        )
    return found


def _without_spread(evidence: Evidence, metric: Metric, score: float, z: float) -> Interval:
    """The interval of a score that every resample has too."""
    if isinstance(evidence, NumberEvidence):
        return Interval(score, score)
    is_class = evidence.rows.is_class if isinstance(evidence, ClassEvidence) else evidence.rows.y
    # Squared errors that are summed over classes come to 2 where all are sure and wrong.
    largest = 2 if metric.name == "brier" and is_class.shape[1] > 1 and isinstance(evidence, ClassEvidence) else 1
    near = round(score)
    if metric.name == "log_loss" or abs(score - near) > SAME or near not in (0, largest):
        return UNKNOWN
    if metric.name == "mcc" and near < 1:
        return UNKNOWN
    counts = [_effective_rows(evidence.weights, of) for column in is_class.T for of in (column, ~column)]
    of_share = wilson(near / largest, min((n for n in counts if n > 0), default=0.0), z)
    return Interval(largest * of_share.low, largest * of_share.high)


def _effective_rows(weights: Floats | None, mask: Bools) -> float:
    """What the marked rows count as: (sum w)^2 / sum w^2."""
    chosen = mask.astype(np.float64) if weights is None else weights * mask
    return float(quotient(chosen.sum() ** 2, chosen @ chosen))
