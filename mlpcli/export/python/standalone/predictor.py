"""Rows in, answers out; and a filter of CSV."""

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from csv import DictReader, writer
from typing import Any

from mlpcli.export.python.standalone.answers import answers_of, most_exceeding
from mlpcli.export.python.standalone.cells import Cell, Vector, cell_reader
from mlpcli.export.python.standalone.network import network_outputs
from mlpcli.export.python.standalone.regions import ends_of, labels_held


class Predictor:
    """A model, from its description."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        self.model = model
        self.target = model["target"]
        self.regions = model.get("regions")
        by = [] if self.regions is None or self.regions["by"] is None else [self.regions["by"]]
        self._columns = [*model["columns"], *(one["column"] for one in by)]
        self._n_read = len(model["inputs"]) + sum(one["n_inputs"] for one in by)
        self._names = answer_columns(self.target, self.regions is not None)
        self._readers = [cell_reader(column) for column in self._columns]

    @property
    def columns(self) -> list[str]:
        """The columns that a row must have."""
        return [*dict.fromkeys(column["name"] for column in self._columns)]

    def predict(self, row: Mapping[str, Cell]) -> dict[str, Any]:
        """The label or number of each target, and the probability `p_NAME` of each class or yes.

        Behind each number its ends, and behind each label its set, a tuple, where the model has them. Raises ValueError
        for a column that is missing, and for a cell that is not what its column has.
        """
        return self._named(row, "values", tuple)

    def predict_texts(self, row: Mapping[str, Cell]) -> dict[str, Any]:
        """As `predict`, with labels as texts, and sets as labels between bars."""
        return self._named(row, "labels", joined)

    def probabilities(self, row: Mapping[str, Cell]) -> Vector:
        """The probability of each class or yes, or the number of each target."""
        return self._answers(row)[0]

    def _answers(self, row: Mapping[str, Cell]) -> tuple[Vector, list[Vector], Vector]:
        """The answers, the outputs of each fold's networks where the model has regions, and the inputs."""
        x = self.inputs(row)
        networks = self.model["networks"]
        inputs = x[: len(self.model["inputs"])]
        members = [[one * network["count"] for one in network_outputs(network, inputs)] for network in networks]
        counts = [network["count"] for network in networks]
        outputs = _mean(members, counts)
        if not all(map(math.isfinite, outputs)):
            raise ValueError("the numbers of this row are too large: the network's output is not finite")
        if self.regions is None:
            return answers_of(self.target, outputs), [], x
        n_folds, n_targets = self.regions["n_folds"], len(self.target["answers"])
        folds = [_mean(members[fold::n_folds], counts[fold::n_folds]) for fold in range(n_folds)]
        if self.regions.get("has_quantiles"):
            outputs = outputs[n_targets : 2 * n_targets]
        return answers_of(self.target, outputs), folds, x

    def inputs(self, row: Mapping[str, Cell]) -> Vector:
        """The inputs of the networks, and behind them those that tell the group of the row."""
        x = [0.0] * self._n_read
        for column, read in zip(self._columns, self._readers, strict=True):
            name = column["name"]
            if name not in row:
                raise ValueError(f"column {name} is missing")
            if read(row[name], x) and column["refuses_missing"]:
                raise ValueError(f"column {name} is missing, and the model was trained to refuse that")
        if max(map(abs, x), default=0.0) > self.model["largest_input"]:
            raise ValueError("a number of this row is too large to compute with")
        return x

    def regions_of(self, row: Mapping[str, Cell]) -> tuple[Vector, list[int], list[Any]]:
        """The answers, the number of the label of each target column, and what lies around each of them.

        Of numbers (there are no labels) it is the two ends, of labels which of them the set holds; [] without regions.
        """
        answers, folds, x = self._answers(row)
        target, regions, label = self.target, self.regions, list[int]()
        if target["kind"] == "classes":
            label = [most_exceeding(answers, target.get("threshold"))]
        if target["kind"] == "booleans":
            limits = target.get("threshold") or [0.5] * len(answers)
            label = [int(answer > limit) for answer, limit in zip(answers, limits, strict=True)]
        if regions is None:
            return answers, label, []
        if target["kind"] == "numbers":
            ends = ends_of(target, regions, folds, answers, x)
            return answers, label, [ends[place : place + 2] for place in range(0, len(ends), 2)]
        shares = [answers_of(target, outputs) for outputs in folds]
        return answers, label, labels_held(target, regions, shares, label, x)

    def _named(self, row: Mapping[str, Cell], labels: str, as_set: Callable[[list[Any]], Any]) -> dict[str, Any]:
        answers, label, around = self.regions_of(row)
        found: list[Any] = []
        if self.target["kind"] == "numbers":
            for place, answer in enumerate(answers):
                found += [answer, *(around[place] if around else [])]
            return dict(zip(self._names, found, strict=True))
        for place, (names, own) in enumerate(zip(self.target[labels], label, strict=True)):
            found.append(names[own])
            if around:
                found.append(as_set([name for name, held in zip(names, around[place], strict=True) if held]))
        return dict(zip(self._names, found + answers, strict=True))


def _mean(members: Sequence[Vector], counts: Sequence[int]) -> Vector:
    """The mean of outputs that are multiplied by how often they count."""
    return [math.fsum(each) / sum(counts) for each in zip(*members, strict=True)]


def joined(labels: Sequence[str]) -> str:
    """The labels of a set in one cell: those of CSV by `mlp predict`."""
    return "|".join(label.replace("\\", "\\\\").replace("|", "\\|") for label in labels)


def answer_columns(target: Mapping[str, Any], has_regions: bool = False) -> list[str]:
    """The column of each answer, and of what lies around it, each name once."""
    behind = [""] if not has_regions else ["", "_low", "_high"] if target["kind"] == "numbers" else ["", "_set"]
    names = [f"{name}{ending}" for name in target["names"] for ending in behind]
    if target["kind"] != "numbers":
        names += [f"p_{name}" for name in target["answers"]]
    free: list[str] = []
    for name in names:
        while name in free:
            name += "_"
        free.append(name)
    return free


def main(predictor: Predictor) -> int:
    """Answer the rows of a CSV table from standard input on standard output.

    Returns 2 for a row that cannot be answered, and 141, as the shell says it, where nobody reads the answers any more.
    """
    out, is_begun = writer(sys.stdout, lineterminator="\n"), False
    rows = DictReader(line for line in sys.stdin)
    rows.fieldnames = [name.strip() for name in rows.fieldnames or []]
    try:
        for row in rows:
            answer = predictor.predict_texts(row)
            if not is_begun:
                out.writerow(answer)
                is_begun = True
            out.writerow(answer.values())
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end, and would complain of the pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except ValueError as error:
        sys.stderr.write(f"standard input:{rows.line_num}: {error}\n")
        return 2
    return 0
