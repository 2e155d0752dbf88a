"""What lies around answers, as nodes of ONNX: the ends of intervals, and the labels that sets hold.

The scores of several folds are sorted anew for each row, or compared with its probabilities: a row takes as many
numbers of memory as there are scores.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from mlpcli.errors import MlpError
from mlpcli.export.onnx.answers import from_scale, on_scale
from mlpcli.export.onnx.nodes import Nodes

Scores = Mapping[str, Any]


class Regions:
    """The regions of a model in a graph; `x` are all inputs, those of the networks and those that tell the group."""

    def __init__(self, nodes: Nodes, model: Mapping[str, Any], x: str) -> None:
        self._nodes, self._target, self._regions = nodes, model["target"], model["regions"]
        self._calibration = self._regions["calibration"]
        self._group = "" if self._regions["by"] is None else _group(nodes, self._regions["by"], x)

    def ends(self, folds: Sequence[str], found: str) -> str:
        """Answer, lower and upper end of each target in turn (n_rows, 3 n_targets), from the outputs of each fold."""
        nodes, target, regions, columns = self._nodes, self._target, self._regions, list[str]()
        n_targets = len(target["names"])
        parts = [0, 1, 2] if regions["has_quantiles"] else [0]
        numbers = [
            [on_scale(nodes, target, nodes.columns(own, part * n_targets, n_targets)) for part in parts]
            for own in folds
        ]
        for index in range(n_targets):
            own = [[nodes.column(part, index) for part in parts] for parts in numbers]
            lows, highs = (
                [_outer(nodes, operator, one, at) for one in own] for operator, at in (("Min", 0), ("Max", -1))
            )
            negated = [nodes.add("Neg", low) for low in lows]
            side = "above" if self._calibration[index][0]["below"] is None else "below"
            low = nodes.add("Neg", self._by_group(index, partial(self._upper, negated, side), np.inf))
            high = self._by_group(index, partial(self._upper, highs, "above"), np.inf)
            low, high = (from_scale(nodes, target, end) for end in (low, high))
            answer = nodes.column(found, index)
            if regions["least"] is not None:
                low = nodes.add("Max", low, nodes.numbers(regions["least"]))
            if regions["holds_answer"]:
                low, high = nodes.add("Min", low, answer), nodes.add("Max", high, answer)
            columns += [answer, low, high]
        return nodes.add("Concat", *columns, axis=1)

    def _by_group(self, index: int, of_group: Callable[[Scores], str], otherwise: float) -> str:
        """What the scores of each row's group give (n_rows, 1); `otherwise` for a row of none."""
        nodes, groups = self._nodes, self._calibration[index]
        if not self._group:
            return of_group(groups[0])
        found = nodes.numbers(otherwise)
        for place, scores in enumerate(groups):
            is_own = nodes.add("Equal", self._group, nodes.const(np.asarray(place)))
            found = nodes.add("Where", is_own, of_group(scores), found)
        return found

    def _upper(self, answers: Sequence[str], side: str, scores: Scores) -> str:
        """The least number that enough of answer plus score of the folds do not exceed (n_rows, 1)."""
        nodes, folds = self._nodes, scores[side]
        counts = np.concatenate([np.asarray(fold["counts"], np.float64) for fold in folds])
        if not len(counts):
            return nodes.add("Add", nodes.add("Mul", answers[0], nodes.numbers(0.0)), nodes.numbers(np.inf))
        pairs = [(own, fold["scores"]) for own, fold in zip(answers, folds, strict=True) if fold["scores"]]
        sums = [nodes.add("Add", own, nodes.numbers([values])) for own, values in pairs]
        if len(counts) == 1:
            return sums[0]
        ordered, order = nodes.sort(nodes.add("Concat", *sums, axis=1), len(counts))
        counted = nodes.add("CumSum", nodes.add("Gather", nodes.numbers(counts), order), nodes.const(np.asarray(1)))
        is_enough = nodes.add("GreaterOrEqual", counted, nodes.numbers(scores["needed"]))
        first = nodes.add("ArgMax", nodes.add("Cast", is_enough, to=nodes.type_of(np.int64)), axis=1, keepdims=1)
        return nodes.add("GatherElements", ordered, first, axis=1)

    def held(self, folds: Sequence[str], index: int, label: str) -> str:
        """Which labels of a target column the set holds (n_rows, n_labels); `label` are the answers (n_rows,)."""
        nodes, n_labels, columns = self._nodes, len(self._target["labels"][index]), list[str]()
        for place in range(n_labels):
            if self._target["kind"] == "booleans":
                yes = [nodes.column(own, index) for own in folds]
                chances = yes if place else [nodes.add("Sub", nodes.numbers(1.0), own) for own in yes]
            else:
                chances = [nodes.column(own, place) for own in folds]
            if self._regions["of_labels"]:
                columns.append(self._is_held(chances, self._calibration[0][place]))
            else:
                columns.append(self._by_group(index, partial(self._is_held, chances), 1.0))
        answer = nodes.add("Unsqueeze", label, nodes.const(np.asarray([1])))
        is_answer = nodes.add("Equal", answer, nodes.const(np.arange(n_labels)[None]))
        is_held = nodes.add("Greater", nodes.add("Concat", *columns, axis=1), nodes.numbers(0.0))
        return nodes.add("Or", is_held, is_answer)

    def _is_held(self, chances: Sequence[str], scores: Scores) -> str:
        """1 where fewer than so many truths fit better than a label with these probabilities (n_rows, 1), else 0."""
        nodes = self._nodes
        n_better = nodes.add("Mul", chances[0], nodes.numbers(0.0))
        for own, fold in zip(chances, scores["above"], strict=True):
            if fold["scores"]:
                is_better = nodes.add("Less", nodes.numbers([fold["scores"]]), nodes.add("Neg", own))
                counts = nodes.numbers(np.asarray(fold["counts"])[:, None])
                n_better = nodes.add("Add", n_better, nodes.add("MatMul", nodes.double(is_better), counts))
        return nodes.double(nodes.add("Less", n_better, nodes.numbers(scores["needed"])))


def _outer(nodes: Nodes, operator: str, numbers: Sequence[str], at: int) -> str:
    """The number of a fold, or of its quantiles an outer one, around the middle one."""
    return numbers[0] if len(numbers) == 1 else nodes.add(operator, numbers[1], numbers[at])


def _group(nodes: Nodes, by: Mapping[str, Any], x: str) -> str:
    """The number of the group of each row (n_rows, 1), behind that of the last one for none."""
    values = np.asarray([[group["value"] for group in by["groups"]]], nodes.dtype)
    pairs = {(group["input"], value) for group, value in zip(by["groups"], values[0].tolist(), strict=True)}
    if len(pairs) < len(by["groups"]):
        raise MlpError(f"--to onnx: {nodes.dtype} cannot tell the groups of {by['column']['name']} apart.")
    own = nodes.add("Gather", x, nodes.const(np.asarray([group["input"] for group in by["groups"]])), axis=1)
    is_group = nodes.double(nodes.add("Equal", own, nodes.const(values)))
    none = nodes.add("Add", nodes.add("Mul", nodes.column(is_group, 0), nodes.numbers(0.0)), nodes.numbers(1.0))
    return nodes.add("ArgMax", nodes.add("Concat", is_group, none, axis=1), axis=1, keepdims=1)
