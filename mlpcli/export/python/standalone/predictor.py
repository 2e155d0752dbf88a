"""Rows in, answers out; and a filter of CSV."""

import math
import os
import sys
from collections.abc import Mapping
from csv import DictReader, writer
from typing import Any

from mlpcli.export.python.standalone.answers import answers_of, most_exceeding
from mlpcli.export.python.standalone.cells import Cell, Vector, cell_reader
from mlpcli.export.python.standalone.network import network_outputs


class Predictor:
    """A model, from its description."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        self.model = model
        self.target = model["target"]
        self._names = answer_columns(self.target)
        self._readers = [cell_reader(column) for column in model["columns"]]

    @property
    def columns(self) -> list[str]:
        """The columns that a row must have."""
        return [column["name"] for column in self.model["columns"]]

    def predict(self, row: Mapping[str, Cell]) -> dict[str, Any]:
        """The label or number of each target, and the probability `p_NAME` of each class or yes.

        Raises ValueError for a column that is missing, and for a cell that is not what its column has.
        """
        return self._named(self.probabilities(row), "values")

    def predict_texts(self, row: Mapping[str, Cell]) -> dict[str, Any]:
        """As `predict`, with labels as texts."""
        return self._named(self.probabilities(row), "labels")

    def probabilities(self, row: Mapping[str, Cell]) -> Vector:
        """The probability of each class or yes, or the number of each target."""
        x = self.inputs(row)
        networks = self.model["networks"]
        counted = [[one * network["count"] for one in network_outputs(network, x)] for network in networks]
        n_counted = sum(network["count"] for network in networks)
        outputs = [math.fsum(each) / n_counted for each in zip(*counted, strict=True)]
        if not all(map(math.isfinite, outputs)):
            raise ValueError("the numbers of this row are too large: the network's output is not finite")
        return answers_of(self.target, outputs)

    def inputs(self, row: Mapping[str, Cell]) -> Vector:
        """The inputs of the networks."""
        x = [0.0] * len(self.model["inputs"])
        for column, read in zip(self.model["columns"], self._readers, strict=True):
            name = column["name"]
            if name not in row:
                raise ValueError(f"column {name} is missing")
            if read(row[name], x) and column["refuses_missing"]:
                raise ValueError(f"column {name} is missing, and the model was trained to refuse that")
        if max(map(abs, x), default=0.0) > self.model["largest_input"]:
            raise ValueError("a number of this row is too large to compute with")
        return x

    def _named(self, answers: Vector, labels: str) -> dict[str, Any]:
        target = self.target
        found: list[Any] = []
        if target["kind"] == "classes":
            found = [target[labels][0][most_exceeding(answers, target.get("threshold"))]]
        if target["kind"] == "booleans":
            thresholds = target.get("threshold") or [0.5] * len(answers)
            pairs = zip(target[labels], answers, thresholds, strict=True)
            found = [pair[answer > threshold] for pair, answer, threshold in pairs]
        return dict(zip(self._names, found + answers, strict=True))


def answer_columns(target: Mapping[str, Any]) -> list[str]:
    """The column of each answer, each name once."""
    names = list(target["names"])
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
