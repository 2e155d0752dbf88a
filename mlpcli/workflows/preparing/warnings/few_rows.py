"""A note if there are too few validation rows for a reliable score."""

from math import ceil

import numpy as np

from mlpcli.data.targets.target import prediction_names
from mlpcli.evaluation.uncertainty.intervals import DEFAULT_OPTIONS, IntervalOptions
from mlpcli.messages import format_number
from mlpcli.workflows.scoring.predictions import LabeledPredictions

MARGIN = 0.1


def min_rows(options: IntervalOptions) -> int:
    """The least n for which the interval of any proportion is within +-MARGIN: z sqrt(1/4 / n) = MARGIN."""
    return ceil((options.z / 2 / MARGIN) ** 2)


MIN_ROWS = min_rows(DEFAULT_OPTIONS)  # for independent rows, which rows of folds are not
# The metrics of each task in the note: between 0 and 1, or for regression one whose 0 is the baseline.
METRICS = {"classification": ("accuracy",), "multilabel": ("hamming_loss",), "regression": ("r2",)}
BINARY_METRICS = ("roc_auc", "accuracy")


def few_rows_note(predictions: LabeledPredictions, n_folds: int, seed: int) -> str:
    """A note if the rows are few and the confidence interval of a metric is wider than 2 MARGIN, else "".

    `n_folds` is 0 without folds; intervals over folds are wider, as their scores are correlated.
    """
    options = DEFAULT_OPTIONS.of_folds(n_folds) if n_folds else DEFAULT_OPTIONS
    n_rows, task, needed_rows = len(predictions.truth), predictions.target.task, min_rows(options)
    if n_rows >= needed_rows:
        return ""
    metrics = (
        BINARY_METRICS if len(prediction_names(predictions.target)) == 2 and task == "classification" else METRICS[task]
    )
    scored, clauses = predictions.score(options, metrics, seed), []
    for key in metrics:
        interval = scored.intervals.get(key)
        if key not in scored.scores or not np.isfinite(scored.scores[key]):
            continue
        if interval is None or not np.isfinite([interval.low, interval.high]).all():
            clauses.append(f"{key} {format_number(scored.scores[key])} has no interval")
        elif interval.high - interval.low > 2 * MARGIN:
            ends = f"[{format_number(interval.low)}, {format_number(interval.high)}]"
            clauses.append(f"{key} {format_number(scored.scores[key])} has the confidence interval {ends}")
    if not clauses:
        return ""
    suffix = " in folds" if n_folds else ""
    folds_hint = "" if n_folds else ", or folds: model.members: {count: 5, rows: folds} with data.validation: null"
    return (
        f"{n_rows} validation rows{suffix} are few: {'; '.join(clauses)}. From {needed_rows} rows "
        f"on any accuracy is known to within {MARGIN:g}. Use more rows{folds_hint}."
    )
