"""The ends of prediction intervals as further numbers that an exported model answers.

Each end is the answer moved by one number in the scale of the scores. So a copy of the output with another center, or
with other values at its knots, gives it in every language.
"""

import sys
from collections.abc import Sequence

import numpy as np

from mlpcli.data.targets.target import NumberTarget
from mlpcli.errors import MlpError
from mlpcli.evaluation.conformal.conformity import CalibrationRows
from mlpcli.evaluation.conformal.ends import intervals_of
from mlpcli.export.description import Plain
from mlpcli.model import Model

ENDS = ("", "_low", "_high")
# Outputs that are never below 0, so that an answer to counts is not either.
NOT_NEGATIVE = ("exp", "softplus", "relu", "sigmoid")
# The least and the largest number, in place of no bound.
BOUNDS = ("target_low", "target_high")
UNBOUNDED = (-sys.float_info.max, sys.float_info.max)


def with_intervals(description: Plain, model: Model, level: float) -> Plain:
    """The description with `TARGET_low` and `TARGET_high` behind each target; raises MlpError where it cannot be said.

    The model has enough calibration rows for the level.
    """
    assert model.conformity is not None
    rows, target = model.conformity.rows, model.target
    if reason := _why_none(rows, model, level):
        raise MlpError(f"--interval cannot be exported: {reason}")
    intervals = [intervals_of(rows.kind, model.conformity.folds_of(i, 0), level) for i in range(len(target.names))]
    shifts = [shift for one in intervals for shift in (0.0, -one.below.pooled, one.above.pooled)]
    n_targets = len(target.names)
    copied = [index for index in range(n_targets) for _ in ENDS]
    networks = [{**network, "layers": _repeated(network["layers"], copied)} for network in description["networks"]]
    moved = _moved(description["target"], copied, shifts, rows)
    return description | {"networks": networks, "n_outputs": len(copied), "target": moved}


def _why_none(rows: CalibrationRows, model: Model, level: float) -> str:
    """Why the ends are more than a number away from the answers, "" where they are not."""
    target = model.target
    if not isinstance(target, NumberTarget):
        if rows.n_folds > 1 or rows.by:
            return "sets of labels are not. Use mlp predict --set."
        return "sets of labels are not. Use mlp predict --set, or the probabilities: " + _set_rule(model, level)
    if rows.n_folds > 1:
        return (
            "those of folds (CV+) need the answers of each fold. Train with intervals: {rows: 0.1}, or without folds."
        )
    if rows.by:
        return f"each {rows.by} has its own. Train without intervals.by."
    if target.fitted:
        return "those of three quantiles are not. Use mlp predict --interval, or another loss."
    output = model.ensemble.first.output
    if output == "softmax" or (rows.is_count and output not in NOT_NEGATIVE):
        return f"those of {output} outputs are not. Write model.output_activation: auto."
    return ""


def _set_rule(model: Model, level: float) -> str:
    """What a set holds, of a model of one fold without groups."""
    assert model.conformity is not None
    n_targets = len(model.conformity.rows.n_rows)
    least = [-intervals_of("absolute", model.conformity.folds_of(i, 0), level).above.pooled for i in range(n_targets)]
    shown = ", ".join(f"{max(one, 0.0):.6g}" for one in least)
    which = f" ({', '.join(model.target.names)})" if n_targets > 1 else ""
    return f"a set at {level:g} holds the answer and every label whose probability is at least {shown}{which}."


def _repeated(layers: Sequence[Plain], copied: Sequence[int]) -> list[Plain]:
    """The layers, where the last one gives these of its outputs."""
    *below, last = layers
    bias = None if last["b"] is None else [last["b"][index] for index in copied]
    return [*below, last | {"W": [last["W"][index] for index in copied], "b": bias}]


def _moved(target: Plain, copied: Sequence[int], shifts: Sequence[float], rows: CalibrationRows) -> Plain:
    """The target, whose output number i is that of `copied[i]`, moved by `shifts[i]` in the scale of the scores."""
    names = [f"{name}{end}" for name in target["names"] for end in ENDS]
    found = target | {"names": names, "answers": names}
    for key in ("target_center", "target_scale", "target_quantiles", "target_scores", *BOUNDS):
        if key in target:
            found[key] = [target[key][index] for index in copied]
    if "target_quantiles" in found:
        pairs = zip(found["target_quantiles"], shifts, strict=True)
        found["target_quantiles"] = [[value + shift for value in values] for values, shift in pairs]
    else:
        found["target_center"] = list(map(float.__add__, found["target_center"], shifts))
    for key in BOUNDS:
        if key in found:
            found[key] = [_end(bound, shift, rows) for bound, shift in zip(found[key], shifts, strict=True)]
    if rows.is_count:
        lows, highs = (found.get(key, [one] * len(names)) for key, one in zip(BOUNDS, UNBOUNDED, strict=True))
        of_counts = [max(low, 0.0) if place % 3 == 1 else low for place, low in enumerate(lows)]
        found |= {"target_low": of_counts, "target_high": highs}
    return found


def _end(bound: float, shift: float, rows: CalibrationRows) -> float:
    """A bound of the answers, moved as they are."""
    if rows.scale == "log":
        return float(np.expm1(np.log1p(bound) + shift))
    return bound + shift
