"""Decoding of network outputs into probabilities, numbers and labels, as ONNX nodes in double precision."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.export.onnx.nodes import Nodes
from mlpcli.export.python.standalone.network import LARGEST_LOG

Target = Mapping[str, Any]


def decode(nodes: Nodes, target: Target, outputs: str, n_outputs: int) -> str:
    """The probability of each class or boolean target, or the number of each target (n_rows, n_values)."""
    if target["kind"] == "numbers":
        return _numbers(nodes, target, outputs)
    temperature = target.get("temperature", [1.0])[0]
    if target["kind"] == "booleans":
        yes = _bounded(nodes, outputs)
        if temperature == 1.0:
            return yes
        no = nodes.add("Sub", nodes.numbers(1.0), yes)
        log_odds = nodes.add("Sub", nodes.add("Log", no), nodes.add("Log", yes))
        odds = nodes.add("Div", log_odds, nodes.numbers(temperature))
        return nodes.add("Div", nodes.numbers(1.0), nodes.add("Add", nodes.numbers(1.0), nodes.add("Exp", odds)))
    probabilities = _class_probabilities(nodes, outputs, n_outputs, len(target["answers"]))
    if weights := target.get("class_weights"):
        probabilities = _normalized(nodes, nodes.add("Div", probabilities, nodes.numbers(weights)))
    if temperature == 1.0:
        return probabilities
    logs = nodes.add("Div", nodes.add("Log", probabilities), nodes.numbers(temperature))
    highest = nodes.add("ReduceMax", logs, nodes.const(np.asarray([1])))
    return _normalized(nodes, nodes.add("Exp", nodes.add("Sub", logs, highest)))


def labels(nodes: Nodes, target: Target, probabilities: str) -> Iterator[tuple[NDArray[Any], str]]:
    """For each target column its labels (n_labels,), and the index of the predicted one (n_rows,)."""
    threshold = target.get("threshold")
    first = nodes.const(np.asarray([1]))
    if target["kind"] == "booleans":
        limits = threshold or [0.5] * len(target["names"])
        for index, (values, limit) in enumerate(zip(target["values"], limits, strict=True)):
            above = nodes.add("Greater", nodes.column(probabilities, index), nodes.numbers(limit))
            yield _array(values), nodes.add("Squeeze", nodes.add("Cast", above, to=nodes.type_of(np.int64)), first)
        return
    values = _array(target["values"][0])
    if threshold is not None and len(threshold) == 1:
        above = nodes.add("Greater", nodes.column(probabilities, 1), nodes.numbers(threshold[0]))
        yield values, nodes.add("Squeeze", nodes.add("Cast", above, to=nodes.type_of(np.int64)), first)
        return
    ratios = probabilities if threshold is None else nodes.add("Div", probabilities, nodes.numbers(threshold))
    yield values, nodes.add("ArgMax", ratios, axis=1, keepdims=0)


def _array(values: list[Any]) -> NDArray[Any]:
    return np.asarray(values, object) if isinstance(values[0], str) else np.asarray(values)


def _bounded(nodes: Nodes, yes: str) -> str:
    return nodes.add("Clip", yes, nodes.numbers(0.0), nodes.numbers(1.0))


def _normalized(nodes: Nodes, values: str) -> str:
    return nodes.add("Div", values, nodes.add("ReduceSum", values, nodes.const(np.asarray([1]))))


def _class_probabilities(nodes: Nodes, outputs: str, n_outputs: int, n_classes: int) -> str:
    """Clip and normalize outputs to probabilities; a single output is the probability of the second of two classes."""
    if n_outputs == 1 and n_classes == 2:
        yes = _bounded(nodes, outputs)
        return nodes.add("Concat", nodes.add("Sub", nodes.numbers(1.0), yes), yes, axis=1)
    axis = nodes.const(np.asarray([1]))
    total = nodes.add("ReduceSum", outputs, axis)
    is_none_positive = nodes.add("LessOrEqual", nodes.add("ReduceMax", outputs, axis), nodes.numbers(0.0))
    above = nodes.add("Max", outputs, nodes.numbers(0.0))
    normalized = _normalized(nodes, nodes.add("Add", above, nodes.double(is_none_positive)))
    gap = nodes.add("Abs", nodes.add("Sub", total, nodes.numbers(1.0)))
    sums_to_one = nodes.add("LessOrEqual", gap, nodes.numbers(1e-5))
    is_nonnegative = nodes.add("GreaterOrEqual", nodes.add("ReduceMin", outputs, axis), nodes.numbers(0.0))
    return nodes.add("Where", nodes.add("And", sums_to_one, is_nonnegative), outputs, normalized)


def _numbers(nodes: Nodes, target: Target, outputs: str) -> str:
    """Numbers in the units of the table, NaN if out of range."""
    numbers = on_scale(nodes, target, outputs)
    if target["transform"] == "log":
        numbers = _expm1(nodes, numbers)
    if (largest := target["largest"]) is not None:
        is_valid = nodes.add("LessOrEqual", nodes.add("Abs", numbers), nodes.numbers(largest))
        numbers = nodes.add("Where", is_valid, numbers, nodes.numbers(np.nan))
    return numbers


def on_scale(nodes: Nodes, target: Target, outputs: str) -> str:
    """The number of each target (n_rows, n_targets) on the scale of the conformity scores.

    A log-transformed target stays a logarithm.
    """
    scaled = nodes.add("Mul", outputs, nodes.numbers(target["target_scale"]))
    numbers = nodes.add("Add", scaled, nodes.numbers(target["target_center"]))
    if target["transform"] == "quantile":
        columns = []
        for index, (knots, heights) in enumerate(zip(target["target_scores"], target["target_quantiles"], strict=True)):
            lows, widths = np.asarray(knots)[None, :-1], np.diff(knots)[None]
            above = nodes.add("Sub", nodes.column(numbers, index), nodes.numbers(lows))
            fractions = _bounded(nodes, nodes.add("Div", above, nodes.numbers(widths)))
            rise = nodes.add("MatMul", fractions, nodes.numbers(np.diff(heights)[:, None]))
            columns.append(nodes.add("Add", rise, nodes.numbers(heights[0])))
        numbers = nodes.add("Concat", *columns, axis=1)
    if "target_low" in target:
        low, high = np.asarray([target["target_low"]]), np.asarray([target["target_high"]])
        if target["transform"] == "log":
            low, high = np.log1p(low), np.log1p(high)
        numbers = nodes.add("Min", nodes.add("Max", numbers, nodes.numbers(low)), nodes.numbers(high))
    return numbers


def from_scale(nodes: Nodes, target: Target, numbers: str) -> str:
    """Convert numbers from the scale of the conformity scores to the units of the table."""
    if target["transform"] != "log":
        return numbers
    is_open = nodes.add("Greater", numbers, nodes.numbers(LARGEST_LOG))
    return nodes.add("Where", is_open, nodes.numbers(np.inf), _expm1(nodes, numbers))


def _expm1(nodes: Nodes, numbers: str) -> str:
    bounded = nodes.add("Min", numbers, nodes.numbers(LARGEST_LOG))
    return nodes.add("Sub", nodes.add("Exp", bounded), nodes.numbers(1.0))
