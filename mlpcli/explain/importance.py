"""Permutation importance: how much worse a score gets if the cells of a column are shuffled among the rows.

Breiman 2001, "Random forests", section 10; for any model and metric as in Fisher, Rudin and Dominici 2019.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.metrics.scores import find_metric, metric_function, score_inputs
from mlpcli.evaluation.uncertainty.paired import MIN_ROWS, Truth
from mlpcli.evaluation.uncertainty.skewed_means import student_quantile
from mlpcli.progress import report_progress

Inputs = NDArray[np.floating[Any]]
Values = NDArray[np.float64]

# Number of blocks of rows within which cells are shuffled, and the fewest rows of a block.
BLOCKS, MIN_BLOCK_ROWS = 20, 6


@dataclass(frozen=True)
class Importance:
    """How much worse the score is with a column shuffled, or several columns together.

    `loss` is the mean over `repeats` shuffles in the unit of the metric, positive if the column helps. If there is no
    interval, `reason` says why, and `low` and `high` are NaN.
    """

    columns: tuple[str, ...]
    loss: float
    low: float
    high: float
    repeats: int
    reason: str = ""


@dataclass(frozen=True)
class Scorer:
    """Scores predictions: the model as a function of inputs, the true values, and the metric."""

    predict: Callable[[Inputs], Values]
    truth: Truth
    metric: str
    threshold: NDArray[np.float64] | None = None
    confidence: float = 0.95

    def score(self, predictions: Values) -> tuple[float, Values | None]:
        """The score of predictions, and its pseudo-values (n_rows,); None if the metric has none."""
        metric, truth = find_metric(self.metric), self.truth
        inputs = score_inputs(truth.task, truth.y, predictions, truth.weights, self.threshold)
        has_pseudo_values = self.metric == metric.name and truth.task in metric.pseudo_values
        with np.errstate(all="ignore"):
            value = float(metric_function(truth.task, self.metric, truth.names)(inputs))
            return value, metric.pseudo_values[truth.task](inputs) if has_pseudo_values else None


def permutation_importance(
    scorer: Scorer,
    X: Inputs,
    groups: Mapping[tuple[str, ...], NDArray[np.int64]],
    repeats: int,
    rng: np.random.Generator,
    must_stop: Callable[[], bool] = lambda: False,
) -> list[Importance]:
    """The importance of each group of columns, the largest first; `groups` has the input indices of each group.

    Every group is shuffled once before any is shuffled again. After `must_stop` returns true, groups not yet shuffled
    are left out. `X` (n_rows, n_inputs) is modified and restored.

    A shuffled row takes its cells from another row, so rows are not independent. Cells are therefore shuffled within
    blocks of random rows, which are independent, and the interval is Student's for the mean over blocks.
    """
    baseline, baseline_values = scorer.score(scorer.predict(X))
    blocks = np.array_split(rng.permutation(len(X)), max(1, min(BLOCKS, len(X) // MIN_BLOCK_ROWS)))
    changes: dict[tuple[str, ...], list[float]] = {columns: [] for columns in groups}
    block_changes: dict[tuple[str, ...], Values] = {columns: np.zeros(len(blocks)) for columns in groups}
    for number, (columns, indices) in enumerate(chain.from_iterable(repeat(groups.items(), repeats))):
        if must_stop():
            break
        report_progress("stage", "shuffling", number, repeats * len(groups))
        original = X[:, indices]
        X[:, indices] = original[_shuffled(blocks, scorer.truth.weights, rng)]
        try:
            predictions = scorer.predict(X)
        finally:
            X[:, indices] = original
        shuffled, shuffled_values = scorer.score(predictions)
        changes[columns].append(shuffled - baseline)
        if baseline_values is not None and shuffled_values is not None:
            block_changes[columns] += [
                float(np.mean(shuffled_values[block] - baseline_values[block])) for block in blocks
            ]
    sign = -1.0 if find_metric(scorer.metric).higher_is_better else 1.0
    importances = [
        _importance(
            columns,
            sign * np.asarray(losses),
            sign * block_changes[columns] / len(losses),
            scorer,
            len(X),
            baseline_values is None,
        )
        for columns, losses in changes.items()
        if losses
    ]
    return sorted(importances, key=lambda importance: -importance.loss)


def _shuffled(
    blocks: Sequence[NDArray[np.int64]], weights: Values | None, rng: np.random.Generator
) -> NDArray[np.int64]:
    """For each row the row whose cells it takes: another row of its block.

    Without weights it is the next one in a random order. With `weights` (n_rows,) it is drawn in proportion to them.
    """
    source = np.empty(sum(map(len, blocks)), np.int64)
    for block in blocks:
        if weights is None or len(block) == 1:
            order = rng.permutation(block)
            source[order] = np.roll(order, 1)
        else:
            source[block] = block[_drawn_others(weights[block], rng)]
    return source


def _drawn_others(weights: Values, rng: np.random.Generator) -> NDArray[np.int64]:
    """For each row another one, drawn in proportion to `weights` (n_rows,)."""
    ends = np.cumsum(weights)
    positions = rng.random(len(weights)) * (
        ends[-1] - weights
    )  # in the cumulative weights without the weight of the row
    positions += np.where(positions >= ends - weights, weights, 0.0)
    drawn: NDArray[np.int64] = np.minimum(np.searchsorted(ends, positions, side="right"), len(weights) - 1)
    return drawn


def _importance(
    columns: tuple[str, ...], losses: Values, block_losses: Values, scorer: Scorer, n_rows: int, has_no_interval: bool
) -> Importance:
    loss = float(losses.mean())
    reason = ""
    if has_no_interval:
        reason = f"{scorer.metric} has no interval here: it is not a mean over rows"
    elif n_rows < MIN_ROWS:
        reason = f"too few rows for an interval (n = {n_rows}, needs about {MIN_ROWS})"
    elif not np.isfinite(block_losses).all():
        reason = f"{scorer.metric} is not defined for every shuffle"
    if reason:
        return Importance(columns, loss, math.nan, math.nan, len(losses), reason)
    error = float(block_losses.std(ddof=1)) / math.sqrt(len(block_losses))
    half_width = error * student_quantile((1 + scorer.confidence) / 2, len(block_losses) - 1)
    return Importance(columns, loss, loss - half_width, loss + half_width, len(losses))
