"""From rows to predictions, in Python and as a filter on CSV."""

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from csv import DictReader, writer
from typing import Any

from mlpcli.export.python.standalone.cells import Cell, Vector, cell_reader
from mlpcli.export.python.standalone.decode import class_index, decode
from mlpcli.export.python.standalone.network import network_outputs
from mlpcli.export.python.standalone.regions import interval_ends, prediction_sets


class Predictor:
    """Predicts rows from a model description."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        self.model = model
        self.target = model["target"]
        self.regions = model.get("regions")
        by = [] if self.regions is None or self.regions["by"] is None else [self.regions["by"]]
        self._columns = [*model["columns"], *(grouping["column"] for grouping in by)]
        self._n_read = len(model["inputs"]) + sum(grouping["n_inputs"] for grouping in by)
        self._names = prediction_columns(self.target, self.regions is not None)
        self._readers = [cell_reader(column) for column in self._columns]

    @property
    def columns(self) -> list[str]:
        """The columns that a row must have."""
        return [*dict.fromkeys(column["name"] for column in self._columns)]

    def predict(self, row: Mapping[str, Cell]) -> dict[str, Any]:
        """The predicted label or number of each target, and the probability `p_NAME` of each class or boolean target.

        If the model was exported with `--interval`, each number is followed by the ends of its interval, and each label
        by its prediction set, a tuple. Raises ValueError for a column that is missing and for an invalid cell.
        """
        return self._named(row, "values", tuple)

    def predict_texts(self, row: Mapping[str, Cell]) -> dict[str, Any]:
        """As `predict`, with labels as texts, and each set as labels separated by `|`."""
        return self._named(row, "labels", joined)

    def probabilities(self, row: Mapping[str, Cell]) -> Vector:
        """The probability of each class or boolean target, or the number of each target."""
        return self._predictions(row)[0]

    def _predictions(self, row: Mapping[str, Cell]) -> tuple[Vector, list[Vector], Vector]:
        """The predictions, the outputs of each fold's networks (none without `regions`), and the inputs."""
        x = self.inputs(row)
        networks = self.model["networks"]
        inputs = x[: len(self.model["inputs"])]
        members = [[y * network["count"] for y in network_outputs(network, inputs)] for network in networks]
        counts = [network["count"] for network in networks]
        outputs = _mean(members, counts)
        if not all(map(math.isfinite, outputs)):
            raise ValueError("the numbers of this row are too large: the network's output is not finite")
        if self.regions is None:
            return decode(self.target, outputs), [], x
        n_folds, n_targets = self.regions["n_folds"], len(self.target["answers"])
        folds = [_mean(members[fold::n_folds], counts[fold::n_folds]) for fold in range(n_folds)]
        if self.regions.get("has_quantiles"):
            outputs = outputs[n_targets : 2 * n_targets]
        return decode(self.target, outputs), folds, x

    def inputs(self, row: Mapping[str, Cell]) -> Vector:
        """The network inputs, followed by those that encode the calibration group of the row."""
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
        """The predictions, the index of each target's label, and the region of each target ([] without `regions`).

        The region of a number is the two ends of its interval; that of a label is whether the set contains each label.
        """
        predictions, folds, x = self._predictions(row)
        target, regions, label = self.target, self.regions, list[int]()
        if target["kind"] == "classes":
            label = [class_index(predictions, target.get("threshold"))]
        if target["kind"] == "booleans":
            limits = target.get("threshold") or [0.5] * len(predictions)
            label = [int(p > limit) for p, limit in zip(predictions, limits, strict=True)]
        if regions is None:
            return predictions, label, []
        if target["kind"] == "numbers":
            ends = interval_ends(target, regions, folds, predictions, x)
            return predictions, label, [ends[start : start + 2] for start in range(0, len(ends), 2)]
        by_fold = [decode(target, outputs) for outputs in folds]
        return predictions, label, prediction_sets(target, regions, by_fold, label, x)

    def _named(self, row: Mapping[str, Cell], labels: str, as_set: Callable[[list[Any]], Any]) -> dict[str, Any]:
        predictions, label, regions = self.regions_of(row)
        values: list[Any] = []
        if self.target["kind"] == "numbers":
            for index, prediction in enumerate(predictions):
                values += [prediction, *(regions[index] if regions else [])]
            return dict(zip(self._names, values, strict=True))
        for index, (names, code) in enumerate(zip(self.target[labels], label, strict=True)):
            values.append(names[code])
            if regions:
                values.append(as_set([name for name, is_in in zip(names, regions[index], strict=True) if is_in]))
        return dict(zip(self._names, values + predictions, strict=True))


def _mean(members: Sequence[Vector], counts: Sequence[int]) -> Vector:
    """The mean over members whose outputs are already multiplied by their counts."""
    return [math.fsum(each) / sum(counts) for each in zip(*members, strict=True)]


def joined(labels: Sequence[str]) -> str:
    """The labels of a set as one cell, as `mlp predict` writes them into CSV."""
    return "|".join(label.replace("\\", "\\\\").replace("|", "\\|") for label in labels)


def prediction_columns(target: Mapping[str, Any], has_regions: bool = False) -> list[str]:
    """The names of the prediction columns and of their intervals or sets, made unique with `_`."""
    suffixes = [""] if not has_regions else ["", "_low", "_high"] if target["kind"] == "numbers" else ["", "_set"]
    names = [f"{name}{suffix}" for name in target["names"] for suffix in suffixes]
    if target["kind"] != "numbers":
        names += [f"p_{name}" for name in target["answers"]]
    unique: list[str] = []
    for name in names:
        while name in unique:
            name += "_"
        unique.append(name)
    return unique


def main(predictor: Predictor) -> int:
    """Read rows as CSV from standard input and write predictions as CSV to standard output.

    Returns the exit code: 2 for a row that cannot be predicted, 141 (as in a shell, for SIGPIPE) for a closed output.
    """
    out, has_header = writer(sys.stdout, lineterminator="\n"), False
    rows = DictReader(line for line in sys.stdin)
    rows.fieldnames = [name.strip() for name in rows.fieldnames or []]
    try:
        for row in rows:
            prediction = predictor.predict_texts(row)
            if not has_header:
                out.writerow(prediction)
                has_header = True
            out.writerow(prediction.values())
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes standard output again when it exits, which would raise the same error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except ValueError as error:
        sys.stderr.write(f"standard input:{rows.line_num}: {error}\n")
        return 2
    return 0
