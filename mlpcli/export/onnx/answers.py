"""From outputs to probabilities, numbers and labels, as nodes of ONNX; in double precision."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.export.onnx.nodes import Nodes
from mlpcli.export.python.standalone.network import LARGEST_LOG

Target = Mapping[str, Any]


def answers(nodes: Nodes, target: Target, outputs: str, n_outputs: int) -> str:
    """The probability of each class or yes, or the number of each target (n_rows, n_answers)."""
    if target["kind"] == "numbers":
        return _numbers(nodes, target, outputs)
    temperature = target.get("temperature", [1.0])[0]
    if target["kind"] == "booleans":
        yes = _bounded(nodes, outputs)
        if temperature == 1.0:
            return yes
        no = nodes.add("Sub", nodes.numbers(1.0), yes)
        odds = nodes.add(
            "Div", nodes.add("Sub", nodes.add("Log", no), nodes.add("Log", yes)), nodes.numbers(temperature)
        )
        return nodes.add("Div", nodes.numbers(1.0), nodes.add("Add", nodes.numbers(1.0), nodes.add("Exp", odds)))
    shares = _shares(nodes, outputs, n_outputs, len(target["answers"]))
    if weights := target.get("class_weights"):
        shares = _divided(nodes, nodes.add("Div", shares, nodes.numbers(weights)))
    if temperature == 1.0:
        return shares
    logs = nodes.add("Div", nodes.add("Log", shares), nodes.numbers(temperature))
    highest = nodes.add("ReduceMax", logs, nodes.const(np.asarray([1])))
    return _divided(nodes, nodes.add("Exp", nodes.add("Sub", logs, highest)))


def labels(nodes: Nodes, target: Target, found: str) -> Iterator[tuple[NDArray[Any], str]]:
    """Of each target column its labels, and which of them each row gets (n_rows,)."""
    threshold = target.get("threshold")
    first = nodes.const(np.asarray([1]))
    if target["kind"] == "booleans":
        limits = threshold or [0.5] * len(target["names"])
        for index, (values, limit) in enumerate(zip(target["values"], limits, strict=True)):
            above = nodes.add("Greater", nodes.column(found, index), nodes.numbers(limit))
            yield _array(values), nodes.add("Squeeze", nodes.add("Cast", above, to=nodes.type_of(np.int64)), first)
        return
    values = _array(target["values"][0])
    if threshold is not None and len(threshold) == 1:
        above = nodes.add("Greater", nodes.column(found, 1), nodes.numbers(threshold[0]))
        yield values, nodes.add("Squeeze", nodes.add("Cast", above, to=nodes.type_of(np.int64)), first)
        return
    exceeding = found if threshold is None else nodes.add("Div", found, nodes.numbers(threshold))
    yield values, nodes.add("ArgMax", exceeding, axis=1, keepdims=0)


def _array(values: list[Any]) -> NDArray[Any]:
    return np.asarray(values, object) if isinstance(values[0], str) else np.asarray(values)


def _bounded(nodes: Nodes, yes: str) -> str:
    return nodes.add("Clip", yes, nodes.numbers(0.0), nodes.numbers(1.0))


def _divided(nodes: Nodes, parts: str) -> str:
    return nodes.add("Div", parts, nodes.add("ReduceSum", parts, nodes.const(np.asarray([1]))))


def _shares(nodes: Nodes, outputs: str, n_outputs: int, n_classes: int) -> str:
    """Class probabilities of the outputs, one of which is that of the second of two classes."""
    if n_outputs == 1 and n_classes == 2:
        yes = _bounded(nodes, outputs)
        return nodes.add("Concat", nodes.add("Sub", nodes.numbers(1.0), yes), yes, axis=1)
    axis = nodes.const(np.asarray([1]))
    total = nodes.add("ReduceSum", outputs, axis)
    is_none = nodes.add("LessOrEqual", nodes.add("ReduceMax", outputs, axis), nodes.numbers(0.0))
    above = nodes.add("Max", outputs, nodes.numbers(0.0))
    shares = _divided(nodes, nodes.add("Add", above, nodes.add("Cast", is_none, to=nodes.type_of(np.float64))))
    gap = nodes.add("Abs", nodes.add("Sub", total, nodes.numbers(1.0)))
    is_whole = nodes.add("LessOrEqual", gap, nodes.numbers(1e-5))
    is_above = nodes.add("GreaterOrEqual", nodes.add("ReduceMin", outputs, axis), nodes.numbers(0.0))
    return nodes.add("Where", nodes.add("And", is_whole, is_above), outputs, shares)


def _numbers(nodes: Nodes, target: Target, outputs: str) -> str:
    """Numbers in the units of the table, NaN where they are beyond all bounds."""
    found = on_scale(nodes, target, outputs)
    if target["transform"] == "log":
        found = _exponential(nodes, found)
    if (largest := target["largest"]) is not None:
        is_sound = nodes.add("LessOrEqual", nodes.add("Abs", found), nodes.numbers(largest))
        found = nodes.add("Where", is_sound, found, nodes.numbers(np.nan))
    return found


def on_scale(nodes: Nodes, target: Target, outputs: str) -> str:
    """The number of each target (n_rows, n_targets); of a logarithm before its exponential, on the scale of scores."""
    scaled = nodes.add("Mul", outputs, nodes.numbers(target["target_scale"]))
    found = nodes.add("Add", scaled, nodes.numbers(target["target_center"]))
    if target["transform"] == "quantile":
        columns = []
        for index, (knots, heights) in enumerate(zip(target["target_scores"], target["target_quantiles"], strict=True)):
            lows, widths = np.asarray(knots)[None, :-1], np.diff(knots)[None]
            above = nodes.add("Sub", nodes.column(found, index), nodes.numbers(lows))
            share = _bounded(nodes, nodes.add("Div", above, nodes.numbers(widths)))
            climbed = nodes.add("MatMul", share, nodes.numbers(np.diff(heights)[:, None]))
            columns.append(nodes.add("Add", climbed, nodes.numbers(heights[0])))
        found = nodes.add("Concat", *columns, axis=1)
    if "target_low" in target:
        low, high = np.asarray([target["target_low"]]), np.asarray([target["target_high"]])
        if target["transform"] == "log":
            low, high = np.log1p(low), np.log1p(high)
        found = nodes.add("Min", nodes.add("Max", found, nodes.numbers(low)), nodes.numbers(high))
    return found


def from_scale(nodes: Nodes, target: Target, numbers: str) -> str:
    """Numbers on the scale of scores in the units of the table."""
    if target["transform"] != "log":
        return numbers
    is_open = nodes.add("Greater", numbers, nodes.numbers(LARGEST_LOG))
    return nodes.add("Where", is_open, nodes.numbers(np.inf), _exponential(nodes, numbers))


def _exponential(nodes: Nodes, numbers: str) -> str:
    """exp(y) - 1."""
    bounded = nodes.add("Min", numbers, nodes.numbers(LARGEST_LOG))
    return nodes.add("Sub", nodes.add("Exp", bounded), nodes.numbers(1.0))
