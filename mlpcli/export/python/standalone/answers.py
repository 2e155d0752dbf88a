"""From outputs to probabilities, or to numbers in the units of the table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlpcli.export.python.standalone.cells import Vector, between
from mlpcli.export.python.standalone.network import LARGEST_LOG


def answers_of(target: Mapping[str, Any], outputs: Vector) -> Vector:
    """Probabilities, or numbers in the units of the table."""
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
    shares = _shares(outputs, len(target["answers"]))
    if weights := target.get("class_weights"):
        shares = [share / weight for share, weight in zip(shares, weights, strict=True)]
        shares = [share / sum(shares) for share in shares]
    return _tempered(shares, temperature)


def _shares(outputs: Vector, n_classes: int) -> Vector:
    """Class probabilities of the outputs, one of which is that of the second of two classes."""
    if len(outputs) == 1 and n_classes == 2:
        yes = min(max(outputs[0], 0.0), 1.0)
        return [1.0 - yes, yes]
    if abs(sum(outputs) - 1.0) <= 1e-5 and min(outputs) >= 0.0:
        return outputs
    is_none = max(outputs) <= 0.0
    shares = [max(output, 0.0) + is_none for output in outputs]
    return [share / sum(shares) for share in shares]


def _tempered(shares: Vector, temperature: float) -> Vector:
    if temperature == 1.0:
        return shares
    logs = [math.log(share) / temperature if share > 0.0 else -math.inf for share in shares]
    powers = [math.exp(log - max(logs)) for log in logs]
    return [power / sum(powers) for power in powers]


def most_exceeding(shares: Vector, threshold: Sequence[float] | None) -> int:
    """The number of the answered class; the first of equals."""
    if threshold is not None and len(threshold) == 1:
        return int(shares[1] > threshold[0])
    exceeding = shares if threshold is None else [share / own for share, own in zip(shares, threshold, strict=True)]
    return exceeding.index(max(exceeding))


def on_scale(target: Mapping[str, Any], index: int, output: float) -> float:
    """The number of one target; of a logarithm before its exponential, on the scale of scores."""
    number: float = output * target["target_scale"][index] + target["target_center"][index]
    if target["transform"] == "quantile":
        knots = [knot / 2 for knot in target["target_quantiles"][index]]
        number = between(number, target["target_scores"][index], knots) * 2
    if "target_low" in target:
        low, high = target["target_low"][index], target["target_high"][index]
        if target["transform"] == "log":
            low, high = math.log1p(low), math.log1p(high)
        number = min(max(number, low), high)
    return number


def restored(target: Mapping[str, Any], number: float) -> float:
    """A number on the scale of scores in the units of the table."""
    return math.expm1(min(number, LARGEST_LOG)) if target["transform"] == "log" else number
