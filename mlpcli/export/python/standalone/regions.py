"""Prediction intervals and prediction sets."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlpcli.export.python.standalone.cells import Vector
from mlpcli.export.python.standalone.decode import on_scale, restored
from mlpcli.export.python.standalone.network import LARGEST_LOG

Regions = Mapping[str, Any]


def group_of(regions: Regions, x: Vector) -> int | None:
    """The index of a row's calibration group, None for a group without calibration rows."""
    if regions["by"] is None:
        return 0
    groups = enumerate(regions["by"]["groups"])
    return next((index for index, group in groups if x[group["input"]] == group["value"]), None)


def interval_ends(
    target: Mapping[str, Any], regions: Regions, folds: Sequence[Vector], predictions: Vector, x: Vector
) -> Vector:
    """The lower and upper end of each target's interval in turn, from the outputs of each fold's networks."""
    group, n_targets, ends = group_of(regions, x), len(predictions), list[float]()
    for index, prediction in enumerate(predictions):
        low, high = -math.inf, math.inf
        if group is not None:
            scores = regions["calibration"][index][group]
            # One number per fold, or the three quantiles, of which the median is in the middle.
            own = [[on_scale(target, index, output) for output in outputs[index::n_targets]] for outputs in folds]
            lows, highs = ([outer(ys[len(ys) // 2], ys[at]) for ys in own] for outer, at in ((min, 0), (max, -1)))
            below = scores["above"] if scores["below"] is None else scores["below"]
            low = -upper_end([-number for number in lows], below, scores["needed"])
            high = upper_end(highs, scores["above"], scores["needed"])
        if target["transform"] == "log":
            low, high = restored(target, low), restored(target, high) if high <= LARGEST_LOG else math.inf
        if regions["least"] is not None:
            low = max(low, regions["least"])
        ends += [min(low, prediction), max(high, prediction)] if regions["holds_answer"] else [low, high]
    return ends


def upper_end(predictions: Vector, folds: Sequence[Mapping[str, Any]], needed: int) -> float:
    """The `needed`-th smallest sum of prediction and conformity score over all folds; infinite if there are fewer."""
    pairs = zip(predictions, folds, strict=True)
    sums: list[tuple[float, int]] = [
        (predicted + score, n)
        for predicted, own in pairs
        for score, n in zip(own["scores"], own["counts"], strict=True)
    ]
    counted = 0
    for number, n in sorted(sums):
        counted += n
        if counted >= needed:
            return number
    return math.inf


def prediction_sets(
    target: Mapping[str, Any], regions: Regions, folds: Sequence[Vector], label: Sequence[int], x: Vector
) -> list[list[bool]]:
    """For each target column, whether its set contains each label, from the probabilities of each fold's networks.

    `label` are the indices of the predicted labels.
    """
    group, sets = group_of(regions, x), list[list[bool]]()
    for index, predicted in enumerate(label):
        if target["kind"] == "booleans":
            by_fold = [[1.0 - probabilities[index], probabilities[index]] for probabilities in folds]
        else:
            by_fold = [*folds]
        contains = []
        for code, own in enumerate(zip(*by_fold, strict=True)):
            which = code if regions["of_labels"] else group
            contains.append(code == predicted or which is None or _contains(own, regions["calibration"][index][which]))
        sets.append(contains)
    return sets


def _contains(probabilities: Sequence[float], scores: Mapping[str, Any]) -> bool:
    """Whether fewer than `needed` calibration rows have a lower score than a label, given its probability per fold."""
    folds = zip(probabilities, scores["above"], strict=True)
    pairs = ((-own, score, n) for own, fold in folds for score, n in zip(fold["scores"], fold["counts"], strict=True))
    needed: int = scores["needed"]
    n_better: int = sum(n for own, score, n in pairs if score < own)
    return n_better < needed
