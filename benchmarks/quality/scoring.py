"""The scores of predictions on the test rows, by the same functions for all contestants."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

LEAST_PROBABILITY = 1e-15
BINS = 15


@dataclass(frozen=True)
class Classes:
    """Answers of a classifier: a label for each row, and probabilities (n_rows, n_classes) of `classes`."""

    labels: NDArray[np.str_]
    classes: NDArray[np.str_]
    probabilities: NDArray[np.float64]


Numbers = NDArray[np.float64]
Answers = Classes | Numbers


def read_truth(file: Path, target: str, task: str) -> NDArray[np.str_] | Numbers:
    """The target of each row: texts as they stand in the file, or numbers."""
    if task == "regression":
        return pd.read_csv(file, usecols=[target])[target].to_numpy(np.float64)
    texts = pd.read_csv(file, usecols=[target], dtype=str, keep_default_na=False)[target]
    return texts.str.strip().to_numpy(str)


def score(truth: NDArray[np.str_] | Numbers, answers: Answers) -> dict[str, float]:
    """`rmse`, or `accuracy`, `log_loss`, `roc_auc` and `ece`.

    `roc_auc` is left out if all of `truth` is one class. Raises ValueError if a prediction is missing or not finite.
    """
    if not isinstance(answers, Classes):
        if answers.shape != truth.shape or not np.isfinite(answers).all():
            raise ValueError("a number for each row is needed")
        return {"rmse": float(np.sqrt(np.mean((answers - truth.astype(np.float64)) ** 2)))}
    classes, probabilities = answers.classes, answers.probabilities
    if probabilities.shape != (len(truth), len(classes)) or not np.isfinite(probabilities).all():
        raise ValueError("a probability for each row and class is needed")
    return {
        "accuracy": float((answers.labels == truth).mean()),
        "log_loss": log_loss(truth.astype(str), classes, probabilities),
        **roc_auc(truth.astype(str), classes, probabilities),
        "ece": expected_calibration_error(classes[probabilities.argmax(axis=1)] == truth, probabilities.max(axis=1)),
    }


def log_loss(truth: NDArray[np.str_], classes: NDArray[np.str_], probabilities: NDArray[np.float64]) -> float:
    """Mean of -log p(true class), p not below 1e-15; a class never seen in training has p = 0."""
    shares = probabilities / probabilities.sum(axis=1, keepdims=True)
    true = (shares * (truth[:, None] == classes[None, :])).sum(axis=1)
    return float(-np.log(np.clip(true, LEAST_PROBABILITY, 1.0)).mean())


def roc_auc(truth: NDArray[np.str_], classes: NDArray[np.str_], probabilities: NDArray[np.float64]) -> dict[str, float]:
    """`roc_auc`: that of each class against the others, averaged over the classes that occur in `truth`.

    For two classes both have the same. Nothing if all of `truth` is one class, because it is undefined then.
    """
    present = [index for index, name in enumerate(classes) if 0 < (truth == name).sum() < len(truth)]
    areas = [roc_auc_score(truth == classes[index], probabilities[:, index]) for index in present]
    return {"roc_auc": float(np.mean(areas))} if areas else {}


def expected_calibration_error(right: NDArray[np.bool_], confidence: NDArray[np.float64]) -> float:
    """|share of right answers - mean top probability| over 15 bins of equal width, weighted by their rows.

    Guo et al., On Calibration of Modern Neural Networks, 2017.
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, right - confidence, BINS)
    return float(np.abs(gaps).sum() / len(right))
