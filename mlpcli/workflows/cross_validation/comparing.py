"""What two cross-validations that are done say of each other, read from their files alone."""

import math
import os
from dataclasses import dataclass
from typing import Any

from mlpcli.errors import MlpError
from mlpcli.evaluation.metrics.scores import explain_unknown_metric, find_metric
from mlpcli.evaluation.uncertainty.fold_scores import compare_folds
from mlpcli.evaluation.uncertainty.paired import NO_INTERVAL_REASONS, Difference, has_interval
from mlpcli.storage.strict_json import parse_json

PLAN, RESULT = "plan.json", "cv.json"


def read_json(path: str) -> dict[str, Any]:
    """A JSON file of a cross-validation; raises MlpError for one that is not there or not sound."""
    try:
        with open(path, "rb") as file:
            found = parse_json(file.read())
    except OSError as error:
        raise MlpError(f"{path}: cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise MlpError(f"{path}: damaged ({error}). Run the cross-validation again.") from error
    if not isinstance(found, dict):
        raise MlpError(f"{path}: damaged (not a JSON object). Run the cross-validation again.")
    return found


def is_cross_validation(folder: str) -> bool:
    """Whether a complete cross-validation stands there."""
    return os.path.isfile(os.path.join(folder, RESULT))


@dataclass(frozen=True)
class ComparedFolds:
    """The difference of each score over the same folds; `metric` is the one that decides."""

    task: str
    n_rows: int
    n_scores: int
    metric: str
    differences: tuple[Difference, ...]


def compare_cross_validations(old: str, new: str, metric: str, margin: float, confidence: float) -> ComparedFolds:
    """Compare the scores of the same folds; raises MlpError where the folds or the data are not the same."""
    results = [read_json(os.path.join(folder, RESULT)) for folder in (old, new)]
    plans = [read_json(os.path.join(folder, PLAN)) for folder in (old, new)]
    for key, what in (("data_sha256", "data"), ("folds_sha256", "folds")):
        if plans[0].get(key) != plans[1].get(key):
            raise MlpError(
                f"{old} and {new}: were made with different {what}. Cross-validate both with the same data, --folds, "
                "--seed and grouping column."
            )
    try:
        return _compared(results[0], results[1], metric, margin, confidence)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MlpError(f"{old} and {new}: {RESULT} is damaged. Run the cross-validation again.") from error


def _compared(old: dict[str, Any], new: dict[str, Any], metric: str, margin: float, confidence: float) -> ComparedFolds:
    known = [key for key in old["scores"] if key in new["scores"]]
    decisive = metric or old["metric"]
    if old["task"] != new["task"] or decisive not in known:
        raise MlpError(f"--metric {decisive}: {explain_unknown_metric(decisive, known)}")
    if not has_interval(decisive):
        raise MlpError(f"--metric {decisive}: gives no verdict: it {NO_INTERVAL_REASONS[find_metric(decisive).name]}.")
    found = []
    for key in (one for one in known if "[" not in one and has_interval(one)):
        before, after = (
            [math.nan if value is None else float(value) for value in of["scores"][key]["folds"]] for of in (old, new)
        )
        bound = margin if key == decisive else 0.0
        found.append(compare_folds(key, before, after, float(old["test_ratio"]), confidence, bound))
    if all(one.metric != decisive for one in found):
        raise MlpError(f"--metric {decisive}: scores of single classes or targets are not compared over folds.")
    return ComparedFolds(old["task"], int(old["n_rows"]), len(old["trainings"]), decisive, tuple(found))
