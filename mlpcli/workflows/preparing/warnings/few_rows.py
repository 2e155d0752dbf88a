"""How little a handful of validation rows proves."""

from math import ceil

import numpy as np

from mlpcli.data.targets.target import prediction_names
from mlpcli.evaluation.uncertainty.intervals import DEFAULT_OPTIONS, IntervalOptions
from mlpcli.messages import format_number
from mlpcli.workflows.scoring.predictions import Predictions

MARGIN = 0.1


def min_rows(options: IntervalOptions) -> int:
    """Rows from which on any fraction is known to within WITHIN: z sqrt(1/4 / n) = WITHIN."""
    return ceil((options.z / 2 / MARGIN) ** 2)


MIN_ROWS = min_rows(DEFAULT_OPTIONS)  # that stand for themselves
# What is metrics of each task: a score between 0 and 1, or of numbers one whose 0 is the baseline.
METRICS = {"classification": ("accuracy",), "multilabel": ("hamming_loss",), "regression": ("r2",)}
BINARY_METRICS = ("roc_auc", "accuracy")


def few_rows_note(predictions: Predictions, n_folds: int, seed: int) -> str:
    """A sentence where few validation rows leave a score open by more than twice WITHIN, else "".

    Rows of folds, `n_folds` of them or 0, leave it open further: their scores go together.
    """
    options = DEFAULT_OPTIONS.of_folds(n_folds) if n_folds else DEFAULT_OPTIONS
    n_rows, task, enough = len(predictions.truth), predictions.target.task, min_rows(options)
    if n_rows >= enough:
        return ""
    metrics = (
        BINARY_METRICS if len(prediction_names(predictions.target)) == 2 and task == "classification" else METRICS[task]
    )
    scored, shown = predictions.score(options, metrics, seed), []
    for key in metrics:
        interval = scored.intervals.get(key)
        if key not in scored.scores or not np.isfinite(scored.scores[key]):
            continue
        if interval is None or not np.isfinite([interval.low, interval.high]).all():
            shown.append(f"{key} {format_number(scored.scores[key])} has no interval")
        elif interval.high - interval.low > 2 * MARGIN:
            ends = f"[{format_number(interval.low)}, {format_number(interval.high)}]"
            shown.append(f"{key} {format_number(scored.scores[key])} has the confidence interval {ends}")
    if not shown:
        return ""
    where = " in folds" if n_folds else ""
    more = "" if n_folds else ", or folds: model.members: {count: 5, rows: folds} with data.validation: null"
    return (
        f"{n_rows} validation rows{where} are few: {'; '.join(shown)}. From {enough} rows "
        f"on any accuracy is known to within {MARGIN:g}. Use more rows{more}."
    )
