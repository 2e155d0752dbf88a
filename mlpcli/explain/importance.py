"""Permutation importance: how much worse a score gets when the cells of a column are shuffled among the rows.

Breiman 2001, "Random forests", section 10; of any model and metric as in Fisher, Rudin and Dominici 2019.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.paired import FEWEST_ROWS, Truth
from mlpcli.evaluation.scores import find_metric, gather, measure_of
from mlpcli.evaluation.uncertainty.skewed_means import student_quantile
from mlpcli.watching import tell

Inputs = NDArray[np.floating[Any]]
Answers = NDArray[np.float64]

# Blocks of rows within which cells are shuffled, and the fewest rows of one.
BLOCKS, FEWEST_OF_BLOCK = 20, 6


@dataclass(frozen=True)
class Importance:
    """How much worse the score is without a column, or without several that are shuffled together.

    `loss` is the mean over `repeats` shuffles, in the unit of the metric, positive where the column helps. `reason` is
    why there is no interval; the ends are NaN then.
    """

    columns: tuple[str, ...]
    loss: float
    low: float
    high: float
    repeats: int
    reason: str = ""


@dataclass(frozen=True)
class Judged:
    """What scores are taken of: the model's answers to inputs, the truth of the rows, and the metric."""

    answers: Callable[[Inputs], Answers]
    truth: Truth
    metric: str
    threshold: NDArray[np.float64] | None = None
    confidence: float = 0.95

    def score(self, answers: Answers) -> tuple[float, Answers | None]:
        """The score of answers to all rows, and what each row says of it (n_rows,); None where rows cannot say it."""
        metric, truth = find_metric(self.metric), self.truth
        inputs = gather(truth.task, truth.y, answers, truth.weights, self.threshold)
        is_said_by_rows = self.metric == metric.name and truth.task in metric.pseudo_values
        with np.errstate(all="ignore"):
            whole = float(measure_of(truth.task, self.metric, truth.names)(inputs))
            return whole, metric.pseudo_values[truth.task](inputs) if is_said_by_rows else None


def permutation_importance(
    judged: Judged,
    X: Inputs,
    groups: Mapping[tuple[str, ...], NDArray[np.int64]],
    repeats: int,
    rng: np.random.Generator,
    must_stop: Callable[[], bool] = lambda: False,
) -> list[Importance]:
    """The importance of each group of columns, whose inputs `groups` names, the largest first.

    Every group is shuffled once before any is shuffled again. Where `must_stop` says so, the groups that were not
    shuffled at all are left out. `X` (n_rows, n_inputs) is written to, and is as before at the end.

    A shuffled row takes its cells from another row, so that rows do not vary by themselves. Cells are shuffled within
    blocks of random rows instead, which do, and the interval is that of the mean over the blocks (Student's t).
    """
    before, values = judged.score(judged.answers(X))
    blocks = np.array_split(rng.permutation(len(X)), max(1, min(BLOCKS, len(X) // FEWEST_OF_BLOCK)))
    changes: dict[tuple[str, ...], list[float]] = {columns: [] for columns in groups}
    moved: dict[tuple[str, ...], Answers] = {columns: np.zeros(len(blocks)) for columns in groups}
    for number, (columns, places) in enumerate(chain.from_iterable(repeat(groups.items(), repeats))):
        if must_stop():
            break
        tell("stage", "shuffling", number, repeats * len(groups))
        kept = X[:, places]
        X[:, places] = kept[_shuffled(blocks, judged.truth.weights, rng)]
        try:
            answers = judged.answers(X)
        finally:
            X[:, places] = kept
        after, shuffled = judged.score(answers)
        changes[columns].append(after - before)
        if values is not None and shuffled is not None:
            moved[columns] += [float(np.mean(shuffled[block] - values[block])) for block in blocks]
    sign = -1.0 if find_metric(judged.metric).higher_is_better else 1.0
    found = [
        _importance(columns, sign * np.asarray(own), sign * moved[columns] / len(own), judged, len(X), values is None)
        for columns, own in changes.items()
        if own
    ]
    return sorted(found, key=lambda one: -one.loss)


def _shuffled(
    blocks: Sequence[NDArray[np.int64]], weights: Answers | None, rng: np.random.Generator
) -> NDArray[np.int64]:
    """For each row the row whose cells it takes: another one of its block.

    Without weights it is the next one in a random order. With `weights` (n_rows,) one is drawn as often as its weight
    says, since the cells of a row that counts three times occur three times.
    """
    source = np.empty(sum(map(len, blocks)), np.int64)
    for block in blocks:
        if weights is None or len(block) == 1:
            order = rng.permutation(block)
            source[order] = np.roll(order, 1)
        else:
            source[block] = block[_drawn_others(weights[block], rng)]
    return source


def _drawn_others(weights: Answers, rng: np.random.Generator) -> NDArray[np.int64]:
    """For each of some rows one of the others, drawn by `weights` (n_rows,)."""
    ends = np.cumsum(weights)
    places = rng.random(len(weights)) * (ends[-1] - weights)  # on the line of all weights, a row's own cut out
    places += np.where(places >= ends - weights, weights, 0.0)
    drawn: NDArray[np.int64] = np.minimum(np.searchsorted(ends, places, side="right"), len(weights) - 1)
    return drawn


def _importance(
    columns: tuple[str, ...], losses: Answers, of_blocks: Answers, judged: Judged, n_rows: int, is_unsayable: bool
) -> Importance:
    loss = float(losses.mean())
    reason = ""
    if is_unsayable:
        reason = f"{judged.metric} has no interval here: it is not a mean over rows"
    elif n_rows < FEWEST_ROWS:
        reason = f"too few rows for an interval (n = {n_rows}, needs about {FEWEST_ROWS})"
    elif not np.isfinite(of_blocks).all():
        reason = f"{judged.metric} is not defined for every shuffle"
    if reason:
        return Importance(columns, loss, math.nan, math.nan, len(losses), reason)
    error = float(of_blocks.std(ddof=1)) / math.sqrt(len(of_blocks))
    half = error * student_quantile((1 + judged.confidence) / 2, len(of_blocks) - 1)
    return Importance(columns, loss, loss - half, loss + half, len(losses))
