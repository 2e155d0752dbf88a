"""Two predictions of the same rows: the difference of a score, how sure it is, and the exact test of McNemar.

The rows are resampled in pairs, so what makes a row hard for both predictions does not blur the difference.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.averages import Bools, Floats
from mlpcli.evaluation.metrics import Task
from mlpcli.evaluation.resampling import draw_counts
from mlpcli.evaluation.scores import find_metric, gather, measure_of, score

N_RESAMPLES = 2000
# Resamples of fewer rows say nothing of rows that were not seen: of a single one, all are alike.
FEWEST_ROWS = 30


@dataclass(frozen=True)
class Truth:
    """What both predictions are judged by: `y` and `names` as in `evaluation.scores`, `weights` (n_rows,) or None."""

    task: Task
    y: NDArray[Any]
    names: Sequence[str]
    weights: Floats | None = None


@dataclass(frozen=True)
class Prediction:
    """Answers (n_rows, n_classes or n_targets), and the threshold that makes classes or yes of them."""

    answers: Floats
    threshold: Floats | None = None


@dataclass(frozen=True)
class McNemar:
    """Rows that one prediction alone has right, and how likely so uneven a share is where both are as good."""

    only_old: int
    only_new: int
    p: float


@dataclass(frozen=True)
class Difference:
    """One score of both, `new - old` with its interval, and what that says of the new one.

    `mcnemar` is there for accuracy, and has to agree before that counts as better or worse.
    """

    metric: str
    old: float
    new: float
    low: float
    high: float
    verdict: Literal["better", "worse", "undecided"]
    mcnemar: McNemar | None = None

    @property
    def difference(self) -> float:
        """`new - old`, in the unit of the metric."""
        return self.new - self.old


def compare_scores(
    truth: Truth, old: Prediction, new: Prediction, metrics: Sequence[str], confidence: float, margin: dict[str, float]
) -> list[Difference]:
    """The difference of each score, with the percentile interval of a paired bootstrap of seed 0.

    The new prediction is worse (better) in a metric if the whole interval is, by more than the metric's `margin`. A
    metric that cannot decide has no interval, and no verdict.
    """
    samples = _resampled_differences(truth, old, new, [metric for metric in metrics if can_decide(metric)])
    compared = []
    for metric in metrics:
        before, after = (_score(truth, metric, one, truth.weights) for one in (old, new))
        low, high = _interval(samples[metric], confidence) if metric in samples else (math.nan, math.nan)
        if math.isnan(after - before):
            low = high = math.nan
        test = None
        if metric in ("accuracy", "subset_accuracy") and truth.weights is None:
            test = mcnemar(_is_right(truth, old), _is_right(truth, new))
        is_gain, bound = find_metric(metric).higher_is_better, margin.get(metric, 0.0)
        worst, best = (low, high) if is_gain else (-high, -low)
        verdict: Literal["better", "worse", "undecided"] = "undecided"
        if len(truth.y) >= FEWEST_ROWS and (test is None or test.p < 1.0 - confidence):
            verdict = "worse" if best < -bound else "better" if worst > bound else "undecided"
        compared.append(Difference(metric, before, after, low, high, verdict, test))
    return compared


def can_decide(metric: str) -> bool:
    """Whether resampled rows tell a difference of the metric from chance.

    The largest error is that of one row: a resample has that row or not, and the difference is what it is or of another
    row. The calibration error is an absolute difference, which chance alone keeps above 0, the more so in a resample.
    """
    return find_metric(metric).has_interval


def mcnemar(old_is_right: Bools, new_is_right: Bools) -> McNemar:
    """The exact two-sided test: of rows that one alone has right, each is either's by the toss of a coin."""
    only_old = int(np.count_nonzero(old_is_right & ~new_is_right))
    only_new = int(np.count_nonzero(new_is_right & ~old_is_right))
    n, fewer = only_old + only_new, min(only_old, only_new)
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(fewer + 1)]
    tail = sum(math.exp(log - n * math.log(2.0)) for log in logs)
    return McNemar(only_old, only_new, min(1.0, 2.0 * tail))


def _resampled_differences(truth: Truth, old: Prediction, new: Prediction, metrics: Sequence[str]) -> dict[str, Floats]:
    """`new - old` of each metric in every resample, (N_RESAMPLES,); NaN where a resample does not define it."""
    rng = np.random.default_rng(0)
    found: dict[str, list[Floats]] = {metric: [] for metric in metrics}
    evidences = [gather(truth.task, truth.y, one.answers, truth.weights, one.threshold) for one in (old, new)]
    measures = {metric: measure_of(truth.task, metric, truth.names) for metric in metrics}
    for counts in draw_counts(len(truth.y), N_RESAMPLES, rng):
        weights = counts if truth.weights is None else counts * truth.weights
        resampled = [replace(evidence, weights=weights) for evidence in evidences]
        for metric, measure in measures.items():
            with np.errstate(all="ignore"):
                before, after = (measure(evidence) for evidence in resampled)
                found[metric].append(np.broadcast_to(after - before, len(counts)))
    return {metric: np.concatenate(blocks) for metric, blocks in found.items()}


def _interval(differences: Floats, confidence: float) -> tuple[float, float]:
    known = differences[np.isfinite(differences)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.quantile(known, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0]).tolist()
    return low, high


def _score(truth: Truth, metric: str, prediction: Prediction, weights: Floats | None) -> float:
    return score(truth.task, metric, truth.y, prediction.answers, truth.names, weights, prediction.threshold)


def _is_right(truth: Truth, prediction: Prediction) -> Bools:
    evidence: Any = gather(truth.task, truth.y, prediction.answers, None, prediction.threshold)
    right: Bools = evidence.rows.is_right.reshape(len(truth.y), -1).all(axis=1)
    return right
