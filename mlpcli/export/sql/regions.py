"""Prediction intervals and prediction sets in SQL.

With several folds, the conformity scores are a common table expression, and each end or set is a subquery over it.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from mlpcli.export.python.standalone.predictor import joined
from mlpcli.export.sql.decode import from_scale, label_value, on_scale
from mlpcli.export.sql.steps import Steps, Vector, literal, number, text, total

Model = Mapping[str, Any]
SCORES = "calibration_scores"


class Regions:
    """The regions of a model in a query; `group` is the expression of a row's group index, NULL for none."""

    def __init__(self, steps: Steps, model: Model, group: str) -> None:
        self._steps, self._target, self._regions, self._group = steps, model["target"], model["regions"], group
        self._n_folds, self._calibration = self._regions["n_folds"], self._regions["calibration"]
        if self._n_folds > 1:
            steps.define(SCORES, ("place", "fold", "score", "n", "needed"), self._rows())

    def _rows(self) -> list[str]:
        """The scores of each target and group: those above a prediction, then those below if they differ."""
        return [
            f"({place}, {fold}, {literal(score)}, {n}, {scores['needed']})"
            for side, start in (("above", 0), ("below", self._n_places))
            for place, scores in enumerate(chain.from_iterable(self._calibration), start=start)
            for fold, own in enumerate(scores[side] or ())
            for score, n in zip(own["scores"], own["counts"], strict=True)
        ]

    @property
    def _n_places(self) -> int:
        return len(self._calibration) * len(self._calibration[0])

    def ends(self, folds: Sequence[Vector], predictions: Vector) -> Vector:
        """Prediction, lower and upper end of each target in turn, from the outputs of each fold's networks."""
        steps, target, regions = self._steps, self._target, self._regions
        n_targets = len(predictions)
        steps.pin(predictions)
        numbers = []
        for outputs in folds:
            numbers.append(on_scale(steps, target, outputs))
            steps.pin(numbers[-1])
        middle = len(numbers[0]) // n_targets // 2 * n_targets  # of three quantiles, the predictions are the medians
        raw = []
        for index in range(n_targets):
            lows = [_least(own[index], own[middle + index]) for own in numbers]
            highs = [_most(own[index - n_targets], own[middle + index]) for own in numbers]
            raw += [
                f"-({self._upper([f'-({low})' for low in lows], index, 'below')})",
                self._upper(highs, index, "above"),
            ]
        ends = from_scale(steps, target, steps.add(raw), steps.infinity)
        shown = []
        for predicted, low, high in zip(predictions, ends[::2], ends[1::2], strict=True):
            low = low if regions["least"] is None else _most(low, literal(regions["least"]))
            nested = [f"({_least(low, predicted)})", f"({_most(high, predicted)})"]
            shown += [predicted, *(nested if regions["holds_answer"] else [low, high])]
        return shown

    def _upper(self, predictions: Sequence[str], index: int, side: str) -> str:
        """The `needed`-th smallest sum of prediction and conformity score over all folds."""
        side = side if self._calibration[0][0][side] is not None else "above"
        if len(predictions) == 1:
            return f"({predictions[0]}) + {self._score(index, side)}"
        sums = (
            f"SELECT needed, n, score + {_of_fold(predictions)} AS reached FROM {SCORES} WHERE {self._at(index, side)}"
        )
        counts = f"SELECT needed, reached, SUM(n) OVER (ORDER BY reached) AS counted FROM ({sums}) AS sums"
        least = f"SELECT MIN(reached) FROM ({counts}) AS counts WHERE counted >= needed"
        return f"COALESCE(({least}), {self._steps.infinity})"

    def _at(self, index: int, side: str, label: int | None = None) -> str:
        first = self._n_places * (side == "below") + len(self._calibration[0]) * index
        return f"place = {first + label}" if label is not None else f"place = {first} + {self._group}"

    def _score(self, index: int, side: str, label: int | None = None) -> str:
        """The score of a row's group if there is only one fold."""
        scores = [(group[side][0]["scores"] or [None])[0] for group in self._calibration[index]]
        texts = [self._steps.infinity if score is None else number(score) for score in scores]
        if label is not None or self._group == "0":
            return texts[label or 0]
        arms = " ".join(f"WHEN {group} THEN {score}" for group, score in enumerate(texts))
        return f"CASE {self._group} {arms} ELSE {self._steps.infinity} END"

    def sets(self, folds: Sequence[Vector], label: Vector) -> list[str]:
        """The set of each target column as a text, from the probabilities of each fold and the predicted labels."""
        target, of_labels, shown = self._target, self._regions["of_labels"], []
        for index, (labels, values) in enumerate(zip(target["labels"], target["values"], strict=True)):
            members = []
            for code, (name, value) in enumerate(zip(labels, values, strict=True)):
                if target["kind"] == "booleans":
                    probabilities = [f"(1e0 - {own[index]})" if code == 0 else own[index] for own in folds]
                else:
                    probabilities = [own[code] for own in folds]
                contains = self._contains(probabilities, index, code if of_labels else None)
                condition = f"{label[index]} = {label_value(value)} OR {contains}"
                members.append(f"(CASE WHEN {condition} THEN {text('|' + joined([name]))} ELSE '' END)")
            shown.append(f"SUBSTR({total(members, '||')}, 2)")
        return shown

    def _contains(self, probabilities: Sequence[str], index: int, label: int | None) -> str:
        """Whether fewer than `needed` calibration rows have a lower score than a label with these probabilities."""
        if len(probabilities) == 1:
            return f"-({probabilities[0]}) <= {self._score(index, 'above', label)}"
        n_better = f"SUM(CASE WHEN score < -{_of_fold(probabilities)} THEN n ELSE 0 END)"
        where = self._at(index, "above", label)
        return f"COALESCE((SELECT {n_better} < MIN(needed) FROM {SCORES} WHERE {where}), 1 = 1)"


def _of_fold(columns: Sequence[str]) -> str:
    arms = " ".join(f"WHEN {fold} THEN {column}" for fold, column in enumerate(columns))
    return f"(CASE fold {arms} END)"


def _least(one: str, other: str) -> str:
    return one if one == other else f"CASE WHEN {one} < {other} THEN {one} ELSE {other} END"


def _most(one: str, other: str) -> str:
    return one if one == other else f"CASE WHEN {one} > {other} THEN {one} ELSE {other} END"
