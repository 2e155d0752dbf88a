"""Prediction intervals and prediction sets as ONNX nodes.

With several folds, the scores are sorted for each row, or compared with its probabilities, so that memory per row is
proportional to the number of scores.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from mlpcli.errors import MlpError
from mlpcli.export.onnx.decode import from_scale, on_scale
from mlpcli.export.onnx.nodes import Nodes
from mlpcli.export.regions import FLOAT_INTEGERS

Scores = Mapping[str, Any]


class Regions:
    """The regions of a model in a graph; `x` are the network inputs followed by those that encode the group."""

    def __init__(self, nodes: Nodes, model: Mapping[str, Any], x: str) -> None:
        self._nodes, self._target, self._regions = nodes, model["target"], model["regions"]
        self._calibration = self._regions["calibration"]
        self._group = "" if self._regions["by"] is None else _group(nodes, self._regions["by"], x)

    def ends(self, folds: Sequence[str], predictions: str) -> str:
        """Each target's prediction, lower and upper end in turn (n_rows, 3 n_targets), from each fold's outputs."""
        nodes, target, regions, columns = self._nodes, self._target, self._regions, list[str]()
        n_targets = len(target["names"])
        quantiles = [0, 1, 2] if regions["has_quantiles"] else [0]
        numbers = [
            [on_scale(nodes, target, nodes.columns(own, quantile * n_targets, n_targets)) for quantile in quantiles]
            for own in folds
        ]
        for index in range(n_targets):
            own = [[nodes.column(quantile, index) for quantile in fold] for fold in numbers]
            lows, highs = (
                [_outer(nodes, operator, one, at) for one in own] for operator, at in (("Min", 0), ("Max", -1))
            )
            negated = [nodes.add("Neg", low) for low in lows]
            side = "above" if self._calibration[index][0]["below"] is None else "below"
            low = nodes.add("Neg", self._by_group(index, partial(self._upper, negated, side), np.inf))
            high = self._by_group(index, partial(self._upper, highs, "above"), np.inf)
            low, high = (from_scale(nodes, target, end) for end in (low, high))
            predicted = nodes.column(predictions, index)
            if regions["least"] is not None:
                low = nodes.add("Max", low, nodes.numbers(regions["least"]))
            if regions["holds_answer"]:
                low, high = nodes.add("Min", low, predicted), nodes.add("Max", high, predicted)
            columns += [predicted, low, high]
        return nodes.add("Concat", *columns, axis=1)

    def _by_group(self, index: int, of_group: Callable[[Scores], str], otherwise: float) -> str:
        """The value of `of_group` for the scores of each row's group (n_rows, 1); `otherwise` without a group."""
        nodes, groups = self._nodes, self._calibration[index]
        if not self._group:
            return of_group(groups[0])
        value = nodes.numbers(otherwise)
        for group, scores in enumerate(groups):
            is_own = nodes.add("Equal", self._group, nodes.const(np.asarray(group)))
            value = nodes.add("Where", is_own, of_group(scores), value)
        return value

    def _upper(self, predictions: Sequence[str], side: str, scores: Scores) -> str:
        """The `needed`-th smallest sum of prediction and conformity score over all folds (n_rows, 1)."""
        nodes, folds = self._nodes, scores[side]
        counts = np.concatenate([np.asarray(fold["counts"], np.float64) for fold in folds])
        if not len(counts):
            return nodes.add("Add", nodes.add("Mul", predictions[0], nodes.numbers(0.0)), nodes.numbers(np.inf))
        pairs = [(own, fold["scores"]) for own, fold in zip(predictions, folds, strict=True) if fold["scores"]]
        sums = [nodes.add("Add", own, nodes.numbers([values])) for own, values in pairs]
        if len(counts) == 1:
            return sums[0]
        ordered, order = nodes.sort(nodes.add("Concat", *sums, axis=1), len(counts))
        counted = nodes.add("CumSum", nodes.add("Gather", nodes.numbers(counts), order), nodes.const(np.asarray(1)))
        is_enough = nodes.add("GreaterOrEqual", counted, nodes.numbers(scores["needed"]))
        first = nodes.add("ArgMax", nodes.add("Cast", is_enough, to=nodes.type_of(np.int64)), axis=1, keepdims=1)
        return nodes.add("GatherElements", ordered, first, axis=1)

    def prediction_set(self, folds: Sequence[str], index: int, label: str) -> str:
        """Whether the set contains each label of a target column (n_rows, n_labels).

        `label` are the indices of the predicted labels (n_rows,).
        """
        nodes, n_labels, columns = self._nodes, len(self._target["labels"][index]), list[str]()
        for code in range(n_labels):
            if self._target["kind"] == "booleans":
                yes = [nodes.column(own, index) for own in folds]
                probabilities = yes if code else [nodes.add("Sub", nodes.numbers(1.0), own) for own in yes]
            else:
                probabilities = [nodes.column(own, code) for own in folds]
            if self._regions["of_labels"]:
                columns.append(self._contains(probabilities, self._calibration[0][code]))
            else:
                columns.append(self._by_group(index, partial(self._contains, probabilities), 1.0))
        predicted = nodes.add("Unsqueeze", label, nodes.const(np.asarray([1])))
        is_predicted = nodes.add("Equal", predicted, nodes.const(np.arange(n_labels)[None]))
        contains = nodes.add("Greater", nodes.add("Concat", *columns, axis=1), nodes.numbers(0.0))
        return nodes.add("Or", contains, is_predicted)

    def _contains(self, probabilities: Sequence[str], scores: Scores) -> str:
        """Whether a set contains a label with these probabilities of the folds, as 1 or 0 (n_rows, 1).

        It does if fewer than `needed` calibration rows have a lower score.
        """
        nodes = self._nodes
        n_better = nodes.add("Mul", probabilities[0], nodes.numbers(0.0))
        for own, fold in zip(probabilities, scores["above"], strict=True):
            if fold["scores"]:
                is_better = nodes.add("Less", nodes.numbers([fold["scores"]]), nodes.add("Neg", own))
                counts = nodes.numbers(np.asarray(fold["counts"])[:, None])
                n_better = nodes.add("Add", n_better, nodes.add("MatMul", nodes.double(is_better), counts))
        return nodes.double(nodes.add("Less", n_better, nodes.numbers(scores["needed"])))


def _outer(nodes: Nodes, operator: str, numbers: Sequence[str], at: int) -> str:
    """The number of a fold; of three quantiles the outer one, made to enclose the median."""
    return numbers[0] if len(numbers) == 1 else nodes.add(operator, numbers[1], numbers[at])


def _group(nodes: Nodes, by: Mapping[str, Any], x: str) -> str:
    """The group index of each row (n_rows, 1); the number of groups for a row without a group."""
    values = np.asarray([[group["value"] for group in by["groups"]]], nodes.dtype)
    pairs = {(group["input"], value) for group, value in zip(by["groups"], values[0].tolist(), strict=True)}
    if len(pairs) < len(by["groups"]) or (nodes.dtype == np.float32 and np.abs(values).max() >= FLOAT_INTEGERS):
        raise MlpError(f"--to onnx: {nodes.dtype} cannot tell the groups of {by['column']['name']} apart.")
    own = nodes.add("Gather", x, nodes.const(np.asarray([group["input"] for group in by["groups"]])), axis=1)
    is_group = nodes.double(nodes.add("Equal", own, nodes.const(values)))
    none = nodes.add("Add", nodes.add("Mul", nodes.column(is_group, 0), nodes.numbers(0.0)), nodes.numbers(1.0))
    return nodes.add("ArgMax", nodes.add("Concat", is_group, none, axis=1), axis=1, keepdims=1)
