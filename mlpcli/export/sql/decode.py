"""Decoding of network outputs into probabilities, numbers and labels, in SQL."""

import math
from collections.abc import Mapping
from itertools import cycle
from typing import Any

from mlpcli.export.python.standalone.network import LARGEST_LOG
from mlpcli.export.sql.steps import Steps, Vector, interpolate, literal, number, power, text, total

LOG_OF_ZERO = "-1e300"


def decode(steps: Steps, target: Mapping[str, Any], outputs: Vector) -> Vector:
    """The probability of each class or boolean target, or the number of each target."""
    if target["kind"] == "numbers":
        return _numbers(steps, target, outputs)
    temperature = target.get("temperature", [1.0])[0]
    if target["kind"] == "booleans":
        clipped = steps.add(f"CASE WHEN {y} < 0e0 THEN 0e0 WHEN {y} > 1e0 THEN 1e0 ELSE {y} END" for y in outputs)
        if temperature == 1.0:
            return clipped
        odds = (f"((LN(1e0 - {y}) - LN({y})) / {number(temperature)})" for y in clipped)
        return steps.add(
            f"CASE WHEN {y} <= 0e0 THEN 0e0 WHEN {y} >= 1e0 THEN 1e0 ELSE 1e0 / (1e0 + EXP({power(odd)})) END"
            for y, odd in zip(clipped, odds, strict=True)
        )
    probabilities = _class_probabilities(steps, outputs, len(target["answers"]))
    if weights := target.get("class_weights"):
        ratios = steps.add(f"{p} / {number(w)}" for p, w in zip(probabilities, weights, strict=True))
        probabilities = normalize(steps, ratios)
    if temperature == 1.0:
        return probabilities
    logs = steps.add(
        f"CASE WHEN {p} > 0e0 THEN LN({p}) / {number(temperature)} ELSE {LOG_OF_ZERO} END" for p in probabilities
    )
    with steps.pinned(logs):
        (highest,) = steps.add([steps.largest(logs)])
        powers = steps.add(f"EXP({power(f'({log} - {highest})')})" for log in logs)
    return normalize(steps, powers)


def labels(steps: Steps, target: Mapping[str, Any], probabilities: Vector) -> Vector:
    """The label of each target column as an expression over the last step."""
    threshold = target.get("threshold")
    if target["kind"] == "booleans":
        limits = threshold or [0.5] * len(probabilities)
        pairs = zip(probabilities, limits, target["values"], strict=True)
        return [
            f"CASE WHEN {p} > {literal(t)} THEN {label_value(yes)} ELSE {label_value(no)} END"
            for p, t, (no, yes) in pairs
        ]
    values = [*map(label_value, target["values"][0])]
    if threshold is not None and len(threshold) == 1:
        return [f"CASE WHEN {probabilities[1]} > {literal(threshold[0])} THEN {values[1]} ELSE {values[0]} END"]
    steps.pin(probabilities)
    if threshold is None:
        ratios = steps.add(probabilities)
    else:
        ratios = steps.add(f"{p} / {number(t)}" for p, t in zip(probabilities, threshold, strict=True))
    steps.pin(ratios)
    (best,) = steps.add([steps.largest(ratios)])
    arms = " ".join(f"WHEN {ratio} >= {best} THEN {value}" for ratio, value in zip(ratios, values, strict=True))
    return [f"CASE {arms} END"]


def label_value(label: Any) -> str:
    """A label as an SQL literal of its type."""
    if isinstance(label, bool):
        return "TRUE" if label else "FALSE"
    if isinstance(label, int):
        return str(label)
    return literal(label) if isinstance(label, float) else text(label)


def normalize(steps: Steps, values: Vector) -> Vector:
    """Divide values by their sum."""
    with steps.pinned(values):
        (value_sum,) = steps.add([total(values)])
        return steps.add(f"{value} / {value_sum}" for value in values)


def _class_probabilities(steps: Steps, outputs: Vector, n_classes: int) -> Vector:
    """Clip and normalize outputs to probabilities; a single output is the probability of the second of two classes."""
    if len(outputs) == 1 and n_classes == 2:
        (yes,) = steps.add(f"CASE WHEN {y} < 0e0 THEN 0e0 WHEN {y} > 1e0 THEN 1e0 ELSE {y} END" for y in outputs)
        return steps.add([f"1e0 - {yes}", yes])
    with steps.pinned(outputs):
        highest, output_sum, n_below = steps.add(
            [
                steps.largest(outputs),
                total(outputs),
                total([f"(CASE WHEN {y} < 0e0 THEN 1 ELSE 0 END)" for y in outputs]),
            ]
        )
        with steps.pinned([output_sum, n_below]):
            clipped = steps.add(
                f"(CASE WHEN {y} > 0e0 THEN {y} ELSE 0e0 END) + (CASE WHEN {highest} <= 0e0 THEN 1e0 ELSE 0e0 END)"
                for y in outputs
            )
            with steps.pinned(clipped):
                (clipped_sum,) = steps.add([total(clipped)])
                return steps.add(
                    f"CASE WHEN ABS({output_sum} - 1e0) <= 1e-5 AND {n_below} = 0 THEN {y} ELSE {p} / {clipped_sum} END"
                    for y, p in zip(outputs, clipped, strict=True)
                )


def _numbers(steps: Steps, target: Mapping[str, Any], outputs: Vector) -> Vector:
    """Numbers in the units of the table, NULL if out of range."""
    numbers = on_scale(steps, target, outputs)
    if target["transform"] == "log":
        most = literal(LARGEST_LOG)
        numbers = steps.add(f"EXP(CASE WHEN {y} > {most} THEN {most} ELSE {power(y)} END) - 1e0" for y in numbers)
    if (largest := target["largest"]) is not None:
        numbers = steps.add(f"CASE WHEN ABS({y}) <= {literal(largest)} THEN {y} END" for y in numbers)
    return numbers


def on_scale(steps: Steps, target: Mapping[str, Any], outputs: Vector) -> Vector:
    """The number of each output on the scale of the conformity scores: a log-transformed target stays a logarithm.

    Outputs are those of each target, or of each target in turn for several quantiles.
    """
    scales = zip(outputs, cycle(target["target_scale"]), cycle(target["target_center"]), strict=False)
    numbers = steps.add(f"{y} * {number(scale)} + {number(center)}" for y, scale, center in scales)
    if target["transform"] == "quantile":
        knots = zip(numbers, cycle(target["target_scores"]), cycle(target["target_quantiles"]), strict=False)
        numbers = steps.add(interpolate(y, scores, quantiles) for y, scores, quantiles in knots)
    if "target_low" in target:
        to_scale = math.log1p if target["transform"] == "log" else float
        texts = [
            (literal(to_scale(low)), literal(to_scale(high)))
            for low, high in zip(target["target_low"], target["target_high"], strict=True)
        ]
        numbers = steps.add(
            f"CASE WHEN {y} < {low} THEN {low} WHEN {y} > {high} THEN {high} ELSE {y} END"
            for y, (low, high) in zip(numbers, cycle(texts), strict=False)
        )
    return numbers


def from_scale(steps: Steps, target: Mapping[str, Any], numbers: Vector, infinity: str) -> Vector:
    """Convert numbers from the scale of the conformity scores to the units of the table."""
    if target["transform"] != "log":
        return numbers
    most = literal(LARGEST_LOG)
    return steps.add(f"CASE WHEN {y} > {most} THEN {infinity} ELSE EXP({power(y)}) - 1e0 END" for y in numbers)
