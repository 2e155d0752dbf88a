"""Which metric chooses the epoch that is kept."""

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

# Deviations of targets that differ by more than this are taken for those of different units.
MAX_DEVIATION_RATIO = 10.0


def resolve_metric(loaded: LoadedConfig, task: Task, loss: Loss, names: tuple[str, ...]) -> str:
    """The metric that picks the best epoch ("loss" is the validation loss); raises ConfigError for an unknown one."""
    early_stopping = loaded.config.training.early_stopping
    if early_stopping is None:
        return "loss"
    if early_stopping.patience is not None and not has_validation(loaded):
        raise loaded.error(
            "training.early_stopping.patience", "needs validation rows: set data.validation, or leave it out."
        )
    asked = early_stopping.metric
    if asked == "auto":
        if isinstance(loss, CrossEntropy | BinaryCrossEntropy):
            return "log_loss"
        return _regression_metric(loaded, loss, len(names)) if task == "regression" else "loss"
    known = metric_names(task, names)
    if asked != "loss" and asked not in known:
        raise loaded.error("training.early_stopping.metric", explain_unknown_metric(asked, ("loss", *known)))
    return asked


def _regression_metric(loaded: LoadedConfig, loss: Loss, n_targets: int) -> str:
    """Of one target a metric in its unit where the loss is not; of several one without a unit, so that all count.

    The loss has none where each target is standardized before.
    """
    transform = loaded.config.preprocess.target
    if n_targets > 1:
        is_raw = transform == "none" and isinstance(loss, AbsoluteError | Huber)
        return "r2" if isinstance(loss, SquaredError) or is_raw else "loss"
    # Of a bent target the loss is not in the user's unit, in which the best epoch is to be best.
    is_bent = transform in ("log", "quantile")
    absolute = "mae" if is_bent and isinstance(loss, AbsoluteError | Huber) else "loss"
    return "rmse" if isinstance(loss, SquaredError) else absolute


def discriminating_metric(
    metric: str, task: Task, names: tuple[str, ...], validation: Split | None
) -> tuple[str, list[str]]:
    """The metric, or the next one that can tell epochs apart on the validation rows, with a sentence that says so."""
    if metric == "loss" or validation is None:
        return metric, []
    truth, weights = validation.truth, validation.weights
    if can_distinguish(task, metric, truth, names, weights):
        return metric, []
    sound = "log_loss" if task != "regression" else "loss" if len(names) > 1 else "rmse"
    sound = sound if sound == "loss" or can_distinguish(task, sound, truth, names, weights) else "loss"
    reason = "there is a single one" if len(truth) == 1 else undefined_reason(task, truth, names, weights)
    return sound, [
        f"{metric} cannot distinguish epochs on the validation rows ({reason}): {sound} chooses the epoch instead."
    ]


def threshold_notes(loaded: LoadedConfig, names: tuple[str, ...], validation: Split | None) -> list[str]:
    """A sentence where the metric that is to choose the threshold of two classes is the same at each of them."""
    metric = loaded.config.postprocess.threshold
    if not isinstance(metric, str) or validation is None or validation.truth.ndim > 1:
        return []
    if can_distinguish("classification", metric, validation.truth, names, validation.weights):
        return []
    reason = undefined_reason("classification", validation.truth, names, validation.weights)
    return [f"{metric} cannot distinguish thresholds on the validation rows ({reason}): the threshold stays 0.5."]


def unit_notes(loaded: LoadedConfig, asked: Sequence[str], names: tuple[str, ...], truth: NDArray[Any]) -> list[str]:
    """Sentences where of several targets the one with the largest unit decides.

    `asked` are the metrics that choose or judge, `truth` (n_rows, n_targets) the training targets.
    """
    if len(names) < 2:
        return []
    deviations = truth.std(axis=0)
    least, most = int(np.argmin(deviations)), int(np.argmax(deviations))
    if deviations[most] <= MAX_DEVIATION_RATIO * deviations[least]:
        return []
    large, small = (f"{names[which]} (deviation {deviations[which]:.3g})" for which in (most, least))
    with_unit = [key for key in dict.fromkeys(asked) if key != "loss" and "[" not in key and find_metric(key).has_unit]
    notes = [
        f"{key} is a mean in the units of the targets, so {large} decides over {small}. "
        f"Take r2, which has no unit, or name one target: {key}[{names[least]}]"
        for key in with_unit
    ]
    if loaded.config.preprocess.target == "none":
        notes.append(
            f"the loss adds targets in their own units, so {large} decides over {small}. "
            "Write preprocess.target: standardize"
        )
    return notes


def metric_higher_is_better(metric: str) -> bool:
    """Whether more of the metric is better."""
    return metric != "loss" and find_metric(metric).higher_is_better
