"""Chooses the metric by which the best epoch is chosen, and checks that it can distinguish epochs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.targets.target import Task
from mlpcli.evaluation.metrics.scores import explain_unknown_metric, find_metric, metric_names
from mlpcli.evaluation.undefined_scores import can_distinguish, undefined_reason
from mlpcli.nn.losses import AbsoluteError, BinaryCrossEntropy, CrossEntropy, Huber, Loss, SquaredError
from mlpcli.workflows.preparing.resolution import has_validation
from mlpcli.workflows.preparing.rows.splits import Split

# Targets whose standard deviations differ by more than this factor are taken to have different units.
MAX_DEVIATION_RATIO = 10.0


def resolve_metric(loaded: LoadedConfig, task: Task, loss: Loss, names: tuple[str, ...]) -> str:
    """The metric that chooses the best epoch ("loss" is the validation loss); raises ConfigError for an unknown one."""
    early_stopping = loaded.config.training.early_stopping
    if early_stopping is None:
        return "loss"
    if early_stopping.patience is not None and not has_validation(loaded):
        raise loaded.error(
            "training.early_stopping.patience", "needs validation rows: set data.validation, or leave it out."
        )
    configured = early_stopping.metric
    if configured == "auto":
        if isinstance(loss, CrossEntropy | BinaryCrossEntropy):
            return "log_loss"
        return _regression_metric(loaded, loss, len(names)) if task == "regression" else "loss"
    allowed = metric_names(task, names)
    if configured != "loss" and configured not in allowed:
        raise loaded.error("training.early_stopping.metric", explain_unknown_metric(configured, ("loss", *allowed)))
    return configured


def _regression_metric(loaded: LoadedConfig, loss: Loss, n_targets: int) -> str:
    """The metric for `auto`: for one target a metric in its unit; for several one without a unit.

    A metric without a unit gives all targets the same weight. The loss is one if each target is standardized.
    """
    transform = loaded.config.preprocess.target
    if n_targets > 1:
        is_raw = transform == "none" and isinstance(loss, AbsoluteError | Huber)
        return "r2" if isinstance(loss, SquaredError) or is_raw else "loss"
    # With a nonlinear transform the loss is not in the user's unit, in which the epoch should be chosen.
    is_nonlinear = transform in ("log", "quantile")
    robust_metric = "mae" if is_nonlinear and isinstance(loss, AbsoluteError | Huber) else "loss"
    return "rmse" if isinstance(loss, SquaredError) else robust_metric


def discriminating_metric(
    metric: str, task: Task, names: tuple[str, ...], validation: Split | None
) -> tuple[str, list[str]]:
    """The metric, or another one and a note if it is constant on the validation rows."""
    if metric == "loss" or validation is None:
        return metric, []
    truth, weights = validation.truth, validation.weights
    if can_distinguish(task, metric, truth, names, weights):
        return metric, []
    other = "log_loss" if task != "regression" else "loss" if len(names) > 1 else "rmse"
    other = other if other == "loss" or can_distinguish(task, other, truth, names, weights) else "loss"
    reason = "there is a single one" if len(truth) == 1 else undefined_reason(task, truth, names, weights)
    return other, [
        f"{metric} cannot distinguish epochs on the validation rows ({reason}): {other} chooses the epoch instead."
    ]


def threshold_notes(loaded: LoadedConfig, names: tuple[str, ...], validation: Split | None) -> list[str]:
    """A note if the metric that should choose the decision threshold is the same at every threshold."""
    metric = loaded.config.postprocess.threshold
    if not isinstance(metric, str) or validation is None or validation.truth.ndim > 1:
        return []
    if can_distinguish("classification", metric, validation.truth, names, validation.weights):
        return []
    reason = undefined_reason("classification", validation.truth, names, validation.weights)
    return [f"{metric} cannot distinguish thresholds on the validation rows ({reason}): the threshold stays 0.5."]


def unit_notes(loaded: LoadedConfig, metrics: Sequence[str], names: tuple[str, ...], truth: NDArray[Any]) -> list[str]:
    """Notes if of several targets the one with the largest unit dominates a metric or the loss.

    `metrics` are those that choose the epoch or have a gate, `truth` (n_rows, n_targets) the training targets.
    """
    if len(names) < 2:
        return []
    deviations = truth.std(axis=0)
    smallest, largest = int(np.argmin(deviations)), int(np.argmax(deviations))
    if deviations[largest] <= MAX_DEVIATION_RATIO * deviations[smallest]:
        return []
    large, small = (f"{names[target]} (deviation {deviations[target]:.3g})" for target in (largest, smallest))
    overall = [key for key in dict.fromkeys(metrics) if key != "loss" and "[" not in key]
    notes = [
        f"{key} is a mean in the units of the targets, so {large} decides over {small}. "
        f"Take r2, which has no unit, or name one target: {key}[{names[smallest]}]"
        for key in overall
        if find_metric(key).has_unit
    ]
    if loaded.config.preprocess.target == "none":
        notes.append(
            f"the loss adds targets in their own units, so {large} decides over {small}. "
            "Write preprocess.target: standardize"
        )
    return notes


def metric_higher_is_better(metric: str) -> bool:
    """Whether a higher value of the metric is better; False for "loss"."""
    return metric != "loss" and find_metric(metric).higher_is_better
