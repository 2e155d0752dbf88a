"""Scores of a model and of the constant baseline on rows with known targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.targets.target import (
    BooleanTarget,
    ClassTarget,
    NumberTarget,
    Target,
    decode_outputs,
    prediction_names,
)
from mlpcli.evaluation.calibration import extrapolated, fit_members_temperature, fit_temperature, smoothed_log_loss
from mlpcli.evaluation.metrics.averages import Predicted
from mlpcli.evaluation.metrics.constant import constant_classes, constant_numbers, constant_yes_no
from mlpcli.evaluation.metrics.registry import METRICS
from mlpcli.evaluation.metrics.scores import find_metric, score, score_classes, score_multilabel, score_numbers
from mlpcli.model import Model
from mlpcli.nn.losses import AbsoluteError, Loss, Quantile, SquaredError
from mlpcli.probabilities import no_and_yes
from mlpcli.workflows.scoring.baseline import compared_keys, far_worse, split_scores

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Decoded:
    """The predictions of network `outputs`, decoded for a slice of rows at a time to save memory."""

    target: Target
    state: dict[str, Values]
    outputs: NDArray[np.floating[Any]]

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_rows, n_classes or n_targets)."""
        return len(self.outputs), len(prediction_names(self.target))

    def __getitem__(self, rows: slice, /) -> Values:
        """The decoded predictions of a slice of rows."""
        return decode_outputs(self.target, self.state, self.outputs[rows])


def score_predictions(
    target: Target,
    truth: NDArray[Any],
    predictions: Predicted,
    weights: Values | None = None,
    threshold: Values | None = None,
) -> dict[str, float]:
    """Every score of decoded predictions, in the order of display; `threshold` as for `predicted_labels`."""
    if isinstance(target, ClassTarget):
        return score_classes(truth, predictions, target.labels, weights, threshold)
    if isinstance(target, NumberTarget):
        return score_numbers(truth, predictions, target.names, weights)
    return score_multilabel(truth, predictions, target.names, weights, threshold)


@dataclass(frozen=True)
class Criterion:
    """Scores network outputs by one metric, to choose the best epoch.

    With `is_calibrated`, probabilities are scored after temperature scaling, so that an overconfident epoch is not
    penalized for what calibration corrects. `n_members` is the number of networks in the final ensemble.
    """

    metric: str
    target: Target
    state: dict[str, Values]
    truth: NDArray[Any]
    weights: Values | None
    is_calibrated: bool = False
    n_members: int = 1

    def __call__(self, outputs: NDArray[Any]) -> float:
        """The metric of outputs (n_rows, n_out).

        For out-of-fold outputs of r networks (r, n_rows, n_out): the extrapolated metric of the mean of all members on
        rows that none of them was trained on.
        """
        if outputs.ndim == 2:
            return self._score(Decoded(self.target, self._calibrated(outputs), outputs))
        single = float(np.mean([self(member) for member in outputs]))
        ensemble = single
        if len(outputs) > 1:
            state = self.state
            if self.finds_temperature:
                state = state | {"temperature": np.array([self.members_temperature(outputs, n_members=len(outputs))])}
            ensemble = self._score(mean_predictions(self.target, state, outputs))
        if find_metric(self.metric).higher_is_better or min(single, ensemble) <= 0.0:
            return extrapolated(single, ensemble, len(outputs), self.n_members)
        # Extrapolate the logarithm, so that a loss stays positive.
        return exp(extrapolated(log(single), log(ensemble), len(outputs), self.n_members))

    def members_temperature(
        self, outputs: NDArray[Any], n_members: int | None = None, counts: Sequence[int] = ()
    ) -> float:
        """The temperature of each member's logits, from out-of-fold outputs (r, n_rows, n_out).

        `counts` (r,) are their weights in the mean, 1 by default.
        """
        weights = np.array(counts or (1,) * len(outputs))
        names = prediction_names(self.target)

        def log_loss_at(temperature: float, networks: tuple[int, ...]) -> float:
            state = self.state | {"temperature": np.array([temperature])}
            predictions = mean_predictions(self.target, state, outputs[list(networks)], weights[list(networks)])
            log_loss = score(self.target.task, "log_loss", self.truth, predictions, names, self.weights)
            outcomes = no_and_yes(predictions).reshape(-1, 2) if isinstance(self.target, BooleanTarget) else predictions
            return smoothed_log_loss(log_loss, outcomes)

        return fit_members_temperature(log_loss_at, weights.tolist(), n_members or self.n_members)

    @property
    def finds_temperature(self) -> bool:
        """Whether the metric is computed on calibrated probabilities."""
        judges_probabilities = self.metric in METRICS and METRICS[self.metric].judges_probabilities
        return self.is_calibrated and judges_probabilities and not isinstance(self.target, NumberTarget)

    def _calibrated(self, outputs: NDArray[Any]) -> dict[str, Values]:
        """The target state, with a temperature fitted on these outputs if they are calibrated."""
        if not self.finds_temperature:
            return self.state
        predictions = decode_outputs(self.target, self.state, outputs)
        return self.state | {"temperature": np.array([fit_temperature(predictions, self.truth, self.weights)])}

    def _score(self, predictions: Predicted) -> float:
        """The metric of decoded predictions."""
        names = prediction_names(self.target)
        threshold = self.state.get("threshold")
        return score(self.target.task, self.metric, self.truth, predictions, names, self.weights, threshold)


def mean_predictions(
    target: Target, state: dict[str, Values], outputs: NDArray[Any], counts: NDArray[np.int64] | None = None
) -> Values:
    """Predictions of an ensemble from the outputs of its networks (r, n_rows, n_out), weighted by `counts` (r,).

    Probabilities are averaged after temperature scaling; for numbers, outputs are averaged and then decoded.
    """
    if isinstance(target, NumberTarget):
        return decode_outputs(target, state, np.average(outputs, axis=0, weights=counts))
    members = [decode_outputs(target, state, member) for member in outputs]
    is_plain = counts is None or (counts == counts[0]).all()
    predictions: Values = np.mean(members, axis=0) if is_plain else np.average(members, axis=0, weights=counts)
    return predictions


def constant_predictions(
    target: Target, loss: Loss, truth: NDArray[Any], weights: Values | None, n_rows: int
) -> Values:
    """The constant baseline fitted on the training targets `truth`, repeated for `n_rows` rows (a read-only view)."""
    if isinstance(target, ClassTarget):
        constant = constant_classes(truth, len(target.labels), weights)
    elif isinstance(target, NumberTarget):
        constant = constant_numbers(truth, weights, _quantile_of(loss))
    else:
        constant = constant_yes_no(truth, weights)
    return np.broadcast_to(constant, (n_rows, len(constant)))


def far_worse_on_rows(
    model: Model, scores: Mapping[str, float], truth: NDArray[Any], weights: NDArray[np.float64] | None
) -> str:
    """As `far_worse` for new rows, where the baseline is the best constant prediction for these rows.

    If the rows have nearly equal targets, it is nearly perfect; then the baseline recorded in training counts.
    """
    target = model.target
    if not len(truth):
        return ""
    predictions = constant_predictions(target, SquaredError(), truth, weights, len(truth))
    names, recorded = prediction_names(target), split_scores(model.scores, "constant")
    constant: dict[str, float | None] = {}
    for key in compared_keys(scores):
        here = score(target.task, key, truth, predictions, names, weights)
        before = recorded.get(key)
        constant[key] = here if before is None or not isfinite(here) else max(here, before)
    return far_worse(scores, constant, "these rows")


def _quantile_of(loss: Loss) -> float | None:
    """The quantile that a loss estimates; None for the mean."""
    if isinstance(loss, Quantile):
        return loss.predicted_quantile
    return 0.5 if isinstance(loss, AbsoluteError) else None
