"""Learning curves: the first metrics on training and validation rows after each judged epoch, for history.csv."""

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

# Training rows that are scored: an eighth of them, which takes a small part of an epoch, within these bounds.
LEAST_ROWS, MOST_ROWS, FRACTION = 256, 4096, 8


class LearningCurves:
    """Scores weights on a fixed random sample of the training rows, and outputs on the validation rows.

    They are scored as they are: without the temperature and the threshold that are fitted in the end.
    """

    def __init__(self, prepared: Prepared) -> None:
        self._target, self._state = prepared.target, prepared.target_state
        self._metrics = curve_metrics(prepared)
        self._train, self._validation = _sampled(prepared), prepared.validation
        self._evaluator = Evaluator(prepared.networks, prepared.spec.loss, self._train.samples)

    def __call__(self, flats: Sequence[Array], outputs: Array | None) -> dict[str, float]:
        """`train_accuracy`, `validation_accuracy`, ... of the members' weights `flats`.

        `outputs` are those of an `Evaluator` on the validation rows, if there are any; on folds they are averaged over
        the members that have not seen a row.
        """
        found = {"train": self._scores(self._train, self._evaluator.run(flats)[1])}
        if self._validation is not None and outputs is not None:
            mean = outputs.mean(axis=0) if outputs.ndim > 2 else outputs
            found["validation"] = self._scores(self._validation, mean)
        return {f"{part}_{metric}": scores[metric] for metric in self._metrics for part, scores in found.items()}

    def _scores(self, part: Split, outputs: Array) -> dict[str, float]:
        task, names = self._target.task, prediction_names(self._target)
        predictions = Decoded(self._target, self._state, outputs)
        inputs = score_inputs(task, part.truth, predictions, part.weights, self._state.get("threshold"))
        with np.errstate(all="ignore"):
            return {metric: float(metric_function(task, metric, names)(inputs)) for metric in self._metrics}


def curve_metrics(prepared: Prepared) -> tuple[str, ...]:
    """The metrics of the curves: the first ones of the task, and the one by which the epoch is chosen."""
    first = main_metrics(prepared.target.task, prediction_names(prepared.target))
    is_another = prepared.picks_best_epoch and prepared.metric not in ("loss", *first)
    return (*first, prepared.metric) if is_another else first


def _sampled(prepared: Prepared) -> Split:
    part, n_rows = prepared.train, prepared.train.samples.n_rows
    n_scored = min(n_rows, max(LEAST_ROWS, min(n_rows // FRACTION, MOST_ROWS)))
    if n_scored == n_rows or prepared.spec.chunk_rows is not None:  # rows on disk are in random order
        return part.first(n_scored)
    rows = np.sort(rng_of(prepared.spec.seed, "curves").permutation(n_rows)[:n_scored])
    return part.only(rows)
