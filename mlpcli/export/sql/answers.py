"""From outputs to probabilities, numbers and labels, in SQL."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from mlpcli.export.python.standalone.network import LARGEST_LOG
from mlpcli.export.sql.steps import Steps, Vector, between, literal, number, power, text, total

NOTHING = "-1e300"  # the logarithm of 0


def answers(steps: Steps, target: Mapping[str, Any], outputs: Vector) -> Vector:
    """The probability of each class or yes, or the number of each target."""
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
    shares = _shares(steps, outputs, len(target["answers"]))
    if weights := target.get("class_weights"):
        shares = _divided(steps, steps.add(f"{p} / {number(w)}" for p, w in zip(shares, weights, strict=True)))
    if temperature == 1.0:
        return shares
    logs = steps.add(f"CASE WHEN {p} > 0e0 THEN LN({p}) / {number(temperature)} ELSE {NOTHING} END" for p in shares)
    with steps.pinned(logs):
        (highest,) = steps.add([steps.largest(logs)])
        powers = steps.add(f"EXP({power(f'({log} - {highest})')})" for log in logs)
    return _divided(steps, powers)


def labels(steps: Steps, target: Mapping[str, Any], found: Vector) -> Vector:
    """The label of each target column, from the answers; expressions of the last step."""
    threshold = target.get("threshold")
    if target["kind"] == "booleans":
        limits = threshold or [0.5] * len(found)
        pairs = zip(found, limits, target["values"], strict=True)
        return [
            f"CASE WHEN {p} > {literal(t)} THEN {label_value(yes)} ELSE {label_value(no)} END"
            for p, t, (no, yes) in pairs
        ]
    values = [*map(label_value, target["values"][0])]
    if threshold is not None and len(threshold) == 1:
        return [f"CASE WHEN {found[1]} > {literal(threshold[0])} THEN {values[1]} ELSE {values[0]} END"]
    steps.pin(found)
    ratios = steps.add(found if threshold is None else _exceeding(found, threshold))
    steps.pin(ratios)
    (best,) = steps.add([steps.largest(ratios)])
    arms = " ".join(f"WHEN {one} >= {best} THEN {value}" for one, value in zip(ratios, values, strict=True))
    return [f"CASE {arms} END"]


def _exceeding(found: Vector, threshold: Sequence[float]) -> list[str]:
    return [f"{p} / {number(t)}" for p, t in zip(found, threshold, strict=True)]


def label_value(label: Any) -> str:
    """A label as a literal of its type."""
    if isinstance(label, bool):
        return "TRUE" if label else "FALSE"
    if isinstance(label, int):
        return str(label)
    return literal(label) if isinstance(label, float) else text(label)


def _divided(steps: Steps, parts: Vector) -> Vector:
    with steps.pinned(parts):
        (whole,) = steps.add([total(parts)])
        return steps.add(f"{part} / {whole}" for part in parts)


def _shares(steps: Steps, outputs: Vector, n_classes: int) -> Vector:
    """Class probabilities of the outputs, one of which is that of the second of two classes."""
    if len(outputs) == 1 and n_classes == 2:
        (yes,) = steps.add(f"CASE WHEN {y} < 0e0 THEN 0e0 WHEN {y} > 1e0 THEN 1e0 ELSE {y} END" for y in outputs)
        return steps.add([f"1e0 - {yes}", yes])
    with steps.pinned(outputs):
        highest, whole, n_below = steps.add(
            [
                steps.largest(outputs),
                total(outputs),
                total([f"(CASE WHEN {y} < 0e0 THEN 1 ELSE 0 END)" for y in outputs]),
            ]
        )
        with steps.pinned([whole, n_below]):
            parts = steps.add(
                f"(CASE WHEN {y} > 0e0 THEN {y} ELSE 0e0 END) + (CASE WHEN {highest} <= 0e0 THEN 1e0 ELSE 0e0 END)"
                for y in outputs
            )
            with steps.pinned(parts):
                (together,) = steps.add([total(parts)])
                return steps.add(
                    f"CASE WHEN ABS({whole} - 1e0) <= 1e-5 AND {n_below} = 0 THEN {y} ELSE {part} / {together} END"
                    for y, part in zip(outputs, parts, strict=True)
                )


def _numbers(steps: Steps, target: Mapping[str, Any], outputs: Vector) -> Vector:
    """Numbers in the units of the table, NULL where they are beyond all bounds."""
    found = on_scale(steps, target, outputs)
    if target["transform"] == "log":
        most = literal(LARGEST_LOG)
        found = steps.add(f"EXP(CASE WHEN {y} > {most} THEN {most} ELSE {power(y)} END) - 1e0" for y in found)
    if (largest := target["largest"]) is not None:
        found = steps.add(f"CASE WHEN ABS({y}) <= {literal(largest)} THEN {y} END" for y in found)
    return found


def on_scale(steps: Steps, target: Mapping[str, Any], outputs: Vector) -> Vector:
    """The number of each target, or of each in turn for several quantiles; of a logarithm before its exponential."""
    scales = zip(outputs, cycle(target["target_scale"]), cycle(target["target_center"]), strict=False)
    found = steps.add(f"{y} * {number(scale)} + {number(center)}" for y, scale, center in scales)
    if target["transform"] == "quantile":
        knots = zip(found, cycle(target["target_scores"]), cycle(target["target_quantiles"]), strict=False)
        found = steps.add(between(y, scores, quantiles) for y, scores, quantiles in knots)
    if "target_low" in target:
        to_scale = math.log1p if target["transform"] == "log" else float
        texts = [
            (literal(to_scale(low)), literal(to_scale(high)))
            for low, high in zip(target["target_low"], target["target_high"], strict=True)
        ]
        found = steps.add(
            f"CASE WHEN {y} < {low} THEN {low} WHEN {y} > {high} THEN {high} ELSE {y} END"
            for y, (low, high) in zip(found, cycle(texts), strict=False)
        )
    return found


def from_scale(steps: Steps, target: Mapping[str, Any], numbers: Vector, infinity: str) -> Vector:
    """Numbers on the scale of scores in the units of the table."""
    if target["transform"] != "log":
        return numbers
    most = literal(LARGEST_LOG)
    return steps.add(f"CASE WHEN {y} > {most} THEN {infinity} ELSE EXP({power(y)}) - 1e0 END" for y in numbers)
