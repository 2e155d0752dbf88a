"""How little a handful of validation rows proves."""

from math import ceil

import numpy as np

from mlpcli.data.targets.target import prediction_names
from mlpcli.evaluation.intervals import USUAL, IntervalOptions
from mlpcli.messages import number
from mlpcli.workflows.scoring.predictions import Predictions

WITHIN = 0.1


def fewest_rows(options: IntervalOptions) -> int:
    """Rows from which on any fraction is known to within WITHIN: z sqrt(1/4 / n) = WITHIN."""
    return ceil((options.z / 2 / WITHIN) ** 2)


FEWEST_ROWS = fewest_rows(USUAL)  # that stand for themselves
# What is asked of each task: a score between 0 and 1, or of numbers one whose 0 is the baseline.
ASKED = {"classification": ("accuracy",), "multilabel": ("hamming_loss",), "regression": ("r2",)}
OF_TWO_CLASSES = ("roc_auc", "accuracy")


def few_rows_note(predictions: Predictions, n_folds: int, seed: int) -> str:
    """A sentence where few validation rows leave a score open by more than twice WITHIN, else "".

    Rows of folds, `n_folds` of them or 0, leave it open further: their scores go together.
    """
    options = USUAL.of_folds(n_folds) if n_folds else USUAL
    n_rows, task, enough = len(predictions.truth), predictions.target.task, fewest_rows(options)
    if n_rows >= enough:
        return ""
    asked = (
        OF_TWO_CLASSES if len(prediction_names(predictions.target)) == 2 and task == "classification" else ASKED[task]
    )
    scored, shown = predictions.score(options, asked, seed), []
    for key in asked:
        interval = scored.intervals.get(key)
        if key not in scored.scores or not np.isfinite(scored.scores[key]):
            continue
        if interval is None or not np.isfinite([interval.low, interval.high]).all():
            shown.append(f"{key} {number(scored.scores[key])} has no interval")
        elif interval.high - interval.low > 2 * WITHIN:
            ends = f"[{number(interval.low)}, {number(interval.high)}]"
            shown.append(f"{key} {number(scored.scores[key])} has the confidence interval {ends}")
    if not shown:
        return ""
    where = " in folds" if n_folds else ""
    more = "" if n_folds else ", or folds: model.members: {count: 5, rows: folds} with data.validation: null"
    return (
        f"{n_rows} validation rows{where} are few: {'; '.join(shown)}. From {enough} rows "
        f"on any accuracy is known to within {WITHIN:g}. Use more rows{more}."
    )
