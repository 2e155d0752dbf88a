"""What lies around answers: the ends of intervals, and the labels that sets hold."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlpcli.export.python.standalone.answers import on_scale, restored
from mlpcli.export.python.standalone.cells import Vector
from mlpcli.export.python.standalone.network import LARGEST_LOG

Regions = Mapping[str, Any]


def group_of(regions: Regions, x: Vector) -> int | None:
    """The group of a row with these inputs, None where no calibration row has it."""
    if regions["by"] is None:
        return 0
    groups = enumerate(regions["by"]["groups"])
    return next((place for place, group in groups if x[group["input"]] == group["value"]), None)


def ends_of(target: Mapping[str, Any], regions: Regions, folds: Sequence[Vector], answers: Vector, x: Vector) -> Vector:
    """Lower and upper end of each target in turn, from the outputs of each fold's networks."""
    group, n_targets, ends = group_of(regions, x), len(answers), list[float]()
    for index, answer in enumerate(answers):
        low, high = -math.inf, math.inf
        if group is not None:
            scores = regions["calibration"][index][group]
            # One number of each fold, or those of three quantiles, around the middle one.
            own = [[on_scale(target, index, output) for output in outputs[index::n_targets]] for outputs in folds]
            lows, highs = ([outer(one[len(one) // 2], one[at]) for one in own] for outer, at in ((min, 0), (max, -1)))
            below = scores["above"] if scores["below"] is None else scores["below"]
            low = -upper_end([-number for number in lows], below, scores["needed"])
            high = upper_end(highs, scores["above"], scores["needed"])
        if target["transform"] == "log":
            low, high = restored(target, low), restored(target, high) if high <= LARGEST_LOG else math.inf
        if regions["least"] is not None:
            low = max(low, regions["least"])
        ends += [min(low, answer), max(high, answer)] if regions["holds_answer"] else [low, high]
    return ends


def upper_end(answers: Vector, folds: Sequence[Mapping[str, Any]], needed: int) -> float:
    """The least number that so many of answer plus score of the folds do not exceed."""
    pairs = zip(answers, folds, strict=True)
    sums: list[tuple[float, int]] = [
        (answer + score, n) for answer, own in pairs for score, n in zip(own["scores"], own["counts"], strict=True)
    ]
    counted = 0
    for number, n in sorted(sums):
        counted += n
        if counted >= needed:
            return number
    return math.inf


def labels_held(
    target: Mapping[str, Any], regions: Regions, folds: Sequence[Vector], label: Sequence[int], x: Vector
) -> list[list[bool]]:
    """Of each target column which of its labels the set holds, from the probabilities of each fold's networks.

    `label` are the numbers of the answers.
    """
    group, found = group_of(regions, x), list[list[bool]]()
    for index, answer in enumerate(label):
        if target["kind"] == "booleans":
            chances = [[1.0 - shares[index], shares[index]] for shares in folds]
        else:
            chances = [*folds]
        held = []
        for place, own in enumerate(zip(*chances, strict=True)):
            which = place if regions["of_labels"] else group
            is_held = which is None or _is_held(own, regions["calibration"][index][which])
            held.append(is_held or place == answer)
        found.append(held)
    return found


def _is_held(chances: Sequence[float], scores: Mapping[str, Any]) -> bool:
    """Whether fewer than so many truths fit better than a label with these probabilities."""
    folds = zip(chances, scores["above"], strict=True)
    pairs = ((-own, score, n) for own, fold in folds for score, n in zip(fold["scores"], fold["counts"], strict=True))
    needed: int = scores["needed"]
    n_better: int = sum(n for own, score, n in pairs if score < own)
    return n_better < needed
