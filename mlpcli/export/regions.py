"""Prediction intervals and sets of an exported model: its conformity scores as plain data.

docs/export.md describes how intervals and sets are computed from them.
"""

import math
from collections.abc import Sequence

import numpy as np

from mlpcli.data.schema.dates.parsing import parse_dates
from mlpcli.data.targets.target import ClassTarget, NumberTarget
from mlpcli.errors import MlpError
from mlpcli.evaluation.conformal.conformity import MISSING, CalibrationRows
from mlpcli.evaluation.conformal.ends import Kind, Scores, level_of_end, rank_of, upper_ends
from mlpcli.export.description import Plain, networks_of, reading_of
from mlpcli.model import Model

# From here on float32 merges an integer with its neighbours, so a row of no group could get the interval of one.
FLOAT_INTEGERS = 1 << 24


def with_regions(description: Plain, model: Model, level: float) -> Plain:
    """The description with `regions` at a level for which the model has enough calibration rows.

    With `quantiles` intervals the networks keep all outputs. Raises MlpError for a layer that cannot be exported.
    """
    assert model.conformity is not None
    rows, target = model.conformity.rows, model.target
    of_labels = isinstance(target, ClassTarget) and rows.by == target.name
    n_targets = 1 if isinstance(target, ClassTarget) else len(target.names)
    folds_of = model.conformity.folds_of
    regions: Plain = {
        "level": level,
        "n_folds": rows.n_folds,
        "by": None if of_labels or not rows.by else _by(model, rows, len(description["inputs"])),
        "of_labels": of_labels,
        "calibration": [
            [_calibration(rows.kind, folds_of(index, group), level) for group in range(rows.n_groups)]
            for index in range(n_targets)
        ],
    }
    if not isinstance(target, NumberTarget):
        return description | {"regions": regions}
    regions |= {
        "has_quantiles": rows.kind == "quantiles",
        "holds_answer": rows.kind != "signed",
        "least": 0.0 if rows.is_count else None,
    }
    networks = networks_of(model, with_quantiles=True)
    n_outputs = len(networks[0]["layers"][-1]["W"])
    return description | {"networks": networks, "n_outputs": n_outputs, "regions": regions}


def read_columns(model: Plain) -> list[Plain]:
    """The columns that a row must have: the features, then the column of the calibration groups (maybe a feature)."""
    regions = model.get("regions")
    return [*model["columns"], *([regions["by"]["column"]] if regions and regions["by"] else [])]


def n_read(model: Plain) -> int:
    """The number of inputs that these columns fill: those of the networks, and those that encode the group."""
    regions = model.get("regions")
    return len(model["inputs"]) + (regions["by"]["n_inputs"] if regions and regions["by"] else 0)


def _calibration(kind: Kind, folds: Sequence[Scores], level: float) -> Plain:
    """The rank of the score that an end needs, and the scores above and below a prediction (below None if equal)."""
    level = level_of_end(kind, level)
    negated = [fold.negated for fold in folds]
    needed = 1 if len(folds) == 1 else rank_of(sum(fold.n_rows for fold in folds), level)
    return {
        "needed": needed,
        "above": _scores(folds, level),
        "below": _scores(negated, level) if kind == "signed" else None,
    }


def _scores(folds: Sequence[Scores], level: float) -> list[Plain]:
    """The scores of each fold and the number of rows of each; empty if there are too few for the level.

    With one fold, only the score at the quantile.
    """
    pooled = upper_ends(folds, level).pooled
    if not math.isfinite(pooled):
        return [{"scores": [], "counts": []} for _ in folds]
    if len(folds) == 1:
        return [{"scores": [pooled], "counts": [1]}]
    return [{"scores": fold.values.tolist(), "counts": np.diff(fold.ranks, prepend=0).tolist()} for fold in folds]


def _by(model: Model, rows: CalibrationRows, first: int) -> Plain:
    """The column of the groups, which fills inputs from `first` on, and the input and value that encode each group.

    Categories are one-hot; numbers, dates and booleans have one input. The last input is the missing indicator. Raises
    MlpError for groups that have no encoding.
    """
    schema = model.interval_by
    assert schema is not None
    column: Plain = {"name": schema.name, "role": schema.role, **reading_of(schema, model.reading.missing)}
    names = [group for group in rows.groups if group != MISSING]
    if schema.role in ("number", "date"):
        numbers = parse_dates(names, "YYYY-MM-DD") if schema.role == "date" else np.asarray(names, np.float64)
        codes = {group: (first, value) for group, value in zip(names, numbers.tolist(), strict=True)}
        other = 2.0 * float(np.abs(numbers).max(initial=0.0)) + 1.0  # equals no group, for a missing cell
        column |= {"at": first, "fill": other, "center": 0.0, "scale": 1.0, "clip": None}
    elif schema.role == "boolean":
        codes = {level: (first, sign) for level, sign in zip(schema.levels, (-1.0, 1.0), strict=True)}
        column |= {"sign": first, "levels": []}
    else:
        codes = {group: (position, 1.0) for position, group in enumerate(names, start=first)}
        column |= {"levels": names, "first": first, "missing_level": None, "other_level": None}
    indicator = max([first, *(position for position, _ in codes.values())]) + 1
    pairs = [codes.get(group, (indicator, 1.0) if group == MISSING else None) for group in rows.groups]
    if None in pairs:
        raise MlpError(f"--interval cannot be exported: {schema.name} has groups that are neither no nor yes.")
    return {
        "column": column | {"flag": indicator, "refuses_missing": False},
        "n_inputs": indicator + 1 - first,
        "groups": [
            {"name": name, "input": pair[0], "value": pair[1]}
            for name, pair in zip(rows.groups, pairs, strict=True)
            if pair
        ],
    }
