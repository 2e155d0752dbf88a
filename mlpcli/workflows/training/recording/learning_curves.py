"""Learning curves: the main metrics on training and validation rows after each scored epoch, for history.csv."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.targets.target import prediction_names
from mlpcli.evaluation.metrics.scores import metric_function, score_inputs
from mlpcli.training.ensemble import Evaluator
from mlpcli.training.seeding import rng_of
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.preparing.rows.splits import Split
from mlpcli.workflows.scoring.main_metrics import main_metrics
from mlpcli.workflows.scoring.scores import Decoded

Array = NDArray[np.floating[Any]]

# An eighth of the training rows is scored, within these bounds: it takes a small fraction of the time of an epoch.
MIN_ROWS, MAX_ROWS, ROWS_PER_SCORED = 256, 4096, 8


class LearningCurves:
    """Scores weights on a fixed random sample of the training rows, and outputs on the validation rows.

    Temperature and threshold, which are fitted after the last epoch, are not applied.
    """

    def __init__(self, prepared: Prepared) -> None:
        self._target, self._state = prepared.target, prepared.target_state
        self._metrics = curve_metrics(prepared)
        self._train, self._validation = _sampled(prepared), prepared.validation
        self._evaluator = Evaluator(prepared.networks, prepared.spec.loss, self._train.samples)

    def __call__(self, flats: Sequence[Array], outputs: Array | None) -> dict[str, float]:
        """Compute `train_accuracy`, `validation_accuracy`, ... from the flat parameters of the members.

        `outputs` are those of an `Evaluator` for the validation rows, None without any: (n_rows, n_out), or with folds
        (members per row, n_rows, n_out) from the members not trained on a row, which are averaged.
        """
        by_split = {"train": self._scores(self._train, self._evaluator.run(flats)[1])}
        if self._validation is not None and outputs is not None:
            mean = outputs.mean(axis=0) if outputs.ndim > 2 else outputs
            by_split["validation"] = self._scores(self._validation, mean)
        return {f"{split}_{metric}": scores[metric] for metric in self._metrics for split, scores in by_split.items()}

    def _scores(self, split: Split, outputs: Array) -> dict[str, float]:
        task, names = self._target.task, prediction_names(self._target)
        predictions = Decoded(self._target, self._state, outputs)
        inputs = score_inputs(task, split.truth, predictions, split.weights, self._state.get("threshold"))
        with np.errstate(all="ignore"):
            return {metric: float(metric_function(task, metric, names)(inputs)) for metric in self._metrics}


def curve_metrics(prepared: Prepared) -> tuple[str, ...]:
    """The metrics of the curves: the main ones of the task, and the one that chooses the epoch."""
    main = main_metrics(prepared.target.task, prediction_names(prepared.target))
    is_further = prepared.picks_best_epoch and prepared.metric not in ("loss", *main)
    return (*main, prepared.metric) if is_further else main


def _sampled(prepared: Prepared) -> Split:
    split, n_rows = prepared.train, prepared.train.samples.n_rows
    n_scored = min(n_rows, max(MIN_ROWS, min(n_rows // ROWS_PER_SCORED, MAX_ROWS)))
    if n_scored == n_rows or prepared.spec.chunk_rows is not None:  # rows on disk are in random order
        return split.first(n_scored)
    rows = np.sort(rng_of(prepared.spec.seed, "curves").permutation(n_rows)[:n_scored])
    return split.only(rows)
