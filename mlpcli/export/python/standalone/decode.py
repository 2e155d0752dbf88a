"""From network outputs to probabilities, or to numbers in the units of the table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlpcli.export.python.standalone.cells import Vector, interpolate
from mlpcli.export.python.standalone.network import LARGEST_LOG


def decode(target: Mapping[str, Any], outputs: Vector) -> Vector:
    """Probabilities, or numbers in the units of the table; raises ValueError for numbers out of range."""
    if target["kind"] == "numbers":
        numbers = [restored(target, on_scale(target, index, output)) for index, output in enumerate(outputs)]
        largest = target["largest"]
        if largest is not None and max(map(abs, numbers)) > largest:
            raise ValueError("the numbers of this row are too large: the prediction is out of the range of numbers")
        return numbers
    temperature = target.get("temperature", [1.0])[0]
    if target["kind"] == "booleans":
        clipped = [min(max(yes, 0.0), 1.0) for yes in outputs]
        return [_tempered([1.0 - yes, yes], temperature)[1] for yes in clipped]
    probabilities = _class_probabilities(outputs, len(target["answers"]))
    if weights := target.get("class_weights"):
        probabilities = _normalized([p / weight for p, weight in zip(probabilities, weights, strict=True)])
    return _tempered(probabilities, temperature)


def _class_probabilities(outputs: Vector, n_classes: int) -> Vector:
    """Clip and normalize outputs to probabilities; a single output is the probability of the second of two classes."""
    if len(outputs) == 1 and n_classes == 2:
        yes = min(max(outputs[0], 0.0), 1.0)
        return [1.0 - yes, yes]
    if abs(sum(outputs) - 1.0) <= 1e-5 and min(outputs) >= 0.0:
        return outputs
    is_none_positive = max(outputs) <= 0.0
    return _normalized([max(output, 0.0) + is_none_positive for output in outputs])


def _normalized(values: Vector) -> Vector:
    return [value / sum(values) for value in values]


def _tempered(probabilities: Vector, temperature: float) -> Vector:
    if temperature == 1.0:
        return probabilities
    logs = [math.log(p) / temperature if p > 0.0 else -math.inf for p in probabilities]
    return _normalized([math.exp(log - max(logs)) for log in logs])


def class_index(probabilities: Vector, threshold: Sequence[float] | None) -> int:
    """The index of the predicted class; the first one of a tie."""
    if threshold is not None and len(threshold) == 1:
        return int(probabilities[1] > threshold[0])
    ratios = probabilities if threshold is None else [p / t for p, t in zip(probabilities, threshold, strict=True)]
    return ratios.index(max(ratios))


def on_scale(target: Mapping[str, Any], index: int, output: float) -> float:
    """The number of one target on the scale of the conformity scores: a log-transformed target stays a logarithm."""
    number: float = output * target["target_scale"][index] + target["target_center"][index]
    if target["transform"] == "quantile":
        knots = [knot / 2 for knot in target["target_quantiles"][index]]
        number = interpolate(number, target["target_scores"][index], knots) * 2
    if "target_low" in target:
        low, high = target["target_low"][index], target["target_high"][index]
        if target["transform"] == "log":
            low, high = math.log1p(low), math.log1p(high)
        number = min(max(number, low), high)
    return number


def restored(target: Mapping[str, Any], number: float) -> float:
    """Convert a number from the scale of the conformity scores to the units of the table."""
    return math.expm1(min(number, LARGEST_LOG)) if target["transform"] == "log" else number
