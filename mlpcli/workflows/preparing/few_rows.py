"""How little a handful of validation rows proves."""

from math import ceil

import numpy as np

from mlpcli.data.targets.target import answer_names
from mlpcli.evaluation.intervals import USUAL
from mlpcli.messages import number
from mlpcli.workflows.certainty import Answered

# A fraction is known to within this, at 95 % and whatever it is, from FEWEST_ROWS rows on: 1.96 sqrt(1/4 / n) = WITHIN.
WITHIN = 0.1
FEWEST_ROWS = ceil((1.959964 / 2 / WITHIN) ** 2)
# What is asked of each task: a score between 0 and 1, or of numbers one whose 0 is the baseline.
ASKED = {"classification": ("accuracy",), "multilabel": ("hamming_loss",), "regression": ("r2",)}
OF_TWO_CLASSES = ("roc_auc", "accuracy")


def few_rows_note(answered: Answered, has_folds: bool, seed: int) -> str:
    """A sentence where fewer than FEWEST_ROWS validation rows leave a score open by more than twice WITHIN, else ""."""
    n_rows, task = len(answered.truth), answered.target.task
    if n_rows >= FEWEST_ROWS:
        return ""
    asked = OF_TWO_CLASSES if len(answer_names(answered.target)) == 2 and task == "classification" else ASKED[task]
    scored, shown = answered.score(USUAL, asked, seed), []
    for key in asked:
        interval = scored.intervals.get(key)
        if key not in scored.scores or not np.isfinite(scored.scores[key]):
            continue
        if interval is None or not np.isfinite([interval.low, interval.high]).all():
            shown.append(f"{key} {number(scored.scores[key])} has no interval")
        elif interval.high - interval.low > 2 * WITHIN:
            ends = f"[{number(interval.low)}, {number(interval.high)}]"
            shown.append(f"{key} {number(scored.scores[key])} may as well be anything in {ends}")
    if not shown:
        return ""
    more = "" if has_folds else ", or folds: model.members: {count: 5, rows: folds} with data.validation: null"
    return (
        f"{n_rows} validation rows prove little: {'; '.join(shown)}. From {FEWEST_ROWS} rows on any accuracy is known "
        f"to within {WITHIN:g}. Use more rows{more}."
    )
