"""Compares two complete cross-validations by their result files."""

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
    """Read a JSON file of a cross-validation; raises MlpError if it is missing or damaged."""
    try:
        with open(path, "rb") as file:
            content = parse_json(file.read())
    except OSError as error:
        raise MlpError(f"{path}: cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise MlpError(f"{path}: damaged ({error}). Run the cross-validation again.") from error
    if not isinstance(content, dict):
        raise MlpError(f"{path}: damaged (not a JSON object). Run the cross-validation again.")
    return content


def is_cross_validation(folder: str) -> bool:
    """Whether the folder has a complete cross-validation."""
    return os.path.isfile(os.path.join(folder, RESULT))


@dataclass(frozen=True)
class ComparedFolds:
    """The difference of each score over the same folds; `metric` decides which cross-validation is better."""

    task: str
    n_rows: int
    n_scores: int
    metric: str
    differences: tuple[Difference, ...]


def compare_cross_validations(old: str, new: str, metric: str, margin: float, confidence: float) -> ComparedFolds:
    """Compare the scores of two cross-validations on the same folds.

    `metric` decides ("": that of the first one), with a `margin` in its unit; the other metrics have none. `confidence`
    is the level of the intervals. Raises MlpError if the data or the folds differ, or if a file is damaged.
    """
    results = [read_json(os.path.join(folder, RESULT)) for folder in (old, new)]
    plans = [read_json(os.path.join(folder, PLAN)) for folder in (old, new)]
    for key, what in (("data_sha256", "data"), ("folds_sha256", "folds")):
        if plans[0].get(key) != plans[1].get(key):
            raise MlpError(
                f"{old} and {new}: were made with different {what}. Cross-validate both with the same data, --folds, "
                "--seed and grouping column."
            )
    try:
        return _compare(results[0], results[1], metric, margin, confidence)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MlpError(f"{old} and {new}: {RESULT} is damaged. Run the cross-validation again.") from error


def _compare(old: dict[str, Any], new: dict[str, Any], metric: str, margin: float, confidence: float) -> ComparedFolds:
    metrics = [key for key in old["scores"] if key in new["scores"]]
    decisive = metric or old["metric"]
    if old["task"] != new["task"] or decisive not in metrics:
        raise MlpError(f"--metric {decisive}: {explain_unknown_metric(decisive, metrics)}")
    if not has_interval(decisive):
        raise MlpError(f"--metric {decisive}: gives no verdict: it {NO_INTERVAL_REASONS[find_metric(decisive).name]}.")
    differences = []
    for key in metrics:
        if "[" in key or not has_interval(key):
            continue
        before, after = (
            [math.nan if value is None else float(value) for value in result["scores"][key]["folds"]]
            for result in (old, new)
        )
        key_margin = margin if key == decisive else 0.0
        differences.append(compare_folds(key, before, after, float(old["test_ratio"]), confidence, key_margin))
    if all(difference.metric != decisive for difference in differences):
        raise MlpError(f"--metric {decisive}: scores of single classes or targets are not compared over folds.")
    return ComparedFolds(old["task"], int(old["n_rows"]), len(old["trainings"]), decisive, tuple(differences))
