"""Scores by scikit-learn under the keys of mlpcli; NaN where scikit-learn raises or has no definition."""

import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

NAN = float("nan")


def assert_same_scores(ours: dict[str, float], theirs: dict[str, float]) -> None:
    """Assert equal keys, and values equal to 1e-9 (NaN equals NaN)."""
    assert set(ours) == set(theirs)
    assert all(type(value) is float for value in ours.values())
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9, nan_ok=True)


def sklearn_classes(y, probabilities, labels, weights):
    """Every classification score."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # undefined metrics, absent classes
        return _classes(y, probabilities, labels, weights)


def _classes(y, probabilities, labels, weights):
    n_classes = len(labels)
    predicted = probabilities.argmax(axis=1)
    w = {"sample_weight": weights}
    prf = {"zero_division": 0.0, **w}
    truths = np.unique(y if weights is None else y[weights > 0])
    has_all = len(truths) == n_classes  # scikit-learn has rules of its own where one has no row
    scores = {
        "accuracy": sk.accuracy_score(y, predicted, **w),
        "balanced_accuracy": sk.balanced_accuracy_score(y, predicted, **w),
        "log_loss": sk.log_loss(y, probabilities, labels=range(n_classes), **w),
        "f1_macro": sk.f1_score(y, predicted, average="macro", **prf),
        "f1_weighted": sk.f1_score(y, predicted, average="weighted", **prf),
        "precision_macro": sk.precision_score(y, predicted, average="macro", **prf),
        "recall_macro": sk.recall_score(y, predicted, average="macro", **prf),
        "mcc": sk.matthews_corrcoef(y, predicted, **w) if len(truths) > 1 else NAN,
        "ece": calibration_error_by_definition(y, probabilities, weights),
    }
    if n_classes == 2:
        scores["roc_auc"] = sk.roc_auc_score(y, probabilities[:, 1], **w)
        scores["average_precision"] = sk.average_precision_score(y, probabilities[:, 1], **w) if has_all else NAN
        scores["brier"] = sk.brier_score_loss(y, probabilities[:, 1], pos_label=1, **w)
        for name, function in (("f1", sk.f1_score), ("precision", sk.precision_score), ("recall", sk.recall_score)):
            scores[name] = function(y, predicted, pos_label=1, average="binary", **prf)
    else:
        scores["roc_auc"] = sk.roc_auc_score(y, probabilities, multi_class="ovr", labels=range(n_classes), **w)
        scores["average_precision"] = sk.average_precision_score(y, probabilities, **w) if has_all else NAN
        scores["brier"] = sk.brier_score_loss(y, probabilities, labels=range(n_classes), **w)
    parts = sk.precision_recall_fscore_support(y, predicted, labels=range(n_classes), **prf)
    for name, values in zip(("precision", "recall", "f1"), parts[:3], strict=True):
        scores |= {f"{name}[{label}]": value for label, value in zip(labels, values, strict=True)}
    return scores


def calibration_error_by_definition(y, probabilities, weights):
    """Guo et al. 2017, equation 3, bin by bin."""
    weights = np.ones(len(y)) if weights is None else weights
    confidence, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    error = 0.0
    for low, high in zip(np.linspace(0, 1, 16)[:-1], np.linspace(0, 1, 16)[1:], strict=True):
        rows = (confidence > low) & (confidence <= high)
        if weights[rows].sum() > 0:
            accuracy = np.average(is_right[rows], weights=weights[rows])
            gap = abs(accuracy - np.average(confidence[rows], weights=weights[rows]))
            error += weights[rows].sum() / weights.sum() * gap
    return error


def sklearn_numbers(y, predicted, names, weights):
    """Every regression score."""
    functions = {
        "rmse": sk.root_mean_squared_error,
        "mae": sk.mean_absolute_error,
        "median_absolute_error": _median_absolute_error,
        "r2": _r2,
        "mape": sk.mean_absolute_percentage_error,
    }
    scores = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # r2 of one row
        for key, function in functions.items():
            scores[key] = function(y, predicted, sample_weight=weights)
            for j, name in enumerate(names if len(names) > 1 else []):
                scores[f"{key}[{name}]"] = function(y[:, j], predicted[:, j], sample_weight=weights)
    each = [sk.max_error(y[:, j], predicted[:, j]) for j in range(len(names))]
    scores["max_error"] = max(each)
    if len(names) > 1:
        scores |= {f"max_error[{name}]": value for name, value in zip(names, each, strict=True)}
    return scores


def _r2(y, predicted, sample_weight):
    """NaN if a target is constant, where scikit-learn returns 1 or 0."""
    counted = (y if sample_weight is None else y[sample_weight > 0]).reshape(-1, *y.shape[1:])
    is_constant = (counted == counted[:1]).all(axis=0).any()
    return NAN if is_constant else sk.r2_score(y, predicted, sample_weight=sample_weight)


def _median_absolute_error(y, predicted, sample_weight):
    # scikit-learn 1.7 and 1.8 let a row of weight zero into the mean of the two middle rows; 1.9 does not
    rows = slice(None) if sample_weight is None else sample_weight > 0
    return sk.median_absolute_error(
        y[rows], predicted[rows], sample_weight=None if sample_weight is None else sample_weight[rows]
    )


def sklearn_multilabel(y, probabilities, names, weights):
    """Every multilabel score."""
    predicted = (probabilities > 0.5).astype(int)
    y = y.astype(int)
    w = {"sample_weight": weights}
    columns = range(len(names))
    counted = y if weights is None else y[weights > 0]
    has_both = bool((counted.min(axis=0) != counted.max(axis=0)).all())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # columns with one outcome
        scores = {
            "subset_accuracy": sk.accuracy_score(y, predicted, **w),
            "hamming_loss": sk.hamming_loss(y, predicted, **w),
            "log_loss": np.mean([sk.log_loss(y[:, j], probabilities[:, j], labels=[0, 1], **w) for j in columns]),
            "roc_auc": sk.roc_auc_score(y, probabilities, **w),
            "average_precision": sk.average_precision_score(y, probabilities, **w) if has_both else NAN,
            "f1_macro": sk.f1_score(y, predicted, average="macro", zero_division=0.0, **w),
            "f1_micro": sk.f1_score(y, predicted, average="micro", zero_division=0.0, **w),
            "brier": np.mean([sk.brier_score_loss(y[:, j], probabilities[:, j], pos_label=1, **w) for j in columns]),
        }
        for j, name in enumerate(names):
            scores[f"accuracy[{name}]"] = sk.accuracy_score(y[:, j], predicted[:, j], **w)
            scores[f"roc_auc[{name}]"] = sk.roc_auc_score(y[:, j], probabilities[:, j], **w)
            scores[f"f1[{name}]"] = sk.f1_score(y[:, j], predicted[:, j], pos_label=1, zero_division=0.0, **w)
    return scores
